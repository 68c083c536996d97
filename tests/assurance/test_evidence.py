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
    "CL437": "what a scope or key reads",
    "CL441": "a threshold at the limit itself",
    "CL442": "a soft limit above the hard one",
    "CL443": "a rewrite that another one undoes; one that never applies is proved",
    "CL444": "shares that add up to an odd sum",
    "CL445": "a pattern that matches more than its words",
    "CL446": "two spellings of one name",
    "CL447": "characters that nobody sees",
    "CL448": "numbers that are worked out, such as hours; of an attribute, a request has the number",
    "CL449": "an offset in place of a zone",
    "CL450": "a number in another unit",
    "CL463": "a share that nobody gets, by its weight",
    "CL464": "a time that has passed",
    "CL467": "a pattern with anchors that contradict each other",
    "CL471": "a template without the prompt",
    "CL472": "a text that is not read as it was meant",
    "CL474": "a word that no model has",
    "CL475": "numbers that are compared as texts",
    "CL476": "zones that are mixed",
    "CL477": "the cheapest where the best was meant",
    "CL478": "keys that two callers may share",
    "CL490": "what is only searched",
    "CL491": "what was not examined in time",
}
"""About what is written, each with what is: no request has to be decided to see it."""
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
