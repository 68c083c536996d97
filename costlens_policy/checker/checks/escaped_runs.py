"""CL457: a limit for each run by itself, which a run goes round by starting another."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from costlens_policy.checker.checks.subject import Finding, Place, Subject
from costlens_policy.diagnostics.model import Diagnostic
from costlens_policy.runs import RUN

__all__ = ["check_escaped_runs"]

_FOUND: Final = Finding("CL457")
_TREE: Final = "runAt("


def check_escaped_runs(subject: Subject) -> Iterator[Diagnostic]:
    """Warn of budgets by ``request.run`` as it is, where no budget is by a run with all that it starts."""
    found, whole = [], False
    for policy in subject.bundle.policies:
        for index, budget in enumerate(policy.document.budgets):
            place = Place(policy, ("budgets", index, "scope"))
            typed = subject.typed(place)
            if typed is None or ("request", RUN) not in {reference[:2] for reference in typed.references}:
                continue
            whole = whole or (_TREE in str(budget.scope) and not budget.shadow)
            if _TREE not in str(budget.scope) and "digest(" not in str(budget.scope):
                found.append((budget.id, place))
    for name, place in () if whole else found:
        yield _FOUND.warning(
            f"`{name}` counts each run without those within it",
            place.span,
            "a run that starts another has the limit again",
            "write `runAt(request.run, 1)` for the root with all that it starts, or add such a budget",
        )
