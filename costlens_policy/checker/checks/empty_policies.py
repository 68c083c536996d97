"""CL424: a policy without rules."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from costlens_policy.checker.checks.subject import Finding, Place, Subject
from costlens_policy.diagnostics.model import Diagnostic

__all__ = ["check_empty_policies"]

_FOUND: Final = Finding("CL424")


def check_empty_policies(subject: Subject) -> Iterator[Diagnostic]:
    """Warn about policies without rules."""
    for policy in subject.bundle.policies:
        content = policy.document
        if not (content.access or content.routes or content.rewrites or content.budgets):
            yield _FOUND.warning(
                f"the policy `{policy.name}` has no rules",
                Place(policy, ("metadata", "name")).span,
                "changes nothing",
                "write rules under `access`, `routes`, `rewrites` or `budgets`",
            )
