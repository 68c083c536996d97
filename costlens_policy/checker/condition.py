"""Conditions as conjunctions: enough to know that two are mutually exclusive, or that one follows from another.

What is not understood stays one opaque part, equal only to the same expression, so that no verdict rests on a guess.
A domain, a finite set or a range, is what an operand can still be: limited by the condition, and by what it can be at
all, such as declared values, counts, and the parts of a time. A cover finds which of many conditions another one
implies without trying them all.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import fields
from typing import Any, Final, Generic, TypeAlias, TypeVar

from costlens_policy.checker.attributes import STANDARD_ATTRIBUTES
from costlens_policy.expressions import Extent, Field, Node, TypedExpr
from costlens_policy.expressions.tree import Call, ListLiteral, Literal, Logic, Name, Select
from costlens_policy.frozen import frozen

__all__ = [
    "ALWAYS", "ANYTHING", "Condition", "Cover", "Domain", "Finite", "Form", "Possible", "Range", "condition_of",
    "union_of",
]  # fmt: skip

Number: TypeAlias = int | float


@frozen
class Finite:
    """These values and no others."""

    values: frozenset[Hashable]

    def meet(self, other: Domain) -> Domain:
        return Finite(frozenset(value for value in self.values if value in other))

    def within(self, other: Domain) -> bool:
        """Return whether every value of this domain is one of the other."""
        return all(value in other for value in self.values)

    def __contains__(self, value: Hashable) -> bool:
        return value in self.values

    @property
    def is_empty(self) -> bool:
        return not self.values


@frozen
class Range:
    """Everything but ``excluded``, and of numbers only those between two bounds; open bounds are not part of it."""

    low: Number = -math.inf
    low_open: bool = False
    high: Number = math.inf
    high_open: bool = False
    excluded: frozenset[Hashable] = frozenset()

    def meet(self, other: Domain) -> Domain:
        if isinstance(other, Finite):
            return other.meet(self)
        low, low_open = max((self.low, self.low_open), (other.low, other.low_open))
        high, high_closed = min((self.high, not self.high_open), (other.high, not other.high_open))
        return Range(low, low_open, high, not high_closed, self.excluded | other.excluded)

    def within(self, other: Domain) -> bool:
        """Return whether every value of this domain is one of the other; False if unknown."""
        if isinstance(other, Finite):
            return self.is_empty
        return (
            (self.low, self.low_open) >= (other.low, other.low_open)
            and (self.high, not self.high_open) <= (other.high, not other.high_open)
            and all(value not in self for value in other.excluded)
        )

    def __contains__(self, value: Hashable) -> bool:
        if value in self.excluded:
            return False
        if not self._bounded:
            return True
        if not isinstance(value, int | float):
            return False
        above = value > self.low or (value == self.low and not self.low_open)
        below = value < self.high or (value == self.high and not self.high_open)
        return above and below

    @property
    def is_empty(self) -> bool:
        return self.low > self.high or (self.low == self.high and (self.low_open or self.high_open))

    @property
    def _bounded(self) -> bool:
        return self.low > -math.inf or self.high < math.inf


Domain: TypeAlias = Finite | Range


def union_of(domains: Sequence[Domain]) -> Domain | None:
    """Return the domain of all values of any; None where that is neither a few values nor all but a few."""
    finite = [domain for domain in domains if isinstance(domain, Finite)]
    values = frozenset().union(*(domain.values for domain in finite))
    ranges = [domain for domain in domains if isinstance(domain, Range)]
    if not ranges:
        return Finite(values)
    if any(domain.low > -math.inf or domain.high < math.inf for domain in ranges):
        return None
    return Range(excluded=frozenset.intersection(*(domain.excluded for domain in ranges)) - values)


ANYTHING = Range()


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


@frozen
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
        """Return whether the two can never hold together."""
        return any(
            domain.meet(other.parts[form]).is_empty for form, domain in self.parts.items() if form in other.parts
        )

    def implies(self, other: Condition) -> bool:
        """Return whether the other holds wherever this one does; False if unknown."""
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

_NEVER_NEGATIVE: Final = frozenset(item.name for item in STANDARD_ATTRIBUTES.values() if item.never_negative)

"""Attributes of a request that is refused where they are below zero."""

_OF_TIMES: Final[Mapping[str, Range]] = {
    "getMonth": Range(0, high=11),
    "getDate": Range(1, high=31),
    "getDayOfMonth": Range(0, high=30),
    "getDayOfWeek": Range(0, high=6),
    "getDayOfYear": Range(0, high=365),
    "getHours": Range(0, high=23),
    "getMinutes": Range(0, high=59),
    "getSeconds": Range(0, high=59),
    "getMilliseconds": Range(0, high=999),
}

_CASES: Final[Mapping[str, Callable[[str], str]]] = {"lowerAscii": str.lower, "upperAscii": str.upper}


class Possible:
    """Narrows what a condition leaves possible. ``expressions`` are all that its nodes are of."""

    def __init__(self, expressions: Sequence[TypedExpr]) -> None:
        self._expressions = expressions

    def narrowed(self, node: Node, domain: Domain) -> Domain | None:
        """Return what is left of a domain; None where a part that is always there may be anything that it can be."""
        can = self._of(node)
        left = self._whole(node, domain.meet(can))
        if isinstance(left, Finite):
            left = Finite(frozenset(value for value in left.values if _keeps_case(node, value)))
        is_unlimited = left == can and (isinstance(can, Finite) or left == ANYTHING)
        return None if is_unlimited and self._is_there(node) else left

    def _of(self, node: Node) -> Domain:
        if isinstance(node, Select) and (field := self._attribute(node)) is not None:
            if field.values:
                return Finite(frozenset(field.values))
            return Range(0) if node.field in _NEVER_NEGATIVE else ANYTHING
        if isinstance(node, Call):
            return self._of_call(node)
        return ANYTHING

    def _of_call(self, node: Call) -> Domain:
        if node.function == "size":
            return Range(0)
        if node.function == "orValue" and node.target is not None:
            return _or_value(self._of(node.target), node.arguments[0])
        of_time = _OF_TIMES.get(node.function)
        return of_time if of_time is not None and self._type(node.target) == "timestamp" else ANYTHING

    def _attribute(self, node: Select) -> Field | None:
        if not (isinstance(node.operand, Name) and node.operand.name == "request"):
            return None
        records = (item.environment.records.get("request") for item in self._expressions)
        return next((record.fields.get(node.field) for record in records if record is not None), None)

    def _is_there(self, node: Node) -> bool:
        field = self._attribute(node) if isinstance(node, Select) else None
        return field is not None and not field.optional

    def _type(self, node: Node | None) -> str:
        found = (item.types.get(node) for item in self._expressions) if node is not None else ()
        return next((type_.name for type_ in found if type_ is not None), "")

    def _whole(self, node: Node, domain: Domain) -> Domain:
        """Close the bounds of integers: above 999 is from 1,000 on."""
        if not isinstance(domain, Range) or self._type(node) != "int":
            return domain
        low, high = domain.low, domain.high
        if not math.isinf(low):
            low = math.floor(low) + 1 if domain.low_open else math.ceil(low)
        if not math.isinf(high):
            high = math.ceil(high) - 1 if domain.high_open else math.floor(high)
        return Range(low, False, high, False, domain.excluded)


def _or_value(can: Domain, other: Node) -> Domain:
    """Return what an optional can be with something else in its place."""
    if not isinstance(other, Literal) or other.value is None or isinstance(other.value, bool):
        return ANYTHING
    value: Any = other.value
    if isinstance(can, Finite):
        return Finite(can.values | {value})
    return can if value in can else ANYTHING


def _keeps_case(node: Node, value: Hashable) -> bool:
    """Return whether a text can be what is left of letters that were all made small, or large."""
    change = _CASES.get(node.function) if isinstance(node, Call) else None
    if change is None or not isinstance(value, str):
        return True
    return all(change(character) == character for character in value if character.isascii())


T = TypeVar("T")


class Cover(Generic[T]):
    """Items with the conditions under which they hold.

    Each condition is kept under one of its parts, the most telling one: where that part allows few values, under each
    of them. What a condition implies can then only be found under its own parts.
    """

    def __init__(self) -> None:
        self._kept: list[tuple[Condition, T]] = []
        self._always: list[int] = []
        self._by_value: dict[tuple[Form, Hashable], list[int]] = {}
        self._by_form: dict[Form, list[int]] = {}

    def add(self, condition: Condition, item: T) -> None:
        place = len(self._kept)
        self._kept.append((condition, item))
        if not condition.parts:
            self._always.append(place)
            return
        form, domain = min(condition.parts.items(), key=self._crowd)
        if isinstance(domain, Finite):
            for value in domain.values:
                self._by_value.setdefault((form, value), []).append(place)
        else:
            self._by_form.setdefault(form, []).append(place)

    def first(self, condition: Condition) -> T | None:
        """Return the first item that holds wherever the condition does, or None."""
        for place in sorted(self._candidates(condition)):
            kept, item = self._kept[place]
            if condition.implies(kept):
                return item
        return None

    def _crowd(self, part: tuple[Form, Domain]) -> int:
        """Return how many others are already kept under a part; a part that allows many values comes last."""
        form, domain = part
        if isinstance(domain, Finite) and len(domain.values) <= 64:
            return max((len(self._by_value.get((form, value), ())) for value in domain.values), default=0)
        return 1 + len(self._kept)

    def _candidates(self, condition: Condition) -> Iterator[int]:
        yield from self._always
        for form, domain in condition.parts.items():
            yield from self._by_form.get(form, ())
            if isinstance(domain, Finite) and domain.values:
                yield from self._by_value.get((form, next(iter(domain.values))), ())
