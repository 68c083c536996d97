"""The tree of a condition over atoms, and how the places that its atoms read are used."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, TypeAlias

from costlens_policy.assurance.domain.times import Clock
from costlens_policy.assurance.domain.written import Constants
from costlens_policy.checker.attributes import SIGNALS
from costlens_policy.compiler.formula import Formula
from costlens_policy.expressions import DYN, Type
from costlens_policy.frozen import frozen

__all__ = ["ASKED", "Atom", "Branch", "Constant", "Junction", "Negation", "Read", "Same", "Tree", "Use", "is_signal"]

Read: TypeAlias = tuple[str, ...]
"""A place that an expression reads: ``("request", "team")``, ``("request", "metadata", "plan")``, ``("model",)``,
``("now",)``, ``("budgets", "p/month")``, whose fields are only noted as uses."""


@dataclass(slots=True)
class Use:
    """How a place is read by all conditions together. ``searched`` says why it is not understood, if it is not."""

    type: Type = DYN
    optional: bool = False
    declared: tuple[str, ...] = ()
    literals: Constants = field(default_factory=Constants)
    prefixes: set[str] = field(default_factory=set)
    suffixes: set[str] = field(default_factory=set)
    parts: set[str] = field(default_factory=set)
    patterns: set[str] = field(default_factory=set)
    members: Constants = field(default_factory=Constants)
    sizes: set[int] = field(default_factory=set)
    functions: set[str] = field(default_factory=set)
    """Changes of case that are applied before it is compared."""
    is_bare: bool = False
    """Whether a text is compared or tested as it is, without a change of case."""
    is_ranged: bool = False
    """Whether values are asked for that come before or after another one."""
    clocks: dict[Clock, Constants] = field(default_factory=dict)
    """Of the time: what is read of it, and the numbers that this is compared with."""
    has_children: bool = False
    ordered: bool = False
    """Whether texts are asked for that come before or after another one."""
    searched: str = ""

    @property
    def size(self) -> int:
        """A number that grows with all that is noted."""
        noted = (
            self.literals, self.prefixes, self.suffixes, self.parts, self.patterns, self.members, self.sizes,
            self.functions,
        )  # fmt: skip
        clocks = sum(1 + len(compared) for compared in self.clocks.values())
        flags = (self.is_bare, self.is_ranged, self.has_children, self.ordered, bool(self.searched))
        return sum(map(len, noted)) + clocks + sum(flags)


class Same:
    """The words of atoms, and the first formula that has them."""

    __slots__ = ("formula",)

    def __init__(self, formula: Formula) -> None:
        self.formula = formula


@frozen(eq=False)
class Atom:
    """A truth value that is evaluated as a whole. ``searched`` says why it is not understood, if it is not.

    ``texts`` are those that it compares its place with, None where it does anything else with it. Atoms of a layer with
    the same words come to the ``same``: they are compiled and evaluated once.
    """

    formula: Formula
    layer: int
    reads: tuple[Read, ...]
    searched: str
    texts: frozenset[str] | None
    same: Same


@frozen(eq=False)
class Constant:
    value: bool


@frozen(eq=False)
class Negation:
    operand: Tree


@frozen(eq=False)
class Junction:
    """``&&`` of its operands, or ``||`` where ``any`` is true."""

    any: bool
    operands: tuple[Tree, ...]


@frozen(eq=False)
class Branch:
    condition: Tree
    accepted: Tree
    rejected: Tree


Tree: TypeAlias = Atom | Constant | Negation | Junction | Branch


def is_signal(read: Read) -> bool:
    """Return whether a place is the value of a signal."""
    return len(read) == 3 and read[:2] == ("request", SIGNALS)


ASKED: Final = ("request", "asked_model")
"""The model that the caller asked for, as a record of the catalogue."""
