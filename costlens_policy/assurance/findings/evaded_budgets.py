"""CL431: a budget that a caller gets out of by leaving an attribute out, or by choosing its value."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from costlens_policy.assurance.domain import Some
from costlens_policy.assurance.evasion import Evasion, evasions
from costlens_policy.assurance.subject import Rule, Subject, shown
from costlens_policy.checker.checks.subject import Finding
from costlens_policy.diagnostics.model import Diagnostic

__all__ = ["find_evaded_budgets"]

_FOUND: Final = Finding("CL431")


def find_evaded_budgets(subject: Subject) -> Iterator[Diagnostic]:
    """Warn of calls that no budget counts although a like one is counted. Both requests were decided by the engine."""
    for rule in subject.limits:
        if rule.when is None:
            continue
        others = Some([other.goal for other in subject.limits if other is not rule])
        for way in evasions(subject, rule.goal, others):
            held, free = subject.request(way.held), subject.request(way.free)
            before, after = subject.decide(held, way.held), subject.decide(free, way.free)
            if before is None or after is None or after.effect != "allow" or after.balances:
                continue
            if not any(seen.budget == rule.id for seen in before.balances):
                continue
            yield _evaded(rule, way, shown(held), shown(free))


def _evaded(rule: Rule, way: Evasion, held: str, free: str) -> Diagnostic:
    how = f"leaving out `{way.name}`" if way.omitted else f"setting another `{way.name}`"
    report = _FOUND.warning if way.omitted else _FOUND.mistake
    return report(
        f"callers can evade `{rule.id}` by {how}: it counts `{held}`, but no budget counts `{free}`",
        rule.span,
        "does not count that request",
        f'remove `when` and use `scope: request.?{way.name}.orValue("nobody")`, or declare `{way.name}` as '
        "`required: true` or `trusted: true`"
        if way.omitted
        else f"use an attribute that your service sets instead of `{way.name}`",
    )
