"""CL476: a condition that reads the time of day in two zones."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations
from typing import Final, TypeAlias

from costlens_policy.assurance.subject import Subject
from costlens_policy.checker.checks.subject import Finding, Place
from costlens_policy.checker.reads import nodes_of
from costlens_policy.diagnostics.model import Diagnostic
from costlens_policy.expressions.tree import Call, Conditional, Literal, Logic, Name, Node

__all__ = ["find_mixed_zones"]

_FOUND: Final = Finding("CL476")
_Read: TypeAlias = tuple[str, Call]
_OF_DAYS: Final = frozenset({"getHours", "getDayOfWeek", "getDate", "getDayOfMonth", "getMonth", "getMinutes"})


def find_mixed_zones(subject: Subject) -> Iterator[Diagnostic]:
    """Warn of one condition with hours and days of several zones; without a zone, they are those of UTC.

    Two offices whose hours are asked for side by side are none: their zones are far apart, or alternatives.
    """
    for document in subject.documents.documents():
        for path, typed in subject.bundle.expressions[document].items():
            if ("now",) not in typed.references:
                continue
            found = next((pair for together in _together(typed.root) for pair in _mixed(together)), None)
            if found is not None:
                (first, _), (second, odd) = found
                yield _FOUND.warning(
                    f"one condition reads the time in `{first}` and in `{second}`",
                    Place(document, path).part(odd.extent),
                    "in another zone",
                    "read hours and days in one zone; without a zone they are those of UTC",
                )


def _together(root: Node) -> Iterator[list[Node]]:
    """Yield the parts of a condition that hold at one time: all of it beside UTC, or each alternative by itself."""
    nodes = list(nodes_of(root))
    if any(_zone(node) == "UTC" for node in nodes):
        yield nodes
        return
    for alternative in _alternatives(root):
        yield list(nodes_of(alternative))


def _alternatives(node: Node) -> Iterator[Node]:
    match node:
        case Conditional(accepted=accepted, rejected=rejected):
            yield from _alternatives(accepted)
            yield from _alternatives(rejected)
        case Logic(operator="||", operands=operands):
            for operand in operands:
                yield from _alternatives(operand)
        case _:
            yield node


def _mixed(nodes: list[Node]) -> Iterator[tuple[_Read, _Read]]:
    """Yield two reads that are not meant to be of different zones; the one of UTC comes last."""
    reads = [(zone, node) for node in nodes if isinstance(node, Call) and (zone := _zone(node)) is not None]
    reads.sort(key=lambda read: read[0] == "UTC")
    for (one, first), (other, second) in combinations(reads, 2):
        of_one_area = one.partition("/")[0] == other.partition("/")[0]
        if one != other and (other == "UTC" or of_one_area or first.function != second.function):
            yield (one, first), (other, second)


def _zone(node: Node) -> str | None:
    if not (isinstance(node, Call) and node.function in _OF_DAYS and isinstance(node.target, Name)):
        return None
    if node.target.name != "now":
        return None
    zone = node.arguments[0] if node.arguments else None
    if zone is None:
        return "UTC"
    return str(zone.value) if isinstance(zone, Literal) else None
