"""CL423: a condition that never holds, or always."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from costlens_policy.checker.checks.subject import Finding, Place, Subject
from costlens_policy.checker.reads import nodes_of
from costlens_policy.diagnostics.model import Diagnostic
from costlens_policy.documents import PolicyDocument
from costlens_policy.expressions.tree import Call, Literal, Select

__all__ = ["check_constant_conditions"]

_FOUND: Final = Finding("CL423")


def check_constant_conditions(subject: Subject) -> Iterator[Diagnostic]:
    """Report ``when`` and ``among`` that never hold, and warn about those that always do.

    A deny that never holds is an error, since somebody relies on it; so is an allow that admits everyone.
    """
    for policy in subject.bundle.policies:
        for path in subject.expressions[policy]:
            if path[-1] not in ("when", "among"):
                continue
            place = Place(policy, path)
            condition = subject.condition(place)
            rule = _rule(policy.document, place)
            if condition.never and (_is_deny(policy.document, place) or not _is_reported_elsewhere(subject, place)):
                report = _FOUND.mistake if _is_deny(policy.document, place) else _FOUND.warning
                yield report(
                    f"the condition of `{rule}` never holds",
                    place.span,
                    "contradicts itself",
                    "correct it, or remove the rule",
                )
            elif condition.always:
                advice = "remove the condition, since it changes nothing"
                report = _FOUND.mistake if _opens(subject, policy.document, place) else _FOUND.warning
                yield report(f"the condition of `{rule}` always holds", place.span, "always true", advice)


def _is_reported_elsewhere(subject: Subject, place: Place) -> bool:
    """Return whether the condition never holds because of an undeclared value, which CL313 reports."""
    typed = subject.typed(place)
    request = typed.environment.records.get("request") if typed is not None else None
    if typed is None or request is None:
        return False
    for node in nodes_of(typed.root):
        if isinstance(node, Call) and node.function == "_==_":
            read = [item.field for item in node.arguments if isinstance(item, Select)]
            values = [item.value for item in node.arguments if isinstance(item, Literal)]
            declared = request.fields[read[0]].values if read and read[0] in request.fields else ()
            if declared and values and values[0] not in declared:
                return True
    return False


def _is_deny(policy: PolicyDocument, place: Place) -> bool:
    return place.path[0] == "access" and policy.access[int(place.path[1])].effect != "allow"


def _opens(subject: Subject, policy: PolicyDocument, place: Place) -> bool:
    """Return whether a rule that always holds admits everyone, although the default is to deny."""
    is_allow = place.path[0] == "access" and policy.access[int(place.path[1])].effect == "allow"
    return is_allow and subject.bundle.policy_set.document.defaults.access == "deny"


def _rule(policy: PolicyDocument, place: Place) -> str:
    section, index = place.path[0], place.path[1]
    return f"{policy.metadata.name}/{getattr(policy, str(section))[index].id}"
