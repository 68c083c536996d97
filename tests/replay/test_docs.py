"""What docs/replay.md shows in Python runs, and its table of ready mappings is that of the program."""

from __future__ import annotations

import re
from decimal import Decimal

from costlens_policy.replay import READY
from tests.conftest import ROOT
from tests.docs.walkthrough import blocks, run_command


def test_the_batch_function_of_the_docs_runs():
    page = (ROOT / "docs/engines.md").read_text(encoding="utf-8")
    shown = [block.text for block in blocks(page) if block.language == "python"][-1]
    said = run_command(f'python - <<"END"\n{shown}\nEND', ROOT)
    one_session = 21_000 * Decimal("3.75") + 20_000 * Decimal("0.3") + 2 * 150 * 15
    rows, cost = said.split()
    assert (int(rows), Decimal(cost)) == (4, 2 * one_session / 10**6)


def test_the_docs_list_the_ready_mappings(golden):
    path = ROOT / "docs/replay.md"
    page = path.read_text(encoding="utf-8")
    rows = "".join(f"| `{name}` | {mapping.about} |\n" for name, mapping in READY.items())
    listed = re.compile(r"(\| ready mapping \| for \|\n\|---\|---\|\n)(\|.*\n)+")
    golden(path, listed.sub(lambda found: found[1] + rows, page))
