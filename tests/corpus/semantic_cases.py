"""The corpus of docs/semantics.md: its sentences, its suites, and every decision that they ask for."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any, Final

from costlens_policy import Balance, Engine, load
from costlens_policy.quantiles import Measures
from costlens_policy.testing.matrix import single_cases
from costlens_policy.testing.prepare import prepare
from costlens_policy.testing.suites import SuiteProblems, find_suites
from costlens_policy.testing.vocabulary import Vocabulary

__all__ = ["CATALOGUE", "CORPUS", "SETS", "Question", "engine_of", "questions", "sentences"]

CORPUS: Final = Path(__file__).parent / "semantics"
SETS: Final = CORPUS / "sets"
CATALOGUE: Final = SETS / "catalogue.yaml"
"""Named beside each policy set, so that it lies within the repository also where there is no checkout."""
_DOCUMENT: Final = Path(__file__).parents[2] / "docs" / "semantics.md"
_SENTENCE: Final = re.compile(r"^- \*\*(S-[A-Z]{3}-[0-9]+)\*\* ", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Question:
    """One case of a suite, as arguments of a decision."""

    label: str
    policy_set: Path
    request: Mapping[str, Any]
    balances: Mapping[tuple[str, str], Balance]
    now: datetime
    acceptable: bool
    measured: Measures


def sentences() -> list[str]:
    """Return the ids of docs/semantics.md in their order."""
    return _SENTENCE.findall(_DOCUMENT.read_text(encoding="utf-8"))


@cache
def engine_of(policy_set: Path) -> Engine:
    """Return a policy set of the corpus, loaded once."""
    return load(policy_set, CATALOGUE)


def questions() -> Iterator[Question]:
    """Yield every case of every suite of the corpus."""
    for suite in find_suites([CORPUS]).suites:
        file = Path(suite.file)
        policy_set = (file.parent / suite.document.policy_set).resolve()
        problems = SuiteProblems(suite.located)
        known = Vocabulary(engine_of(policy_set).plan)
        for case in prepare(suite.document, single_cases(suite.document, problems), known, problems, None, None):
            acceptable = case.expect.request_error is None
            label = f"{file.stem}: {case.name}"
            yield Question(label, policy_set, case.request, case.balances, case.now, acceptable, case.measured)
        assert not problems.diagnostics, problems.diagnostics
