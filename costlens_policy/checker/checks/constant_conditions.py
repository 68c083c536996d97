"""CL423: a condition that never holds, or always."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from costlens_policy.checker.checks.subject import Finding, Place, Subject
from costlens_policy.diagnostics.model import Diagnostic
from costlens_policy.documents import PolicyDocument

__all__ = ["check_constant_conditions"]

_FOUND: Final = Finding("CL423")


def check_constant_conditions(subject: Subject) -> Iterator[Diagnostic]:
    """Report ``when`` and ``among`` whose parts contradict each other, and warn of those that say nothing.

    A deny that never holds is an error: somebody relies on it.
    """
    for policy in subject.bundle.policies:
        for path in subject.expressions[policy]:
            if path[-1] not in ("when", "among"):
                continue
            place = Place(policy, path)
            condition = subject.condition(place)
            rule = _rule(policy.document, place)
            if condition.never:
                report = _FOUND.error if _is_deny(policy.document, place) else _FOUND.warning
                yield report(
                    f"the condition of `{rule}` never holds",
                    place.span,
                    "contradicts itself",
                    "correct it, or take the rule out",
                )
            elif condition.always:
                advice = "leave the condition out, which says so more plainly"
                yield _FOUND.warning(f"the condition of `{rule}` always holds", place.span, "always true", advice)


def _is_deny(policy: PolicyDocument, place: Place) -> bool:
    return place.path[0] == "access" and policy.access[int(place.path[1])].effect == "deny"


def _rule(policy: PolicyDocument, place: Place) -> str:
    section, index = place.path[0], place.path[1]
    return f"{policy.metadata.name}/{getattr(policy, str(section))[index].id}"
