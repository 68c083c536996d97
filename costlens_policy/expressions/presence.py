"""Optional attributes that are read where they may be missing.

What is known to be present flows through ``&&``, ``||``, ``!`` and ``?:``. Since a false operand of ``&&`` hides the
error of another, whichever comes first, ``x.y == 1 && has(x.y)`` is as safe as the usual order.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TypeAlias

from costlens_policy.diagnostics.model import Severity
from costlens_policy.expressions.problems import Problem, shortened
from costlens_policy.expressions.tree import (
    Bind,
    Call,
    Comprehension,
    Conditional,
    Index,
    ListLiteral,
    Literal,
    Logic,
    MapLiteral,
    Name,
    Node,
    OptionalMap,
    Presence,
    Select,
)
from costlens_policy.expressions.typed import TypedExpr

__all__ = ["Implied", "Paths", "present_when_true", "unguarded_reads"]

Paths: TypeAlias = frozenset[tuple[str, ...]]
"""Attributes such as ``("request", "team")``."""

Implied: TypeAlias = Mapping[tuple[str, ...], Paths]
"""What is present whenever a condition that stands elsewhere is true, by its path: ``("variables", "is_large")``."""

_NOTHING: Paths = frozenset()
_NONE: Implied = {}
_DEFAULTS = {"string": '""', "int": "0", "uint": "0u", "double": "0.0", "bool": "false", "list": "[]", "map": "{}"}


def unguarded_reads(typed: TypedExpr, present: Paths = _NOTHING, implied: Implied = _NONE) -> list[Problem]:
    """Return a warning for each optional attribute that is read and may be missing; ``present`` ones are not."""
    reader = _Reader(typed, implied)
    reader.read(typed.root, present)
    return reader.problems


def present_when_true(typed: TypedExpr, implied: Implied = _NONE) -> Paths:
    """Return the attributes that are present whenever the expression is true."""
    return _present(typed.root, True, implied)


class _Reader:
    def __init__(self, typed: TypedExpr, implied: Implied) -> None:
        self.problems: list[Problem] = []
        self._typed = typed
        self._implied = implied

    def read(self, node: Node, present: Paths) -> Paths:
        """Look at every read below a node; return what is present once the node has been evaluated."""
        if isinstance(node, Logic):
            return self._logic(node, present)
        if isinstance(node, Conditional):
            return self._conditional(node, present)
        if isinstance(node, Comprehension | Bind | OptionalMap):
            return self._binding(node, present)
        for child in self._children(node):
            present = self.read(child, present)
        path = _path(node) if isinstance(node, Select) else None
        if path is not None and path not in present and isinstance(node, Select) and self._may_be_missing(node):
            self._warn(node)
        return present | {path} if path is not None else present

    def _logic(self, node: Logic, present: Paths) -> Paths:
        """Each operand may rely on what the others would decide: an absent attribute makes them win."""
        decisive = node.operator == "&&"
        guards = [_present(operand, decisive, self._implied) for operand in node.operands]
        after = present
        for position, operand in enumerate(node.operands):
            others = _union(guard for number, guard in enumerate(guards) if number != position)
            after |= self.read(operand, after | others) - others
        return present

    def _conditional(self, node: Conditional, present: Paths) -> Paths:
        present = self.read(node.condition, present)
        accepted = self.read(node.accepted, present | _present(node.condition, True, self._implied))
        rejected = self.read(node.rejected, present | _present(node.condition, False, self._implied))
        return accepted & rejected

    def _binding(self, node: Comprehension | Bind | OptionalMap, present: Paths) -> Paths:
        outer, inner, names = _bound(node)
        present = self.read(outer, present)
        inside = frozenset(path for path in present if path[0] not in names)
        for child in inner:
            inside = self.read(child, inside)
        return present

    def _may_be_missing(self, node: Select) -> bool:
        if node.optional or node in self._typed.resolutions:
            return False
        record = self._typed.environment.record(self._typed.types[node.operand])
        field = record.fields.get(node.field) if record is not None else None
        return field is not None and field.optional

    def _children(self, node: Node) -> Iterator[Node]:
        if isinstance(node, Select | Presence):
            if node not in self._typed.resolutions:
                yield node.operand
        elif isinstance(node, Index):
            yield from (node.operand, node.key)
        elif isinstance(node, Call):
            yield from self._typed.calls[node].arguments
        elif isinstance(node, ListLiteral):
            yield from node.elements
        elif isinstance(node, MapLiteral):
            for entry in node.entries:
                yield from (entry.key, entry.value)

    def _text(self, node: Node) -> str:
        return shortened(self._typed.source[node.extent.start : node.extent.end])

    def _warn(self, node: Select) -> None:
        text = self._text(node)
        default = _DEFAULTS.get(self._typed.types[node].name, "…")
        advice = f"write `has({text}) && …`, or `{self._text(node.operand)}.?{node.field}.orValue({default})`"
        label = "optional, and read without asking `has`"
        extent = node.field_extent
        self.problems.append(
            Problem("CL314", f"`{text}` may be missing", extent, label, advice, severity=Severity.WARNING)
        )


def _present(node: Node, outcome: bool, implied: Implied) -> Paths:
    """Return what is surely present when a condition has an outcome; it is the other one when that is missing."""
    if isinstance(node, Presence):
        path = _path(node)
        return frozenset({path}) if outcome and path is not None else _NOTHING
    if isinstance(node, Select):
        path = _path(node)
        return implied.get(path, _NOTHING) if outcome and path is not None else _NOTHING
    if isinstance(node, Call) and node.function == "!_":
        return _present(node.arguments[0], not outcome, implied)
    if isinstance(node, Logic):
        each = [_present(operand, outcome, implied) for operand in node.operands]
        return _union(each) if outcome == (node.operator == "&&") else frozenset.intersection(*each)
    if isinstance(node, Conditional):
        return _present_either_way(node, outcome, implied)
    return _NOTHING


def _present_either_way(node: Conditional, outcome: bool, implied: Implied) -> Paths:
    results = [(True, node.accepted), (False, node.rejected)]
    ways = [
        _present(node.condition, way, implied) | _present(result, outcome, implied)
        for way, result in results
        if not (isinstance(result, Literal) and result.value is not outcome)
    ]
    return frozenset.intersection(*ways) if ways else _NOTHING


def _union(parts: Iterable[Paths]) -> Paths:
    return _NOTHING.union(*parts)


def _path(node: Node) -> tuple[str, ...] | None:
    """Return ``("request", "team")`` for ``request.team``, or None where that is no chain of attributes."""
    fields: list[str] = []
    while isinstance(node, Select | Presence):
        fields.append(node.field)
        node = node.operand
    return (node.name, *reversed(fields)) if isinstance(node, Name) and fields else None


def _bound(node: Comprehension | Bind | OptionalMap) -> tuple[Node, list[Node], set[str]]:
    """Return what is evaluated outside of the new variables, what inside, and their names."""
    if isinstance(node, Bind):
        return node.value, [node.body], {node.variable}
    if isinstance(node, OptionalMap):
        return node.operand, [node.transform], {node.variable}
    names = {node.variable} if node.second is None else {node.variable, node.second}
    return node.range, [child for child in (node.predicate, node.transform) if child is not None], names
