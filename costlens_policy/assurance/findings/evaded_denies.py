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
            how = f"leaves `{way.name}` out" if way.omitted else f"chooses another `{way.name}`"
            yield _FOUND.at(
                step.when,
                Severity.ERROR,
                f"`{step.id}` is evaded by a caller who {how}: it refuses `{shown(held)}` and not `{shown(free)}`",
                "does not hold for that request",
                f"deny requests without `{way.name}`, too, or declare it `required` or `trusted: true`"
                if way.omitted
                else f"decide by an attribute that your service sets, and not by `{way.name}`",
            )
