"""Conditions as conjunctions: enough to tell that two exclude each other, or that one follows from another.

What is not understood stays one opaque part, equal only to the same expression, so that no verdict rests on a guess.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any, Final

from costlens_policy.checker.conditions.domains import ANYTHING, Domain, Finite, Range, union_of
from costlens_policy.checker.conditions.possible import Possible
from costlens_policy.expressions import Extent, Node, TypedExpr
from costlens_policy.expressions.tree import Call, ListLiteral, Literal, Logic, Name, Select

__all__ = ["ALWAYS", "Condition", "Form", "condition_of"]


class Form:
    """The structure of an expression without its places: equal for equal meaning as far as the text shows it."""

    __slots__ = ("_hash", "_structure")

    def __init__(self, structure: Hashable) -> None:
        self._structure = structure
        self._hash = hash(structure)  # tuples do not keep theirs, and forms are looked up again and again

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Form) and self._hash == other._hash and self._structure == other._structure

    def __hash__(self) -> int:
        return self._hash


_TRUE: Final = ("bool", True)
_FALSE: Final = ("bool", False)


@dataclass(frozen=True, slots=True)
class Condition:
    """Holds only where each form has a value in its domain. ``exact``: and holds wherever that is so."""

    parts: Mapping[Form, Domain]
    exact: bool = True

    @property
    def always(self) -> bool:
        return self.exact and not self.parts

    @property
    def never(self) -> bool:
        return any(domain.is_empty for domain in self.parts.values())

    def excludes(self, other: Condition) -> bool:
        """Say whether the two can never hold together."""
        return any(
            domain.meet(other.parts[form]).is_empty for form, domain in self.parts.items() if form in other.parts
        )

    def implies(self, other: Condition) -> bool:
        """Say whether the other holds wherever this one does; False where that cannot be told."""
        return other.exact and all(
            form in self.parts and self.parts[form].within(domain) for form, domain in other.parts.items()
        )


ALWAYS: Final = Condition({})


def condition_of(typed: TypedExpr | None, variables: Mapping[str, TypedExpr]) -> Condition:
    """Read a condition; None is one that is left out. ``variables`` are those of its policy, and are read through."""
    if typed is None:
        return ALWAYS
    reader = _Reader(variables)
    parts: dict[Form, Domain] = {}
    for form, domain in reader.parts(typed.root, holds=True):
        parts[form] = parts.get(form, ANYTHING).meet(domain)
    possible = Possible((typed, *variables.values()))
    narrowed = {form: possible.narrowed(reader.nodes[form], domain) for form, domain in parts.items()}
    return Condition({form: domain for form, domain in narrowed.items() if domain is not None}, exact=True)


class _Reader:
    def __init__(self, variables: Mapping[str, TypedExpr]) -> None:
        self._variables = variables
        self.nodes: dict[Form, Node] = {}
        """A node of each form."""

    def parts(self, node: Node, holds: bool) -> Iterator[tuple[Form, Domain]]:
        """Yield what must be so for a node to be true, or with ``holds`` false, to be false."""
        node = self._through(node)
        if isinstance(node, Logic) and (node.operator == "&&") is holds:
            for operand in node.operands:
                yield from self.parts(operand, holds)
        elif isinstance(node, Logic):
            yield self._union(node, holds)
        elif isinstance(node, Call) and node.function == "!_":
            yield from self.parts(node.arguments[0], not holds)
        elif isinstance(node, Literal) and isinstance(node.value, bool):
            if node.value is not holds:
                yield self._named(Form("false"), node), Finite(frozenset())
        elif isinstance(node, Call) and (read := self._comparison(node, holds)) is not None:
            yield read
        else:
            yield self.form(node), Finite(frozenset({_TRUE if holds else _FALSE}))

    def _union(self, node: Logic, holds: bool) -> tuple[Form, Domain]:
        """Read ``x == "a" || x == "b"`` as one set of values; any other choice stays opaque."""
        branches = [list(self.parts(operand, holds)) for operand in node.operands]
        forms = {form for branch in branches for form, _ in branch}
        domains = [domain for branch in branches for _, domain in branch]
        united = union_of(domains) if len(forms) == 1 and len(domains) == len(branches) else None
        if united is None:
            return self.form(node), Finite(frozenset({_TRUE if holds else _FALSE}))
        return forms.pop(), united

    def _comparison(self, node: Call, holds: bool) -> tuple[Form, Domain] | None:
        """Read a comparison with what is written out; the sides may be swapped."""
        if len(node.arguments) != 2:
            return None
        function = node.function if holds else _OPPOSITES.get(node.function, "")
        left, right = node.arguments
        if node.function == "@in" and (listed := _listed(right)) is not None:
            return self.form(left), Finite(listed) if holds else Range(excluded=listed)
        for subject, value, name in ((left, right, function), (right, left, _SWAPPED.get(function, function))):
            literal = _literal(value)
            if not holds and name in _ORDERS and isinstance(subject, Call):
                return None  # it may be NaN, of which neither `<` nor `>=` holds
            make = _COMPARISONS.get(name)
            if literal is not None and make is not None and (domain := make(literal)) is not None:
                return self.form(subject), domain
        return None

    def form(self, node: Node) -> Form:
        return self._named(Form(self._structure(node)), self._through(node))

    def _named(self, form: Form, node: Node) -> Form:
        self.nodes.setdefault(form, node)
        return form

    def _structure(self, node: Any) -> Hashable:
        """Return what a node is made of, without its places and with variables replaced by what they stand for."""
        if isinstance(node, tuple):
            return tuple(self._structure(item) for item in node)
        if isinstance(node, Literal):
            return ("literal", type(node.value).__name__, node.value)
        if not hasattr(node, "extent"):
            return ("plain", type(node).__name__, node)
        node = self._through(node)
        inner = (getattr(node, item.name) for item in fields(node))
        return (type(node).__name__, *(self._structure(item) for item in inner if not isinstance(item, Extent)))

    def _through(self, node: Node) -> Node:
        if isinstance(node, Select) and isinstance(node.operand, Name) and node.operand.name == "variables":
            variable = self._variables.get(node.field)
            return node if variable is None else self._through(variable.root)
        return node


def _literal(node: Node) -> Hashable | None:
    """Return a literal's value, booleans as pairs: in Python ``True`` equals ``1``, in CEL it does not."""
    if isinstance(node, Call) and node.function == "-_" and isinstance(node.arguments[0], Literal):
        value = node.arguments[0].value
        return -value if isinstance(value, int | float) and not isinstance(value, bool) else None
    if not isinstance(node, Literal) or node.value is None:
        return None
    return ("bool", node.value) if isinstance(node.value, bool) else node.value


def _listed(node: Node) -> frozenset[Hashable] | None:
    if not isinstance(node, ListLiteral) or any(node.optional):
        return None
    values = [_literal(element) for element in node.elements]
    return None if None in values else frozenset(values)


def _bound(make: Callable[[Any], Range]) -> Callable[[Hashable], Domain | None]:
    return lambda value: make(value) if isinstance(value, int | float) else None


_COMPARISONS: Final[Mapping[str, Callable[[Hashable], Domain | None]]] = {
    "_==_": lambda value: Finite(frozenset({value})),
    "_!=_": lambda value: Range(excluded=frozenset({value})),
    "_<_": _bound(lambda value: Range(high=value, high_open=True)),
    "_<=_": _bound(lambda value: Range(high=value)),
    "_>_": _bound(lambda value: Range(low=value, low_open=True)),
    "_>=_": _bound(lambda value: Range(low=value)),
}
_OPPOSITES: Final = {"_==_": "_!=_", "_!=_": "_==_", "_<_": "_>=_", "_<=_": "_>_", "_>_": "_<=_", "_>=_": "_<_"}
_ORDERS: Final = ("_<_", "_<=_", "_>_", "_>=_")
_SWAPPED: Final = {"_<_": "_>_", "_<=_": "_>=_", "_>_": "_<_", "_>=_": "_<=_"}
