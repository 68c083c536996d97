"""CL449: a time of day with a fixed offset, which ignores daylight saving time."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from costlens_policy.assurance.subject import Subject
from costlens_policy.checker.checks.subject import Finding, Place
from costlens_policy.checker.reads import nodes_of
from costlens_policy.diagnostics.model import Diagnostic
from costlens_policy.expressions.tree import Call, Literal, Name, Node

__all__ = ["find_fixed_offsets"]

_FOUND: Final = Finding("CL449")
_OF_DAYS: Final = frozenset({"getHours", "getDayOfWeek", "getDate", "getDayOfMonth", "getMonth", "getDayOfYear"})
_OFFSET: Final = re.compile(r"[+-]?\d\d?:\d\d")


def find_fixed_offsets(subject: Subject) -> Iterator[Diagnostic]:
    """Warn of hours and days that are read from ``now`` moved by a duration, or in a zone that is an offset."""
    for document in subject.documents.documents():
        for path, typed in subject.bundle.expressions[document].items():
            for node in nodes_of(typed.root):
                if isinstance(node, Call) and node.function in _OF_DAYS and (odd := _odd(node)) is not None:
                    yield _FOUND.warning(
                        "a fixed offset is an hour wrong while daylight saving time is in force",
                        Place(document, path).part(odd.extent),
                        "ignores daylight saving time",
                        f'name the zone: `now.{node.function}("Europe/Berlin")`',
                    )


def _odd(node: Call) -> Node | None:
    """Return what moves the time, if anything does."""
    for zone in node.arguments:
        if isinstance(zone, Literal) and isinstance(zone.value, str) and _OFFSET.fullmatch(zone.value):
            return None if zone.value.lstrip("+-").strip("0:") == "" else zone
    moved = node.target
    if isinstance(moved, Call) and moved.function in ("_+_", "_-_"):
        return moved if any(isinstance(item, Name) and item.name == "now" for item in moved.arguments) else None
    return None
