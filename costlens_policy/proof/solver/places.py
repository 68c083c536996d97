"""The places of a request, of budgets and of time in the terms of the solver z3, and what it finds for them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Final, NamedTuple

from costlens_policy.assurance import ABSENT
from costlens_policy.assurance.domain import Assignment
from costlens_policy.assurance.domain.trees import Read
from costlens_policy.compiler.plan import Plan
from costlens_policy.engine.facts import Balance
from costlens_policy.expressions import Duration, Timestamp
from costlens_policy.money import ZERO

__all__ = ["FIRST_NS", "HIGHEST", "LAST_NS", "LOWEST", "SECOND", "SORTS", "Places", "Truth", "UnreadError", "Value"]

LOWEST: Final = -(2**63)
HIGHEST: Final = 2**63 - 1
SECOND: Final = 10**9
_HUNDRED: Final = Decimal(100)
FIRST_NS: Final = -62_135_596_800 * SECOND
LAST_NS: Final = 253_402_300_800 * SECOND - 1
_LARGEST: Final = 0x2FFFF
_ESCAPED: Final = re.compile(r"\\u\{([0-9a-fA-F]+)\}|\\u([0-9a-fA-F]{4})|\\x([0-9a-fA-F]{2})")
SORTS: Final = {"string": "string", "int": "int", "double": "double", "bool": "bool", "timestamp": "timestamp",
                 "duration": "duration"}  # fmt: skip


class Truth(NamedTuple):
    """A condition: it is true, or an error, or neither."""

    true: Any
    error: Any


class Value(NamedTuple):
    """``kind`` is a type of CEL, ``optional`` of one, or empty where nothing is known; ``there`` is of an optional."""

    kind: str
    term: Any
    error: Any
    there: Any = None


class UnreadError(Exception):
    """An expression is not translated; it becomes a value of which nothing is known."""


class Places:
    """What places are called in one goal. ``facts`` hold for every request."""

    def __init__(self, z3: Any, plan: Plan, view: Mapping[str, Any] | None) -> None:
        self.z3 = z3
        self.plan = plan
        self.view = view
        self._places: dict[Read, Value] = {}
        self._members: dict[Read, dict[str, Any]] = {}
        self._unread: dict[tuple[str, int, str], Any] = {}
        self.facts: list[Any] = []

    def place(self, read: Read, kind: str, optional: bool) -> Value:
        """Return the value of a place of the request, of a budget or of time: the same wherever it is read."""
        if read not in self._places:
            self._places[read] = self._made(read, kind, optional)
        return self._places[read]

    def _made(self, read: Read, kind: str, optional: bool) -> Value:
        z3 = self.z3
        name = "/".join(read)
        there = z3.Bool(f"{name}?") if optional else None
        term = self.term(kind, name)
        self.facts += self._limits(kind, term)
        attribute = self.plan.attributes.get(read[1]) if read[0] == "request" and len(read) == 2 else None
        if attribute is not None:
            if attribute.values:
                self.facts.append(z3.Or([term == self.text(value) for value in attribute.values]))
            if attribute.max_size is not None and kind in ("string", "list"):
                self.facts.append((z3.Length(term) if kind == "string" else term) <= attribute.max_size)
            if attribute.never_negative:
                self.facts.append(term >= 0)
        if read[0] == "budgets" and kind == "double":
            self.facts.append(term >= 0)
        return Value(kind, term, z3.BoolVal(False), there)

    def term(self, kind: str, name: str) -> Any:
        z3 = self.z3
        makers = {"string": z3.String, "double": z3.Real, "bool": z3.Bool}
        return makers.get(kind, z3.Int)(name)

    def _limits(self, kind: str, term: Any) -> list[Any]:
        bounds = {
            "int": (LOWEST, HIGHEST), "timestamp": (FIRST_NS, LAST_NS), "list": (0, HIGHEST),
            "duration": (LOWEST, HIGHEST),
        }  # fmt: skip
        if kind not in bounds:
            return []
        low, high = bounds[kind]
        return [term >= low, term <= high]

    def member(self, read: Read, text: str) -> Any:
        """Return that a list has a text. It has at least as many elements as it has different texts."""
        members = self._members.setdefault(read, {})
        if text not in members:
            members[text] = self.z3.Bool(f"{'/'.join(read)} has {text}")
            size = self._places[read].term
            self.facts.append(self.z3.Sum([self.z3.If(term, 1, 0) for term in members.values()]) <= size)
        return members[text]

    def text(self, text: str) -> Any:
        if max(map(ord, text), default=0) > _LARGEST:
            raise UnreadError
        return self.z3.StringVal(text.replace("\\", "\\u{5c}"))

    def fresh(self, words: str, layer: int, kind: str) -> Value:
        """Return a value of which nothing is known, the same for the same words."""
        key = (words, layer, kind)
        if key not in self._unread:
            name = f"unread {len(self._unread)}"
            term = self.term(kind, name)
            self.facts += self._limits(kind, term)
            self._unread[key] = Value(kind, term, self.z3.Bool(f"{name}!"))
        found: Value = self._unread[key]
        return found

    # What the solver has found

    def values(self, model: Any) -> Assignment:
        """Return what the solver has given to the places of the request, as the search would."""
        found: dict[Read, Any] = {}
        for read, place in self._places.items():
            if read[0] == "budgets":
                found[read[:2]] = self._balance(read, self._value(model, read, place))
            elif place.there is not None and not self._is(model, place.there):
                found[read] = ABSENT
            elif (value := self._value(model, read, place)) is not None:
                found[read] = value
        return found

    def _balance(self, read: Read, value: float) -> Balance:
        """Return a state of a budget that comes near a value of one of its fields."""
        limit = self.plan.budgets[read[1]][1].limit
        known = isinstance(limit, Decimal)
        whole = limit if isinstance(limit, Decimal) else _HUNDRED
        amount = Decimal(repr(value))
        used = max(ZERO, {"used_ratio": amount * whole, "left": whole - amount}.get(read[2], amount))
        return Balance(used=used, override=None if known else whole)

    def _is(self, model: Any, term: Any) -> bool:
        return bool(self.z3.is_true(model.eval(term, model_completion=True)))

    def _value(self, model: Any, read: Read, place: Value) -> Any:
        term = model.eval(place.term, model_completion=True)
        match place.kind:
            case "bool":
                return self._is(model, place.term)
            case "int":
                return term.as_long()
            case "double":
                return float(term.as_fraction())
            case "string":
                return _ESCAPED.sub(lambda part: chr(int(part[1] or part[2] or part[3], 16)), term.as_string())
            case "timestamp":
                return Timestamp(term.as_long())
            case "duration":
                return Duration(term.as_long())
            case "list":
                members = [text for text, term in self._members.get(read, {}).items() if self._is(model, term)]
                return [*members, *["other"] * min(term.as_long() - len(members), 10_000)]
        return None

    # Truth

    def negated(self, found: Truth) -> Truth:
        return Truth(self.z3.Not(self.z3.Or(found.true, found.error)), found.error)

    def junction(self, any_: bool, operands: Sequence[Truth]) -> Truth:
        """An operand that decides absorbs the errors of the others."""
        z3 = self.z3
        fails = z3.Or([operand.error for operand in operands])
        if any_:
            true = z3.Or([operand.true for operand in operands])
            return Truth(true, z3.And(fails, z3.Not(true)))
        false = z3.Or([z3.Not(z3.Or(operand.true, operand.error)) for operand in operands])
        return Truth(z3.And([operand.true for operand in operands]), z3.And(fails, z3.Not(false)))
