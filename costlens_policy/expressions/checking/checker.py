"""The type checker: one rule a type of node, calls aside.

First names and what is reached from a value (``a``, ``a.b``, ``has(a.b)``, ``a[b]``), then literals, lists and maps:
one element type where the parts agree, else ``dyn``; then logic and macros. Types, overloads and aggregates follow the
specification's "Gradual Type Checking".
"""

from __future__ import annotations

from typing import Final

from costlens_policy.expressions.checking.calls import check_call
from costlens_policy.expressions.checking.presence import Paths, unguarded_reads
from costlens_policy.expressions.checking.unification import is_parameter
from costlens_policy.expressions.checking.walk import Rule, Walk, qualified_name
from costlens_policy.expressions.problems import Problem, did_you_mean, shortened
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
    MapEntry,
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
    Environment,
    Record,
    Type,
    is_numeric,
    list_of,
    map_of,
    optional_of,
)
from costlens_policy.expressions.values import Uint

__all__ = ["check", "unchecked"]


def check(
    source: str,
    node: Node,
    environment: Environment,
    expected: Type | None = None,
    present: Paths = frozenset(),
) -> tuple[TypedExpr | None, tuple[Problem, ...]]:
    """Type an expression whose tree is ``node``. Returns it, or None where there are errors, and every problem.

    ``expected`` is the type that the whole must have; ``present`` are optional attributes that are known to be there.
    """
    walk = Walk(source, environment, _RULES, strict=True)
    if expected == BOOL:
        walk.condition(node, "a condition")
    else:
        _expect(walk, node, walk.type(node), expected)
    typed = walk.finished(node)
    if walk.fields:  # a map that no record holds is a value at hand, and not what requests may leave out
        walk.problems += unguarded_reads(typed, present)
    problems = tuple(sorted(walk.problems, key=lambda item: (item.extent.start, item.extent.end)))
    return (None if any(item.is_error for item in problems) else typed), problems


def unchecked(source: str, node: Node, environment: Environment) -> TypedExpr:
    """Resolve names without checking types: everything is ``dyn``, and what is wrong fails when evaluated."""
    walk = Walk(source, environment, _RULES, strict=False)
    walk.type(node)
    return walk.finished(node)


def _expect(walk: Walk, node: Node, found: Type, expected: Type | None) -> None:
    if expected is None or walk.substitution.fits([(expected, found)]):
        return
    shown = walk.shown(found)
    advice = f"write `{expected}({walk.text(node)})`" if is_numeric(expected) and is_numeric(shown) else ""
    if expected == DOUBLE and isinstance(node, Literal) and isinstance(node.value, int):
        advice = f"write `{node.value}.0`"
    message = f"the value must be {_article(expected)}, got {shown}"
    walk.report("CL309", message, node.extent, f"type {shown}", advice)


def _article(item: Type) -> str:
    return f"{'an' if item.name[0] in 'aeio' else 'a'} {item}"


def _name(walk: Walk, node: Name) -> Type:
    resolution = walk.scope.resolve(node.name)
    if resolution is None:
        return _unknown_variable(walk, node)
    return _resolved(walk, node, resolution)


def _select(walk: Walk, node: Select) -> Type:
    resolution = _as_a_whole(walk, node)
    if resolution is not None:
        return _resolved(walk, node, resolution)
    found = _member(walk, node, node.operand, node.field)
    return optional_of(found) if node.optional and found.name != "optional_type" else found


def _presence(walk: Walk, node: Presence) -> Type:
    _member(walk, node, node.operand, node.field)
    return BOOL


def _index(walk: Walk, node: Index) -> Type:
    operand, key = walk.type(node.operand), walk.type(node.key)
    container, chained = _unwrapped(operand)
    found = _element(walk, node, container, key)
    return optional_of(found) if (node.optional or chained) and found != UNKNOWN else found


def _as_a_whole(walk: Walk, node: Select) -> Resolution | None:
    name = qualified_name(node)
    return walk.scope.resolve(name) if name else None


def _resolved(walk: Walk, node: Name | Select, resolution: Resolution) -> Type:
    walk.resolutions[node] = resolution
    if resolution.kind is ResolutionKind.VARIABLE:
        walk.paths(resolution.name).add(tuple(resolution.name.split(".")))
    return resolution.type


def _member(walk: Walk, node: Select | Presence, operand: Node, field: str) -> Type:
    """Return the type of ``operand.field``."""
    known = walk.references | walk.constants
    target, chained = _unwrapped(walk.type(operand))
    record = walk.environment.record(target)
    if record is not None:
        _refine_reference(walk, known, operand, field)
        found = _attribute(walk, node, operand, record, field)
    elif target.name == "map":
        found = target.parameters[1]
    elif target in (DYN, UNKNOWN):
        found = target
    elif is_parameter(target):
        # Nothing may be concluded from a selection, so that the operand stays what it turns out to be.
        walk.substitution.fits([(DYN, target)])
        found = DYN
    else:
        shown = walk.shown(target)
        message = f"a value of type {shown} has no attribute `{shortened(field)}`"
        found = walk.report("CL316", message, node.field_extent, f"`{walk.text(operand)}` is of type {shown}")
    return optional_of(found) if chained and found != UNKNOWN else found


def _refine_reference(walk: Walk, known: set[tuple[str, ...]], operand: Node, field: str) -> None:
    """A record's variable is read field by field: ``request.team`` reads no other field of ``request``."""
    resolution = walk.resolutions.get(operand) if isinstance(operand, Name | Select) else None
    if resolution is not None and resolution.kind is ResolutionKind.VARIABLE:
        paths, whole = walk.paths(resolution.name), tuple(resolution.name.split("."))
        if whole not in known:
            paths.discard(whole)
        paths.add((*whole, field))


def _attribute(walk: Walk, node: Select | Presence, operand: Node, record: Record, field: str) -> Type:
    declared = record.fields.get(field)
    if declared is not None:
        walk.fields[node] = declared
        return declared.type
    owner = walk.text(operand)
    advice = did_you_mean(field, record.fields) or f"it has {_listed(record)}"
    name = shortened(field)
    if record.values is not None:
        return _unknown_key(walk, owner, name, node.field_extent, advice)
    label = f"`{owner}` has no attribute `{name}`"
    return walk.report("CL302", f"unknown variable `{owner}.{name}`", node.field_extent, label, advice)


def _unknown_key(walk: Walk, owner: str, key: str, extent: Extent, advice: str) -> Type:
    return walk.report("CL302", f"`{owner}` has no key `{key}`", extent, "unknown key", advice)


def _entry(walk: Walk, node: Index, table: Record, values: Type, key: Type) -> Type:
    """Return the type of what a table has at a key: where that is written out, of this very entry."""
    if not walk.substitution.fits([(STRING, key)]):
        return _wrong_key(walk, node, "the keys of this table are of type string", key)
    if not isinstance(node.key, Literal) or not isinstance(node.key.value, str):
        return values
    declared = table.fields.get(node.key.value)
    if declared is not None:
        walk.fields[node] = declared
        return declared.type
    owner, name = walk.text(node.operand), shortened(node.key.value)
    advice = did_you_mean(node.key.value, table.fields) or f"it has {_listed(table)}"
    return _unknown_key(walk, owner, name, node.key.extent, advice)


def _listed(record: Record) -> str:
    names = [f"`{name}`" for name in sorted(record.fields)[:12]]
    return ", ".join(names) + (" and more" if len(record.fields) > len(names) else "") if names else "none"


def _unwrapped(operand: Type) -> tuple[Type, bool]:
    """Return what an optional holds, and whether it was one: access goes through optionals."""
    return (operand.parameters[0], True) if operand.name == "optional_type" else (operand, False)


def _element(walk: Walk, node: Index, container: Type, key: Type) -> Type:
    if container in (DYN, UNKNOWN) or is_parameter(container):
        return UNKNOWN if container == UNKNOWN else DYN
    if container.name == "list":
        if walk.substitution.fits([(INT, key)]):
            return container.parameters[0]
        return _wrong_key(walk, node, "the index of a list must be an int", key)
    if container.name == "map":
        wanted = walk.substitution.resolve(container.parameters[0])
        if walk.substitution.fits([(wanted, key)]) or (is_numeric(wanted) and is_numeric(key)):
            return container.parameters[1]
        return _wrong_key(walk, node, f"a key of this map must be {_article(walk.shown(wanted))}", key)
    advice, record = "", walk.environment.record(container)
    if record is not None and record.values is not None:
        return _entry(walk, node, record, record.values, key)
    if record is not None and isinstance(node.key, Literal):
        advice = f"write `{walk.text(node.operand)}.{'?' if node.optional else ''}{node.key.value}`"
    elif container.name == "string":
        advice = "write `.charAt(0)` or `.substring(0, 3)`"
    shown = walk.shown(container)
    return walk.report("CL316", f"a value of type {shown} has no elements", node.extent, f"type {shown}", advice)


def _wrong_key(walk: Walk, node: Index, message: str, key: Type) -> Type:
    shown = walk.shown(key)
    return walk.report("CL316", f"{message}, got {shown}", node.key.extent, f"type {shown}")


def _unknown_variable(walk: Walk, node: Name) -> Type:
    function = walk.scope.function(node.name)
    if function is not None:
        advice = f"`{node.name}` is a function: write `{node.name}(…)`"
    else:
        advice = did_you_mean(node.name, walk.scope.names()) or _owner(walk, node.name)
    message = f"unknown variable `{walk.text(node)}`"
    return walk.report("CL302", message, node.extent, "nothing here has this name", advice)


def _owner(walk: Walk, name: str) -> str:
    """Where a bare name is an attribute of a record that is at hand, say so."""
    for variable, declared in sorted(walk.environment.variables.items()):
        record = walk.environment.record(declared)
        if record is not None and name in record.fields:
            return f"write `{variable}.{name}`"
    return 'put quotes around a text: `"…"`'


_TYPES = {type(None): NULL, bool: BOOL, int: INT, Uint: UINT, float: DOUBLE, str: STRING, bytes: BYTES}
_KEYS = frozenset({BOOL, DYN, INT, STRING, UINT, UNKNOWN})


def _literal(_walk: Walk, node: Literal) -> Type:
    return _TYPES[type(node.value)]


def _list(walk: Walk, node: ListLiteral) -> Type:
    joined: Type | None = None
    for element, optional in zip(node.elements, node.optional, strict=True):
        joined = _joined(walk, joined, _part(walk, element, optional))
    return list_of(joined or walk.substitution.fresh())


def _map(walk: Walk, node: MapLiteral) -> Type:
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
        message = f"`?` needs an optional, got {shown}"
        return walk.report("CL304", message, node.extent, f"type {shown}", "leave out the `?`")
    return walk.substitution.resolve(inner)


def _key(walk: Walk, entry: MapEntry) -> Type:
    found = walk.type(entry.key)
    if found not in _KEYS and not is_parameter(found):
        shown = walk.shown(found)
        message = f"a map key must be a string, int, uint or bool, got {shown}"
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
            message = f"duplicate key `{walk.text(entry.key)}`"
            walk.report("CL318", message, entry.key.extent, "the second one", "remove one of the two")
        seen.add(key)


_PREDICATES = frozenset({Macro.ALL, Macro.EXISTS, Macro.EXISTS_ONE})


def _logic(walk: Walk, node: Logic) -> Type:
    for operand in node.operands:
        walk.condition(operand, f"an operand of `{node.operator}`")
    return BOOL


def _conditional(walk: Walk, node: Conditional) -> Type:
    walk.condition(node.condition, "what stands before `?`")
    accepted, rejected = walk.type(node.accepted), walk.type(node.rejected)
    if UNKNOWN in (accepted, rejected):
        return accepted if rejected == UNKNOWN else rejected
    if accepted != rejected:
        accepted, rejected = walk.plain(accepted), walk.plain(rejected)
    if walk.substitution.fits([(accepted, rejected)]):
        return walk.substitution.join(accepted, rejected)
    first, second = walk.shown(accepted), walk.shown(rejected)
    message = f"both results of `?:` must be of one type, got {first} and {second}"
    advice = "make them one type"
    if is_numeric(accepted) and is_numeric(rejected):
        advice = "write both as doubles, such as `1.0`, or convert one with `double(…)`"
    return walk.report("CL315", message, node.rejected.extent, f"type {second}, but before `:` {first}", advice)


def _bind(walk: Walk, node: Bind) -> Type:
    value = walk.type(node.value)
    with walk.scope.inside({node.variable: value}):
        return walk.type(node.body)


def _optional_map(walk: Walk, node: OptionalMap) -> Type:
    name = "optFlatMap" if node.flat else "optMap"
    operand, held = walk.type(node.operand), walk.substitution.fresh()
    if not walk.substitution.fits([(optional_of(held), operand)]):
        shown = walk.shown(operand)
        message = f"`{name}` needs an optional, got {shown}"
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
        message = f"the result of `optFlatMap` must be an optional, got {shown}"
        return walk.report("CL304", message, node.transform.extent, f"type {shown}", "write `optMap`")
    return result


def _comprehension(walk: Walk, node: Comprehension) -> Type:
    container = _range(walk, node)
    first, second = _variables(walk, node, container)
    variables = {node.variable: first} if node.second is None else {node.variable: first, node.second: second}
    with walk.scope.inside(variables):
        if node.predicate is not None:
            walk.condition(node.predicate, f"the condition of `{node.macro}`")
        result = walk.type(node.transform) if node.transform is not None else BOOL
    return _result(walk, node, container, first, result)


def _range(walk: Walk, node: Comprehension) -> Type:
    found = walk.type(node.range)
    record = walk.environment.record(found)
    if record is not None and record.values is not None:
        return map_of(STRING, record.values)
    if found.name in ("list", "map") or found in (DYN, UNKNOWN):
        return found
    if is_parameter(found):
        walk.substitution.fits([(DYN, found)])
        return DYN
    shown = walk.shown(found)
    message = f"`{node.macro}` needs a list or a map, got {shown}"
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
    message = f"the result of `transformMapEntry` must be a map, got {shown}"
    return walk.report("CL304", message, node.transform.extent, f"type {shown}", "write `{key: value}`")


_RULES: Final[dict[type, Rule]] = {
    Bind: _bind,
    Call: check_call,
    Comprehension: _comprehension,
    Conditional: _conditional,
    Index: _index,
    ListLiteral: _list,
    Literal: _literal,
    Logic: _logic,
    MapLiteral: _map,
    Name: _name,
    OptionalMap: _optional_map,
    Presence: _presence,
    Select: _select,
}
