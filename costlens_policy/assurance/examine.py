"""All findings on one policy set."""

from __future__ import annotations

from datetime import UTC, datetime, time

from costlens_policy.assurance.findings import FINDINGS
from costlens_policy.assurance.subject import Subject
from costlens_policy.checker.bundle import CheckedBundle, as_configured
from costlens_policy.clock import system_now
from costlens_policy.diagnostics.model import Diagnostic, in_order

__all__ = ["examine"]


def examine(bundle: CheckedBundle, now: datetime | None = None) -> tuple[Diagnostic, ...]:
    """Return what is found on a policy set that can be compiled, in order. ``now`` is today at noon when left out."""
    subject = Subject(bundle, now or datetime.combine(system_now().date(), time(12), UTC))
    policy_set = bundle.linked.policy_set.document
    return in_order(as_configured(diagnostic, policy_set) for find in FINDINGS for diagnostic in find(subject))
