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
            held, free = subject.request(way.held), subject.request(way.free)
            before, after = subject.decide(held, way.held), subject.decide(free, way.free)
            if before is None or after is None or before.rule != rule.id or after.effect != "allow":
                continue
            how = f"leaving out `{way.name}`" if way.omitted else f"setting another `{way.name}`"
            yield _FOUND.mistake(
                f"callers can evade `{rule.id}` by {how}: it denies `{shown(held)}` but not `{shown(free)}`",
                rule.span,
                "does not hold for that request",
                f"also deny requests without `{way.name}`, or declare it `required: true` or `trusted: true`"
                if way.omitted
                else f"use an attribute that your service sets instead of `{way.name}`",
            )
