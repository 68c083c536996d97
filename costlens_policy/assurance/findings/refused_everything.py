"""CL473: access rules that refuse every request together, though none does so by itself."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from costlens_policy.assurance.domain import Every, Nothing
from costlens_policy.assurance.others import Others
from costlens_policy.assurance.subject import Rule, Subject
from costlens_policy.checker.checks.subject import Finding
from costlens_policy.diagnostics.model import Diagnostic, Related

__all__ = ["find_refused_everything"]

_FOUND: Final = Finding("CL473")
_MOST: Final = 50
"""Rules of which each is left out once, to see which of them it takes."""


def find_refused_everything(subject: Subject) -> Iterator[Diagnostic]:
    """Report denies that leave no request to any other rule; what one rule does alone is CL423, CL425 or CL434."""
    if any(item.code == "CL425" for item in subject.bundle.warnings):
        return
    if not isinstance(Others(subject, subject.denies).find(subject.allowed), Nothing):
        return
    needed = list(subject.denies)
    for rule in subject.denies if len(needed) <= _MOST else ():
        without = [other for other in needed if other is not rule]
        if _leave_nothing(subject, without):
            needed = without
    if len(needed) > 1:
        names = " and ".join(f"`{rule.id}`" for rule in needed[:3])
        yield _FOUND.mistake(
            f"{names} refuse every request together",
            needed[-1].span,
            "holds wherever the others do not",
            "narrow one of them; a deny overrides every allow",
            [Related(rule.span, "refuses a part") for rule in needed[:-1]],
            proved=True,
        )


def _leave_nothing(subject: Subject, denies: list[Rule]) -> bool:
    goal = Every([subject.allowed, *(rule.otherwise for rule in denies)])
    return isinstance(subject.domain.find(goal), Nothing)
