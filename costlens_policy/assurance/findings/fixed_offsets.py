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
_OFFSET: Final = re.compile(r"[+-]?\d\d?:\d\d|Etc/GMT[+-]\d+|(?:EST|MST|HST)")
"""Zones without daylight saving time: an offset, those that are named for one, and the old names of American ones."""


def find_fixed_offsets(subject: Subject) -> Iterator[Diagnostic]:
    """Warn of hours and days that are read from ``now`` moved by a duration, or in a zone that is an offset."""
    for document in subject.documents.documents():
        for path, typed in subject.bundle.expressions[document].items():
            for node in nodes_of(typed.root):
                for odd, function in _odd(node):
                    yield _FOUND.warning(
                        "a fixed offset is an hour wrong while daylight saving time is in force",
                        Place(document, path).part(odd.extent),
                        "ignores daylight saving time",
                        f'name the zone: `now.{function}("Europe/Berlin")`',
                    )


def _odd(node: Node) -> Iterator[tuple[Node, str]]:
    """Yield what moves the time, or the hour, and the function that reads it."""
    if not isinstance(node, Call):
        return
    if node.function in ("_+_", "_-_"):
        hour = next((side for side in node.arguments if isinstance(side, Call) and side.function == "getHours"), None)
        if hour is not None and any(isinstance(side, Literal) for side in node.arguments):
            yield node, "getHours"
    if node.function not in _OF_DAYS:
        return
    for zone in node.arguments:
        if isinstance(zone, Literal) and isinstance(zone.value, str) and _OFFSET.fullmatch(zone.value):
            if zone.value.lstrip("+-").strip("0:") != "":
                yield zone, node.function
            return
    moved = node.target
    shifted = moved.arguments if isinstance(moved, Call) and moved.function in ("_+_", "_-_") else ()
    if moved is not None and any(isinstance(item, Name) and item.name == "now" for item in shifted):
        yield moved, node.function
