"""All findings on one policy set."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, time

from costlens_policy.assurance.findings import FINDINGS
from costlens_policy.assurance.subject import Subject
from costlens_policy.checker.bundle import CheckedBundle, as_configured
from costlens_policy.checker.checks.subject import Finding, Place
from costlens_policy.clock import system_now
from costlens_policy.diagnostics.model import Diagnostic, in_order

__all__ = ["examine"]


def examine(
    bundle: CheckedBundle, now: datetime | None = None, *, seconds: float | None = None
) -> tuple[Diagnostic, ...]:
    """Return what is found on a policy set that can be compiled, in order. ``now`` is today at noon when left out.

    ``seconds`` is the limit of time; when it is reached, what was found until then is returned with a warning (CL491).
    What no finite number of values decides is noted (CL490).
    """
    subject = Subject(bundle, now or datetime.combine(system_now().date(), time(12), UTC), seconds)
    policy_set = bundle.linked.policy_set.document
    return in_order(as_configured(diagnostic, policy_set) for diagnostic in _found(subject, seconds))


def _found(subject: Subject, seconds: float | None) -> Iterator[Diagnostic]:
    complete = 0
    for find in FINDINGS:
        if not subject.domain.is_over:
            yield from find(subject)
            complete += not subject.domain.is_over
    if complete < len(FINDINGS):
        policy_set = subject.bundle.linked.policy_set
        limit = "limit of work" if seconds is None else f"limit of {seconds:g} seconds"
        yield Finding("CL491").warning(
            f"the examination of `{policy_set.document.metadata.name}` ended at its {limit}: "
            f"{complete} of {len(FINDINGS)} kinds of findings are complete",
            Place(policy_set, ("metadata", "name")).span,
            "not everything was examined",
            "give more time with `--limit`",
        )
