"""CL479: a part of an expression that says again what another part says."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations
from typing import Final

from costlens_policy.assurance.subject import Subject
from costlens_policy.checker.checks.subject import Finding, Place
from costlens_policy.checker.reads import nodes_of
from costlens_policy.diagnostics.model import Diagnostic, Span
from costlens_policy.expressions import TypedExpr
from costlens_policy.expressions.tree import Call, Conditional, ListLiteral, Literal, Logic, Node
from costlens_policy.frozen import frozen

__all__ = ["find_repeated_parts"]

_FOUND: Final = Finding("CL479")
_UPWARD: Final = {"_>_": True, "_>=_": True, "_<_": False, "_<=_": False}
_MIRRORED: Final = {"_>_": "_<_", "_>=_": "_<=_", "_<_": "_>_", "_<=_": "_>=_"}


@frozen
class _Test:
    """A comparison of something, in its words, with a value that is written out."""

    node: Node
    of: str
    function: str
    value: object


def find_repeated_parts(subject: Subject) -> Iterator[Diagnostic]:
    """Warn of operands, elements of lists, outcomes and declared values that are there twice, or covered by another."""
    for document in subject.documents.documents():
        for path, typed in subject.bundle.expressions[document].items():
            for node in nodes_of(typed.root):
                for again, message in _repeated(typed, node):
                    yield _report(message, Place(document, path).part(again.extent))
    declared = subject.bundle.linked.policy_set
    for name, attribute in declared.document.attributes.items():
        for at, value in enumerate(attribute.values):
            if value in attribute.values[:at]:
                place = Place(declared, ("attributes", name, "values", at))
                yield _report(f"`{value}` is declared twice for `{name}`", place.span)


def _report(message: str, span: Span) -> Diagnostic:
    return _FOUND.warning(message, span, "changes nothing", "remove it, or write what was meant", proved=True)


def _repeated(typed: TypedExpr, node: Node) -> Iterator[tuple[Node, str]]:
    match node:
        case Conditional(accepted=accepted, rejected=rejected):
            if _words(typed, accepted) == _words(typed, rejected):
                yield rejected, f"both outcomes are `{_words(typed, accepted)}`"
        case ListLiteral(elements=elements):
            yield from _twice(typed, elements, "is in the list twice")
        case Logic(operands=operands):
            yield from _twice(typed, operands, "is asked twice")
            yield from _covered(typed, node)


def _twice(typed: TypedExpr, nodes: tuple[Node, ...], what: str) -> Iterator[tuple[Node, str]]:
    seen: set[str] = set()
    for node in nodes:
        words = _words(typed, node)
        if words in seen:
            yield node, f"`{words}` {what}"
        seen.add(words)


def _covered(typed: TypedExpr, node: Logic) -> Iterator[tuple[Node, str]]:
    """Yield what holds whenever another operand of ``||`` does not need it, or another one of ``&&`` implies it."""
    tests = [test for operand in node.operands if (test := _test(typed, operand)) is not None]
    for one, other in combinations(tests, 2):
        if one.of != other.of or _words(typed, one.node) == _words(typed, other.node):
            continue
        if _implies(one, other) or _implies(other, one):
            narrow, wide = (one, other) if _implies(one, other) else (other, one)
            idle, beside = (wide, narrow) if node.operator == "&&" else (narrow, wide)
            yield idle.node, f"`{_words(typed, idle.node)}` changes nothing beside `{_words(typed, beside.node)}`"


def _test(typed: TypedExpr, node: Node) -> _Test | None:
    if not isinstance(node, Call) or len(node.arguments) != 2 or node.target is not None:
        return None
    left, right = node.arguments
    if isinstance(right, Literal) and not isinstance(left, Literal):
        return _Test(node, _words(typed, left), node.function, right.value)
    if isinstance(left, Literal) and not isinstance(right, Literal):
        return _Test(node, _words(typed, right), _MIRRORED.get(node.function, node.function), left.value)
    return None


def _implies(one: _Test, other: _Test) -> bool:
    """Say whether one test holds only where the other one does."""
    if one.function == "_==_" and other.function == "_!=_":
        return type(one.value) is type(other.value) and one.value != other.value and other.value != ""
    if not (isinstance(one.value, int | float) and isinstance(other.value, int | float)):
        return False
    upward = _UPWARD.get(one.function)
    if upward is None or upward is not _UPWARD.get(other.function):
        return False
    if one.value == other.value:
        return one.function in ("_>_", "_<_")
    return one.value > other.value if upward else one.value < other.value


def _words(typed: TypedExpr, node: Node) -> str:
    return typed.source[node.extent.start : node.extent.end]
