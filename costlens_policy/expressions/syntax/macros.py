"""Macros: calls that bind variables or look at syntax. They become nodes of their own, or a problem that says how."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

from costlens_policy.expressions.tree import (
    Bind,
    Call,
    Comprehension,
    Extent,
    Index,
    ListLiteral,
    Literal,
    Macro,
    MapLiteral,
    Name,
    Node,
    OptionalMap,
    Presence,
    Select,
)  # fmt: skip
from costlens_policy.frozen import frozen

__all__ = ["MACRO_NAMES", "Expansion", "Use", "expand"]


@frozen
class Use:
    """A call as written. ``report`` takes code, message, extent, label and help."""

    target: Node | None
    name: str
    arguments: tuple[Node, ...]
    extent: Extent
    name_extent: Extent
    report: Callable[[str, str, Extent, str, str], None]

    def wrong(self, message: str, advice: str, place: Node | None = None) -> Expansion:
        """Report a wrong use; the call stands in for the macro from then on."""
        self.report("CL308", message, place.extent if place else self.name_extent, "", advice)
        return Expansion(Literal(self.extent, None))


class Expansion(NamedTuple):
    """``levels`` is how much deeper than its parts the node is."""

    node: Node
    levels: int = 1


def expand(use: Use) -> Expansion | None:
    """Return what a call becomes when it is a macro, None when it is an ordinary call."""
    if use.target is None:
        return _has(use) if use.name == "has" else None
    if isinstance(use.target, Name) and use.target.name in _NAMESPACES:
        macro = _NAMESPACED.get(f"{use.target.name}.{use.name}")
        return macro(use) if macro else None
    if use.name in _COMPREHENSIONS:
        return _comprehension(use)
    if use.name == "get":
        return _get(use, use.target)
    return _optional_map(use) if use.name in ("optMap", "optFlatMap") else None


def _has(use: Use) -> Expansion:
    advice = 'write `has(a.b)`; for a key of a map write `"key" in a`'
    if len(use.arguments) != 1:
        return use.wrong("`has` takes one argument", advice)
    selected = use.arguments[0]
    if not isinstance(selected, Select) or selected.optional:
        return use.wrong("the argument of `has` must be a field such as `a.b`", advice, selected)
    return Expansion(Presence(use.extent, selected.operand, selected.field, selected.field_extent))


class _Form(NamedTuple):
    """The shapes of a comprehension macro: numbers of arguments with one variable, with two, and how it is written."""

    macro: Macro
    one: tuple[int, ...]
    two: tuple[int, ...]
    usage: str


_COMPREHENSIONS = {
    "all": _Form(Macro.ALL, (2,), (3,), "list.all(x, condition)"),
    "exists": _Form(Macro.EXISTS, (2,), (3,), "list.exists(x, condition)"),
    "exists_one": _Form(Macro.EXISTS_ONE, (2,), (3,), "list.exists_one(x, condition)"),
    "existsOne": _Form(Macro.EXISTS_ONE, (2,), (3,), "list.existsOne(x, condition)"),
    "map": _Form(Macro.MAP, (2, 3), (), "list.map(x, result)` or `list.map(x, condition, result)"),
    "filter": _Form(Macro.FILTER, (2,), (), "list.filter(x, condition)"),
    "sortBy": _Form(Macro.SORT_BY, (2,), (), "list.sortBy(x, key)"),
    "transformList": _Form(Macro.TRANSFORM_LIST, (), (3, 4), "list.transformList(index, x, result)"),
    "transformMap": _Form(Macro.TRANSFORM_MAP, (), (3, 4), "map.transformMap(key, value, result)"),
    "transformMapEntry": _Form(
        Macro.TRANSFORM_MAP_ENTRY, (), (3, 4), "map.transformMapEntry(key, value, {key: value})"
    ),
}
_PREDICATES = frozenset({Macro.ALL, Macro.EXISTS, Macro.EXISTS_ONE, Macro.FILTER})


def _comprehension(use: Use) -> Expansion | None:
    form = _COMPREHENSIONS[use.name]
    assert use.target is not None
    count = len(use.arguments)
    if count not in form.one + form.two:
        return use.wrong(f"`{use.name}` takes {_numbers(form)} arguments, got {count}", f"write `{form.usage}`")
    number = 1 if count in form.one else 2
    names = [_variable(argument) for argument in use.arguments[:number]]
    for name, argument in zip(names, use.arguments, strict=False):
        if name is None:
            return use.wrong(f"`{use.name}` needs a name for its variable", f"write `{form.usage}`", argument)
    if names[0] == names[-1] and number == 2:
        return use.wrong("the two variables must have different names", "write two different names", use.arguments[1])
    predicate, transform = _bodies(form, use.arguments[number:])
    second = names[1] if number == 2 else None
    return Expansion(
        Comprehension(use.extent, form.macro, use.name_extent, use.target, str(names[0]), predicate, transform, second)
    )


def _numbers(form: _Form) -> str:
    return " or ".join(map(str, sorted(form.one + form.two)))


def _bodies(form: _Form, bodies: tuple[Node, ...]) -> tuple[Node | None, Node | None]:
    """Return predicate and transform."""
    if form.macro in _PREDICATES:
        return bodies[0], None
    return (bodies[0], bodies[1]) if len(bodies) == 2 else (None, bodies[0])


def _variable(node: Node) -> str | None:
    return node.name if isinstance(node, Name) and not node.name.startswith(".") else None


def _optional_map(use: Use) -> Expansion:
    assert use.target is not None
    usage = f"write `optional.{use.name}(x, result)`"
    if len(use.arguments) != 2:
        return use.wrong(f"`{use.name}` takes a variable and a result", usage)
    variable = _variable(use.arguments[0])
    if variable is None:
        return use.wrong(f"`{use.name}` needs a name for its variable", usage, use.arguments[0])
    flat = use.name == "optFlatMap"
    return Expansion(OptionalMap(use.extent, use.target, variable, use.arguments[1], flat))


def _get(use: Use, target: Node) -> Expansion:
    """``a.b.get(key, default)`` is ``a.?b[?key].orValue(default)``: nothing on the way to the key need be there."""
    if len(use.arguments) != 2:
        return use.wrong("`get` takes a key and a default", "write `map.get(key, default)`")
    key, default = use.arguments
    found = Index(use.extent, _optional(target), key, optional=True)
    return Expansion(Call(use.extent, "orValue", use.name_extent, found, (default,)), 2)


def _optional(node: Node) -> Node:
    """Return a chain of selections with its first step optional, and so all that follow."""
    if not isinstance(node, Select | Index):
        return node
    operand = _optional(node.operand)
    return replace(node, optional=True) if operand is node.operand else replace(node, operand=operand)


def _bind(use: Use) -> Expansion:
    usage = "write `cel.bind(name, value, result)`"
    if len(use.arguments) != 3:
        return use.wrong("`cel.bind` takes a name, a value and a result", usage)
    variable = _variable(use.arguments[0])
    if variable is None:
        return use.wrong("`cel.bind` needs a name for its variable", usage, use.arguments[0])
    return Expansion(Bind(use.extent, variable, use.arguments[1], use.arguments[2]))


def _block(use: Use) -> Expansion:
    """``cel.block([a, b], result)``: what stands at ``i`` is known as ``cel.index(i)`` from then on."""
    if len(use.arguments) != 2 or not isinstance(use.arguments[0], ListLiteral):
        return use.wrong("`cel.block` takes a list and a result", "write `cel.block([a, b], result)`")
    values, result = use.arguments[0].elements, use.arguments[1]
    for position in reversed(range(len(values))):
        result = Bind(use.extent, f"@index{position}", values[position], result)
    return Expansion(result, len(values) + 1)


def _numbered(use: Use) -> Expansion:
    """``cel.index(0)`` and ``cel.iterVar(0, 1)`` are names that no author can write."""
    numbers = [node.value for node in use.arguments if isinstance(node, Literal) and type(node.value) is int]
    if len(numbers) != len(use.arguments) or not numbers:
        return use.wrong(f"`cel.{use.name}` takes whole numbers", "write numbers such as `0`")
    return Expansion(Name(use.extent, f"@{use.name}{':'.join(map(str, numbers))}"))


def _extremum(use: Use) -> Expansion:
    """``math.greatest(a, b, c)`` looks at a list; one argument and two are ordinary calls."""
    arguments = use.arguments
    if not arguments:
        return use.wrong(f"`math.{use.name}` needs an argument", f"write `math.{use.name}(a, b)`")
    for argument in arguments:
        if isinstance(argument, _NEVER_NUMBERS) and not _is_number(argument) and len(arguments) > 1:
            return use.wrong(f"`math.{use.name}` compares numbers", "write numbers, or one list of them", argument)
    if len(arguments) > 2:
        extent = Extent(arguments[0].extent.start, arguments[-1].extent.end)
        arguments = (ListLiteral(extent, arguments, (False,) * len(arguments)),)
    return Expansion(Call(use.extent, use.name, use.name_extent, use.target, arguments), 2)


def _is_number(node: Node) -> bool:
    return isinstance(node, Literal) and isinstance(node.value, int | float) and not isinstance(node.value, bool)


_NEVER_NUMBERS = (Literal, ListLiteral, MapLiteral)
_NAMESPACED: dict[str, Callable[[Use], Expansion]] = {
    "cel.bind": _bind,
    "cel.block": _block,
    "cel.index": _numbered,
    "cel.iterVar": _numbered,
    "cel.accuVar": _numbered,
    "math.greatest": _extremum,
    "math.least": _extremum,
}
_NAMESPACES = frozenset(name.partition(".")[0] for name in _NAMESPACED)
MACRO_NAMES = frozenset({"get", "has", "optMap", "optFlatMap", *_COMPREHENSIONS, *_NAMESPACED})
