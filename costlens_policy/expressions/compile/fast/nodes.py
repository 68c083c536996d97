"""One rule a type of node, calls aside: what is written for it, and the emitter that knows all the rules."""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Final

from costlens_policy.expressions.compile.fast.calls import call_
from costlens_policy.expressions.compile.fast.emitter import WORK, Emitter, Globals, Rule
from costlens_policy.expressions.compile.fast.python import (
    attribute,
    boolean,
    call,
    choice,
    compare,
    const,
    dict_comprehension,
    generator,
    lambda_,
    list_,
    list_comprehension,
    loop,
    name,
    subscript,
    target,
)
from costlens_policy.expressions.compile.reads import is_constant
from costlens_policy.expressions.limits import RunLimits, within
from costlens_policy.expressions.runtime.collections import (
    element,
    elements_of,
    entries_of,
    has_field,
    lookup,
    make_map,
    optional_lookup,
    optional_select,
)
from costlens_policy.expressions.runtime.collections import select as select_field
from costlens_policy.expressions.tree import (
    Bind,
    Call,
    Comprehension,
    Conditional,
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
    Resolution,
    ResolutionKind,
    Select,
    TypedExpr,
)
from costlens_policy.expressions.types import STRING, Type
from costlens_policy.expressions.values import NO_VALUE, OptionalValue, Value

__all__ = ["as_condition", "emitter_of"]


_PLAIN_KEYS: Final = ("string", "int", "uint")
"""Kinds whose values are their own keys in a dict."""


def _literal(emitter: Emitter, node: Literal) -> ast.expr:
    return emitter.globals.constant(node.value)


def _name(emitter: Emitter, node: Name) -> ast.expr:
    resolution = emitter.typed.resolutions.get(node)
    return emitter.variable(node.name) if resolution is None else _resolved(emitter, resolution)


def _resolved(emitter: Emitter, resolution: Resolution) -> ast.expr:
    if resolution.kind is ResolutionKind.TYPE:
        return emitter.globals.constant(Type(resolution.type.parameters[0].name))
    if resolution.kind is ResolutionKind.LOCAL:
        return emitter.local(resolution.name)
    if is_constant(emitter.typed, resolution):
        return emitter.globals.constant(emitter.typed.environment.constants[resolution.name])
    return emitter.variable(resolution.name)


def _select(emitter: Emitter, node: Select) -> ast.expr:
    """Subscript whatever is there: of CEL's values, only a map has an element with a string for a key."""
    resolution = emitter.typed.resolutions.get(node)
    if resolution is not None:
        return _resolved(emitter, resolution)
    if emitter.shared:
        read = emitter.shared.get((_variable(emitter, node.operand), node.field))
        if read is not None and not node.optional:
            return name(read)
    operand, field = emitter.emit(node.operand), const(node.field)
    if node.optional:
        return emitter.call(optional_select, operand, field)
    if emitter.kind(node.operand) == "optional_type":
        return emitter.call(select_field, operand, field)
    if isinstance(operand, ast.Constant):
        return emitter.without_fast_form()  # it always fails, and Python would warn of it
    return subscript(operand, field)


def _variable(emitter: Emitter, node: Node) -> str:
    """Return the name of the parameter that a node is, or an empty text."""
    resolution = emitter.typed.resolutions.get(node) if isinstance(node, Name) else None
    return resolution.name if resolution is not None and resolution.kind is ResolutionKind.VARIABLE else ""


def _index(emitter: Emitter, node: Index) -> ast.expr:
    operand, key = emitter.emit(node.operand), emitter.emit(node.key)
    container, kind = emitter.kind(node.operand), emitter.kind(node.key)
    if node.optional:
        return emitter.call(optional_lookup, operand, key)
    if container == "map" and kind in _PLAIN_KEYS:
        return subscript(operand, key)
    if container == "list" and kind == "int":
        position = emitter.constant(node.key)
        if isinstance(position, int) and position >= 0:
            return subscript(operand, key)
        return emitter.call(element, operand, key)
    return emitter.call(lookup, operand, key)


def _presence(emitter: Emitter, node: Presence) -> ast.expr:
    operand, field = emitter.emit(node.operand), const(node.field)
    if emitter.kind(node.operand) == "map":
        return compare(field, ast.In(), operand)
    return emitter.call(has_field, operand, field)


def _list_literal(emitter: Emitter, node: ListLiteral) -> ast.expr:
    if any(node.optional):
        return emitter.without_fast_form()
    return list_([emitter.emit(inner) for inner in node.elements])


def _map_literal(emitter: Emitter, node: MapLiteral) -> ast.expr:
    if any(entry.optional for entry in node.entries):
        return emitter.without_fast_form()
    parts = (emitter.emit(part) for entry in node.entries for part in (entry.key, entry.value))
    return emitter.call(make_map, *parts)


def _truth(value: Value) -> bool:
    """Return a bool as it is; raise for any other value, so that the exact form decides what that means."""
    if value is True or value is False:
        return bool(value)
    raise TypeError


def as_condition(emitter: Emitter, node: Node) -> ast.expr:
    """Emit what must be a bool."""
    emitted = emitter.emit(node)
    return emitted if emitter.kind(node) == "bool" else emitter.call(_truth, emitted)


def _logic(emitter: Emitter, node: Logic) -> ast.expr:
    sign = ast.And() if node.operator == "&&" else ast.Or()
    return boolean(sign, [as_condition(emitter, operand) for operand in node.operands])


def _conditional(emitter: Emitter, node: Conditional) -> ast.expr:
    return choice(as_condition(emitter, node.condition), emitter.emit(node.accepted), emitter.emit(node.rejected))


def _bind(emitter: Emitter, node: Bind) -> ast.expr:
    """Evaluate the value at once. Where that raises, the exact form finds out whether anything reads the value."""
    value = emitter.emit(node.value)
    with emitter.binding(node.variable) as (identifier,):
        body = emitter.emit(node.body)
    return call(lambda_(identifier, body), value)


def _optional_map(emitter: Emitter, node: OptionalMap) -> ast.expr:
    operand = emitter.emit(node.operand)
    with emitter.binding(node.variable) as (identifier,):
        transform = emitter.emit(node.transform)
    if emitter.kind(node.operand) != "optional_type" or (node.flat and emitter.kind(node.transform) != "optional_type"):
        return emitter.without_fast_form()
    return emitter.call(_flat_mapped if node.flat else _mapped, operand, lambda_(identifier, transform))


def _mapped(optional: OptionalValue, transform: Callable[[Value], Value]) -> OptionalValue:
    return NO_VALUE if optional is NO_VALUE else OptionalValue(transform(optional.value))


def _flat_mapped(optional: OptionalValue, transform: Callable[[Value], OptionalValue]) -> OptionalValue:
    return NO_VALUE if optional is NO_VALUE else transform(optional.value)


_WITHOUT_FAST_FORM: Final = (Macro.TRANSFORM_MAP_ENTRY, Macro.SORT_BY)


def _comprehension(emitter: Emitter, node: Comprehension) -> ast.expr:
    if node.macro in _WITHOUT_FAST_FORM or (node.macro is Macro.TRANSFORM_MAP and not _keys_are_plain(emitter, node)):
        return emitter.without_fast_form()
    sought = _sought(emitter, node)
    if sought is not None:
        return compare(emitter.emit(sought), ast.In(), _range(emitter, node))
    variables = (node.variable,) if node.second is None else (node.variable, node.second)
    with emitter.binding(*variables, loop=True) as identifiers:
        predicate = None if node.predicate is None else as_condition(emitter, node.predicate)
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
    """Return whether what the first variable stands for is its own key in a dict: an index, or any key but a bool."""
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


_RULES: Final[Mapping[type, Rule]] = {
    Literal: _literal,
    Name: _name,
    Select: _select,
    Index: _index,
    Presence: _presence,
    ListLiteral: _list_literal,
    MapLiteral: _map_literal,
    Call: call_,
    Logic: _logic,
    Conditional: _conditional,
    Bind: _bind,
    OptionalMap: _optional_map,
    Comprehension: _comprehension,
}


def emitter_of(
    typed: TypedExpr,
    parameters: Sequence[str],
    globals_: Globals,
    limits: RunLimits,
    shared: Mapping[tuple[str, str], str] = MappingProxyType({}),
) -> Emitter:
    """Return an emitter of an expression that knows every type of node; see ``Emitter``."""
    return Emitter(typed, parameters, globals_, limits, _RULES, shared)
