"""CL476: a condition that reads the time of day in two zones."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from costlens_policy.assurance.subject import Subject
from costlens_policy.checker.checks.subject import Finding, Place
from costlens_policy.checker.reads import nodes_of
from costlens_policy.diagnostics.model import Diagnostic
from costlens_policy.expressions.tree import Call, Literal, Name, Node

__all__ = ["find_mixed_zones"]

_FOUND: Final = Finding("CL476")
_OF_DAYS: Final = frozenset({"getHours", "getDayOfWeek", "getDate", "getDayOfMonth", "getMonth", "getMinutes"})


def find_mixed_zones(subject: Subject) -> Iterator[Diagnostic]:
    """Warn of one condition with hours and days of several zones; without a zone, they are those of UTC."""
    for document in subject.documents.documents():
        for path, typed in subject.bundle.expressions[document].items():
            zones: dict[str, Node] = {}
            for node in nodes_of(typed.root):
                if (zone := _zone(node)) is not None:
                    zones.setdefault(zone, node)
            if len(zones) > 1:
                first, second, *_ = sorted(zones)
                odd = zones.get("UTC", zones[second])
                yield _FOUND.warning(
                    f"one condition reads the time in `{first}` and in `{second}`",
                    Place(document, path).part(odd.extent),
                    "in another zone",
                    "read hours and days in one zone; without a zone they are those of UTC",
                )


def _zone(node: Node) -> str | None:
    if not (isinstance(node, Call) and node.function in _OF_DAYS and isinstance(node.target, Name)):
        return None
    if node.target.name != "now":
        return None
    zone = node.arguments[0] if node.arguments else None
    if zone is None:
        return "UTC"
    return str(zone.value) if isinstance(zone, Literal) else None
