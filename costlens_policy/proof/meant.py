"""Which requests an invariant is about, where that depends on what they cost.

What a call costs is one number, of which a condition tells few ranges apart: in each it asks nothing of it any more.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from fractions import Fraction
from itertools import pairwise
from math import isfinite
from operator import eq, ge, gt, le, lt, ne
from typing import Final, NamedTuple

from costlens_policy.assurance import Subject
from costlens_policy.assurance.domain import atoms_of
from costlens_policy.assurance.domain.trees import Atom
from costlens_policy.compiler.formula import Formula
from costlens_policy.expressions.tree import Call, Literal, Name, Node, Select
from costlens_policy.proof.exclusions import Priced
from costlens_policy.proof.outcomes import ANYTHING, Outcomes, exactly, outcomes, settled

__all__ = ["meant"]

_ESTIMATE: Final = ("estimate",)
_TESTS: Final[Mapping[str, Callable[[float, float], bool]]] = {
    "_<_": lt, "_<=_": le, "_>_": gt, "_>=_": ge, "_==_": eq, "_!=_": ne,
}  # fmt: skip
_CAREFUL: Final = Fraction(1_000_000_001, 1_000_000_000)
"""What covers that costs are rounded to doubles."""


def meant(subject: Subject, when: Formula | None, layer: int) -> Iterator[Priced]:
    """Yield the requests for which a condition holds, by ranges of what they cost on the model that is asked first."""
    if when is None or not when.reads("estimate"):
        yield Priced(subject.condition(when, layer))
        return
    goal = subject.condition(when, layer)
    bounds = {compared.bound for atom in atoms_of(goal) if (compared := _compared(atom)) is not None}
    tree = subject.domain.tree(when, layer)
    for example, most in _ranges(bounds):
        yield Priced(outcomes(tree, lambda atom, cost=example: _at(atom, cost)).true, most)  # type: ignore[misc]


def _ranges(bounds: set[float]) -> Iterator[tuple[float, Fraction | None]]:
    """Yield a cost of each range that bounds make, and the highest."""
    known = sorted({0.0, *(bound for bound in bounds if bound > 0 and isfinite(bound))})
    yield from ((bound, _CAREFUL * Fraction(bound)) for bound in known)
    yield from (((low + high) / 2, _CAREFUL * Fraction(high)) for low, high in pairwise(known))
    yield known[-1] * 2 + 1, None


def _at(atom: Atom, cost: float) -> Outcomes:
    """Return what an atom may come to for calls of one cost."""
    if _ESTIMATE not in atom.reads:
        return exactly(atom)
    compared = _compared(atom)
    return ANYTHING if compared is None else settled(_TESTS[compared.test](cost, compared.bound))


class _Comparison(NamedTuple):
    test: str
    bound: float


_MIRRORED: Final = {"_<_": "_>_", "_<=_": "_>=_", "_>_": "_<_", "_>=_": "_<=_"}


def _compared(atom: Atom) -> _Comparison | None:
    """Return with what number an atom compares the cost; None where it does anything else."""
    root = atom.formula.typed.root
    if not isinstance(root, Call) or root.function not in _TESTS or atom.reads != (_ESTIMATE,):
        return None
    left, right = root.arguments
    mirrored = _MIRRORED.get(root.function, root.function)
    for one, other, test in ((left, right, root.function), (right, left, mirrored)):
        number = other.value if isinstance(other, Literal) else None
        if _is_cost(one) and isinstance(number, int | float) and not isinstance(number, bool):
            return _Comparison(test, float(number))
    return None


def _is_cost(node: Node) -> bool:
    if not isinstance(node, Select) or node.optional or node.field != "cost_usd":
        return False
    return isinstance(node.operand, Name) and node.operand.name == "estimate"
