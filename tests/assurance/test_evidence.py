"""A finding about what rules do to requests shows one, as the engine decides it, or reports that all were decided."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Final

import pytest

from costlens_policy.assurance import Subject, examine
from costlens_policy.checker import check_all
from costlens_policy.engine.decide import decide
from tests.corpus.test_diagnostics_corpus import FOLDERS, NOON, _wrap

_OF_WORDS: Final = {
    "CL437", "CL441", "CL442", "CL443", "CL444", "CL445", "CL446", "CL447", "CL448", "CL449", "CL450", "CL461", "CL463",
    "CL464", "CL467", "CL471", "CL472", "CL474", "CL475", "CL476", "CL477", "CL478", "CL479", "CL490", "CL491",
}  # fmt: skip
"""About what is written: no request has to be decided to see it. CL448 names the number; CL443 may be either."""
_ARITHMETIC: Final = ("has no room for any call that has none on", "a single call counts as one request")
"""Two limits compared."""
_CASES: Final = [folder for folder in FOLDERS if "CL430" <= folder.name[:5] <= "CL489"]


@pytest.mark.parametrize("case", _CASES, ids=lambda path: path.name)
def test_findings_come_with_evidence(case: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "case"
    shutil.copytree(case, folder, symlinks=True)
    (folder / ".git").mkdir()
    monkeypatch.chdir(folder)
    for bundle in check_all(_wrap(folder), on=NOON.date()).bundles:
        subject = Subject(bundle, NOON)
        for item in examine(bundle, NOON):
            if item.code in _OF_WORDS or any(words in item.message for words in _ARITHMETIC):
                continue
            assert item.proved or item.witnesses, item.message
            for shown in item.witnesses:
                if shown.data["balances"]:
                    continue
                decision = decide(subject.plan, shown.data["request"], {}, NOON)
                if shown.data["now"] == "2026-11-01T12:00:00Z":
                    assert decision.effect == shown.data["decision"]["effect"]
