"""Literals, and lists and maps made of parts: one element type where the parts agree, else ``dyn``."""

from __future__ import annotations

from costlens_policy.expressions.checking.unification import is_parameter
from costlens_policy.expressions.checking.walk import Walk
from costlens_policy.expressions.tree import (
    Bind,
    Comprehension,
    Conditional,
    ListLiteral,
    Literal,
    Logic,
    Macro,
    MapEntry,
    MapLiteral,
    Node,
    OptionalMap,
)
from costlens_policy.expressions.types import (
    BOOL,
    BYTES,
    DOUBLE,
    DYN,
    INT,
    NULL,
    STRING,
    UINT,
    UNKNOWN,
    Type,
    is_numeric,
    list_of,
    map_of,
    optional_of,
)
from costlens_policy.expressions.values import Uint

__all__ = [
    "check_bind",
    "check_comprehension",
    "check_conditional",
    "check_list",
    "check_literal",
    "check_logic",
    "check_map",
    "check_optional_map",
]


_TYPES = {type(None): NULL, bool: BOOL, int: INT, Uint: UINT, float: DOUBLE, str: STRING, bytes: BYTES}
_KEYS = frozenset({BOOL, DYN, INT, STRING, UINT, UNKNOWN})


def check_literal(_walk: Walk, node: Literal) -> Type:
    return _TYPES[type(node.value)]


def check_list(walk: Walk, node: ListLiteral) -> Type:
    joined: Type | None = None
    for element, optional in zip(node.elements, node.optional, strict=True):
        joined = _joined(walk, joined, _part(walk, element, optional))
    return list_of(joined or walk.substitution.fresh())


def check_map(walk: Walk, node: MapLiteral) -> Type:
    keys: Type | None = None
    values: Type | None = None
    for entry in node.entries:
        keys = _joined(walk, keys, _key(walk, entry))
        values = _joined(walk, values, _part(walk, entry.value, entry.optional))
    _report_repeated(walk, node)
    return map_of(keys or walk.substitution.fresh(), values or walk.substitution.fresh())


def _joined(walk: Walk, known: Type | None, found: Type) -> Type:
    if known is None or found == UNKNOWN:
        return known or found
    return walk.substitution.join(known, found)


def _part(walk: Walk, node: Node, optional: bool) -> Type:
    """Return the type that an element adds; behind ``?`` stands an optional, of which only the value goes in."""
    found = walk.type(node)
    if not optional or found in (DYN, UNKNOWN):
        return found
    inner = walk.substitution.fresh()
    if not walk.substitution.fits([(optional_of(inner), found)]):
        shown = walk.shown(found)
        message = f"`?` takes an optional, and this is a value of type {shown}"
        return walk.report("CL304", message, node.extent, f"type {shown}", "leave out the `?`")
    return walk.substitution.resolve(inner)


def _key(walk: Walk, entry: MapEntry) -> Type:
    found = walk.type(entry.key)
    if found not in _KEYS and not is_parameter(found):
        shown = walk.shown(found)
        message = f"a value of type {shown} cannot be a key of a map"
        return walk.report("CL318", message, entry.key.extent, f"type {shown}", "keys are string, int, uint or bool")
    return found


def _report_repeated(walk: Walk, node: MapLiteral) -> None:
    seen: set[tuple[bool, object]] = set()
    for entry in node.entries:
        if not isinstance(entry.key, Literal) or isinstance(entry.key.value, bytes | float | None):
            continue
        # `1` and `1u` are one key; `true` is another, though Python says otherwise.
        key = (isinstance(entry.key.value, bool), entry.key.value)
        if key in seen:
            message = f"the key `{walk.text(entry.key)}` stands in this map already"
            walk.report("CL318", message, entry.key.extent, "the second one", "leave one of the two out")
        seen.add(key)


_PREDICATES = frozenset({Macro.ALL, Macro.EXISTS, Macro.EXISTS_ONE})


def check_logic(walk: Walk, node: Logic) -> Type:
    for operand in node.operands:
        walk.condition(operand, f"`{node.operator}` joins conditions")
    return BOOL


def check_conditional(walk: Walk, node: Conditional) -> Type:
    walk.condition(node.condition, "what stands before `?` is a condition")
    accepted, rejected = walk.type(node.accepted), walk.type(node.rejected)
    if UNKNOWN in (accepted, rejected):
        return accepted if rejected == UNKNOWN else rejected
    if walk.substitution.fits([(accepted, rejected)]):
        return walk.substitution.join(accepted, rejected)
    first, second = walk.shown(accepted), walk.shown(rejected)
    message = f"the two results of `?:` are of the types {first} and {second}"
    advice = "make them one type"
    if is_numeric(accepted) and is_numeric(rejected):
        advice = "write both as doubles, such as `1.0`, or convert one with `double(…)`"
    return walk.report("CL315", message, node.rejected.extent, f"type {second}, but before `:` {first}", advice)


def check_bind(walk: Walk, node: Bind) -> Type:
    value = walk.type(node.value)
    with walk.scope.inside({node.variable: value}):
        return walk.type(node.body)


def check_optional_map(walk: Walk, node: OptionalMap) -> Type:
    name = "optFlatMap" if node.flat else "optMap"
    operand, held = walk.type(node.operand), walk.substitution.fresh()
    if not walk.substitution.fits([(optional_of(held), operand)]):
        shown = walk.shown(operand)
        message = f"`{name}` belongs to optionals, and this is a value of type {shown}"
        walk.report("CL304", message, node.operand.extent, f"type {shown}")
        held = UNKNOWN
    elif operand in (DYN, UNKNOWN):
        held = operand
    with walk.scope.inside({node.variable: held}):
        result = walk.type(node.transform)
    if not node.flat:
        return optional_of(result)
    if not walk.substitution.fits([(optional_of(walk.substitution.fresh()), result)]):
        shown = walk.shown(result)
        message = f"the result of `optFlatMap` is an optional, and this is a value of type {shown}"
        return walk.report("CL304", message, node.transform.extent, f"type {shown}", "write `optMap`")
    return result


def check_comprehension(walk: Walk, node: Comprehension) -> Type:
    container = _range(walk, node)
    first, second = _variables(walk, node, container)
    variables = {node.variable: first} if node.second is None else {node.variable: first, node.second: second}
    with walk.scope.inside(variables):
        if node.predicate is not None:
            walk.condition(node.predicate, f"`{node.macro}` asks for a condition")
        result = walk.type(node.transform) if node.transform is not None else BOOL
    return _result(walk, node, container, first, result)


def _range(walk: Walk, node: Comprehension) -> Type:
    found = walk.type(node.range)
    if found.name in ("list", "map") or found in (DYN, UNKNOWN):
        return found
    if is_parameter(found):
        walk.substitution.fits([(DYN, found)])
        return DYN
    shown = walk.shown(found)
    message = f"`{node.macro}` goes through a list or a map, and this is a value of type {shown}"
    return walk.report("CL304", message, node.range.extent, f"type {shown}")


def _variables(walk: Walk, node: Comprehension, container: Type) -> tuple[Type, Type]:
    """Return the types of the two variables; with one variable only the first counts."""
    if container.name == "map":
        return container.parameters[0], container.parameters[1]
    if container.name == "list":
        return (container.parameters[0] if node.second is None else INT), container.parameters[0]
    return container, container


def _result(walk: Walk, node: Comprehension, container: Type, first: Type, result: Type) -> Type:
    if node.macro in _PREDICATES:
        return BOOL
    if node.macro is Macro.FILTER:
        return list_of(first)
    if node.macro is Macro.SORT_BY:
        return container if container.name == "list" else list_of(first)
    if node.macro is Macro.TRANSFORM_MAP:
        return map_of(first, result)
    if node.macro is Macro.TRANSFORM_MAP_ENTRY:
        return _entries(walk, node, result)
    return list_of(result)


def _entries(walk: Walk, node: Comprehension, result: Type) -> Type:
    assert node.transform is not None
    wanted = map_of(walk.substitution.fresh(), walk.substitution.fresh())
    if walk.substitution.fits([(wanted, result)]):
        return wanted if result in (DYN, UNKNOWN) else result
    shown = walk.shown(result)
    message = f"`transformMapEntry` makes a map of each entry, and this is a value of type {shown}"
    return walk.report("CL304", message, node.transform.extent, f"type {shown}", "write `{key: value}`")
