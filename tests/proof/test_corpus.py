"""The diagnostics of invariants: one case for each code, as `check` shows it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from costlens_policy.diagnostics.codes import CODES
from costlens_policy.diagnostics.render import render
from costlens_policy.proof import prove
from costlens_policy.proof.proofs import examine_invariants

ROOT = Path(__file__).parent.parent.parent
CORPUS = Path("tests", "corpus", "diagnostics")
NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize("code", [code for code in CODES if code.startswith("CL7")])
def test_each_code_has_a_case(code: str, golden: Callable[[Path, str], None], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    found = examine_invariants([CORPUS / code], {}, NOW)
    assert {item.code for item in found.diagnostics} == {code}
    lines = {source.name: source.lines() for source in found.sources}
    golden(ROOT / CORPUS / code / "expected.txt", render(found.diagnostics, "full", lines.get))
    assert not [proof for proof in prove([CORPUS / code], now=NOW).proofs if type(proof.verdict).__name__ == "Holds"]
