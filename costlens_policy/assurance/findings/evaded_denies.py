"""CL430: a deny that a caller gets round by leaving an attribute out, or by choosing its value."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from costlens_policy.assurance.domain import Some
from costlens_policy.assurance.evasion import evasions
from costlens_policy.assurance.subject import Subject, shown
from costlens_policy.checker.checks.subject import Finding
from costlens_policy.diagnostics.model import Diagnostic

__all__ = ["find_evaded_denies"]

_FOUND: Final = Finding("CL430")


def find_evaded_denies(subject: Subject) -> Iterator[Diagnostic]:
    """Report each way round a deny. Both requests were decided by the engine."""
    for rule in subject.denies:
        if rule.when is None:
            continue
        others = Some([other.goal for other in subject.denies if other is not rule])
        for way in evasions(subject, rule.goal, others):
            held, free = subject.situated(way.held), subject.situated(way.free)
            if held is None or free is None or held.decision.rule != rule.id or free.decision.effect != "allow":
                continue
            seen = shown(subject.request(way.held)), shown(subject.request(way.free))
            how = f"leaving out `{way.name}`" if way.omitted else f"setting another `{way.name}`"
            yield _FOUND.mistake(
                f"callers can evade `{rule.id}` by {how}: it denies `{seen[0]}` but not `{seen[1]}`",
                rule.span,
                "does not hold for that request",
                f"also deny requests without `{way.name}`, or declare it `required: true` or `trusted: true`"
                if way.omitted
                else f"use an attribute that your service sets instead of `{way.name}`",
                witnesses=[held.shown, free.shown],
            )
