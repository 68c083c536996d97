"""Calls: which overloads fit the types of the arguments."""

from __future__ import annotations

from collections.abc import Sequence

from costlens_policy.expressions.checking.declared_values import check_declared_values
from costlens_policy.expressions.checking.literal_arguments import check_literal_arguments
from costlens_policy.expressions.checking.mismatches import no_overload, unknown_function
from costlens_policy.expressions.checking.names import qualified_name
from costlens_policy.expressions.checking.walk import Walk
from costlens_policy.expressions.tree import Call, Node
from costlens_policy.expressions.typed import Invocation
from costlens_policy.expressions.types import BOOL, DYN, UNKNOWN, Function, Overload, Type, is_numeric

__all__ = ["check_call"]


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
        check_literal_arguments(walk, fitting[0].id, arguments)
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
