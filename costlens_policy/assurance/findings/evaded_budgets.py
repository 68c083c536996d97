"""CL431: a budget that a caller gets out of by leaving an attribute out, or by choosing its value."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from costlens_policy.assurance.domain import Some
from costlens_policy.assurance.evasion import evasions
from costlens_policy.assurance.subject import Finding, Subject, shown
from costlens_policy.diagnostics.model import Diagnostic, Severity

__all__ = ["find_evaded_budgets"]

_FOUND: Final = Finding("CL431")


def find_evaded_budgets(subject: Subject) -> Iterator[Diagnostic]:
    """Warn of calls that no budget counts although a like one is counted. Both requests were decided by the engine."""
    budgets = list(subject.budgets())
    for step, goal in budgets:
        if step.when is None:
            continue
        others = Some([other for budget, other in budgets if budget is not step])
        for way in evasions(subject, goal, others):
            held, free = subject.request(way.held), subject.request(way.free)
            before, after = subject.decide(held), subject.decide(free)
            if before is None or after is None or after.effect != "allow" or after.balances:
                continue
            if not any(seen.budget == step.id for seen in before.balances):
                continue
            how = f"leaving out `{way.name}`" if way.omitted else f"setting another `{way.name}`"
            yield _FOUND.at(
                step.when,
                Severity.WARNING if way.omitted else Severity.ERROR,
                f"callers can evade `{step.id}` by {how}: it counts `{shown(held)}`, but no budget counts "
                f"`{shown(free)}`",
                "does not count that request",
                f'remove `when` and use `scope: request.?{way.name}.orValue("nobody")`, or declare `{way.name}` as '
                "`required: true` or `trusted: true`"
                if way.omitted
                else f"use an attribute that your service sets instead of `{way.name}`",
            )
