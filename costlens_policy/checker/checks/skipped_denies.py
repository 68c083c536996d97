"""CL414: a deny that is skipped when its condition fails; and which expressions can fail."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Final

from costlens_policy.checker.checks.subject import Finding, Place, Subject, access_rules
from costlens_policy.checker.reads import budget_reads, nodes_of, variable_reads
from costlens_policy.diagnostics.model import Diagnostic, Related
from costlens_policy.expressions import Extent, Node, TypedExpr
from costlens_policy.expressions.checking.presence import unguarded_reads
from costlens_policy.expressions.functions import functions
from costlens_policy.expressions.tree import Call, Index, Invocation, Literal, Presence, Select
from costlens_policy.expressions.types import DYN, parameter
from costlens_policy.units import base_of

__all__ = ["check_skipped_denies"]

_FOUND: Final = Finding("CL414")

_DIVISIONS: Final = ("_/_", "_%_")

_PARSERS: Final = ("int", "uint", "double", "bool", "timestamp", "duration")

_POSITIONS: Final = ("charAt", "substring", "indexOf", "lastIndexOf")


def check_skipped_denies(subject: Subject) -> Iterator[Diagnostic]:
    """Report deny rules whose condition can fail in a policy with ``on_error: skip``."""
    uncertain = dict(_uncertain_budgets(subject))
    for rule in access_rules(subject):
        if rule.rule.effect == "allow" or rule.policy.document.on_error != "skip":
            continue
        when = rule.place.at("when")
        typed = subject.typed(when)
        failure = _first_failure(typed, subject.variables(rule.policy), uncertain) if typed is not None else None
        if failure is not None:
            extent, why = failure
            yield _FOUND.mistake(
                f"`{rule.name}` lets requests through when its condition fails",
                when.part(extent),
                why,
                "write `on_error: deny`, or a condition that cannot fail",
                [Related(rule.place.document.located.root.span_of(("on_error",)), "a rule that fails is skipped")],
            )


def _uncertain_budgets(subject: Subject) -> Iterator[tuple[str, str]]:
    """Yield the names of budgets that cannot always be read, each with the attribute that this depends on, if any."""
    for policy in subject.bundle.policies:
        variables = subject.variables(policy)
        for index, budget in enumerate(policy.document.budgets):
            scope = subject.typed(Place(policy, ("budgets", index, "scope")))
            needed = ""
            if subject.typed(Place(policy, ("budgets", index, f"hard_limit_{base_of(budget.unit)}"))) is None:
                if scope is None or _first_failure(scope, variables) is None:
                    continue
                needed = scope.source if isinstance(scope.root, Select) else ""
            yield budget.id, needed
            yield f"{policy.name}/{budget.id}", needed


def _first_failure(
    typed: TypedExpr, variables: Mapping[str, TypedExpr], uncertain: Mapping[str, str] = MappingProxyType({})
) -> tuple[Extent, str] | None:
    """Return the first part that can fail, and why; None where nothing can. Variables are followed.

    ``uncertain`` are the names of budgets whose scope or limit can fail, each with the attribute that has to be there
    for it not to, such as ``request.team``, or an empty text.
    """
    found = sorted(_failures(typed, uncertain), key=lambda item: item[0].start)
    if found:
        return found[0]
    for name, extent in variable_reads(typed):
        if name in variables and (inner := _first_failure(variables[name], variables)) is not None:
            return extent, inner[1]
    return None


def _failures(typed: TypedExpr, uncertain: Mapping[str, str]) -> Iterator[tuple[Extent, str]]:
    for problem in unguarded_reads(typed):
        yield problem.extent, "fails where this is missing"
    guarded = {_text(typed, node.operand) + "." + node.field for node in _presences(typed)}
    budgets = dict(budget_reads(typed))
    for name, extent in budgets.items():
        if name in uncertain and uncertain[name] not in guarded:
            yield extent, "fails where the scope or the limit of this budget does"
    for node in nodes_of(typed.root):
        if isinstance(node, Select) and not node.optional:
            operand = typed.types.get(node.operand)
            if operand is not None and operand.name == "dyn" and _text(typed, node) not in guarded:
                yield node.field_extent, "fails where this is missing"
        elif isinstance(node, Index) and not node.optional and node.key.extent not in budgets.values():
            operand = typed.types.get(node.operand)
            if operand is None or operand.name != "map":  # whose keys are looked at above
                yield node.extent, "fails where there is no such element"
        elif isinstance(node, Call) and (why := _call(typed, node)):
            yield node.extent, why


def _call(typed: TypedExpr, node: Call) -> str:
    literals = [isinstance(argument, Literal) for argument in node.arguments]
    if node.function in _DIVISIONS and not _is_nonzero(node.arguments[1]):
        return "fails when it divides by zero"
    if node.function in _PARSERS and not all(literals) and _takes_text(typed, node):
        return "fails for a string that cannot be parsed"
    if node.function == "matches" and not (literals and literals[-1]):
        return "fails for a pattern that is not RE2"
    if node.function in _POSITIONS:
        return "fails beyond the end of the string"
    invocation = typed.calls.get(node)
    if invocation is not None and len(invocation.overloads) > 1 and not _takes_anything(invocation):
        return "fails for values of another type"
    return ""


def _takes_anything(invocation: Invocation) -> bool:
    """Return whether a function has an overload for any values, as equality has."""
    row = functions().get(invocation.function)
    overloads = row.overloads if row is not None else ()
    return any(set(item.parameters) in ({DYN}, {parameter("A")}) for item in overloads)


def _takes_text(typed: TypedExpr, node: Call) -> bool:
    found = typed.types.get(node.arguments[0]) if node.arguments else None
    return found is None or found.name in ("string", "dyn")


def _is_nonzero(node: Node) -> bool:
    return isinstance(node, Literal) and isinstance(node.value, int | float) and node.value != 0


def _presences(typed: TypedExpr) -> Iterator[Presence]:
    return (node for node in nodes_of(typed.root) if isinstance(node, Presence))


def _text(typed: TypedExpr, node: Node) -> str:
    return typed.source[node.extent.start : node.extent.end]
