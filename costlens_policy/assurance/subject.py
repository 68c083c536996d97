"""What findings see: a plan, the goals of its rules over one domain, and the engine to try a request on."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from costlens_policy.assurance.domain import Assignment, Domain, Every, Goal, Holds
from costlens_policy.assurance.domain.values import ABSENT
from costlens_policy.compiler.formula import Formula
from costlens_policy.compiler.plan import Plan
from costlens_policy.compiler.rules import AccessStep, BudgetStep, RewriteRule, RouteStep
from costlens_policy.diagnostics.model import Diagnostic, Severity
from costlens_policy.documents.policy_set import PolicySetDocument
from costlens_policy.engine.decide import decide
from costlens_policy.engine.decision import Decision
from costlens_policy.errors import CostlensPolicyError
from costlens_policy.expressions.runtime import to_python
from costlens_policy.frozen import frozen

__all__ = ["Finding", "Subject", "shown"]

_ALWAYS: Final = Every(())
_EXAMPLES: Final[Mapping[str, Any]] = {
    "string": "other", "int": 1000, "uint": 1000, "double": 1.0, "bool": True, "list": [], "map": {},
    "timestamp": datetime(2026, 1, 5, 12, tzinfo=UTC),
}  # fmt: skip


@frozen
class Finding:
    """Makes the diagnostics of one finding."""

    code: str

    def at(
        self, formula: Formula, severity: Severity, message: str, label: str, advice: str, *, stops: bool = False
    ) -> Diagnostic:
        return Diagnostic(self.code, severity, message, formula.span, label, advice, stops=stops)


class Subject:
    """A plan with the conditions of all its rules in one domain, so that their critical values are those of all."""

    def __init__(self, plan: Plan, document: PolicySetDocument, now: datetime) -> None:
        self.plan = plan
        self.attributes = document.attributes
        """As the policy set declares them."""
        self.now = now
        self.domain = Domain(plan, now)
        self._goals = {id(formula): self._goal(formula, layer) for formula, layer in _conditions(plan)}

    def holds(self, when: Formula | None, layer: int) -> Goal:
        """Return that a condition holds, as its policy counts errors: under ``on_error: deny`` as if it did."""
        return _ALWAYS if when is None else self._goals[id(when)]

    def denies(self) -> Iterator[tuple[AccessStep, Goal]]:
        """Yield the rules that refuse requests whatever the model, and when they do."""
        for layer, step in self.plan.stages.access:
            if step.denies:
                yield step, self.holds(step.when, layer)

    def budgets(self) -> Iterator[tuple[BudgetStep, Goal]]:
        """Yield the budgets that can refuse, and which calls they count."""
        for layer, step in self.plan.stages.budgets:
            if not step.shadow:
                yield step, self.holds(step.when, layer)

    def request(self, values: Assignment) -> dict[str, Any]:
        """Return the request of an assignment as a caller would write it, with what the policy set requires."""
        found: dict[str, Any] = {}
        for read in sorted(values, key=len):
            value = values[read]
            if read[0] != "request" or value is ABSENT:
                continue
            place: Any = found
            for step in read[1:-1]:
                place = place.get(step) if isinstance(place, dict) else None
            if isinstance(place, dict) and self._says_something(read, value):
                place[read[-1]] = to_python(value)
        for name in self.plan.required - found.keys():
            attribute = self.plan.attributes[name]
            found[name] = attribute.values[0] if attribute.values else _EXAMPLES.get(attribute.type.name, "other")
        return found

    def decide(self, request: Mapping[str, Any]) -> Decision | None:
        """Return what the engine decides, None where it does not admit the request."""
        texts = {} if "prompt" in request or "messages" in request else {"prompt": "Hello."}
        try:
            return decide(self.plan, {**texts, **request}, None, self.now)
        except CostlensPolicyError:
            return None

    def _says_something(self, read: tuple[str, ...], value: Any) -> bool:
        """Say whether a value is not the default, which would be there without being written."""
        attribute = self.plan.attributes.get(read[1])
        return attribute is None or len(read) > 2 or attribute.default is None or value != attribute.default

    def _goal(self, formula: Formula, layer: int) -> Goal:
        return Holds(self.domain.tree(formula, layer), self.plan.layers[layer].on_error == "deny")


def _conditions(plan: Plan) -> Iterator[tuple[Formula, int]]:
    for index, layer in enumerate(plan.layers):
        rules: tuple[AccessStep | RouteStep | RewriteRule | BudgetStep, ...]
        rules = (*layer.access, *layer.routes, *layer.rewrites, *layer.budgets)
        yield from ((step.when, index) for step in rules if step.when is not None)


def shown(request: Mapping[str, Any]) -> str:
    """Return a request in one line, as YAML reads it."""
    parts = (f"{name}: {json.dumps(value, ensure_ascii=False, default=str)}" for name, value in request.items())
    return "{" + ", ".join(parts) + "}"
