"""Where documents have expressions, and what these read: nodes, variables, budgets, and what may be missing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from functools import cache
from typing import Any, Final, get_args

from costlens_policy.checker.attributes import ASKED_MODEL, SIGNALS
from costlens_policy.checker.bundle import passes_on
from costlens_policy.documents.document import IsExpression, Section
from costlens_policy.documents.policy import PolicyDocument
from costlens_policy.expressions import Extent, Node, Problem, TypedExpr
from costlens_policy.expressions.checking.presence import (
    Implied,
    Paths,
    present_when_false,
    present_when_true,
    unguarded_reads,
)
from costlens_policy.expressions.tree import Index, Literal, MapEntry, Name, Presence, Select
from costlens_policy.frozen import frozen
from costlens_policy.source.located import Path

__all__ = [
    "MAY_BE_MISSING", "ExpressionField", "assured_by_access", "assured_by_routes", "budget_reads", "expressions_of",
    "implied_by_variables", "marks_of", "missing_reads", "nodes_of", "request_reads", "signal_reads", "variable_reads",
]  # fmt: skip


@frozen
class ExpressionField:
    """``text`` is the expression; ``rule`` has the roots that it can read and the type that it must have."""

    path: Path
    text: str
    rule: IsExpression


def expressions_of(section: Section, path: Path = ()) -> Iterator[ExpressionField]:
    """Yield every expression below a section, in the order of its fields."""
    rules = marks_of(type(section))
    for name, field in type(section).model_fields.items():
        value = getattr(section, name)
        if value is not None:
            yield from _inside(value, (*path, field.alias or name), rules[name])


def _inside(value: Any, path: Path, rule: IsExpression | None) -> Iterator[ExpressionField]:
    if isinstance(value, Section):
        yield from expressions_of(value, path)
    elif isinstance(value, str):
        if rule is not None:
            yield ExpressionField(path, value, rule)
    elif isinstance(value, tuple):
        for index, item in enumerate(value):
            yield from _inside(item, (*path, index), rule)
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _inside(item, (*path, key), rule)


@cache
def marks_of(section: type[Section]) -> Mapping[str, IsExpression | None]:
    """Return the mark of each field that has one, however deep in its annotation."""
    return {
        name: next(_marks((field.annotation, *field.metadata)), None) for name, field in section.model_fields.items()
    }


def _marks(parts: Any) -> Iterator[IsExpression]:
    for part in parts:
        if isinstance(part, IsExpression):
            yield part
        else:
            yield from _marks(getattr(part, "__metadata__", ()))
            yield from _marks(get_args(part))


MAY_BE_MISSING: Final = "CL314"
_COMPARING: Final = ("among", "minimize", "maximize")
_CANDIDATE: Final = ("model", "estimate")


_BY_THE_ENGINE: Final[Implied] = {("request", ASKED_MODEL): frozenset({("request", "model")})}
"""What the engine adds to a request, and the attribute from which it comes."""


def implied_by_variables(expressions: Mapping[Path, TypedExpr]) -> Implied:
    """Return what is present whenever a variable of a document is true, or an attribute of the engine is there."""
    implied: dict[tuple[str, ...], Paths] = dict(_BY_THE_ENGINE)
    for path, typed in expressions.items():
        if path[0] == "variables":
            implied["variables", str(path[1])] = present_when_true(typed, implied)
    return implied


def assured_by_access(policy: PolicyDocument, expressions: Mapping[Path, TypedExpr], implied: Implied) -> Paths:
    """Return what every request has that the access rules of a policy let through.

    Where nothing passes that fails, the condition of each deny has been false. What such a condition says by a variable
    is left out: another policy may mean something else by the name.
    """
    if policy.on_error != "deny":
        return frozenset()
    denies = (("access", index, "when") for index, rule in enumerate(policy.access) if rule.effect == "deny")
    asked = (
        expressions[path] for path in denies if path in expressions and not _reads_root(expressions[path], "model")
    )
    paths = frozenset[tuple[str, ...]]().union(*(present_when_false(typed, implied) for typed in asked))
    return _outside(paths)


def assured_by_routes(
    policy: PolicyDocument, expressions: Mapping[Path, TypedExpr], implied: Implied
) -> Sequence[Paths]:
    """Return what a request has that comes to each route of a policy, and last of all what it has that none keeps."""
    found: list[Paths] = [frozenset()]
    for index, route in enumerate(policy.routes):
        when = expressions.get(("routes", index, "when"))
        keeps = policy.on_error == "deny" and not passes_on(route)
        more = _outside(present_when_false(when, implied)) if when is not None and keeps else frozenset()
        found.append(found[-1] | more)
    return found


def _outside(paths: Paths) -> Paths:
    """Return the paths that mean the same in every policy."""
    return frozenset(path for path in paths if not any("variables" in step for step in path))


def _reads_root(typed: TypedExpr, root: str) -> bool:
    return any(path[0] == root for path in typed.references)


def missing_reads(
    path: Path, typed: TypedExpr, expressions: Mapping[Path, TypedExpr], implied: Implied, assured: Paths
) -> list[Problem]:
    """Return a warning for each optional attribute that may be missing where an expression of a document is evaluated.

    The condition of its rule holds by then, and what access rules and earlier routes have ``assured`` is there. Where
    models are compared, one that lacks a fact is just excluded.
    """
    present: Paths = assured if _relies_on_access(path, expressions) else frozenset()
    for guard in ((*path[:2], "when"), (*path[:-1], "among")):
        if guard != path and guard in expressions:
            present |= present_when_true(expressions[guard], implied)
    lenient = _CANDIDATE if path[-1] in _COMPARING else ()
    return unguarded_reads(typed, present, implied, lenient)


def _relies_on_access(path: Path, expressions: Mapping[Path, TypedExpr]) -> bool:
    """Return whether an expression matters only for requests that access has let through.

    All do, except conditions of access about the request: where they fail, a refusal lists it. Those about models are
    evaluated for candidates.
    """
    if path[0] != "access" or path[-1] == "only" or (*path[:2], "only") in expressions:
        return True
    return _reads_root(expressions[(*path[:2], "when")], "model")


_NODES: Final[tuple[Any, ...]] = (*get_args(Node), MapEntry)


def nodes_of(node: Any) -> Iterator[Node]:
    """Yield a node and everything below it, parents first. The parser limits the depth."""
    if type(node) is tuple:
        for item in node:
            yield from nodes_of(item)
    elif type(node) in _NODES:
        if type(node) is not MapEntry:
            yield node
        for field in fields(node):
            yield from nodes_of(getattr(node, field.name))


def variable_reads(typed: TypedExpr) -> Iterator[tuple[str, Extent]]:
    """Yield each read of ``variables.name``: the name and its place."""
    for node in nodes_of(typed.root):
        if isinstance(node, Select | Presence) and _is_root(typed, node.operand, "variables"):
            yield node.field, node.field_extent


def signal_reads(typed: TypedExpr) -> Iterator[tuple[str, Extent]]:
    """Yield each read of ``signals.name``: the name and its place. It is empty where ``signals`` is read as a whole."""
    named: set[Node] = set()
    for node in nodes_of(typed.root):
        if isinstance(node, Select | Presence | Index) and _is_signals(typed, node.operand):
            if not isinstance(node, Index):
                named.add(node.operand)
                yield node.field, node.field_extent
            elif isinstance(node.key, Literal) and isinstance(node.key.value, str):
                named.add(node.operand)
                yield node.key.value, node.key.extent
        elif _is_signals(typed, node) and node not in named:
            yield "", node.extent


def request_reads(typed: TypedExpr) -> Iterator[str]:
    """Yield the names of the attributes that are read, and an empty text where ``request`` is read as a whole."""
    named: set[Node] = set()
    for node in nodes_of(typed.root):
        if isinstance(node, Select | Presence) and _is_root(typed, node.operand, "request"):
            named.add(node.operand)
            yield node.field
        elif node not in named and _is_root(typed, node, "request"):
            yield ""


def _is_signals(typed: TypedExpr, node: Node) -> bool:
    return isinstance(node, Select) and node.field == SIGNALS and _is_root(typed, node.operand, "request")


def budget_reads(typed: TypedExpr) -> Iterator[tuple[str, Extent]]:
    """Yield each read of ``budgets["id"]`` with a literal id: the id and its place."""
    for node in nodes_of(typed.root):
        if isinstance(node, Index) and _is_root(typed, node.operand, "budgets"):
            if isinstance(node.key, Literal) and isinstance(node.key.value, str):
                yield node.key.value, node.key.extent
        elif isinstance(node, Select | Presence) and _is_root(typed, node.operand, "budgets"):
            yield node.field, node.field_extent


def _is_root(typed: TypedExpr, node: Node, root: str) -> bool:
    if not isinstance(node, Name):
        return False
    resolution = typed.resolutions.get(node)
    return resolution is not None and resolution.name == root and resolution.kind == "variable"
