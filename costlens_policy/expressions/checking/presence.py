"""Optional attributes, and keys of maps, that are read where they may be missing.

What is known to be present flows through ``&&``, ``||``, ``!`` and ``?:``. Since a false operand of ``&&`` hides the
error of another, whichever comes first, ``x.y == 1 && has(x.y)`` is as safe as the usual order. A plain read proves
what it reads for all that is evaluated after it; an optional one, such as ``x.?y``, proves nothing unless it is asked,
or its default would not do: ``x.?y.orValue(0) > 1`` holds only where there is an ``x.y``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Set
from operator import eq, ge, gt, le, lt, ne
from typing import Any, Final, TypeAlias

from costlens_policy.diagnostics.model import Severity
from costlens_policy.expressions.problems import Problem, shortened
from costlens_policy.expressions.tree import (
    Bind,
    Call,
    Comprehension,
    Conditional,
    Extent,
    Index,
    ListLiteral,
    Literal,
    Logic,
    Macro,
    MapLiteral,
    Name,
    Node,
    OptionalMap,
    Presence,
    Select,
    TypedExpr,
)
from costlens_policy.expressions.types import Record

__all__ = ["Implied", "Paths", "present_when_false", "present_when_true", "unguarded_reads"]

Paths: TypeAlias = frozenset[tuple[str, ...]]
"""Attributes and keys such as ``("request", "team")``; a key that is not written out stands as ``[its text]``."""

Implied: TypeAlias = Mapping[tuple[str, ...], Paths]
"""What is present whenever a condition that stands elsewhere is true, by its path: ``("variables", "is_large")``."""

_WORD: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_EQUALITIES: Final = {"_==_": True, "_!=_": False}
_TESTS: Final[Mapping[str, Callable[[Any, Any], bool]]] = {
    "_==_": eq, "_!=_": ne, "_<_": lt, "_<=_": le, "_>_": gt, "_>=_": ge, "@in": lambda item, items: item in items,
    "startsWith": str.startswith, "endsWith": str.endswith, "contains": str.__contains__,
}  # fmt: skip
_OF_ELEMENTS: Final = {Macro.EXISTS: True, Macro.EXISTS_ONE: True, Macro.ALL: False}
"""The outcomes that a list without elements does not have."""
_NOTHING: Paths = frozenset()
_NONE: Implied = {}
_DEFAULTS = {"string": '""', "int": "0", "uint": "0u", "double": "0.0", "bool": "false", "list": "[]", "map": "{}"}


def unguarded_reads(
    typed: TypedExpr, present: Paths = _NOTHING, implied: Implied = _NONE, lenient: Collection[str] = ()
) -> list[Problem]:
    """Return a warning for each optional attribute or key that is read and may be missing.

    ``present`` ones are not, nor is any below the ``lenient`` variables, where nothing comes of a missing one.
    """
    reader = _Reader(typed, implied, lenient)
    reader.read(typed.root, present)
    return reader.problems


def present_when_true(typed: TypedExpr, implied: Implied = _NONE) -> Paths:
    """Return the attributes that are present whenever the expression is true."""
    return _Guards(typed.source, implied).present(typed.root, True)


def present_when_false(typed: TypedExpr, implied: Implied = _NONE) -> Paths:
    """Return the attributes that are present whenever the expression is false; it fails where they are missing."""
    return _Guards(typed.source, implied).present(typed.root, False)


class _Reader:
    def __init__(self, typed: TypedExpr, implied: Implied, lenient: Collection[str]) -> None:
        self.problems: list[Problem] = []
        self._typed = typed
        self._guards = _Guards(typed.source, implied)
        self._lenient = lenient

    def read(self, node: Node, present: Paths) -> Paths:
        """Look at every read below a node; return what is present once the node has been evaluated."""
        if isinstance(node, Logic):
            return self._logic(node, present)
        if isinstance(node, Conditional):
            return self._conditional(node, present)
        if isinstance(node, Comprehension | Bind | OptionalMap):
            return self._binding(node, present)
        if isinstance(node, Index) and node.key.extent == node.operand.extent:
            return self._entry(node, present)
        for child in self._children(node):
            present = self.read(child, present)
        if not isinstance(node, Select | Index) or node.optional:
            return present
        path = self._guards.path(node)
        if path not in present and (path is None or path[0] not in self._lenient) and self._may_be_missing(node):
            self._warn(node)
        return present | {path} if path is not None else present

    def _entry(self, node: Index, present: Paths) -> Paths:
        """Look at an attribute of a record that is an entry of a map: nobody wrote a map and a key at one place."""
        assert isinstance(node.operand, Select)
        assert isinstance(node.key, Select)
        path, owner = self._guards.path(node), self._guards.path(node.key.operand)
        if node.optional or path is None:
            return present
        if path not in present and (owner is None or owner[0] not in self._lenient):
            self._warn_of_attribute(self._text(node.key.operand), node.operand.field, "0", node.operand.field_extent)
        return present | {path}

    def _logic(self, node: Logic, present: Paths) -> Paths:
        """Each operand may rely on what the others would decide: an absent attribute makes them win."""
        decisive = node.operator == "&&"
        guards = [self._guards.present(operand, decisive) for operand in node.operands]
        after = present
        for position, operand in enumerate(node.operands):
            others = _union(guard for number, guard in enumerate(guards) if number != position)
            after |= self.read(operand, after | others) - others
        return present

    def _conditional(self, node: Conditional, present: Paths) -> Paths:
        present = self.read(node.condition, present)
        accepted = self.read(node.accepted, present | self._guards.present(node.condition, True))
        rejected = self.read(node.rejected, present | self._guards.present(node.condition, False))
        return accepted & rejected

    def _binding(self, node: Comprehension | Bind | OptionalMap, present: Paths) -> Paths:
        outer, inner, names = _bound(node)
        present = self.read(outer, present)
        inside = frozenset(path for path in present if not _reads(path, names))
        inside |= self._proved_inside(node)
        for child in inner:
            inside = self.read(child, inside)
            if isinstance(node, Comprehension) and child is node.predicate:
                inside |= self._guards.present(child, True)
        return present

    def _proved_inside(self, node: Comprehension | Bind | OptionalMap) -> Paths:
        """Return what is there within a macro: the keys that it goes through, or the optional value that it maps."""
        if isinstance(node, OptionalMap):
            return self._guards.optional(node.operand)
        if isinstance(node, Comprehension) and (self._is_map(node.range) or self._record(node.range) is not None):
            path = self._guards.path(node.range)
            return _NOTHING if path is None else frozenset({(*path, f"[{node.variable}]")})
        return _NOTHING

    def _may_be_missing(self, node: Select | Index) -> bool:
        if node in self._typed.resolutions:
            return False
        if self._is_map(node.operand):
            return not (self._has_key(node) or self._has_each_value(_keys_of(node.operand), node))
        record = self._record(node.operand)
        if record is None:
            return False
        key = _written(node)
        if key is None:
            rows = frozenset(name for name, row in record.fields.items() if not row.optional)
            return record.values is not None and not self._has_each_value(rows, node)
        field = record.fields.get(key)
        return field is not None and field.optional

    def _has_each_value(self, rows: Collection[str], node: Select | Index) -> bool:
        """Return whether a table has a row for every value that the attribute which is its key is declared to take."""
        if not isinstance(node, Index) or not isinstance(node.key, Select):
            return False
        owner = self._record(node.key.operand)
        attribute = None if owner is None else owner.fields.get(node.key.field)
        if attribute is None or not attribute.values:
            return False
        return all(value in rows for value in attribute.values)

    def _record(self, node: Node) -> Record | None:
        return self._typed.environment.record(self._typed.types[node])

    def _is_map(self, node: Node) -> bool:
        """Return whether a value is a map, or what a map holds that may hold anything."""
        declared = self._typed.types[node]
        if self._typed.environment.record(declared) is not None:
            return False
        if declared.name == "dyn" and isinstance(node, Select | Index) and node not in self._typed.resolutions:
            return self._is_map(node.operand)
        return declared.name == "map"

    def _has_key(self, node: Select | Index) -> bool:
        """Return whether a key is surely there: it is written out in the map itself, or another check asks for it."""
        key = _written(node)
        if isinstance(node.operand, MapLiteral):
            return key is not None and key in _keys_of(node.operand)
        # `budgets` has the budgets of the policy set, by their ids, which linking has looked up.
        return key is not None and isinstance(node.operand, Name) and node.operand.name == "budgets"

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

    def _warn(self, node: Select | Index) -> None:
        text, operand = self._text(node), self._text(node.operand)
        default = _DEFAULTS.get(self._typed.types[node].name, "…")
        if isinstance(node, Select) and not self._is_map(node.operand):
            self._warn_of_attribute(operand, node.field, default, node.field_extent)
            return
        if isinstance(node, Select):
            label, extent = "a key that may be missing, read without `has`", node.field_extent
            advice = f'write `has({text}) && …`, or `{operand}.get("{node.field}", {default})`'
        else:
            key = self._text(node.key)
            advice = f"write `{key} in {operand} && …`, or `{operand}.get({key}, {default})`"
            label, extent = "a key that may be missing, read without `in`", node.key.extent
        self._add(text, extent, label, advice)

    def _warn_of_attribute(self, owner: str, name: str, default: str, extent: Extent) -> None:
        text = f"{owner}.{name}"
        advice = f"write `has({text}) && …`, or `{owner}.?{name}.orValue({default})`"
        self._add(text, extent, "optional, and read without `has`", advice)

    def _add(self, text: str, extent: Extent, label: str, advice: str) -> None:
        self.problems.append(
            Problem("CL314", f"`{text}` may be missing", extent, label, advice, severity=Severity.WARNING)
        )


class _Guards:
    """What conditions say of what is present."""

    def __init__(self, source: str, implied: Implied) -> None:
        self._source = source
        self._implied = implied

    def present(self, node: Node, outcome: bool) -> Paths:
        """Return what is surely present when a condition has an outcome; it is the other one when that is missing."""
        if isinstance(node, Presence):
            path = self.path(node)
            return self._implied.get(path, _NOTHING) | {path} if outcome and path is not None else _NOTHING
        if isinstance(node, Comprehension):
            return self._present_by_elements(node, outcome)
        if isinstance(node, Select):
            path = self.path(node)
            return self._implied.get(path, _NOTHING) if outcome and path is not None else _NOTHING
        if isinstance(node, Call):
            return self._present_by_call(node, outcome)
        if isinstance(node, Logic):
            each = [self.present(operand, outcome) for operand in node.operands]
            return _union(each) if outcome == (node.operator == "&&") else frozenset.intersection(*each)
        if isinstance(node, Conditional):
            return self._present_either_way(node, outcome)
        return _NOTHING

    def path(self, node: Node) -> tuple[str, ...] | None:
        """Return ``("request", "team")`` for ``request.team``; None for what is optional, or has no name."""
        return self._path(node, optional=False)

    def _path(self, node: Node, *, optional: bool) -> tuple[str, ...] | None:
        """Return the path of a read; ``optional`` steps are steps like any, or make it none."""
        steps: list[str] = []
        node = _without_default(node) if optional else node
        while isinstance(node, Select | Presence | Index):
            if not isinstance(node, Presence) and node.optional and not optional:
                return None
            steps.append(self._key(node.key) if isinstance(node, Index) else node.field)
            node = _without_default(node.operand) if optional else node.operand
        if isinstance(node, MapLiteral):
            return (self._text(node), *reversed(steps))
        return (node.name, *reversed(steps)) if isinstance(node, Name) else None

    def optional(self, node: Node) -> Paths:
        """Return what is present when an optional such as ``request.?team`` has a value: every step from ``.?`` on."""
        node = _without_default(node)
        if not isinstance(node, Select | Index):
            return _NOTHING
        before, path = self.optional(node.operand), self._path(node, optional=True)
        if path is None or not (node.optional or before):
            return before
        return before | {path} | self._implied.get(path, _NOTHING)

    def _present_by_call(self, node: Call, outcome: bool) -> Paths:
        if node.function == "!_":
            return self.present(node.arguments[0], not outcome)
        found = self._present_by_default(node, outcome)
        if node.function in _EQUALITIES:
            return found | self._present_by_comparison(node, outcome == _EQUALITIES[node.function])
        if outcome and node.function == "@in" and len(node.arguments) == 2:
            path = self.path(_without_default(node.arguments[1]))
            path = path or self._path(_without_default(node.arguments[1]), optional=True)
            return found if path is None else found | {(*path, self._key(node.arguments[0]))}
        if outcome and node.function == "hasValue" and node.target is not None:
            return self.optional(node.target)
        return found

    def _present_by_default(self, node: Call, outcome: bool) -> Paths:
        """Return what is present since a test of the default in its place would have the other outcome."""
        test = _TESTS.get(node.function)
        operands = node.arguments if node.target is None else (node.target, *node.arguments)
        if test is None or len(operands) != 2:
            return _NOTHING
        values = [_defaulted(operand) for operand in operands]
        reads = [read for operand in operands if (read := _read_of(operand)) is not None]
        if len(reads) != 1 or values[0] is None or values[1] is None:
            return _NOTHING
        (one,), (other,) = values[0], values[1]
        return self.optional(reads[0]) if _comparable(one, other) and test(one, other) is not outcome else _NOTHING

    def _present_by_elements(self, node: Comprehension, outcome: bool) -> Paths:
        """Return what is present since an empty list has no element that meets a condition, and none that does not."""
        read = _read_of(node.range)
        if read is None or outcome is not _OF_ELEMENTS.get(node.macro) or _defaulted(node.range) != ([],):
            return _NOTHING
        return self.optional(read)

    def _present_by_comparison(self, node: Call, equal: bool) -> Paths:
        """Look through a comparison of a condition with ``true`` or ``false``."""
        for one, other in (node.arguments, node.arguments[::-1]):
            if isinstance(one, Literal) and isinstance(one.value, bool) and isinstance(other, Presence | Logic | Call):
                return self.present(other, one.value is equal)
        return _NOTHING

    def _present_either_way(self, node: Conditional, outcome: bool) -> Paths:
        results = [(True, node.accepted), (False, node.rejected)]
        ways = [
            self.present(node.condition, way) | self.present(result, outcome)
            for way, result in results
            if not (isinstance(result, Literal) and result.value is not outcome)
        ]
        return frozenset.intersection(*ways) if ways else _NOTHING

    def _key(self, node: Node) -> str:
        """Return a step for a key: as a field where it is a text that is written out."""
        if isinstance(node, Literal) and isinstance(node.value, str):
            return node.value
        return f"[{self._text(node)}]"

    def _text(self, node: Node) -> str:
        return self._source[node.extent.start : node.extent.end]


def _keys_of(node: Node) -> Collection[Any]:
    """Return the keys that are written out in a map."""
    entries = node.entries if isinstance(node, MapLiteral) else ()
    return [entry.key.value for entry in entries if isinstance(entry.key, Literal) and not entry.optional]


def _defaulted(node: Node) -> tuple[Any] | None:
    """Return the value of what is written out, or is read with a default that is, where it is missing; else None."""
    match node:
        case Literal(value=value):
            return (value,)
        case ListLiteral(elements=elements) if all(isinstance(element, Literal) for element in elements):
            return ([element.value for element in elements if isinstance(element, Literal)],)
        case MapLiteral(entries=()):
            return ({},)
        case Call(function="orValue", target=target, arguments=(default,)) if target is not None:
            return None if isinstance(default, Call) else _defaulted(default)
        case Call(function="size", target=target, arguments=arguments):
            value = _defaulted(arguments[0] if target is None else target)
            return None if value is None or not isinstance(value[0], str | list | dict) else (len(value[0]),)
    return None


def _read_of(node: Node) -> Node | None:
    """Return the optional that is read with a default; None where there is none."""
    if isinstance(node, Call) and node.function == "size":
        return _read_of(node.arguments[0] if node.target is None else node.target)
    if isinstance(node, Call) and node.function == "orValue":
        return node.target
    return None


def _without_default(node: Node) -> Node:
    """Return a map that is read with an empty one in its place, which has no keys, or the node itself."""
    if isinstance(node, Call) and node.function == "orValue" and node.target is not None:
        default = node.arguments[0]
        return node.target if isinstance(default, MapLiteral) and not default.entries else node
    return node


def _comparable(one: Any, other: Any) -> bool:
    """Return whether Python compares two values as CEL does."""
    kinds = [{type(value)} for value in (one, other)]
    for kind, value in zip(kinds, (one, other), strict=True):
        if isinstance(value, list | dict):
            kind.update(map(type, value))
            kind.discard(type(value))
    numbers: set[type] = {int, float}
    return all(kind <= numbers for kind in kinds) or all(kind <= {str} for kind in kinds)


def _written(node: Select | Index) -> Any:
    """Return a field, or a key that is written out; None for one that is not."""
    if isinstance(node, Select):
        return node.field
    return node.key.value if isinstance(node.key, Literal) else None


def _reads(path: tuple[str, ...], names: Set[str]) -> bool:
    """Return whether a path depends on one of these variables: it begins with it, or has it in a key."""
    if path[0] in names:
        return True
    return any(step[:1] in ("[", "{") and not names.isdisjoint(_WORD.findall(step)) for step in path)


def _union(parts: Iterable[Paths]) -> Paths:
    return _NOTHING.union(*parts)


def _bound(node: Comprehension | Bind | OptionalMap) -> tuple[Node, list[Node], set[str]]:
    """Return what is evaluated outside of the new variables, what inside, and their names."""
    if isinstance(node, Bind):
        return node.value, [node.body], {node.variable}
    if isinstance(node, OptionalMap):
        return node.operand, [node.transform], {node.variable}
    names = {node.variable} if node.second is None else {node.variable, node.second}
    return node.range, [child for child in (node.predicate, node.transform) if child is not None], names
