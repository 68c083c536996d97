"""How conditions read a request: each becomes a tree of atoms, and each place that it reads is noted with its use.

A condition is taken apart into a tree of ``&&``, ``||``, ``!`` and ``?:`` over atoms. An atom is *understood* where
every value it reads flows into a comparison with what is written out, a test of presence, a prefix or a membership:
then finitely many values of each place stand for all that the atom can tell apart. Whatever else reads a value makes
its place *searched*: examples are tried, and nothing is concluded from their failing.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final, TypeAlias, TypeGuard

from costlens_policy.assurance.domain.examples import plain_texts
from costlens_policy.assurance.domain.times import Clock
from costlens_policy.assurance.domain.trees import (
    ASKED,
    Atom,
    Branch,
    Constant,
    Junction,
    Negation,
    Read,
    Same,
    Tree,
    Use,
    is_signal,
)
from costlens_policy.assurance.domain.values import LOWER, UPPER
from costlens_policy.assurance.domain.written import Constants, literal, table, without_default
from costlens_policy.checker.attributes import SIGNALS
from costlens_policy.checker.reads import nodes_of
from costlens_policy.compiler.formula import Formula
from costlens_policy.compiler.rules import BudgetStep
from costlens_policy.expressions import BOOL, DYN, INT, STRING, Node, ResolutionKind, Type, map_of
from costlens_policy.expressions.tree import (
    Call,
    Comprehension,
    Conditional,
    Index,
    ListLiteral,
    Literal,
    Logic,
    Macro,
    Name,
    Presence,
    Select,
)
from costlens_policy.frozen import frozen
from costlens_policy.signals import Signal

__all__ = ["Uses"]

_BEFORE_AND_AFTER: Final = frozenset({"_<_", "_<=_", "_>_", "_>=_"})
_ORDERS: Final = frozenset({"_==_", "_!=_", *_BEFORE_AND_AFTER})
_TEXT_TESTS: Final = {"startsWith": "prefixes", "endsWith": "suffixes", "contains": "parts", "matches": "patterns"}
_CHANGES: Final[Mapping[str, Callable[[Any], Any]]] = {
    "lowerAscii": lambda text: text.translate(LOWER),
    "upperAscii": lambda text: text.translate(UPPER),
    "size": len,
}
_CASES: Final = frozenset({"lowerAscii", "upperAscii"})
_TIMES: Final = frozenset({
    "getFullYear", "getMonth", "getDate", "getDayOfMonth", "getDayOfWeek", "getDayOfYear", "getHours", "getMinutes",
    "getSeconds", "getMilliseconds",
})  # fmt: skip
_SHOWN: Final = _TIMES - {"getFullYear", "getMinutes", "getSeconds", "getMilliseconds"}
"""Clocks of which all that they show is tried."""
_SAFE: Final = frozenset({*_ORDERS, *_CASES, "@in", "orValue", "or", "!_", "_?_:_", "_+_", "string", "size"})
"""Functions that give a value for every value."""
_ROOTS: Final = frozenset({"request", "budgets", "now"})


@frozen
class _Linear:
    """An integer that is multiplied and added to: ``times`` is not 0."""

    times: int = 1
    plus: int = 0

    def then(self, function: str, by: int) -> _Linear | None:
        match function:
            case "_+_":
                return _Linear(self.times, self.plus + by)
            case "_-_":
                return _Linear(self.times, self.plus - by)
            case "_*_" if by:
                return _Linear(self.times * by, self.plus * by)
            case _:
                return None

    def of(self, value: int) -> int:
        return value * self.times + self.plus

    def before(self, result: float) -> Iterator[int]:
        """Yield the integers between which the result is passed."""
        found = (math.floor(result) - self.plus) // self.times
        yield from (found, found + 1)


_Applied: TypeAlias = str | Clock | _Linear
"""What was applied to a place before it is compared: nothing, a function of texts, a clock, a sum or product."""
_INTEGERS: Final = (-(2**63), 2**63 - 1)
_EXACT: Final = 2**53


@dataclass(slots=True)
class _Flow:
    """Where a value may come from: places, each with what was applied to it, and values that are written out."""

    reads: list[tuple[Read, _Applied]] = field(default_factory=list)
    literals: list[Any] = field(default_factory=list)
    unknown: str = ""

    def join(self, other: _Flow) -> _Flow:
        return _Flow(self.reads + other.reads, self.literals + other.literals, self.unknown or other.unknown)


class Uses:
    """Reads conditions, and gathers how each place is used by all of them."""

    def __init__(
        self,
        models: Sequence[Mapping[str, Any]],
        budgets: Mapping[str, tuple[int, BudgetStep]],
        variables_of: Callable[[int], Mapping[str, Formula]],
        signals: Mapping[str, Signal],
    ) -> None:
        self.by_read: dict[Read, Use] = {}
        self.models = models
        """The records ``model`` of all that may serve."""
        self.budgets = budgets
        """Budgets, each with its layer, by the names that conditions use."""
        self.variables_of = variables_of
        """The variables that a layer reads."""
        self.signals = signals
        """All that are declared: inputs like any, since what texts make of them is not known."""
        self._same: dict[tuple[str, int], Same] = {}
        self._trees: dict[tuple[int, int], tuple[Formula, Tree]] = {}
        """Each with its formula, so that the identity of that is not given away."""

    def tree(self, formula: Formula, layer: int, variables: Mapping[str, Formula]) -> Tree:
        """Return the tree of a condition of a layer, whose variables are read through."""
        key = (id(formula), layer)
        if key not in self._trees:
            self._trees[key] = formula, _Reader(self, formula, layer, variables).tree(formula.typed.root)
        return self._trees[key][1]

    def same(self, part: Formula, layer: int) -> Same:
        """Return what a part of a formula has in common with all parts of the layer that have the same words."""
        extent = part.typed.root.extent
        words = part.source[extent.start : extent.end]
        return self._same.setdefault((words, layer), Same(part))

    def use(self, read: Read) -> Use:
        return self.by_read.setdefault(read, Use())


class _Reader:
    """Reads one formula."""

    def __init__(self, uses: Uses, formula: Formula, layer: int, variables: Mapping[str, Formula]) -> None:
        self._uses = uses
        self._formula = formula
        self._typed = formula.typed
        self._layer = layer
        self._variables = variables
        self._reads: dict[Read, None] = {}
        self._searched = ""
        self._texts: set[str] | None = set()

    def tree(self, node: Node) -> Tree:
        if isinstance(node, Logic):
            return Junction(node.operator == "||", tuple(self.tree(operand) for operand in node.operands))
        if isinstance(node, Call) and node.function == "!_":
            return Negation(self.tree(node.arguments[0]))
        if isinstance(node, Conditional):
            return Branch(self.tree(node.condition), self.tree(node.accepted), self.tree(node.rejected))
        if isinstance(node, Literal) and isinstance(node.value, bool):
            return Constant(node.value)
        asked = self._asked(node)
        if asked is not None:
            return asked
        variable = self._variable(node)
        if variable is not None and variable.typed.type == BOOL:
            return self._uses.tree(variable, self._layer, self._variables)
        return self._atom(node)

    def _asked(self, node: Node) -> Tree | None:
        """Read the comparison of a test with `true` or `false` as the test, or as its negation."""
        if not (isinstance(node, Call) and node.function in ("_==_", "_!=_")):
            return None
        for test, truth in (node.arguments, node.arguments[::-1]):
            is_test = isinstance(test, Call | Logic | Presence | Comprehension) and self._typed.types.get(test) == BOOL
            if is_test and isinstance(truth, Literal) and isinstance(truth.value, bool):
                tree = self.tree(test)
                return tree if truth.value is (node.function == "_==_") else Negation(tree)
        return None

    def _atom(self, node: Node) -> Atom:
        self._reads, self._searched, self._texts = {}, "", set()
        self._examine(node)
        part = replace(self._formula, typed=replace(self._typed, root=node, type=self._typed.types.get(node, BOOL)))
        texts = None if self._texts is None else frozenset(self._texts)
        same = self._uses.same(part, self._layer)
        return Atom(part, self._layer, tuple(self._reads), self._searched, texts, same)

    # What an atom does with what it reads

    def _examine(self, node: Node) -> None:
        """Register how the parts of a truth value are read."""
        if isinstance(node, Conditional | Comprehension):
            self._texts = None
        if isinstance(node, Presence):
            self._presence(node)
        elif isinstance(node, Comprehension):
            self._comprehension(node)
        elif isinstance(node, Conditional | Logic) or (isinstance(node, Call) and node.function == "!_"):
            for inner in _children(node):
                self._examine(inner)
        elif isinstance(node, Call) and node.function in _ORDERS:
            self._compare(*map(self._flow, node.arguments), ordered=node.function in _BEFORE_AND_AFTER)
        elif isinstance(node, Call) and node.function == "@in":
            self._membership(*node.arguments)
        elif _is_text_test(node):
            self._text_test(node)
        elif isinstance(node, Call) and node.function == "hasValue" and node.target is not None:
            self._close(self._flow(node.target))
        else:
            self._close(self._flow(node))

    def _presence(self, node: Presence) -> None:
        read = self._path(node.operand)
        if self._fact(node.operand) is not None:
            self._flow(node.operand)
        elif read is None:
            self._opaque(node.operand)
        else:
            self._note((*read, node.field), self._field_type(node.operand, node.field))

    def _compare(self, left: _Flow, right: _Flow, *, ordered: bool = False) -> None:
        unknown = left.unknown or right.unknown
        if left.reads and right.reads:
            unknown = unknown or "two values of the request are compared with each other"
        for side, other in ((left, right), (right, left)):
            for read, applied in side.reads:
                self._compared(read, applied, other.literals)
                self._uses.use(read).is_ranged |= ordered
                if ordered and any(isinstance(value, str) for value in other.literals):
                    self._uses.use(read).ordered = True
                    self._texts = None
        for value in (*left.literals, *right.literals):
            if isinstance(value, list | dict) and (value or isinstance(value, dict)) and (left.reads or right.reads):
                unknown = unknown or f"a {'list' if isinstance(value, list) else 'map'} is compared as a whole"
        if unknown:
            self._search(unknown, left, right)

    def _compared(self, read: Read, applied: _Applied, literals: list[Any]) -> None:
        use = self._uses.use(read)
        if isinstance(applied, _Linear):  # beyond the largest integers, it fails
            numbers = [value for value in literals if type(value) in (int, float)]
            exact = [value for value in numbers if type(value) is int or abs(value) < _EXACT]
            use.literals.update(near for edge in (*exact, *map(math.ceil, exact)) for near in applied.before(edge))
            self._texts = None
            if len(exact) < len(numbers):
                self._search("an integer is rounded to be compared with a double", _Flow([(read, applied)]))
            return
        if isinstance(applied, tuple):
            use.clocks[applied].update(_hashable(literals))
            self._texts = None
            return
        if applied or not all(isinstance(value, str) for value in literals):
            self._texts = None
        elif self._texts is not None:
            self._texts.update(literals)
        if applied == "size":
            numbers = [value for value in literals if type(value) in (int, float) and math.isfinite(value)]
            use.sizes.update(near for value in numbers for near in (math.floor(value), math.ceil(value)))
        elif applied:
            use.functions.add(applied)
            use.literals.update(_hashable(literals)) if applied in _CASES else None
        else:
            use.is_bare = True
            use.literals.update(_hashable(literals))

    def _membership(self, element: Node, container: Node) -> None:
        container = without_default(container)
        read = self._path(container)
        if read is not None and read[0] == "request":
            self._texts = None
            found = self._flow(element)
            type_ = _inner(self._typed.types.get(container, DYN))
            self._note(read, type_)
            if found.reads or found.unknown or not found.literals:
                self._search("what is looked for is not written out", found, _Flow([(read, "")]))
            elif type_.name == "map":
                for key in found.literals:
                    self._note((*read, str(key)), _value_type(type_))
                    self._uses.use(read).has_children = True
            else:
                self._uses.use(read).members.update(_hashable(found.literals))
            return
        self._compare(self._flow(element), self._listed(container))

    def _listed(self, node: Node) -> _Flow:
        """Return the elements of a list that is written out as where a value may come from."""
        if self._fact(node) is not None:
            return self._flow(node)
        if (known := table(self._typed, node)) is not None:
            return _Flow(literals=[*known])
        variable = self._variable(node)
        if variable is not None:
            return self._inside(variable)._listed(variable.typed.root)
        if not isinstance(node, ListLiteral) or any(node.optional):
            return replace(self._flow(node), unknown="the list is not written out")
        found = _Flow()
        for element in node.elements:
            found = found.join(self._flow(element))
        return found

    def _text_test(self, node: Call) -> None:
        assert node.target is not None
        self._texts = None
        subject, argument = self._flow(node.target), self._flow(node.arguments[0])
        if argument.reads or argument.unknown or subject.unknown or not argument.literals:
            self._search("a text is tested with what is not written out", subject, argument)
            return
        texts = [str(value) for value in argument.literals]
        plain = [plain_texts(text) for text in texts] if node.function == "matches" else []
        for read, applied in subject.reads:
            use = self._uses.use(read)
            getattr(use, _TEXT_TESTS[node.function]).update(texts)
            for kind, text in (found for several in plain for found in several):
                getattr(use, kind).add(text)
            if applied in _CASES:
                use.functions.add(str(applied))
            elif applied:
                self._search(f"`{node.function}` of a value that is worked out", subject)
            else:
                use.is_bare = True
        if not all(plain):
            self._search("`matches` is tried on examples", subject)

    def _comprehension(self, node: Comprehension) -> None:
        """Read ``list.exists(item, item == "x")`` and ``all`` as memberships."""
        range_ = without_default(node.range)
        read = self._path(range_)
        found = _elements(node) if node.macro in (Macro.EXISTS, Macro.ALL) and read is not None else None
        if read is None or found is None:
            self._opaque(node)
            return
        type_ = _inner(self._typed.types.get(range_, DYN))
        if type_.name == "map":
            self._opaque(node)
            return
        self._note(read, type_)
        self._uses.use(read).members.update(found)

    # Where values come from

    def _flow(self, node: Node) -> _Flow:
        written = literal(node)
        if written is not None:
            return _Flow(literals=[written[0]])
        read = self._path(node)
        if read is not None:
            self._note(read, self._typed.types.get(node, DYN))
            return _Flow([(read, "")])
        fact = self._fact(node)
        if fact is not None:
            return self._of_models(fact)
        variable = self._variable(node)
        if variable is not None:
            return self._through(variable)
        if isinstance(node, Conditional):
            self._texts = None
            self._examine(node.condition)
            return self._flow(node.accepted).join(self._flow(node.rejected))
        if isinstance(node, Index) and (known := table(self._typed, node.operand)) is not None:
            return self._looked_up(node, known)
        if isinstance(node, Call):
            return self._call(node)
        return self._opaque(node)

    def _looked_up(self, node: Index, known: Mapping[Any, Any]) -> _Flow:
        """Return what a table gives. Which of its keys a value is, if any, is all that is asked of the value."""
        if not all(isinstance(value, str | int | float) for value in known.values()):
            return self._opaque(node)
        self._texts = None
        self._compare(self._flow(node.key), _Flow(literals=[*known]))
        return _Flow(literals=[*known.values()])

    def _call(self, node: Call) -> _Flow:
        if node.function == "orValue" and node.target is not None:
            return self._flow(node.target).join(self._flow(node.arguments[0]))
        if node.function in ("or", "value") and node.target is not None:
            return _joined(self._flow(inner) for inner in (node.target, *node.arguments))
        if node.function in ("_+_", "_-_", "_*_") and (found := self._linear(node)) is not None:
            return found
        subject = node.target if node.target is not None else next(iter(node.arguments), None)
        if node.function in (*_CASES, "size") and subject is not None:
            return self._applied(node.function, subject)
        if node.function in _TIMES and subject is not None:
            return self._time(node, subject)
        return self._opaque(node)

    def _linear(self, node: Call) -> _Flow | None:
        """Return the flow of an integer place that is added to, or multiplied by, what is written out."""
        left, right = node.arguments
        by = literal(right) or (None if node.function == "_-_" else literal(left))
        inner = left if literal(right) is not None else right
        if by is None or type(by[0]) is not int or self._typed.types.get(inner) != INT:
            return None
        found = self._flow(inner)
        steps: list[tuple[Read, _Applied]] = []
        for read, applied in found.reads:
            before = applied if isinstance(applied, _Linear) else _Linear() if applied == "" else None
            after = None if before is None else before.then(node.function, by[0])
            if after is None:
                return None
            self._uses.use(read).literals.update(near for edge in _INTEGERS for near in after.before(edge))
            steps.append((read, after))
        step = _Linear().then(node.function, by[0]) or _Linear(0)  # by 0, where only what is written out is multiplied
        literals = [step.of(value) for value in found.literals if type(value) is int]
        return _Flow(steps, literals, found.unknown)

    def _applied(self, function: str, subject: Node) -> _Flow:
        found = self._flow(subject)
        unknown = found.unknown or (
            f"`{function}` of a value that is worked out" if any(a for _, a in found.reads) else ""
        )
        change = _CHANGES[function]
        literals = [change(value) for value in found.literals if isinstance(value, str | list | dict)]
        return _Flow([(read, function) for read, _ in found.reads], literals, unknown)

    def _time(self, node: Call, subject: Node) -> _Flow:
        found = self._flow(subject)
        zones = [literal(argument) for argument in node.arguments] if node.target is not None else []
        if found.reads != [(("now",), "")] or None in zones:
            return replace(found, unknown=found.unknown or "a time that is worked out")
        clock = (node.function, str(zones[0][0]) if zones and zones[0] is not None else "")
        self._uses.use(("now",)).clocks.setdefault(clock, Constants())
        return _Flow([(("now",), clock)])

    def _through(self, variable: Formula) -> _Flow:
        """Return where the value of a variable comes from; what reads it is in this atom."""
        self._texts = None
        inner = self._inside(variable)
        found = inner._flow(variable.typed.root)
        self._reads.update(inner._reads)
        self._searched = self._searched or inner._searched
        return found

    def _inside(self, variable: Formula) -> _Reader:
        inner = _Reader(self._uses, variable, self._layer, self._variables)
        inner._reads = self._reads
        return inner

    def _opaque(self, node: Node) -> _Flow:
        """Return what an expression that is not understood reads: examples are tried, none stands for all."""
        self._texts = None
        found = _Flow()
        for inner in _children(node):
            part = self._flow(inner)
            found.reads.extend(part.reads)
            found.literals.extend(part.literals)
            found.unknown = found.unknown or part.unknown
        if not found.unknown and found.reads and all(_is_shown(applied) for _, applied in found.reads):
            return found  # whatever is done with what clocks show: all that they show is tried
        found.unknown = _reason(node)
        self._search(found.unknown, found)
        return found

    def _search(self, why: str, *flows: _Flow) -> None:
        """Mark places as searched; what is written out near them serves as examples."""
        self._searched = self._searched or why
        literals = [value for flow in flows for value in flow.literals]
        for flow in flows:
            for read, applied in flow.reads:
                use = self._uses.use(read)
                if _is_shown(applied):
                    continue
                use.searched = use.searched or why
                use.literals.update(_hashable(literals))

    def _close(self, found: _Flow) -> None:
        """Take a value that decides by itself, such as a flag."""
        if any(isinstance(applied, str) and applied for _, applied in found.reads):
            self._search("a value that is worked out decides", found)

    # Places

    def _path(self, node: Node) -> Read | None:
        """Return the place of the request, of a budget or of time that a chain of selections reads, or None."""
        chain = self._chain(node)
        if chain is None or chain[0] not in _ROOTS or (chain[:2] == ASKED and len(chain) > 2):
            return None
        if chain[0] == "budgets" and len(chain) > 1:
            known = self._uses.budgets.get(chain[1])
            return ("budgets", chain[1] if known is None else known[1].id, *chain[2:])
        return chain

    def _fact(self, node: Node) -> Read | None:
        """Return what an expression reads of ``model``, or None where it is another one."""
        chain = self._chain(node)
        if chain is None or (chain[0] == "request" and chain[:2] != ASKED):
            return None
        return chain if chain[0] in ("model", "estimate", "request") else None

    def _chain(self, node: Node) -> Read | None:
        node = without_default(node) if _is_with_empty_map(node) else node
        if isinstance(node, Name):
            resolution = self._typed.resolutions.get(node)
            is_root = resolution is None or resolution.kind is ResolutionKind.VARIABLE
            return (node.name,) if is_root and node.name != "variables" else None
        if isinstance(node, Select):
            above, step = self._chain(node.operand), node.field
        elif isinstance(node, Index) and isinstance(node.key, Literal) and isinstance(node.key.value, str):
            above, step = self._chain(node.operand), node.key.value
        else:
            return None
        return (*above, step) if above is not None else None

    def _of_models(self, fact: Read) -> _Flow:
        """Return what a fact is for any model: as good as written out, since the models are known."""
        if fact[0] == "estimate":
            self._reads[fact[:1]] = None
            self._searched = self._searched or "`estimate` depends on the texts of the request"
            return _Flow(unknown=self._searched)
        root = ASKED if fact[0] == "request" else fact[:1]
        self._note(root, DYN)
        values: list[Any] = list(self._uses.models)
        for step in fact[len(root) :]:
            values = [value[step] for value in values if isinstance(value, Mapping) and step in value]
        flat = [item for value in values for item in (value if isinstance(value, list) else [value])]
        return _Flow(literals=[item for item in flat if isinstance(item, str | int | float)])

    def _note(self, read: Read, type_: Type) -> None:
        """Register a place, and those that it is inside of."""
        if read[0] == "budgets" and len(read) > 1:
            self._state(read)
            return
        if read[-1:] and len(read) > 1 and read[0] == "request":
            for depth in range(2, len(read)):
                self._uses.use(read[:depth]).has_children = True
                self._describe(read[:depth], self._uses.use(read[:depth]))
                self._reads[read[:depth]] = None
        self._reads[read] = None
        use = self._uses.use(read)
        self._describe(read, use)
        if use.type == DYN and len(read) != 2:
            use.type = _inner(type_)

    def _state(self, read: Read) -> None:
        """Register a field of a budget's state. Whose state it is depends on the scope, and both may fail."""
        self._reads[read[:2]] = None
        self._uses.use(read)
        known = self._uses.budgets.get(read[1])
        if known is None:
            return
        layer, step = known
        for formula in (step.scope, step.limit):
            if isinstance(formula, Formula):
                inner = _Reader(self._uses, formula, layer, self._uses.variables_of(layer))
                inner._reads = self._reads
                inner._flow(formula.typed.root)
                functions = {node.function for node in nodes_of(formula.typed.root) if isinstance(node, Call)}
                if not functions <= _SAFE:
                    self._searched = (
                        self._searched or f"the {'scope' if formula is step.scope else 'limit'} of a budget"
                    )

    def _describe(self, read: Read, use: Use) -> None:
        if read[0] != "request" or len(read) < 2:
            return
        record = self._typed.environment.records.get("request")
        declared = record.fields.get(read[1]) if record is not None else None
        if len(read) == 2 and declared is not None:
            use.type, use.optional, use.declared = declared.type, declared.optional, tuple(declared.values)
            if read[1] == SIGNALS:
                use.type = map_of(STRING, DYN)
        elif is_signal(read) and (signal := self._uses.signals.get(read[2])) is not None:
            use.type, use.optional, use.declared = Type(signal.type), signal.may_be_absent, signal.labels
            use.literals.update(int(end) if signal.type == "int" else end for end in signal.range or ())
        elif len(read) > 2:
            use.optional = True

    def _field_type(self, operand: Node, name: str) -> Type:
        type_ = self._typed.types.get(operand, DYN)
        if type_.name in self._typed.environment.records:
            found = self._typed.environment.records[type_.name].fields.get(name)
            return DYN if found is None else found.type
        return _value_type(type_)

    def _variable(self, node: Node) -> Formula | None:
        if isinstance(node, Select) and isinstance(node.operand, Name) and node.operand.name == "variables":
            return self._variables.get(node.field)
        return None


def _is_shown(applied: _Applied) -> bool:
    """Say whether a place is a clock of which all that it shows is tried, whatever is made of it."""
    return isinstance(applied, tuple) and applied[0] in _SHOWN


def _is_with_empty_map(node: Node) -> bool:
    """Say whether a map is read with an empty one in its place, in which there is nothing to read."""
    return isinstance(node, Call) and node.function == "orValue" and literal(node.arguments[0]) == ({},)


def _inner(type_: Type) -> Type:
    """Return what an optional type is of."""
    return type_.parameters[0] if type_.name == "optional_type" else type_


def _elements(node: Comprehension) -> Constants | None:
    """Return what the elements of a list are compared with, where that is all that is asked of them."""
    predicate = node.predicate
    operands = predicate.operands if isinstance(predicate, Logic) else (predicate,)
    found = Constants()
    for operand in operands:
        if not (isinstance(operand, Call) and operand.function in ("_==_", "_!=_", "@in")):
            return None
        sides = operand.arguments
        names = [side for side in sides if isinstance(side, Name) and side.name == node.variable]
        literals = [value for side in sides if (value := literal(side)) is not None]
        if len(names) != 1 or len(literals) != 1 or node.second is not None:
            return None
        if operand.function == "@in" and (sides[0] is not names[0] or not isinstance(literals[0][0], list)):
            return None
        items = literals[0][0] if operand.function == "@in" else list(literals[0])
        found.update(_hashable(items))
    return found


def _joined(flows: Iterator[_Flow]) -> _Flow:
    found = _Flow()
    for flow in flows:
        found = found.join(flow)
    return found


def _hashable(values: list[Any]) -> Iterator[Any]:
    return (value for value in values if value is not None and isinstance(value, str | int | float | bytes | datetime))


def _value_type(type_: Type) -> Type:
    inner = _inner(type_)
    return inner.parameters[1] if inner.name == "map" and len(inner.parameters) == 2 else DYN


def _is_text_test(node: Node) -> TypeGuard[Call]:
    """Say whether a text is tested by what is in it; `sets.contains(a, b)` has two arguments."""
    return (
        isinstance(node, Call) and node.function in _TEXT_TESTS and node.target is not None and len(node.arguments) == 1
    )


def _reason(node: Node) -> str:
    return f"`{node.function.strip('_@')}`" if isinstance(node, Call) else "an expression over several values"


def _children(node: Any) -> Iterator[Node]:
    """Yield the operands of a node."""
    for name in getattr(node, "__slots__", ()):
        value = getattr(node, name)
        if isinstance(value, tuple):
            yield from (item for item in value if hasattr(item, "extent"))
        elif hasattr(value, "extent"):
            yield value
