"""What a suite may name: the rules, budgets, models and attributes of the policy set under test."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import Final

from costlens_policy.compiler.plan import Plan
from costlens_policy.compiler.rules import ByChoice, ByExpression, ByName, TargetStep, ThresholdStep, routes_in
from costlens_policy.diagnostics.suggestion import did_you_mean, nearest

__all__ = ["DEFAULT", "RuleKind", "Vocabulary"]

DEFAULT: Final = "default"
"""Stands for the policy set's own default among the deciding rules."""


class RuleKind(StrEnum):
    ACCESS = "access rule"
    ROUTE = "route"
    REWRITE = "rewrite"
    BUDGET = "budget"


class Vocabulary:
    """The names of one plan. ``rules`` holds every rule as ``policy/rule``, policy by policy, stage by stage.

    ``applying`` are the routes that change the call, perhaps ``default`` too. ``thresholds`` are names as
    ``policy/budget@0.8`` by the budget and the place of the threshold in it.
    """

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.rules: Mapping[str, RuleKind] = dict(_rules(plan))
        self.policies: frozenset[str] = frozenset(layer.name for layer in plan.layers)
        self.denies: frozenset[str] = frozenset(
            step.id for layer in plan.layers for step in layer.access if step.denies
        )
        routes = (plan.defaults.route, *(step for layer in plan.layers for step in layer.routes))
        self.applying: frozenset[str] = frozenset(
            route.id for route in routes for step in routes_in(route) if step.rewrite is not None
        )
        self.thresholds: Mapping[tuple[str, int], str] = {
            (step.id, index): _threshold_id(step.id, threshold)
            for layer in plan.layers
            for step in layer.budgets
            for index, threshold in enumerate(step.thresholds)
        }
        self._named: frozenset[str] = frozenset(_named_models(plan))

    def is_rule(self, name: str, *kinds: RuleKind) -> bool:
        return self.rules.get(name) in kinds

    def suggest_rule(self, name: str, *kinds: RuleKind) -> str:
        """Return help for a name that is not a rule of these kinds."""
        known = [rule for rule, kind in self.rules.items() if kind in kinds]
        same = [rule for rule in known if rule.partition("/")[2] == name.rpartition("/")[2]]
        if len(same) == 1:
            return f"did you mean `{same[0]}`?"
        return did_you_mean(name, known)

    def budget(self, name: str) -> str | None:
        """Return a budget as ``policy/budget``, or None where the name is unknown or several policies have it."""
        entry = self.plan.budgets.get(name)
        return None if entry is None else entry[1].id

    def model(self, name: str) -> str | None:
        """Return the catalogue's own name of a model; None where neither the catalogue nor a policy names it."""
        known = self.plan.catalogue.find(name)
        if known is not None:
            return known.name
        return name if name in self._named else None

    def canonical(self, name: str) -> str:
        """Return the catalogue's own name of a model, or the name itself where the catalogue does not list it."""
        return self.model(name) or name

    def suggest_model(self, name: str) -> str:
        near = self.plan.catalogue.suggest(name)
        return f"did you mean `{near}`?" if near else ""

    def suggest_attribute(self, name: str) -> str:
        near = nearest(name, self.plan.attributes)
        return f"did you mean `{near}`?" if near else "declare it under `attributes` of the policy set"


def _threshold_id(budget: str, threshold: ThresholdStep) -> str:
    """Return the name of a threshold: the budget (``policy/budget``) and when it is active, such as ``@0.8``."""
    return f"{budget}@{threshold.name}"


def _rules(plan: Plan) -> Iterator[tuple[str, RuleKind]]:
    for layer in plan.layers:
        yield from ((step.id, RuleKind.ACCESS) for step in layer.access)
        yield from ((step.id, RuleKind.ROUTE) for step in layer.routes)
        yield from ((step.id, RuleKind.REWRITE) for step in layer.rewrites)
        yield from ((step.id, RuleKind.BUDGET) for step in layer.budgets)


def _named_models(plan: Plan) -> Iterator[str]:
    for layer in plan.layers:
        for budget in layer.budgets:
            for threshold in budget.thresholds:
                yield from threshold.models
    for route in (plan.defaults.route, *(route for layer in plan.layers for route in layer.routes)):
        for step in routes_in(route):
            yield from _of_target(step.target)


def _of_target(target: TargetStep) -> Iterator[str]:
    if isinstance(target, ByName | ByChoice):
        yield from target.models
    if isinstance(target, ByExpression | ByChoice):
        yield from target.fallbacks
