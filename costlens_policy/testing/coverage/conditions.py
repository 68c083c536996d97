"""Conditions as trees of operands, and which operand decides: modified condition/decision coverage (MC/DC).

An operand is what stands between ``&&``, ``||``, ``!`` and ``?:``; a boolean variable is one operand where it is read,
and its own expression a condition of its own. The criterion is masking MC/DC (FAA, CAST-6; Chilenski, An Investigation
of Three Forms of the MC/DC Criterion, DOT/FAA/AR-01/18): an operand decides in a case where the others leave the
outcome open, so that another value of it would give another outcome. An operand that occurs twice counts twice.

All operands are evaluated, whatever is left of them, so that short-circuits and the order of operands change nothing.
One that fails settles nothing, as with CEL's ``&&`` and ``||``: where the failure is absorbed, the operand that absorbs
it decides. A condition that fails as a whole shows nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from enum import Enum
from typing import TypeAlias

from costlens_policy.checker.checks.subject import Place
from costlens_policy.compiler.formula import Formula
from costlens_policy.expressions import BOOL, Extent, Node
from costlens_policy.expressions.tree import Call, Conditional, Literal, Logic
from costlens_policy.frozen import frozen

__all__ = [
    "Branch", "Condition", "Constant", "Junction", "Leaf", "Negation", "Operand", "Shape", "Truth", "Values",
    "condition_of",
]  # fmt: skip


class Truth(Enum):
    """What an operand or a condition comes to; ``OPEN`` is an operand of which the value is left out."""

    TRUE = "true"
    FALSE = "false"
    ERROR = "error"
    OPEN = "open"

    @property
    def settled(self) -> bool:
        return self is Truth.TRUE or self is Truth.FALSE


Values: TypeAlias = tuple[Truth, ...]
"""The values of a condition's operands, in the order in which they are written."""


@frozen
class Leaf:
    """An operand, by its place among all of the condition."""

    index: int


@frozen
class Constant:
    value: bool


@frozen
class Negation:
    operand: Shape


@frozen
class Junction:
    """``&&`` of its operands, or ``||`` where ``any`` is true."""

    any: bool
    operands: tuple[Shape, ...]


@frozen
class Branch:
    condition: Shape
    accepted: Shape
    rejected: Shape


Shape: TypeAlias = Leaf | Constant | Negation | Junction | Branch


@frozen(eq=False)
class Operand:
    """An operand as it is written, and as a formula of its own."""

    text: str
    extent: Extent
    formula: Formula


@frozen(eq=False)
class Condition:
    """A condition of a rule (``policy/rule``), or the boolean expression of a variable (``policy/variables.name``).

    ``about`` says what of the rule it is: empty for its ``when``. ``place`` is where it is written.
    """

    rule: str
    about: str
    layer: int
    place: Place
    formula: Formula
    shape: Shape
    operands: tuple[Operand, ...]

    @property
    def reads_model(self) -> bool:
        return self.formula.reads("model")

    @property
    def is_variable(self) -> bool:
        return self.place.path[0] == "variables"

    @property
    def variables(self) -> frozenset[str]:
        """The variables that it reads."""
        return frozenset(path[1] for path in self.formula.typed.references if path[0] == "variables" and len(path) > 1)

    def outcome(self, values: Values) -> Truth:
        """Return what the condition comes to."""
        return _outcome(self.shape, values)

    def deciding(self, values: Values) -> Iterator[int]:
        """Yield the operands that decide, by their places: without their values, the others leave the outcome open."""
        if self.outcome(values).settled:
            for index, value in enumerate(values):
                if value.settled and not self.outcome((*values[:index], Truth.OPEN, *values[index + 1 :])).settled:
                    yield index

    def evaluate(self, value_of: Callable[[Operand], Truth]) -> Values:
        return tuple(value_of(operand) for operand in self.operands)


def condition_of(rule: str, about: str, layer: int, place: Place, formula: Formula) -> Condition:
    """Take a condition apart."""
    found: list[Operand] = []
    shape = _shape(formula.typed.root, formula, found)
    return Condition(rule, about, layer, place, formula, shape, tuple(found))


def _shape(node: Node, formula: Formula, found: list[Operand]) -> Shape:
    """Return the shape of a part, adding its operands to those found so far."""
    if isinstance(node, Logic):
        return Junction(node.operator == "||", tuple(_shape(operand, formula, found) for operand in node.operands))
    if isinstance(node, Call) and node.function == "!_":
        return Negation(_shape(node.arguments[0], formula, found))
    if isinstance(node, Conditional):
        parts = (node.condition, node.accepted, node.rejected)
        return Branch(*(_shape(part, formula, found) for part in parts))
    if isinstance(node, Literal) and isinstance(node.value, bool):
        return Constant(node.value)
    typed = formula.typed
    text = " ".join(formula.source[node.extent.start : node.extent.end].split())
    alone = replace(formula, typed=replace(typed, root=node, type=typed.types.get(node, BOOL)), result="bool")
    found.append(Operand(text, node.extent, alone))
    return Leaf(len(found) - 1)


def _outcome(shape: Shape, values: Sequence[Truth]) -> Truth:
    match shape:
        case Leaf(index):
            return values[index]
        case Constant(value):
            return Truth.TRUE if value else Truth.FALSE
        case Negation(operand):
            return _OPPOSITE[_outcome(operand, values)]
        case Junction(any_, operands):
            return _junction([_outcome(operand, values) for operand in operands], Truth.TRUE if any_ else Truth.FALSE)
        case Branch(condition, accepted, rejected):
            return _branch(*(_outcome(part, values) for part in (condition, accepted, rejected)))


_OPPOSITE = {
    Truth.TRUE: Truth.FALSE,
    Truth.FALSE: Truth.TRUE,
    Truth.ERROR: Truth.ERROR,
    Truth.OPEN: Truth.OPEN,
}


def _junction(operands: Sequence[Truth], decides: Truth) -> Truth:
    """One operand is enough to decide; only where none does, an error of another counts."""
    for worst in (decides, Truth.OPEN, Truth.ERROR):
        if worst in operands:
            return worst
    return _OPPOSITE[decides]


def _branch(condition: Truth, accepted: Truth, rejected: Truth) -> Truth:
    """Where a condition is left out, the outcome is open unless both ways come to the same."""
    if condition is Truth.OPEN:
        return accepted if accepted is rejected else Truth.OPEN
    if condition is Truth.ERROR:
        return Truth.ERROR
    return accepted if condition is Truth.TRUE else rejected
