"""What docs/replay.md shows in Python runs."""

from __future__ import annotations

from decimal import Decimal

from tests.conftest import ROOT
from tests.docs.walkthrough import blocks, run_command


def test_the_batch_function_of_the_docs_runs():
    page = (ROOT / "docs/replay.md").read_text(encoding="utf-8")
    (shown,) = (block.text for block in blocks(page) if block.language == "python")
    said = run_command(f'python - <<"END"\n{shown}\nprint(result.cost)\nEND', ROOT)
    one_session = 21_000 * Decimal("3.75") + 20_000 * Decimal("0.3") + 2 * 150 * 15
    assert Decimal(said) == 2 * one_session / 10**6
