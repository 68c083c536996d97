"""CL430: a deny that a caller gets round by leaving an attribute out, or by choosing its value."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from costlens_policy.assurance.domain import Some
from costlens_policy.assurance.evasion import evasions
from costlens_policy.assurance.subject import Finding, Subject, shown
from costlens_policy.diagnostics.model import Diagnostic, Severity

__all__ = ["find_evaded_denies"]

_FOUND: Final = Finding("CL430")


def find_evaded_denies(subject: Subject) -> Iterator[Diagnostic]:
    """Report each way round a deny. Both requests were decided by the engine."""
    denies = list(subject.denies())
    for step, goal in denies:
        if step.when is None:
            continue
        others = Some([other for rule, other in denies if rule is not step])
        for way in evasions(subject, goal, others):
            held, free = subject.request(way.held), subject.request(way.free)
            before, after = subject.decide(held), subject.decide(free)
            if before is None or after is None or before.rule != step.id or after.effect != "allow":
                continue
            how = f"leaving out `{way.name}`" if way.omitted else f"setting another `{way.name}`"
            yield _FOUND.at(
                step.when,
                Severity.ERROR,
                f"callers can evade `{step.id}` by {how}: it denies `{shown(held)}` but not `{shown(free)}`",
                "does not hold for that request",
                f"also deny requests without `{way.name}`, or declare it `required: true` or `trusted: true`"
                if way.omitted
                else f"use an attribute that your service sets instead of `{way.name}`",
            )
