"""CL481: a rule that leans on a quality measured on few cases."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from costlens_policy.checker.checks.quality import leanings, some_of
from costlens_policy.checker.checks.subject import Finding, Subject
from costlens_policy.diagnostics.model import Diagnostic

__all__ = ["check_few_cases"]

_FOUND: Final = Finding("CL481")
_FIXED: Final = ("model", "models")


def check_few_cases(subject: Subject) -> Iterator[Diagnostic]:
    """Warn of rules by qualities that rest on fewer cases than the policy set asks for."""
    least = subject.bundle.policy_set.document.evidence.min_cases
    for leaning in leanings(subject):
        if leaning.key in _FIXED and not leaning.told:  # its route has cases of all tasks together
            continue
        few = [
            f"`{model.name}` has {known.cases} for `{task}`"
            for model, task in leaning.measured
            if (known := model.evidence.get(task)) is not None and known.cases is not None and known.cases < least
        ]
        if few:
            yield _FOUND.warning(
                f"`{leaning.key}` leans on few cases: {some_of(few)}",
                leaning.place.span,
                f"fewer than {least}",
                "measure more cases, or set `evidence.min_cases` of the policy set",
            )
