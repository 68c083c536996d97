"""Expressions in the terms of the solver z3. What is not translated is a value of which nothing is known."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from costlens_policy.assurance.domain.trees import Read
from costlens_policy.checker.reads import nodes_of
from costlens_policy.compiler.formula import Formula
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
from costlens_policy.proof.solver.patterns import UntranslatableError, pattern_for
from costlens_policy.proof.solver.places import (
    FIRST_NS,
    HIGHEST,
    LAST_NS,
    LOWEST,
    SECOND,
    SORTS,
    Places,
    Truth,
    UnreadError,
    Value,
)

__all__ = ["Terms"]

_EXACT: Final = 2**53
_RANGES: Final = {
    "getHours": 23, "getMinutes": 59, "getSeconds": 59, "getMilliseconds": 999, "getDayOfWeek": 6, "getMonth": 11,
    "getDayOfMonth": 30, "getDayOfYear": 365,
}  # fmt: skip


class Terms:
    """The expressions of one formula in the terms of the solver."""

    def __init__(self, places: Places, formula: Formula, layer: int) -> None:
        self._places = places
        self._z3 = places.z3
        self._formula = formula
        self._typed = formula.typed
        self._layer = layer

    def value(self, node: Node) -> Value:
        """Return the value of an expression; one of which nothing is known where it is not translated."""
        try:
            return self._value(node)
        except UnreadError:
            return self.unknown(node, self._kind(node))

    def unknown(self, node: Node, kind: str) -> Value:
        words = self._formula.source[node.extent.start : node.extent.end]
        return self._places.fresh(words, self._layer, kind)

    def _kind(self, node: Node) -> str:
        type_ = self._typed.types.get(node)
        return "" if type_ is None else SORTS.get(type_.name, "")

    def _known(self, value: Any, error: Any = None) -> Value:
        """Return a value that is written out."""
        z3 = self._z3
        none = z3.BoolVal(False) if error is None else error
        match value:
            case bool():
                return Value("bool", z3.BoolVal(value), none)
            case Uint():
                raise UnreadError
            case int():
                return Value("int", z3.IntVal(value), none)
            case float() if value == value and abs(value) != float("inf"):
                numerator, denominator = value.as_integer_ratio()
                return Value("double", z3.Q(numerator, denominator), none)
            case str():
                return Value("string", self._places.text(value), none)
            case Timestamp(nanoseconds):
                return Value("timestamp", z3.IntVal(nanoseconds), none)
            case Duration(nanoseconds):
                return Value("duration", z3.IntVal(nanoseconds), none)
        raise UnreadError

    def _value(self, node: Node) -> Value:
        if isinstance(node, Literal):
            return self._known(node.value)
        if self._is_constant(node):
            return self._computed(node)
        if isinstance(node, Logic):
            found = [self._truth(operand) for operand in node.operands]
            return self._of_truth(self._places.junction(node.operator == "||", found))
        if isinstance(node, Conditional):
            return self._conditional(node)
        if isinstance(node, Presence):
            return self._presence(node)
        if isinstance(node, Call):
            return self._call(node)
        return self._read(node)

    def _of_truth(self, truth: Truth) -> Value:
        return Value("bool", truth.true, truth.error)

    def _truth(self, node: Node) -> Truth:
        found = self.value(node)
        if found.kind != "bool":
            found = self.unknown(node, "bool")
        return Truth(self._z3.And(found.term, self._z3.Not(found.error)), found.error)

    def _is_constant(self, node: Node) -> bool:
        """Say whether an expression reads nothing, or only a model that is known."""
        for part in nodes_of(node):
            if isinstance(part, Name):
                resolution = self._typed.resolutions.get(part)
                if resolution is None or resolution.kind is not ResolutionKind.VARIABLE:
                    return False
                if resolution.name != "model" or self._places.view is None:
                    return False
        return True

    def _computed(self, node: Node) -> Value:
        """Return what the program makes of an expression that does not depend on the request."""
        type_ = self._typed.types.get(node)
        if type_ is None:
            raise UnreadError
        part = replace(self._formula, typed=replace(self._typed, root=node, type=type_), result="any")
        try:
            value = part.evaluate({}, {}, {}, self._places.view, None, None)
        except CelError:
            kind = SORTS.get(type_.name, "")
            return Value(kind, self.unknown(node, kind).term, self._z3.BoolVal(True))
        return self._known(value)

    def _conditional(self, node: Conditional) -> Value:
        z3, condition = self._z3, self._truth(node.condition)
        one, other = self._alike(self.value(node.accepted), self.value(node.rejected))
        error = z3.Or(condition.error, z3.If(condition.true, one.error, other.error))
        return Value(one.kind, z3.If(condition.true, one.term, other.term), error)

    def _alike(self, one: Value, other: Value) -> tuple[Value, Value]:
        """Return two values of one kind. Whole numbers become doubles beside one, which matters for large ones only."""
        if {one.kind, other.kind} == {"int", "double"}:
            if not self._is_small(one) and not self._is_small(other):
                raise UnreadError
            one, other = self._real(one), self._real(other)
        if one.kind != other.kind or one.kind not in SORTS:
            raise UnreadError
        return one, other

    def _is_small(self, value: Value) -> bool:
        """Say whether a value is written out, and doubles tell integers apart that are near it."""
        z3, term = self._z3, value.term
        if z3.is_rational_value(term) and not z3.is_int_value(term):
            return bool(abs(term.as_fraction()) < _EXACT)
        return bool(z3.is_int_value(term) and abs(term.as_long()) < _EXACT)

    def _real(self, value: Value) -> Value:
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

    def _read(self, node: Node) -> Value:
        path = self._path(node)
        if path == ("now",):
            return self._places.place(path, "timestamp", optional=False)
        if path is None or len(path) < 2:
            raise UnreadError
        if path[0] == "variables" and len(path) == 2:
            return self._variable(path[1])
        if path[0] == "budgets" and len(path) == 3:
            return self._budget(path)
        if path[0] != "request" or len(path) != 2:
            raise UnreadError
        place = self._attribute(path)
        if isinstance(node, Select) and node.optional:
            there = self._z3.BoolVal(True) if place.there is None else place.there
            return Value(f"optional {place.kind}", place.term, place.error, there)
        return place if place.there is None else place._replace(error=self._z3.Not(place.there), there=None)

    def _attribute(self, path: Read) -> Value:
        field = self._typed.environment.records["request"].fields.get(path[1])
        kind = "" if field is None else "list" if field.type.name == "list" else SORTS.get(field.type.name, "")
        if field is None or not kind:
            raise UnreadError
        return self._places.place(path, kind, field.optional)

    def _variable(self, name: str) -> Value:
        """Return the value of a variable, which is read once and fails wherever it is read."""
        plan, layer = self._places.plan, self._layer
        own = plan.layers[layer].variables if layer < len(plan.layers) else {}
        formula = own.get(name) or plan.variables.get(name)
        if formula is None:
            raise UnreadError
        inner = Terms(self._places, formula, layer)
        found = inner.value(formula.typed.root)
        if found.kind not in SORTS:
            raise UnreadError
        return found

    def _budget(self, path: Read) -> Value:
        """Return a state of a budget. Whether it can be read is not known: its scope or its limit may fail."""
        entry = self._places.plan.budgets.get(path[1])
        if entry is None or path[2] not in ("used", "held", "limit", "left", "used_ratio"):
            raise UnreadError
        name = entry[1].id
        place = self._places.place(("budgets", name, path[2]), "double", optional=False)
        return place._replace(error=self._places.fresh(f"budget {name}", -1, "bool").term)

    def _presence(self, node: Presence) -> Value:
        path = self._path(node.operand)
        if path != ("request",):
            raise UnreadError
        place = self._attribute((*path, node.field))
        there = self._z3.BoolVal(True) if place.there is None else place.there
        return Value("bool", there, self._z3.BoolVal(False))

    # Calls

    def _call(self, node: Call) -> Value:
        name, arguments = node.function, node.arguments
        if name == "!_":
            return self._of_truth(self._places.negated(self._truth(arguments[0])))
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
                return Value("bool", found.there, found.error)
        raise UnreadError

    def _method(self, node: Call, target: Node, argument: Node) -> Value:
        z3, name = self._z3, node.function
        if name == "orValue":
            found, other = self.value(target), self.value(argument)
            if found.there is None or found.kind != f"optional {other.kind}" or other.kind not in SORTS:
                raise UnreadError
            error = z3.Or(found.error, z3.And(z3.Not(found.there), other.error))
            return Value(other.kind, z3.If(found.there, found.term, other.term), error)
        if name in ("startsWith", "endsWith", "contains"):
            return self._part(name, target, argument)
        if name == "matches" and isinstance(argument, Literal) and isinstance(argument.value, str):
            subject = self._text_of(target)
            try:
                return Value("bool", z3.InRe(subject.term, pattern_for(z3, argument.value)), subject.error)
            except UntranslatableError:
                raise UnreadError from None
        raise UnreadError

    def _text_of(self, node: Node) -> Value:
        found = self.value(node)
        if found.kind != "string":
            raise UnreadError
        return found

    def _part(self, name: str, target: Node, argument: Node) -> Value:
        z3 = self._z3
        part = self._text_of(argument)
        subject = self._text_of(target)
        tests = {
            "startsWith": lambda: z3.PrefixOf(part.term, subject.term),
            "endsWith": lambda: z3.SuffixOf(part.term, subject.term),
            "contains": lambda: z3.Contains(subject.term, part.term),
        }
        return Value("bool", tests[name](), z3.Or(subject.error, part.error))

    def _compared(self, name: str, left: Node, right: Node) -> Value:
        z3 = self._z3
        if name in ("_==_", "_!=_") and (cased := self._cased(left, right) or self._cased(right, left)) is not None:
            return cased if name == "_==_" else cased._replace(term=z3.Not(cased.term))
        one, other = self._alike(self.value(left), self.value(right))
        if name not in ("_==_", "_!=_") and one.kind == "bool":
            raise UnreadError
        terms = {
            "_==_": lambda: one.term == other.term,
            "_!=_": lambda: one.term != other.term,
            "_<_": lambda: one.term < other.term,
            "_<=_": lambda: one.term <= other.term,
            "_>_": lambda: other.term < one.term,
            "_>=_": lambda: other.term <= one.term,
        }
        return Value("bool", terms[name](), z3.Or(one.error, other.error))

    def _cased(self, changed: Node, literal: Node) -> Value | None:
        """Return ``text.lowerAscii() == "word"`` as a pattern that knows no case; None where it is nothing like it."""
        wanted = {"lowerAscii": str.lower, "upperAscii": str.upper}
        if not isinstance(changed, Call) or changed.function not in wanted or changed.target is None:
            return None
        if not isinstance(literal, Literal) or not isinstance(literal.value, str) or not literal.value.isascii():
            return None
        z3, word = self._z3, literal.value
        subject = self._text_of(changed.target)
        if wanted[changed.function](word) != word:
            return Value("bool", z3.BoolVal(False), subject.error)
        parts = [z3.Union(z3.Re(letter.lower()), z3.Re(letter.upper())) if letter.isalpha() else
                 z3.Re(self._places.text(letter)) for letter in word]  # fmt: skip
        pattern = z3.Re("") if not parts else parts[0] if len(parts) == 1 else z3.Concat(*parts)
        return Value("bool", z3.InRe(subject.term, pattern), subject.error)

    def _arithmetic(self, name: str, one: Value, other: Value) -> Value:
        z3, kinds = self._z3, (one.kind, other.kind)
        error = z3.Or(one.error, other.error)
        if name == "_+_" and kinds == ("string", "string"):
            return Value("string", z3.Concat(one.term, other.term), error)
        kind = _kind_of(name, kinds)
        if kind == "int" and name == "_*_" and not (z3.is_int_value(one.term) or z3.is_int_value(other.term)):
            raise UnreadError
        if name in ("_/_", "_%_"):
            term = self._divided(name, one.term, other.term)
        else:
            term = one.term + other.term if name == "_+_" else one.term - other.term if name == "_-_" else (
                one.term * other.term
            )  # fmt: skip
        low, high = (FIRST_NS, LAST_NS) if kind == "timestamp" else (LOWEST, HIGHEST)
        return Value(kind, term, z3.Or(error, term < low, term > high))

    def _divided(self, name: str, one: Any, other: Any) -> Any:
        """Divide towards zero, as CEL does, by a number that is written out."""
        z3 = self._z3
        if not z3.is_int_value(other) or other.as_long() <= 0:
            raise UnreadError
        quotient = z3.If(one >= 0, one / other, -((-one) / other))
        return quotient if name == "_/_" else one - quotient * other

    def _membership(self, element: Node, container: Node) -> Value:
        z3 = self._z3
        if isinstance(container, ListLiteral) and not any(container.optional):
            found = self.value(element)
            items = [self._alike(found, self.value(item)) for item in container.elements]
            error = z3.Or([found.error, *(item.error for _, item in items)])
            return Value("bool", z3.Or([one.term == other.term for one, other in items]), error)
        path = self._path(container)
        if path is None or not isinstance(element, Literal) or not isinstance(element.value, str):
            raise UnreadError
        listed = self.value(container)
        if listed.kind != "list":
            raise UnreadError
        return Value("bool", self._places.member(path, element.value), listed.error)

    def _size(self, node: Node) -> Value:
        found = self.value(node)
        if found.kind == "string":
            return Value("int", self._z3.Length(found.term), found.error)
        if found.kind == "list":
            return found._replace(kind="int")
        raise UnreadError

    def _time(self, name: str, found: Value) -> Value:
        """Return a part of a time in UTC. What depends on the calendar is only known to be in its range."""
        if found.kind != "timestamp":
            raise UnreadError
        seconds = found.term / SECOND  # the solver rounds down
        terms = {
            "getHours": lambda: (seconds / 3600) % 24,
            "getMinutes": lambda: (seconds / 60) % 60,
            "getSeconds": lambda: seconds % 60,
            "getDayOfWeek": lambda: (seconds / 86400 + 4) % 7,
        }
        if name not in terms:
            raise UnreadError
        return Value("int", terms[name](), found.error)


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
    raise UnreadError
