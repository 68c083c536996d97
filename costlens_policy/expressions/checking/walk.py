"""What the rules of the type checker share: the environment, what is known so far, and the problems found."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from costlens_policy.diagnostics.model import Severity
from costlens_policy.expressions.checking.names import Scope
from costlens_policy.expressions.checking.unification import Substitution
from costlens_policy.expressions.problems import Problem, shortened
from costlens_policy.expressions.tree import Call, Extent, Name, Node, Select
from costlens_policy.expressions.typed import Invocation, Resolution, TypedExpr
from costlens_policy.expressions.types import BOOL, DYN, UNKNOWN, Environment, Field, Type

__all__ = ["Rule", "Walk", "as_condition"]


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

    def condition(self, node: Node, what: str) -> None:
        """Check a node that must be a bool; ``what`` begins the sentence: ```&&` joins conditions``."""
        found = self.type(node)
        if not self.substitution.fits([(BOOL, found)]):
            shown = self.shown(found)
            advice = as_condition(self.text(node), shown)
            self.report("CL309", f"{what}, and this is a value of type {shown}", node.extent, f"type {shown}", advice)

    def shown(self, item: Type) -> Type:
        """Return a type as it is shown to people, without open parameters."""
        return self.substitution.resolve(item, DYN)

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
        types = {node: self.shown(found) for node, found in self._types.items()}
        return TypedExpr(
            source=self._source,
            root=root,
            type=types[root],
            types=types,
            resolutions=self.resolutions,
            calls=self.calls,
            references=frozenset(self.references),
            environment=self.environment,
        )


Rule: TypeAlias = Callable[[Walk, Any], Type]


def as_condition(text: str, found: Type) -> str:
    """Return how a value of a type is made a condition."""
    endings = {"int": "> 0", "uint": "> 0u", "double": "> 0.0", "string": '!= ""'}
    if found.name in endings:
        return f"compare it, for example `{text} {endings[found.name]}`"
    if found.name in ("list", "map"):
        return f"ask for its size: `size({text}) > 0`"
    return f"ask `{text}.hasValue()`" if found.name == "optional_type" else ""
