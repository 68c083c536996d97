"""Calls: which overloads fit the types of the arguments."""

from __future__ import annotations

from collections.abc import Sequence

from costlens_policy.expressions.checking.literals import check_declared_values, check_literal_arguments
from costlens_policy.expressions.checking.walk import Walk, as_condition, qualified_name
from costlens_policy.expressions.problems import did_you_mean, shortened
from costlens_policy.expressions.syntax.macros import MACRO_NAMES
from costlens_policy.expressions.tree import Call, Invocation, Literal, Node
from costlens_policy.expressions.types import (
    BOOL,
    DOUBLE,
    DYN,
    INT,
    NULL,
    UNKNOWN,
    Function,
    Overload,
    Type,
    is_numeric,
)

__all__ = ["check_call", "no_overload", "unknown_function"]


def check_call(walk: Walk, node: Call) -> Type:
    function, arguments, member = _callee(walk, node)
    types = [walk.type(argument) for argument in arguments]
    if function is None:
        walk.calls[node] = Invocation(node.function.removeprefix("."), arguments, ())
        return unknown_function(walk, node, types)
    candidates = [item for item in function.overloads if item.member is member]
    exact = function.exact.get((member, tuple(types)))
    fitting, result = ([exact], exact.result) if exact else _fitting(walk, candidates, types)
    if not fitting and _compares_numbers(function.name, types):
        fitting, result = [function.overloads[0]], BOOL
    walk.calls[node] = Invocation(function.name, arguments, tuple(item.id for item in fitting))
    if UNKNOWN in types:
        return result if fitting else UNKNOWN
    if not fitting:
        return no_overload(walk, node, function, candidates, types)
    if walk.strict:
        check_literal_arguments(walk, function.name, fitting[0].id, arguments)
        check_declared_values(walk, function.name, arguments)
    return result


def _callee(walk: Walk, node: Call) -> tuple[Function | None, tuple[Node, ...], bool]:
    """Return the function, all its arguments, and whether it is called as a method.

    ``math.greatest(a)`` looks like a method; a function of the whole name is meant first.
    """
    if node.target is None:
        return walk.scope.function(node.function), node.arguments, False
    namespace = qualified_name(node.target)
    if namespace is not None:
        function = walk.scope.function(f"{namespace}.{node.function}")
        if function is not None:
            return function, node.arguments, False
    return walk.scope.function(node.function), (node.target, *node.arguments), True


def _fitting(walk: Walk, candidates: Sequence[Overload], types: Sequence[Type]) -> tuple[list[Overload], Type]:
    """Return the overloads that fit, and the type that they agree on."""
    fitting: list[Overload] = []
    agreed = UNKNOWN
    for candidate in candidates:
        if len(candidate.parameters) != len(types):
            continue
        parameters, result = walk.substitution.instantiate(candidate)
        if not walk.substitution.fits(zip(parameters, types, strict=True)):
            continue
        result = walk.substitution.resolve(result)
        agreed = result if not fitting or agreed == result else DYN
        fitting.append(candidate)
    return fitting, agreed


def _compares_numbers(function: str, types: Sequence[Type]) -> bool:
    """Numbers of all types are equal or not by their value on one line, so that the check has no reason to object."""
    if function in ("_==_", "_!=_"):
        return all(map(is_numeric, types))
    return function == "@in" and types[1].name == "list" and all(map(is_numeric, (types[0], types[1].parameters[0])))


_MOST_SHOWN = 6


def no_overload(
    walk: Walk, node: Call, function: Function, candidates: Sequence[Overload], types: Sequence[Type]
) -> Type:
    """Report that no overload fits, with the reason that is the likeliest."""
    shown = [walk.shown(found) for found in types]
    if function.name.startswith("_") and len(types) == 2:
        return _operator(walk, node, shown)
    if function.name == "!_":
        return _not(walk, node, shown[0])
    if not candidates:
        return _other_style(walk, node, function)
    if all(len(item.parameters) != len(types) for item in candidates):
        return _number_of_arguments(walk, node, function, candidates)
    given = shown[1:] if node.target is not None and candidates[0].member else shown
    listed = ", ".join(map(str, given))
    message = f"`{_written(function.name)}` does not take ({listed})"
    if candidates[0].member:
        message += f" on a value of type {shown[0]}"
    advice = _membership(walk, node, shown) or _listed(function.name, candidates)
    return walk.report("CL304", message, node.function_extent, "no overload fits", advice)


def _membership(walk: Walk, node: Call, types: Sequence[Type]) -> str:
    """``in`` is for lists and maps, ``contains`` for texts: the one is often written for the other."""
    names = [found.name for found in types]
    if node.function == "@in" and names == ["string", "string"]:
        return f"write `{walk.text(node.arguments[1])}.contains({walk.text(node.arguments[0])})`"
    if node.function == "contains" and names[0] in ("list", "map") and node.target is not None:
        return f"write `{walk.text(node.arguments[0])} in {walk.text(node.target)}`"
    return ""


def _operator(walk: Walk, node: Call, types: Sequence[Type]) -> Type:
    sign = node.function.strip("_")
    left, right = types
    label = f"{left} {sign} {right}"
    if is_numeric(left) and is_numeric(right) and left != right:
        advice = _conversion(walk, node, left, right)
        return walk.report("CL310", f"{left} and {right} do not mix in `{sign}`", node.function_extent, label, advice)
    if sign in ("==", "!="):
        return _comparison(walk, node, left, right, label)
    verb = "order" if sign in ("<", "<=", ">", ">=") else f"apply `{sign}` to"
    advice = _time_conversion(walk, node, left, right)
    if sign == "+" and "string" in (left.name, right.name):
        other = node.arguments[0 if right.name == "string" else 1]
        advice = f"write `string({walk.text(other)})`"
    return walk.report("CL304", f"cannot {verb} {left} and {right}", node.function_extent, label, advice)


def _comparison(walk: Walk, node: Call, left: Type, right: Type, label: str) -> Type:
    sign = node.function.strip("_")
    message = f"cannot compare {left} with {right}"
    advice = ""
    if NULL in (left, right):
        message = f"a value of type {left if right == NULL else right} is never null"
        advice = "ask `has(…)` whether an attribute is present"
    elif left.name == "list" and right.name != "list":
        advice = f"write `{walk.text(node.arguments[1])} in {walk.text(node.arguments[0])}`"
    elif "optional_type" in (left.name, right.name):
        advice = "take the value out with `.orValue(…)`"
    elif conversion := _time_conversion(walk, node, left, right):
        advice = conversion
    elif "string" in (left.name, right.name):
        other = node.arguments[0 if right.name == "string" else 1]
        advice = f"write `string({walk.text(other)}) {sign} …`, or leave out the quotes"
    return walk.report("CL304", message, node.function_extent, label, advice)


def _conversion(walk: Walk, node: Call, left: Type, right: Type) -> str:
    """Say how to make two numbers one type; a literal is best rewritten, everything else is converted."""
    for argument, own, other in zip(node.arguments, (left, right), (right, left), strict=True):
        if isinstance(argument, Literal) and own == INT:
            suffix = ".0" if other == DOUBLE else "u"
            return f"write `{argument.value}{suffix}`"
    wanted = DOUBLE if DOUBLE in (left, right) else INT
    argument = node.arguments[0] if left != wanted else node.arguments[1]
    return f"write `{wanted}({walk.text(argument)})`"


def _time_conversion(walk: Walk, node: Call, left: Type, right: Type) -> str:
    """A text next to a time is meant to be one."""
    names = {left.name, right.name}
    kind = (names & {"timestamp", "duration"}) or {""}
    if names != {"string", *kind}:
        return ""
    argument = node.arguments[0 if left.name == "string" else 1]
    return f"write `{kind.pop()}({walk.text(argument)})`"


def _not(walk: Walk, node: Call, found: Type) -> Type:
    operand = node.arguments[0]
    message = f"`!` turns a condition round, and this is a value of type {found}"
    return walk.report("CL309", message, operand.extent, f"type {found}", as_condition(walk.text(operand), found))


def _other_style(walk: Walk, node: Call, function: Function) -> Type:
    name = _written(function.name)
    if node.target is None:
        advice = f"write `{walk.text(node.arguments[0]) if node.arguments else 'x'}.{name}(…)`"
        return walk.report("CL304", f"`{name}` is a method", node.function_extent, "called as a function", advice)
    advice = f"write `{name}({walk.text(node.target)})`"
    return walk.report("CL304", f"`{name}` is not a method", node.function_extent, "called as a method", advice)


def _number_of_arguments(walk: Walk, node: Call, function: Function, candidates: Sequence[Overload]) -> Type:
    counts = sorted({len(item.parameters) - item.member for item in candidates})
    takes = " or ".join(map(str, counts))
    noun = "argument" if counts == [1] else "arguments"
    given = len(node.arguments)
    message = f"`{_written(function.name)}` takes {takes} {noun}, and {given} {'is' if given == 1 else 'are'} given"
    return walk.report("CL304", message, node.function_extent, "", _listed(function.name, candidates))


def _listed(name: str, candidates: Sequence[Overload]) -> str:
    written = [_signature(name, item) for item in candidates[:_MOST_SHOWN]]
    return "there is " + ", ".join(written) + (" and more" if len(candidates) > _MOST_SHOWN else "")


def _signature(name: str, overload: Overload) -> str:
    texts = [str(item).replace("<", "").replace(">", "") for item in overload.parameters]
    if overload.member:
        return f"`{texts[0]}.{name}({', '.join(texts[1:])})`"
    return f"`{_written(name)}({', '.join(texts)})`"


def _written(name: str) -> str:
    return name.strip("@_") if not name[-1].isalnum() or name.startswith("@") else name


def unknown_function(walk: Walk, node: Call, types: Sequence[Type]) -> Type:
    """Report a function that nobody declared, unless what it is called on is wrong already."""
    names = walk.scope.function_names() | MACRO_NAMES
    name = node.function
    if UNKNOWN in types:
        name = _in_namespace(walk, node, names)
        if not name:
            return UNKNOWN
    else:
        names = {name for name in names if "." not in name}
    advice = did_you_mean(name, {item for item in names if item[0].isalpha()})
    message = f"unknown function `{shortened(name)}`"
    return walk.report("CL303", message, node.function_extent, "no function has this name", advice)


def _in_namespace(walk: Walk, node: Call, names: set[str]) -> str:
    """Where an unknown variable was meant as a namespace, return the function's whole name and report that instead."""
    namespace = qualified_name(node.target) if node.target is not None else None
    if node.target is None or namespace is None:
        return ""
    name = f"{namespace}.{node.function}"
    dotted = {known for known in names if "." in known}
    if not (did_you_mean(name, dotted) or any(known.startswith(f"{namespace}.") for known in dotted)):
        return ""
    walk.problems[:] = [item for item in walk.problems if item.extent != node.target.extent]
    return name
