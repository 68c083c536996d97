"""Comprehensions as Python's own."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Final

from costlens_policy.expressions.compile.fast.control import condition
from costlens_policy.expressions.compile.fast.names import WORK
from costlens_policy.expressions.compile.fast.python import (
    attribute,
    call,
    compare,
    const,
    dict_comprehension,
    generator,
    list_,
    list_comprehension,
    loop,
    name,
    target,
)
from costlens_policy.expressions.runtime.collections import elements_of, entries_of
from costlens_policy.expressions.runtime.limits import within
from costlens_policy.expressions.tree import Call, Comprehension, ListLiteral, Macro, Name, Node
from costlens_policy.expressions.types import STRING

if TYPE_CHECKING:
    from costlens_policy.expressions.compile.fast.emitter import Emitter

__all__ = ["comprehension"]

_WITHOUT_FAST_FORM: Final = (Macro.TRANSFORM_MAP_ENTRY, Macro.SORT_BY)
_PLAIN_KEYS: Final = ("string", "int", "uint")


def comprehension(emitter: Emitter, node: Comprehension) -> ast.expr:
    if node.macro in _WITHOUT_FAST_FORM or (node.macro is Macro.TRANSFORM_MAP and not _keys_are_plain(emitter, node)):
        return emitter.without_fast_form()
    sought = _sought(emitter, node)
    if sought is not None:
        return compare(emitter.emit(sought), ast.In(), _range(emitter, node))
    variables = (node.variable,) if node.second is None else (node.variable, node.second)
    with emitter.binding(*variables, loop=True) as identifiers:
        predicate = None if node.predicate is None else condition(emitter, node.predicate)
        transform = None if node.transform is None else emitter.emit(node.transform)
    # The range comes last: only when the body is emitted is it known whether the work is counted.
    elements = _iterable(emitter, node, _range(emitter, node))
    if predicate is not None and node.macro in (Macro.ALL, Macro.EXISTS):
        function = name("all" if node.macro is Macro.ALL else "any")
        return call(function, generator(predicate, loop(target(*identifiers), elements)))
    loops = loop(target(*identifiers), elements, predicate)
    if node.macro is Macro.EXISTS_ONE:
        return compare(list_comprehension(const(1), loops), ast.Eq(), list_([const(1)]))
    variable = name(identifiers[0])
    if node.macro is Macro.TRANSFORM_MAP and transform is not None:
        return dict_comprehension(variable, transform, loops)
    return list_comprehension(variable if transform is None else transform, loops)


def _range(emitter: Emitter, node: Comprehension) -> ast.expr:
    """Emit the range, paid for; a list literal that is the only range is within every limit."""
    with emitter.range():
        elements = emitter.emit(node.range)
    if emitter.kind(node.range) not in ("list", "map"):
        elements = emitter.call(elements_of if node.second is None else entries_of, elements)
    if emitter.uses_work:
        return call(attribute(name(WORK), "visit"), elements)
    if isinstance(node.range, ListLiteral):
        return elements
    return emitter.call(within, elements, const(emitter.limits.iterations))


def _iterable(emitter: Emitter, node: Comprehension, elements: ast.expr) -> ast.expr:
    """Return what the loop goes over: a list, the keys of a dict, or pairs of both."""
    kind = emitter.kind(node.range)
    plain = _keys_are_plain(emitter, node)
    if node.second is None:
        return emitter.call(elements_of, elements) if kind == "map" and not plain else elements
    if kind == "list":
        return call(name("enumerate"), elements)
    if kind == "map":
        return call(attribute(elements, "items")) if plain else emitter.call(entries_of, elements)
    return elements


def _keys_are_plain(emitter: Emitter, node: Comprehension) -> bool:
    """Say whether what the first variable stands for is its own key in a dict: an index, or any key but a bool."""
    declared = emitter.typed.types[node.range]
    if declared.name == "list":
        return True
    if emitter.typed.environment.record(declared):
        return True
    return declared.name == "map" and declared.parameters[0].name in _PLAIN_KEYS


def _sought(emitter: Emitter, node: Comprehension) -> Node | None:
    """Return the string that ``exists(x, x == string)`` looks for in a list of strings: Python's ``in`` is that."""
    predicate, declared = node.predicate, emitter.typed.types[node.range]
    if node.macro is not Macro.EXISTS or node.second is not None or not isinstance(predicate, Call):
        return None
    if declared.name != "list" or declared.parameters != (STRING,) or predicate.function != "_==_":
        return None
    left, right = emitter.typed.calls[predicate].arguments
    for variable, sought in ((left, right), (right, left)):
        if isinstance(variable, Name) and variable.name == node.variable and emitter.kind(sought) == "string":
            return None if node.variable in emitter.free.of(sought) else sought
    return None
