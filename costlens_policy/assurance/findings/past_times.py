"""CL464: a comparison of the time with a date that has passed, so that it never holds any more."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Final

from costlens_policy.assurance.subject import Subject
from costlens_policy.checker.checks.subject import Finding, Place
from costlens_policy.checker.reads import nodes_of
from costlens_policy.diagnostics.model import Diagnostic
from costlens_policy.expressions import Node
from costlens_policy.expressions.tree import Call, Literal, Name

__all__ = ["find_past_times"]

_FOUND: Final = Finding("CL464")
_BEFORE: Final = {("_<_", 0), ("_<=_", 0), ("_==_", 0), ("_>_", 1), ("_>=_", 1), ("_==_", 1)}
"""The comparisons that end to hold, with the side on which the time stands."""


def find_past_times(subject: Subject) -> Iterator[Diagnostic]:
    """Warn of ``now < timestamp("…")`` and its like where that time has passed."""
    for document in subject.documents.documents():
        for path, typed in subject.bundle.expressions[document].items():
            for node in nodes_of(typed.root):
                end = _end(node)
                if end is not None and end < subject.now:
                    yield _FOUND.warning(
                        f"no time is before {end:%Y-%m-%d} any more",
                        Place(document, path).part(node.extent),
                        "this time has passed",
                        "remove what depends on it, or move the date",
                    )


def _end(node: Node) -> datetime | None:
    """Return the time up to which a comparison can hold; None for anything else."""
    if not isinstance(node, Call) or len(node.arguments) != 2:
        return None
    for side, operand in enumerate(node.arguments):
        if (node.function, side) not in _BEFORE:
            continue
        other = node.arguments[1 - side]
        if _is_now(operand):
            return _timestamp(other)
        if isinstance(operand, Call) and operand.function == "getFullYear" and _is_now(operand.target):
            year = other.value if isinstance(other, Literal) else None
            last = year if node.function in ("_==_", "_<=_", "_>=_") else year - 1 if type(year) is int else None
            return datetime(last + 1, 1, 1, tzinfo=UTC) if type(last) is int and 0 < last < 9999 else None
    return None


def _is_now(node: Node | None) -> bool:
    return isinstance(node, Name) and node.name == "now"


def _timestamp(node: Node) -> datetime | None:
    if isinstance(node, Call) and node.function == "timestamp" and isinstance(node.arguments[0], Literal):
        try:
            found = datetime.fromisoformat(str(node.arguments[0].value))
        except ValueError:
            return None
        return found if found.tzinfo is not None else None
    return None
