"""Goals for the solver z3: texts, sums of numbers, comparisons between places, times and patterns.

The translation is never too narrow. What it does not read becomes a value of which nothing is known, the same for the
same words; so where the solver finds that nothing meets a goal, nothing does. What it finds instead is tried on the
engine before it counts. Whole numbers overflow as CEL's do; doubles are compared as reals, which they are, and what is
computed from them is not known. A whole number beside a double that is not small is not read, since it is rounded.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any, Final, NamedTuple

from costlens_policy.assurance import ABSENT, Every, Goal, Holds, Not, Some
from costlens_policy.assurance.domain import Assignment, Domain
from costlens_policy.assurance.domain.trees import Atom, Branch, Constant, Junction, Negation, Read, Tree
from costlens_policy.checker.reads import nodes_of
from costlens_policy.compiler.formula import Formula
from costlens_policy.compiler.plan import Plan
from costlens_policy.engine.facts import Balance
from costlens_policy.expressions import Duration, Timestamp, Uint
from costlens_policy.expressions.runtime import CelError
from costlens_policy.expressions.tree import (
    Call,
    Conditional,
    Index,
    ListLiteral,
    Literal,
    Logic,
    Name,
    Node,
    Presence,
    ResolutionKind,
    Select,
)
from costlens_policy.frozen import frozen
from costlens_policy.money import ZERO
from costlens_policy.proof.patterns import UntranslatableError, pattern_for

__all__ = ["Impossible", "Possible", "Solver", "Unsolved"]

_LONGEST_S: Final = 15.0
_LOWEST: Final = -(2**63)
_HIGHEST: Final = 2**63 - 1
_SECOND: Final = 10**9
_HUNDRED: Final = Decimal(100)
_FIRST_NS: Final = -62_135_596_800 * _SECOND
_LAST_NS: Final = 253_402_300_800 * _SECOND - 1
_LARGEST: Final = 0x2FFFF
_EXACT: Final = 2**53
_ESCAPED: Final = re.compile(r"\\u\{([0-9a-fA-F]+)\}|\\u([0-9a-fA-F]{4})|\\x([0-9a-fA-F]{2})")
_SORTS: Final = {"string": "string", "int": "int", "double": "double", "bool": "bool", "timestamp": "timestamp",
                 "duration": "duration"}  # fmt: skip
_RANGES: Final = {
    "getHours": 23, "getMinutes": 59, "getSeconds": 59, "getMilliseconds": 999, "getDayOfWeek": 6, "getMonth": 11,
    "getDayOfMonth": 30, "getDayOfYear": 365,
}  # fmt: skip


@frozen
class Impossible:
    """Nothing meets the goal."""


@frozen
class Possible:
    """These values may meet it."""

    values: Assignment


@frozen
class Unsolved:
    """The solver does not know, or is not installed."""

    why: str


class _Truth(NamedTuple):
    """A condition: it is true, or an error, or neither."""

    true: Any
    error: Any


class _Value(NamedTuple):
    """``kind`` is a type of CEL, ``optional`` of one, or empty where nothing is known; ``there`` is of an optional."""

    kind: str
    term: Any
    error: Any
    there: Any = None


class _UnreadError(Exception):
    """An expression is not translated; it becomes a value of which nothing is known."""


class Solver:
    """Solves goals over the conditions of a plan. Without z3, everything is unsolved."""

    def __init__(self, plan: Plan, domain: Domain) -> None:
        try:
            import z3
        except ImportError:
            z3 = None
        self._z3: Any = z3
        self._plan = plan
        self._domain = domain

    def solve(self, goal: Goal, model: str = "", limit_s: float = _LONGEST_S) -> Impossible | Possible | Unsolved:
        """Return whether anything meets a goal, within a time; ``model`` is the one that conditions read."""
        z3 = self._z3
        if z3 is None:
            return Unsolved("z3 may decide it: install the extra `prove` (`pip install 'costlens-policy[prove]'`)")
        reading = _Reading(z3, self._plan, self._domain.models.get(model))
        solver = z3.Solver()
        solver.set("timeout", max(1, int(1000 * min(limit_s, _LONGEST_S))))
        solver.add(reading.goal(goal), *reading.facts)
        answer = solver.check()
        if answer == z3.unsat:
            return Impossible()
        if answer == z3.sat:
            return Possible(reading.values(solver.model()))
        return Unsolved("z3 cannot decide it in its time")


class _Reading:
    """One goal in the terms of the solver. ``facts`` hold for every request."""

    def __init__(self, z3: Any, plan: Plan, view: Mapping[str, Any] | None) -> None:
        self.z3 = z3
        self.plan = plan
        self.view = view
        self._places: dict[Read, _Value] = {}
        self._members: dict[Read, dict[str, Any]] = {}
        self._unread: dict[tuple[str, int, str], Any] = {}
        self.facts: list[Any] = []

    def goal(self, goal: Goal) -> Any:
        match goal:
            case Holds(tree, error):
                found = self._tree(tree)
                return self.z3.Or(found.true, found.error) if error else found.true
            case Not(operand):
                return self.z3.Not(self.goal(operand))
            case Every(operands):
                return self.z3.And([self.goal(operand) for operand in operands])
            case Some(operands):
                return self.z3.Or([self.goal(operand) for operand in operands])

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

    def _value(self, model: Any, read: Read, place: _Value) -> Any:
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

    # Conditions

    def _tree(self, tree: Tree) -> _Truth:
        z3 = self.z3
        match tree:
            case Constant(value):
                return _Truth(z3.BoolVal(value), z3.BoolVal(False))
            case Negation(operand):
                return self.negated(self._tree(operand))
            case Junction(any_, operands):
                return self.junction(any_, [self._tree(operand) for operand in operands])
            case Branch(condition, accepted, rejected):
                return self._branch(*map(self._tree, (condition, accepted, rejected)))
            case Atom():
                return self._atom(tree)

    def negated(self, found: _Truth) -> _Truth:
        return _Truth(self.z3.Not(self.z3.Or(found.true, found.error)), found.error)

    def junction(self, any_: bool, operands: Sequence[_Truth]) -> _Truth:
        """An operand that decides absorbs the errors of the others."""
        z3 = self.z3
        fails = z3.Or([operand.error for operand in operands])
        if any_:
            true = z3.Or([operand.true for operand in operands])
            return _Truth(true, z3.And(fails, z3.Not(true)))
        false = z3.Or([z3.Not(z3.Or(operand.true, operand.error)) for operand in operands])
        return _Truth(z3.And([operand.true for operand in operands]), z3.And(fails, z3.Not(false)))

    def _branch(self, condition: _Truth, accepted: _Truth, rejected: _Truth) -> _Truth:
        z3 = self.z3
        inner = z3.If(condition.true, accepted.error, rejected.error)
        error = z3.Or(condition.error, inner)
        return _Truth(z3.And(z3.Not(error), z3.If(condition.true, accepted.true, rejected.true)), error)

    def _atom(self, atom: Atom) -> _Truth:
        terms = _Terms(self, atom.formula, atom.layer)
        found = terms.value(atom.formula.typed.root)
        if found.kind != "bool":
            found = terms.unknown(atom.formula.typed.root, "bool")
        return _Truth(self.z3.And(found.term, self.z3.Not(found.error)), found.error)

    # Places

    def place(self, read: Read, kind: str, optional: bool) -> _Value:
        """Return the value of a place of the request, of a budget or of time: the same wherever it is read."""
        if read not in self._places:
            self._places[read] = self._made(read, kind, optional)
        return self._places[read]

    def _made(self, read: Read, kind: str, optional: bool) -> _Value:
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
        return _Value(kind, term, z3.BoolVal(False), there)

    def term(self, kind: str, name: str) -> Any:
        z3 = self.z3
        makers = {"string": z3.String, "double": z3.Real, "bool": z3.Bool}
        return makers.get(kind, z3.Int)(name)

    def _limits(self, kind: str, term: Any) -> list[Any]:
        bounds = {
            "int": (_LOWEST, _HIGHEST), "timestamp": (_FIRST_NS, _LAST_NS), "list": (0, _HIGHEST),
            "duration": (_LOWEST, _HIGHEST),
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
            raise _UnreadError
        return self.z3.StringVal(text.replace("\\", "\\u{5c}"))

    def fresh(self, words: str, layer: int, kind: str) -> _Value:
        """Return a value of which nothing is known, the same for the same words."""
        key = (words, layer, kind)
        if key not in self._unread:
            name = f"unread {len(self._unread)}"
            term = self.term(kind, name)
            self.facts += self._limits(kind, term)
            self._unread[key] = _Value(kind, term, self.z3.Bool(f"{name}!"))
        found: _Value = self._unread[key]
        return found


class _Terms:
    """The expressions of one formula in the terms of the solver."""

    def __init__(self, reading: _Reading, formula: Formula, layer: int) -> None:
        self._reading = reading
        self._z3 = reading.z3
        self._formula = formula
        self._typed = formula.typed
        self._layer = layer

    def value(self, node: Node) -> _Value:
        """Return the value of an expression; one of which nothing is known where it is not translated."""
        try:
            return self._value(node)
        except _UnreadError:
            return self.unknown(node, self._kind(node))

    def unknown(self, node: Node, kind: str) -> _Value:
        words = self._formula.source[node.extent.start : node.extent.end]
        return self._reading.fresh(words, self._layer, kind)

    def _kind(self, node: Node) -> str:
        type_ = self._typed.types.get(node)
        return "" if type_ is None else _SORTS.get(type_.name, "")

    def _known(self, value: Any, error: Any = None) -> _Value:
        """Return a value that is written out."""
        z3 = self._z3
        none = z3.BoolVal(False) if error is None else error
        match value:
            case bool():
                return _Value("bool", z3.BoolVal(value), none)
            case Uint():
                raise _UnreadError
            case int():
                return _Value("int", z3.IntVal(value), none)
            case float() if value == value and abs(value) != float("inf"):
                numerator, denominator = value.as_integer_ratio()
                return _Value("double", z3.Q(numerator, denominator), none)
            case str():
                return _Value("string", self._reading.text(value), none)
            case Timestamp(nanoseconds):
                return _Value("timestamp", z3.IntVal(nanoseconds), none)
            case Duration(nanoseconds):
                return _Value("duration", z3.IntVal(nanoseconds), none)
        raise _UnreadError

    def _value(self, node: Node) -> _Value:
        if isinstance(node, Literal):
            return self._known(node.value)
        if self._is_constant(node):
            return self._computed(node)
        if isinstance(node, Logic):
            found = [self._truth(operand) for operand in node.operands]
            return self._of_truth(self._reading.junction(node.operator == "||", found))
        if isinstance(node, Conditional):
            return self._conditional(node)
        if isinstance(node, Presence):
            return self._presence(node)
        if isinstance(node, Call):
            return self._call(node)
        return self._read(node)

    def _of_truth(self, truth: _Truth) -> _Value:
        return _Value("bool", truth.true, truth.error)

    def _truth(self, node: Node) -> _Truth:
        found = self.value(node)
        if found.kind != "bool":
            found = self.unknown(node, "bool")
        return _Truth(self._z3.And(found.term, self._z3.Not(found.error)), found.error)

    def _is_constant(self, node: Node) -> bool:
        """Say whether an expression reads nothing, or only a model that is known."""
        for part in nodes_of(node):
            if isinstance(part, Name):
                resolution = self._typed.resolutions.get(part)
                if resolution is None or resolution.kind is not ResolutionKind.VARIABLE:
                    return False
                if resolution.name != "model" or self._reading.view is None:
                    return False
        return True

    def _computed(self, node: Node) -> _Value:
        """Return what the program makes of an expression that does not depend on the request."""
        type_ = self._typed.types.get(node)
        if type_ is None:
            raise _UnreadError
        part = replace(self._formula, typed=replace(self._typed, root=node, type=type_), result="any")
        try:
            value = part.evaluate({}, {}, {}, self._reading.view, None, None)
        except CelError:
            kind = _SORTS.get(type_.name, "")
            return _Value(kind, self.unknown(node, kind).term, self._z3.BoolVal(True))
        return self._known(value)

    def _conditional(self, node: Conditional) -> _Value:
        z3, condition = self._z3, self._truth(node.condition)
        one, other = self._alike(self.value(node.accepted), self.value(node.rejected))
        error = z3.Or(condition.error, z3.If(condition.true, one.error, other.error))
        return _Value(one.kind, z3.If(condition.true, one.term, other.term), error)

    def _alike(self, one: _Value, other: _Value) -> tuple[_Value, _Value]:
        """Return two values of one kind. Whole numbers become doubles beside one, which matters for large ones only."""
        if {one.kind, other.kind} == {"int", "double"}:
            if not self._is_small(one) and not self._is_small(other):
                raise _UnreadError
            one, other = self._real(one), self._real(other)
        if one.kind != other.kind or one.kind not in _SORTS:
            raise _UnreadError
        return one, other

    def _is_small(self, value: _Value) -> bool:
        """Say whether a value is written out, and doubles tell integers apart that are near it."""
        z3, term = self._z3, value.term
        if z3.is_rational_value(term) and not z3.is_int_value(term):
            return bool(abs(term.as_fraction()) < _EXACT)
        return bool(z3.is_int_value(term) and abs(term.as_long()) < _EXACT)

    def _real(self, value: _Value) -> _Value:
        return value._replace(kind="double", term=self._z3.ToReal(value.term)) if value.kind == "int" else value

    # Places

    def _path(self, node: Node) -> Read | None:
        if isinstance(node, Name):
            resolution = self._typed.resolutions.get(node)
            return (node.name,) if resolution is not None and resolution.kind is ResolutionKind.VARIABLE else None
        if isinstance(node, Select):
            above, step = self._path(node.operand), node.field
        elif isinstance(node, Index) and isinstance(node.key, Literal) and isinstance(node.key.value, str):
            above, step = self._path(node.operand), node.key.value
        else:
            return None
        return (*above, step) if above is not None else None

    def _read(self, node: Node) -> _Value:
        path = self._path(node)
        if path == ("now",):
            return self._reading.place(path, "timestamp", optional=False)
        if path is None or len(path) < 2:
            raise _UnreadError
        if path[0] == "variables" and len(path) == 2:
            return self._variable(path[1])
        if path[0] == "budgets" and len(path) == 3:
            return self._budget(path)
        if path[0] != "request" or len(path) != 2:
            raise _UnreadError
        place = self._attribute(path)
        if isinstance(node, Select) and node.optional:
            there = self._z3.BoolVal(True) if place.there is None else place.there
            return _Value(f"optional {place.kind}", place.term, place.error, there)
        return place if place.there is None else place._replace(error=self._z3.Not(place.there), there=None)

    def _attribute(self, path: Read) -> _Value:
        field = self._typed.environment.records["request"].fields.get(path[1])
        kind = "" if field is None else "list" if field.type.name == "list" else _SORTS.get(field.type.name, "")
        if field is None or not kind:
            raise _UnreadError
        return self._reading.place(path, kind, field.optional)

    def _variable(self, name: str) -> _Value:
        """Return the value of a variable, which is read once and fails wherever it is read."""
        plan, layer = self._reading.plan, self._layer
        own = plan.layers[layer].variables if layer < len(plan.layers) else {}
        formula = own.get(name) or plan.variables.get(name)
        if formula is None:
            raise _UnreadError
        inner = _Terms(self._reading, formula, layer)
        found = inner.value(formula.typed.root)
        if found.kind not in _SORTS:
            raise _UnreadError
        return found

    def _budget(self, path: Read) -> _Value:
        """Return a state of a budget. Whether it can be read is not known: its scope or its limit may fail."""
        entry = self._reading.plan.budgets.get(path[1])
        if entry is None or path[2] not in ("used", "held", "limit", "left", "used_ratio"):
            raise _UnreadError
        name = entry[1].id
        place = self._reading.place(("budgets", name, path[2]), "double", optional=False)
        return place._replace(error=self._reading.fresh(f"budget {name}", -1, "bool").term)

    def _presence(self, node: Presence) -> _Value:
        path = self._path(node.operand)
        if path != ("request",):
            raise _UnreadError
        place = self._attribute((*path, node.field))
        there = self._z3.BoolVal(True) if place.there is None else place.there
        return _Value("bool", there, self._z3.BoolVal(False))

    # Calls

    def _call(self, node: Call) -> _Value:
        name, arguments = node.function, node.arguments
        if name == "!_":
            return self._of_truth(self._reading.negated(self._truth(arguments[0])))
        if name in ("_==_", "_!=_", "_<_", "_<=_", "_>_", "_>=_"):
            return self._compared(name, *arguments)
        if name in ("_+_", "_-_", "_*_", "_/_", "_%_") and len(arguments) == 2:
            return self._arithmetic(name, *map(self.value, arguments))
        if name == "-_":
            return self._arithmetic("_-_", self._known(0), self.value(arguments[0]))
        if name == "@in":
            return self._membership(*arguments)
        if name == "size":
            return self._size(node.target if node.target is not None else arguments[0])
        if name in _RANGES and node.target is not None and not arguments:
            return self._time(name, self.value(node.target))
        if node.target is not None and len(arguments) == 1:
            return self._method(node, node.target, arguments[0])
        if name == "hasValue" and node.target is not None:
            found = self.value(node.target)
            if found.there is not None:
                return _Value("bool", found.there, found.error)
        raise _UnreadError

    def _method(self, node: Call, target: Node, argument: Node) -> _Value:
        z3, name = self._z3, node.function
        if name == "orValue":
            found, other = self.value(target), self.value(argument)
            if found.there is None or found.kind != f"optional {other.kind}" or other.kind not in _SORTS:
                raise _UnreadError
            error = z3.Or(found.error, z3.And(z3.Not(found.there), other.error))
            return _Value(other.kind, z3.If(found.there, found.term, other.term), error)
        if name in ("startsWith", "endsWith", "contains"):
            return self._part(name, target, argument)
        if name == "matches" and isinstance(argument, Literal) and isinstance(argument.value, str):
            subject = self._text_of(target)
            try:
                return _Value("bool", z3.InRe(subject.term, pattern_for(z3, argument.value)), subject.error)
            except UntranslatableError:
                raise _UnreadError from None
        raise _UnreadError

    def _text_of(self, node: Node) -> _Value:
        found = self.value(node)
        if found.kind != "string":
            raise _UnreadError
        return found

    def _part(self, name: str, target: Node, argument: Node) -> _Value:
        z3 = self._z3
        part = self._text_of(argument)
        subject = self._text_of(target)
        tests = {
            "startsWith": lambda: z3.PrefixOf(part.term, subject.term),
            "endsWith": lambda: z3.SuffixOf(part.term, subject.term),
            "contains": lambda: z3.Contains(subject.term, part.term),
        }
        return _Value("bool", tests[name](), z3.Or(subject.error, part.error))

    def _compared(self, name: str, left: Node, right: Node) -> _Value:
        z3 = self._z3
        if name in ("_==_", "_!=_") and (cased := self._cased(left, right) or self._cased(right, left)) is not None:
            return cased if name == "_==_" else cased._replace(term=z3.Not(cased.term))
        one, other = self._alike(self.value(left), self.value(right))
        if name not in ("_==_", "_!=_") and one.kind == "bool":
            raise _UnreadError
        terms = {
            "_==_": lambda: one.term == other.term,
            "_!=_": lambda: one.term != other.term,
            "_<_": lambda: one.term < other.term,
            "_<=_": lambda: one.term <= other.term,
            "_>_": lambda: other.term < one.term,
            "_>=_": lambda: other.term <= one.term,
        }
        return _Value("bool", terms[name](), z3.Or(one.error, other.error))

    def _cased(self, changed: Node, literal: Node) -> _Value | None:
        """Return ``text.lowerAscii() == "word"`` as a pattern that knows no case; None where it is nothing like it."""
        wanted = {"lowerAscii": str.lower, "upperAscii": str.upper}
        if not isinstance(changed, Call) or changed.function not in wanted or changed.target is None:
            return None
        if not isinstance(literal, Literal) or not isinstance(literal.value, str) or not literal.value.isascii():
            return None
        z3, word = self._z3, literal.value
        subject = self._text_of(changed.target)
        if wanted[changed.function](word) != word:
            return _Value("bool", z3.BoolVal(False), subject.error)
        parts = [z3.Union(z3.Re(letter.lower()), z3.Re(letter.upper())) if letter.isalpha() else
                 z3.Re(self._reading.text(letter)) for letter in word]  # fmt: skip
        pattern = z3.Re("") if not parts else parts[0] if len(parts) == 1 else z3.Concat(*parts)
        return _Value("bool", z3.InRe(subject.term, pattern), subject.error)

    def _arithmetic(self, name: str, one: _Value, other: _Value) -> _Value:
        z3, kinds = self._z3, (one.kind, other.kind)
        error = z3.Or(one.error, other.error)
        if name == "_+_" and kinds == ("string", "string"):
            return _Value("string", z3.Concat(one.term, other.term), error)
        kind = _kind_of(name, kinds)
        if kind == "int" and name == "_*_" and not (z3.is_int_value(one.term) or z3.is_int_value(other.term)):
            raise _UnreadError
        if name in ("_/_", "_%_"):
            term = self._divided(name, one.term, other.term)
        else:
            term = one.term + other.term if name == "_+_" else one.term - other.term if name == "_-_" else (
                one.term * other.term
            )  # fmt: skip
        low, high = (_FIRST_NS, _LAST_NS) if kind == "timestamp" else (_LOWEST, _HIGHEST)
        return _Value(kind, term, z3.Or(error, term < low, term > high))

    def _divided(self, name: str, one: Any, other: Any) -> Any:
        """Divide towards zero, as CEL does, by a number that is written out."""
        z3 = self._z3
        if not z3.is_int_value(other) or other.as_long() <= 0:
            raise _UnreadError
        quotient = z3.If(one >= 0, one / other, -((-one) / other))
        return quotient if name == "_/_" else one - quotient * other

    def _membership(self, element: Node, container: Node) -> _Value:
        z3 = self._z3
        if isinstance(container, ListLiteral) and not any(container.optional):
            found = self.value(element)
            items = [self._alike(found, self.value(item)) for item in container.elements]
            error = z3.Or([found.error, *(item.error for _, item in items)])
            return _Value("bool", z3.Or([one.term == other.term for one, other in items]), error)
        path = self._path(container)
        if path is None or not isinstance(element, Literal) or not isinstance(element.value, str):
            raise _UnreadError
        listed = self.value(container)
        if listed.kind != "list":
            raise _UnreadError
        return _Value("bool", self._reading.member(path, element.value), listed.error)

    def _size(self, node: Node) -> _Value:
        found = self.value(node)
        if found.kind == "string":
            return _Value("int", self._z3.Length(found.term), found.error)
        if found.kind == "list":
            return found._replace(kind="int")
        raise _UnreadError

    def _time(self, name: str, found: _Value) -> _Value:
        """Return a part of a time in UTC. What depends on the calendar is only known to be in its range."""
        if found.kind != "timestamp":
            raise _UnreadError
        seconds = found.term / _SECOND  # the solver rounds down
        terms = {
            "getHours": lambda: (seconds / 3600) % 24,
            "getMinutes": lambda: (seconds / 60) % 60,
            "getSeconds": lambda: seconds % 60,
            "getDayOfWeek": lambda: (seconds / 86400 + 4) % 7,
        }
        if name not in terms:
            raise _UnreadError
        return _Value("int", terms[name](), found.error)


def _kind_of(name: str, kinds: tuple[str, str]) -> str:
    """Return the kind of a sum, difference or product. Of doubles nothing is known."""
    if kinds == ("int", "int"):
        return "int"
    if name == "_-_" and kinds == ("timestamp", "timestamp"):
        return "duration"
    if name in ("_+_", "_-_") and kinds in (("timestamp", "duration"), ("duration", "duration")):
        return kinds[0]
    if name == "_+_" and kinds == ("duration", "timestamp"):
        return "timestamp"
    raise _UnreadError
