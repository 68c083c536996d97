"""The diagnostics of suites: one case for each code, as the terminal shows it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from costlens_policy.diagnostics.codes import CODES
from costlens_policy.diagnostics.render import render
from costlens_policy.testing import run_suites

ROOT = Path(__file__).parent.parent.parent
CORPUS = Path("tests", "corpus", "diagnostics")


@pytest.mark.parametrize("code", [code for code in CODES if code.startswith("CL6")])
def test_each_code_has_a_case(code: str, golden: Callable[[Path, str], None], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    run = run_suites([CORPUS / code])
    assert {item.code for item in run.diagnostics} == {code}
    assert run.exit_code in ((1,) if any(item.is_error for item in run.diagnostics) else (0, 4))
    golden(ROOT / CORPUS / code / "expected.txt", render(run.diagnostics, "full", run.lines_of))
