"""Conditions as ranges of one number: what each asks of it, beside conditions that they share."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from operator import eq, ge, gt, le, lt, ne
from typing import Final

from costlens_policy.assurance.domain.formulas import Every, Goal, Holds
from costlens_policy.assurance.domain.trees import Atom, Branch, Constant, Junction, Negation, Read, Tree
from costlens_policy.assurance.subject import Rule
from costlens_policy.expressions.tree import Call, Literal, Node
from costlens_policy.frozen import frozen

__all__ = ["Range", "numbers_of", "range_of"]

_TESTS: Final[Mapping[str, Callable[[float, float], bool]]] = {
    "_<_": lt, "_<=_": le, "_>_": gt, "_>=_": ge, "_==_": eq, "_!=_": ne,
}  # fmt: skip
_MIRRORED: Final = {"_<_": "_>_", "_<=_": "_>=_", "_>_": "_<_", "_>=_": "_<=_"}
_ATTRIBUTE: Final = re.compile(r"request\.\??(\w+(?:\.\??\w+)*?)(?:\.orValue\([^()]*\))?")
_CYCLES: Final = {"getHours": 24, "getDayOfWeek": 7, "getMonth": 12, "getMinutes": 60, "getSeconds": 60}


@frozen
class _Comparison:
    """A number, in the words of the expression, compared with one that is written out."""

    number: str
    is_whole: bool
    test: str
    bound: float


@frozen
class Range:
    """The values of a number for which a rule holds, where all the ``shared`` conditions do."""

    rule: Rule
    number: str
    is_whole: bool
    ranges: tuple[Tree, ...]
    shared: Mapping[str, Tree]

    @property
    def name(self) -> str:
        """The number as people call it, such as ``prompt_tokens``."""
        attribute = _ATTRIBUTE.fullmatch(self.number)
        return attribute[1].replace("?", "") if attribute else self.number

    @property
    def read(self) -> Read | None:
        """The place of the request that the number is, None where it is worked out."""
        attribute = _ATTRIBUTE.fullmatch(self.number)
        return ("request", *self.name.split(".")) if attribute else None

    @property
    def bounds(self) -> frozenset[float]:
        return frozenset(found.bound for tree in self.ranges for found in _comparisons(tree))

    @property
    def is_listed(self) -> bool:
        """Whether the values are named one by one, by ``==`` alone."""
        return all(found.test == "_==_" for tree in self.ranges for found in _comparisons(tree))

    @property
    def cycle(self) -> int | None:
        """After how many values the number starts over, such as 24 for hours."""
        return next((size for name, size in _CYCLES.items() if f".{name}(" in self.number), None)

    def has(self, value: float) -> bool:
        """Say whether the rule holds for a value, where it holds for any. Those of a cycle start over."""
        value = value % self.cycle if self.cycle else value
        return all(_holds(tree, value) for tree in self.ranges)

    def where_shared(self) -> Goal:
        """Return the goal that all shared conditions are true."""
        return Every([Holds(tree) for tree in self.shared.values()])


def numbers_of(rule: Rule) -> frozenset[str]:
    """Return the numbers that the condition of a rule compares, in its words."""
    tree = rule.goal.tree if isinstance(rule.goal, Holds) else Constant(True)
    return frozenset(found.number for found in _comparisons(tree))


def range_of(rule: Rule, number: str) -> Range | None:
    """Return the values of a number for which a rule holds; None where it asks something else of it."""
    tree = rule.goal.tree if isinstance(rule.goal, Holds) else Constant(True)
    ranges: list[Tree] = []
    shared: dict[str, Tree] = {}
    is_whole = True
    for part in _conjuncts(tree):
        compared = list(_comparisons(part))
        if any(found.number == number for found in compared):
            if not all(isinstance(atom, Atom) and _is_of(atom, number) for atom in _atoms(part)):
                return None
            ranges.append(part)
            is_whole = is_whole and all(found.is_whole for found in compared)
        elif number in (text := _text(part)):
            return None
        else:
            shared[text] = part
    return Range(rule, number, is_whole, tuple(ranges), shared)


def _conjuncts(tree: Tree) -> Iterator[Tree]:
    if isinstance(tree, Junction) and not tree.any:
        for operand in tree.operands:
            yield from _conjuncts(operand)
    elif not (isinstance(tree, Constant) and tree.value):
        yield tree


def _atoms(tree: Tree) -> Iterator[Atom | Constant]:
    match tree:
        case Atom() | Constant():
            yield tree
        case Negation(operand):
            yield from _atoms(operand)
        case Junction(_, operands):
            for operand in operands:
                yield from _atoms(operand)
        case Branch(condition, accepted, rejected):
            for inner in (condition, accepted, rejected):
                yield from _atoms(inner)


def _comparisons(tree: Tree) -> Iterator[_Comparison]:
    for atom in _atoms(tree):
        if isinstance(atom, Atom) and (found := _comparison(atom)) is not None:
            yield found


def _is_of(atom: Atom, number: str) -> bool:
    found = _comparison(atom)
    return found is not None and found.number == number


def _comparison(atom: Atom) -> _Comparison | None:
    root, typed = atom.formula.typed.root, atom.formula.typed
    if not isinstance(root, Call) or root.function not in _TESTS:
        return None
    for at, test in ((1, root.function), (0, _MIRRORED.get(root.function, root.function))):
        bound, other = _number(root.arguments[at]), root.arguments[1 - at]
        if bound is not None and _number(other) is None:
            words = atom.formula.source[other.extent.start : other.extent.end]
            kind = typed.types.get(other)
            is_whole = kind.name in ("int", "uint") if kind is not None and kind.name != "dyn" else bound == int(bound)
            return _Comparison(words, is_whole, test, bound)
    return None


def _number(node: Node) -> float | None:
    if isinstance(node, Call) and node.function == "-_":
        inner = _number(node.arguments[0])
        return None if inner is None else -inner
    if isinstance(node, Literal) and isinstance(node.value, int | float) and not isinstance(node.value, bool):
        return node.value
    return None


def _holds(tree: Tree, value: float) -> bool:
    match tree:
        case Constant(truth):
            return truth
        case Negation(operand):
            return not _holds(operand, value)
        case Junction(any_, operands):
            return (any if any_ else all)(_holds(operand, value) for operand in operands)
        case Branch(condition, accepted, rejected):
            return _holds(accepted if _holds(condition, value) else rejected, value)
        case Atom():
            found = _comparison(tree)
            return found is not None and _TESTS[found.test](value, found.bound)


def _text(tree: Tree) -> str:
    """Return a condition in words that equal conditions have, with variables read through."""
    match tree:
        case Constant(truth):
            return str(truth)
        case Negation(operand):
            return f"!({_text(operand)})"
        case Junction(any_, operands):
            return "(" + (" || " if any_ else " && ").join(map(_text, operands)) + ")"
        case Branch(condition, accepted, rejected):
            return f"({_text(condition)} ? {_text(accepted)} : {_text(rejected)})"
        case Atom():
            extent = tree.formula.typed.root.extent
            return tree.formula.source[extent.start : extent.end]
