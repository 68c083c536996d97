"""Names, and what is reached from a value: ``a``, ``a.b``, ``has(a.b)``, ``a[b]``."""

from __future__ import annotations

from costlens_policy.expressions.checking.unification import is_parameter
from costlens_policy.expressions.checking.walk import Walk, qualified_name
from costlens_policy.expressions.problems import did_you_mean, shortened
from costlens_policy.expressions.tree import Index, Literal, Name, Node, Presence, Resolution, ResolutionKind, Select
from costlens_policy.expressions.types import BOOL, DYN, INT, UNKNOWN, Record, Type, is_numeric, optional_of

__all__ = ["check_index", "check_name", "check_presence", "check_select"]


def check_name(walk: Walk, node: Name) -> Type:
    resolution = walk.scope.resolve(node.name)
    if resolution is None:
        return _unknown_variable(walk, node)
    return _resolved(walk, node, resolution)


def check_select(walk: Walk, node: Select) -> Type:
    resolution = _as_a_whole(walk, node)
    if resolution is not None:
        return _resolved(walk, node, resolution)
    found = _member(walk, node, node.operand, node.field)
    return optional_of(found) if node.optional and found.name != "optional_type" else found


def check_presence(walk: Walk, node: Presence) -> Type:
    _member(walk, node, node.operand, node.field)
    return BOOL


def check_index(walk: Walk, node: Index) -> Type:
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
        walk.references.add(tuple(resolution.name.split(".")))
    return resolution.type


def _member(walk: Walk, node: Select | Presence, operand: Node, field: str) -> Type:
    """Return the type of ``operand.field``."""
    known = set(walk.references)
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
        message = f"a value of type {shown} has no attributes, and so no `{shortened(field)}`"
        found = walk.report("CL316", message, node.field_extent, f"`{walk.text(operand)}` is of type {shown}")
    return optional_of(found) if chained and found != UNKNOWN else found


def _refine_reference(walk: Walk, known: set[tuple[str, ...]], operand: Node, field: str) -> None:
    """A record's variable is read field by field: ``request.team`` reads no other field of ``request``."""
    resolution = walk.resolutions.get(operand) if isinstance(operand, Name | Select) else None
    if resolution is not None and resolution.kind is ResolutionKind.VARIABLE:
        whole = tuple(resolution.name.split("."))
        if whole not in known:
            walk.references.discard(whole)
        walk.references.add((*whole, field))


def _attribute(walk: Walk, node: Select | Presence, operand: Node, record: Record, field: str) -> Type:
    declared = record.fields.get(field)
    if declared is not None:
        walk.fields[node] = declared
        return declared.type
    owner = walk.text(operand)
    advice = did_you_mean(field, record.fields) or f"it has {_listed(record)}"
    name = shortened(field)
    label = f"`{owner}` has no attribute `{name}`"
    return walk.report("CL302", f"unknown variable `{owner}.{name}`", node.field_extent, label, advice)


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
        return _wrong_key(walk, node, "an element of a list is named by an int", key)
    if container.name == "map":
        wanted = walk.substitution.resolve(container.parameters[0])
        if walk.substitution.fits([(wanted, key)]) or (is_numeric(wanted) and is_numeric(key)):
            return container.parameters[1]
        return _wrong_key(walk, node, f"the keys of this map are of type {walk.shown(wanted)}", key)
    advice = ""
    if walk.environment.record(container) and isinstance(node.key, Literal):
        advice = f"write `{walk.text(node.operand)}.{node.key.value}`"
    elif container.name == "string":
        advice = "write `.charAt(0)` or `.substring(0, 3)`"
    shown = walk.shown(container)
    return walk.report("CL316", f"a value of type {shown} has no elements", node.extent, f"type {shown}", advice)


def _wrong_key(walk: Walk, node: Index, message: str, key: Type) -> Type:
    shown = walk.shown(key)
    return walk.report("CL316", f"{message}, not by a value of type {shown}", node.key.extent, f"type {shown}")


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
