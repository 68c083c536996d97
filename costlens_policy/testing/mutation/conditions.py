"""The mutants of one expression: small changes of its text, each of which could be a slip of its author.

Taken are those of classic mutation testing (R. A. DeMillo, R. J. Lipton, F. G. Sayward: Hints on Test Data Selection,
1978; A. J. Offutt and others: An Experimental Determination of Sufficient Mutant Operators, 1996): relational
operators, connectives, operands left out, negations, and bounds moved by one unit of their last digit.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal, InvalidOperation
from itertools import pairwise
from typing import Final

from costlens_policy.expressions import BOOL, DOUBLE, INT, UINT, Node, TypedExpr
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
    OptionalMap,
    Presence,
    Select,
)
from costlens_policy.frozen import frozen
from costlens_policy.testing.mutation.mutant import Edit, MutantKind

__all__ = ["ExpressionMutant", "moved", "mutants_of_expression"]

_FLIPPED: Final = {"_==_": "!=", "_!=_": "==", "_<_": ">=", "_<=_": ">", "_>_": "<=", "_>=_": "<"}
_BOUNDARY: Final = {"_<_": "<=", "_<=_": "<", "_>_": ">=", "_>=_": ">"}
_AWAY: Final = {"_<_": -1, "_<=_": 1, "_>_": 1, "_>=_": -1}
"""Where a bound on the right is moved: to the side that the other mutant of the boundary does not reach."""
_ARITHMETIC: Final = {"_+_": "-", "_-_": "+", "_*_": "/", "_/_": "*"}
_NUMBERS: Final = (INT, DOUBLE, UINT)
_DEFAULTS: Final = frozenset({"orValue", "or"})


@frozen
class ExpressionMutant:
    """One change of an expression; the places of ``edits`` are characters of its text."""

    kind: MutantKind
    what: str
    edits: tuple[Edit, ...]


def mutants_of_expression(typed: TypedExpr) -> Iterator[ExpressionMutant]:
    """Yield the mutants of an expression, in the order of its parts. Some may not be valid: the types decide."""
    root, writer = typed.root, _Writer(typed)
    if isinstance(root, Logic):
        yield writer.wrapped(root, "the whole condition is negated")
    yield from writer.of(root, truth=typed.type == BOOL)


def moved(number: str, steps: int) -> str | None:
    """Return a number as written, moved by units of its last digit; None where it cannot be read."""
    try:
        value = Decimal(number.replace("_", "").rstrip("uU"))
    except InvalidOperation:
        return None
    sign, digits, exponent = value.as_tuple()
    if not isinstance(exponent, int) or "e" in number.lower():
        return None
    whole = int("".join(map(str, digits))) * (-1 if sign else 1) + steps
    found = f"{Decimal(whole).scaleb(exponent):f}"
    return found + "u" if number[-1] in "uU" else found


class _Writer:
    def __init__(self, typed: TypedExpr) -> None:
        self._typed = typed
        self._text = typed.source

    def of(self, node: Node, *, truth: bool = False, negated: bool = False) -> Iterator[ExpressionMutant]:
        """Yield the mutants of a part. ``truth``: it stands where a condition does; ``negated``: right after ``!``."""
        match node:
            case Logic():
                yield from self._logic(node)
            case Call():
                yield from self._call(node, truth=truth, negated=negated)
            case Conditional():
                yield from self._conditional(node, truth=truth)
            case Comprehension():
                yield from self._comprehension(node, truth=truth and not negated)
            case ListLiteral():
                yield from self._list(node)
            case Literal():
                yield from self._literal(node)
            case Bind():
                yield from self.of(node.value)
                yield from self.of(node.body, truth=truth)
            case OptionalMap():
                yield from self.of(node.operand)
                yield from self.of(node.transform)
            case MapLiteral():
                for entry in node.entries:
                    yield from self.of(entry.value)
            case Presence() | Select() | Index() | Name() if truth and not negated:
                yield self.wrapped(node, f"`{self._shown(node)}` is negated")
            case _:
                return

    def wrapped(self, node: Node, what: str) -> ExpressionMutant:
        """Return the mutant that negates a part."""
        start, end = node.extent.start, node.extent.end
        if isinstance(node, Logic | Conditional) or (isinstance(node, Call) and node.function in (*_FLIPPED, "@in")):
            return ExpressionMutant(MutantKind.NEGATION, what, (Edit(start, start, "!("), Edit(end, end, ")")))
        return ExpressionMutant(MutantKind.NEGATION, what, (Edit(start, start, "!"),))

    def _logic(self, node: Logic) -> Iterator[ExpressionMutant]:
        regions = [self._region(operand, node) for operand in node.operands]
        other = "||" if node.operator == "&&" else "&&"
        signs = [self._text.index(node.operator, one[1]) for one, _ in pairwise(regions)]
        yield ExpressionMutant(
            MutantKind.JUNCTION,
            f"`{node.operator}` becomes `{other}`",
            tuple(Edit(at, at + 2, other) for at in signs),
        )
        for at, operand in enumerate(node.operands):
            edit = Edit(regions[at - 1][1], regions[at][1], "") if at else Edit(regions[0][0], regions[1][0], "")
            yield ExpressionMutant(MutantKind.OPERAND, f"`{self._shown(operand)}` is dropped", (edit,))
        for operand in node.operands:
            yield from self.of(operand, truth=True)

    def _call(self, node: Call, *, truth: bool, negated: bool) -> Iterator[ExpressionMutant]:
        if node.function == "!_":
            sign = node.function_extent
            yield ExpressionMutant(MutantKind.NEGATION, "`!` is dropped", (Edit(sign.start, sign.end, ""),))
            yield from self.of(node.arguments[0], truth=True, negated=True)
            return
        if node.function in _FLIPPED:
            yield from self._comparison(node, negated=negated)
        elif truth and not negated:
            yield self.wrapped(node, f"`{self._shown(node)}` is negated")
        elif node.function in _ARITHMETIC and self._typed.types.get(node) in _NUMBERS:
            sign, other = node.function_extent, _ARITHMETIC[node.function]
            what = f"`{self._text[sign.start : sign.end]}` becomes `{other}`"
            yield ExpressionMutant(MutantKind.LITERAL, what, (Edit(sign.start, sign.end, other),))
        for inner in (*([node.target] if node.target is not None else []), *node.arguments):
            compared = node.function in _FLIPPED and _is_number(inner)
            if not compared and not (node.function in _DEFAULTS and isinstance(inner, Literal) and _is_number(inner)):
                yield from self.of(inner)

    def _comparison(self, node: Call, *, negated: bool) -> Iterator[ExpressionMutant]:
        sign = node.function_extent
        written = self._text[sign.start : sign.end]
        if not negated:
            flipped = _FLIPPED[node.function]
            what = f"`{written}` becomes `{flipped}`"
            yield ExpressionMutant(MutantKind.COMPARISON, what, (Edit(sign.start, sign.end, flipped),))
        if node.function not in _BOUNDARY:
            return
        other = _BOUNDARY[node.function]
        what = f"`{written}` becomes `{other}`"
        yield ExpressionMutant(MutantKind.BOUNDARY, what, (Edit(sign.start, sign.end, other),))
        for at, inner in enumerate(node.arguments):
            if _is_number(inner):
                away = _AWAY[node.function] if at else -_AWAY[node.function]
                yield from self._number(inner, MutantKind.BOUNDARY, (away,))

    def _conditional(self, node: Conditional, *, truth: bool) -> Iterator[ExpressionMutant]:
        start, end = node.extent.start, node.extent.end
        for branch in (node.accepted, node.rejected):
            low, high = self._region(branch, node)
            what = f"always `{self._shown(branch)}`"
            yield ExpressionMutant(MutantKind.BRANCH, what, (Edit(start, low, ""), Edit(high, end, "")))
        if isinstance(node.condition, Logic):
            yield self.wrapped(node.condition, f"`{self._shown(node.condition)}` is negated")
        yield from self.of(node.condition, truth=True)
        yield from self.of(node.accepted, truth=truth)
        yield from self.of(node.rejected, truth=truth)

    def _comprehension(self, node: Comprehension, *, truth: bool) -> Iterator[ExpressionMutant]:
        other = {Macro.EXISTS: "all", Macro.ALL: "exists"}.get(node.macro)
        if other is not None:
            edit = Edit(node.macro_extent.start, node.macro_extent.end, other)
            yield ExpressionMutant(MutantKind.JUNCTION, f"`{node.macro}` becomes `{other}`", (edit,))
        if truth:
            yield self.wrapped(node, f"`{self._shown(node)}` is negated")
        yield from self.of(node.range)
        if node.predicate is not None:
            yield from self.of(node.predicate, truth=True)
        if node.transform is not None:
            yield from self.of(node.transform)

    def _list(self, node: ListLiteral) -> Iterator[ExpressionMutant]:
        regions = [self._region(element, node) for element in node.elements]
        for at, element in enumerate(node.elements):
            if len(regions) > 1:
                edit = Edit(regions[at - 1][1], regions[at][1], "") if at else Edit(regions[0][0], regions[1][0], "")
                what = f"`{self._shown(element)}` is dropped from the list"
                yield ExpressionMutant(MutantKind.OPERAND, what, (edit,))
        for element in node.elements:
            if not isinstance(element, Literal):
                yield from self.of(element)

    def _literal(self, node: Literal) -> Iterator[ExpressionMutant]:
        if node.named:
            return
        if isinstance(node.value, bool):
            other = "false" if node.value else "true"
            edit = Edit(node.extent.start, node.extent.end, other)
            yield ExpressionMutant(MutantKind.LITERAL, f"`{self._shown(node)}` becomes `{other}`", (edit,))
        elif _is_number(node):
            yield from self._number(node, MutantKind.LITERAL, (1, -1))

    def _number(self, node: Node, kind: MutantKind, steps: Sequence[int]) -> Iterator[ExpressionMutant]:
        start, end = node.extent.start, node.extent.end
        written = self._text[start:end]
        for step in steps:
            other = moved(written, step)
            if other is not None:
                yield ExpressionMutant(kind, f"`{written}` becomes `{other}`", (Edit(start, end, other),))

    def _region(self, inner: Node, outer: Node) -> tuple[int, int]:
        """Return where a part is written, with the parentheses around it, which belong to no node."""
        start, end = inner.extent.start, inner.extent.end
        while True:
            left = len(self._text[outer.extent.start : start].rstrip()) + outer.extent.start - 1
            right = end + len(self._text[end : outer.extent.end]) - len(self._text[end : outer.extent.end].lstrip())
            if left < outer.extent.start or right >= outer.extent.end:
                return start, end
            if self._text[left] != "(" or self._text[right] != ")":
                return start, end
            start, end = left, right + 1

    def _shown(self, node: Node) -> str:
        text = " ".join(self._text[node.extent.start : node.extent.end].split())
        return text if len(text) <= 60 else f"{text[:57]}…"


def _is_number(node: Node) -> bool:
    return isinstance(node, Literal) and not node.named and type(node.value) in (int, float)
