"""What the rules of the type checker share: the environment, what is known so far, and the problems found."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeAlias

from costlens_policy.diagnostics.model import Severity
from costlens_policy.expressions.checking.unification import Substitution
from costlens_policy.expressions.functions import TYPE_NAMES, functions
from costlens_policy.expressions.problems import Problem, shortened
from costlens_policy.expressions.tree import (
    Call,
    Extent,
    Invocation,
    Name,
    Node,
    Resolution,
    ResolutionKind,
    Select,
    TypedExpr,
)
from costlens_policy.expressions.types import BOOL, DYN, UNKNOWN, Environment, Field, Function, Type, type_of

__all__ = ["Rule", "Scope", "Walk", "as_condition", "qualified_name"]


class Walk:
    """One pass over one expression.

    With ``strict`` off nothing is reported and every type is ``dyn``: the specification's evaluation without a check.
    ``fields`` remembers which declared field a selection reads.
    """

    def __init__(self, source: str, environment: Environment, rules: Mapping[type, Rule], strict: bool) -> None:
        self.environment = environment
        self.scope = Scope(environment)
        self.substitution = Substitution()
        self.strict = strict
        self.problems: list[Problem] = []
        self.resolutions: dict[Name | Select, Resolution] = {}
        self.calls: dict[Call, Invocation] = {}
        self.references: set[tuple[str, ...]] = set()
        self.constants: set[tuple[str, ...]] = set()
        self.fields: dict[Node, Field] = {}
        self._source = source
        self._rules = rules
        self._types: dict[Node, Type] = {}

    def type(self, node: Node) -> Type:
        """Check a node and what is below it; return its type, as far as it is known."""
        found = self._rules[type(node)](self, node)
        return self.note(node, found)

    def note(self, node: Node, found: Type) -> Type:
        """Record the type of a node and return it as it is to be used."""
        if not self.strict:
            found = DYN
        self._types[node] = found
        return self.substitution.resolve(found)

    def paths(self, variable: str) -> set[tuple[str, ...]]:
        """Return where reads of a variable are noted."""
        return self.constants if variable in self.environment.constants else self.references

    def plain(self, item: Type) -> Type:
        """Return a type as functions take it: a table is a map."""
        return self.environment.plain(item) if self.environment.constants else item

    def condition(self, node: Node, what: str) -> None:
        """Check a node that must be a bool; ``what`` begins the sentence: ``an operand of `&&` ``."""
        found = self.type(node)
        if not self.substitution.fits([(BOOL, found)]):
            shown = self.shown(found)
            advice = as_condition(self.text(node), shown)
            self.report("CL309", f"{what} must be a bool, got {shown}", node.extent, f"type {shown}", advice)

    def shown(self, item: Type) -> Type:
        """Return a type as it is shown to people, without open parameters."""
        return self.plain(self.substitution.resolve(item, DYN))

    def text(self, node: Node) -> str:
        """Return the text of a node as it fits into a sentence."""
        return shortened(self._source[node.extent.start : node.extent.end])

    def report(
        self, code: str, message: str, extent: Extent, label: str = "", advice: str = "",
        severity: Severity = Severity.ERROR,
    ) -> Type:  # fmt: skip
        """Note a problem; the type of what is wrong is UNKNOWN, about which nothing more is said."""
        if self.strict:
            self.problems.append(Problem(code, message, extent, label, advice, severity))
        return UNKNOWN

    def finished(self, root: Node) -> TypedExpr:
        types = {node: self.substitution.resolve(found, DYN) for node, found in self._types.items()}
        return TypedExpr(
            source=self._source,
            root=root,
            type=types[root],
            types=types,
            resolutions=self.resolutions,
            calls=self.calls,
            references=frozenset(self.references),
            environment=self.environment,
            constants=frozenset(self.constants),
        )


Rule: TypeAlias = Callable[[Walk, Any], Type]


def as_condition(text: str, found: Type) -> str:
    """Return how a value of a type is made a condition."""
    endings = {"int": "> 0", "uint": "> 0u", "double": "> 0.0", "string": '!= ""'}
    if found.name in endings:
        return f"compare it, for example `{text} {endings[found.name]}`"
    if found.name in ("list", "map"):
        return f"compare its size: `size({text}) > 0`"
    return f"write `{text}.hasValue()`" if found.name == "optional_type" else ""


def qualified_name(node: Node) -> str | None:
    """Return ``a.b.c`` for a chain of plain selections on a name; brackets around a part break the chain."""
    fields: list[str] = []
    while isinstance(node, Select):
        if node.optional or node.operand.extent.start != node.extent.start:
            return None
        fields.append(node.field)
        node = node.operand
    return ".".join([node.name, *reversed(fields)]) if isinstance(node, Name) else None


class Scope:
    """The environment and the local variables that are visible at a place."""

    def __init__(self, environment: Environment) -> None:
        self._environment = environment
        self._locals: list[dict[str, Type]] = []
        self._namespaces = _prefixes(environment.container)

    @contextmanager
    def inside(self, variables: Mapping[str, Type]) -> Iterator[None]:
        """Make local variables visible while the block runs."""
        self._locals.append(dict(variables))
        yield
        self._locals.pop()

    def local(self, name: str) -> Resolution | None:
        for frame in reversed(self._locals):
            if name in frame:
                return Resolution(ResolutionKind.LOCAL, name, frame[name])
        return None

    def resolve(self, name: str) -> Resolution | None:
        """Resolve a possibly dotted name, the innermost namespace of the container first."""
        found = self.local(name)
        if found is not None or self.local(name.partition(".")[0]) is not None:
            return found
        return next((hit for candidate in self._candidates(name) if (hit := self._declared(candidate))), None)

    def function(self, name: str) -> Function | None:
        """Return the function of that name; what the environment declares stands beside what there always is."""
        for candidate in self._candidates(name):
            standard, own = functions().get(candidate), self._environment.functions.get(candidate)
            if standard and own:
                return Function(candidate, standard.overloads + own.overloads, standard.description)
            if standard or own:
                return standard or own
        return None

    def function_names(self) -> set[str]:
        return {*functions(), *self._environment.functions}

    def names(self) -> set[str]:
        """Return every name that could have been meant here."""
        return {*self._environment.variables, *(name for frame in self._locals for name in frame)}

    def _declared(self, name: str) -> Resolution | None:
        if name in self._environment.variables:
            return Resolution(ResolutionKind.VARIABLE, name, self._environment.variables[name])
        if name in TYPE_NAMES:
            return Resolution(ResolutionKind.TYPE, name, type_of(TYPE_NAMES[name]))
        return None

    def _candidates(self, name: str) -> Iterator[str]:
        if name.startswith("."):
            yield name[1:]
            return
        for prefix in self._namespaces:
            yield f"{prefix}.{name}"
        yield name


def _prefixes(container: str) -> tuple[str, ...]:
    """Return ``a.b`` and ``a`` for the container ``a.b``."""
    parts = container.split(".") if container else []
    return tuple(".".join(parts[:length]) for length in range(len(parts), 0, -1))
