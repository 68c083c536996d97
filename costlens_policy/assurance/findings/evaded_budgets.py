"""CL431: a budget that a caller gets out of by leaving an attribute out, or by choosing its value."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from costlens_policy.assurance.domain import Some
from costlens_policy.assurance.evasion import Evasion, evasions
from costlens_policy.assurance.subject import Rule, Subject, shown
from costlens_policy.assurance.witness import Witness
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
            held, free = subject.situated(way.held), subject.situated(way.free)
            if held is None or free is None or free.decision.effect != "allow" or free.decision.balances:
                continue
            if any(seen.budget == rule.id for seen in held.decision.balances):
                texts = shown(subject.request(way.held)), shown(subject.request(way.free))
                yield _evaded(rule, way, *texts, held, free)


def _evaded(rule: Rule, way: Evasion, counted: str, passed: str, held: Witness, free: Witness) -> Diagnostic:
    how = f"leaving out `{way.name}`" if way.omitted else f"setting another `{way.name}`"
    report = _FOUND.warning if way.omitted else _FOUND.mistake
    return report(
        f"callers can evade `{rule.id}` by {how}: it counts `{counted}`, but no budget counts `{passed}`",
        rule.span,
        "does not count that request",
        f"remove `when`{_scope(way)}, or {way.cure}"
        if way.omitted
        else f"use an attribute that your service sets instead of `{way.name}`",
        witnesses=[held.shown, free.shown],
    )


def _scope(way: Evasion) -> str:
    """Name the scope that counts callers without an attribute, too, where it is a text."""
    if not isinstance(way.held.get(("request", *way.name.split("."))), str):
        return ""
    read = f'request.?{way.name.replace(".", ".?")}.orValue("nobody")'
    return f" and use `scope: {f'string({read})' if '.' in way.name else read}`"
