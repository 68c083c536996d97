"""Step 3, routes: the first match over all layers in order, else the policy set's default."""

from __future__ import annotations

from dataclasses import dataclass

from costlens_policy.compiler.plan import RouteStep, TargetStep
from costlens_policy.engine.context import Context
from costlens_policy.expressions.compile.first_match import RuleError

__all__ = ["Routed", "decide_route"]


@dataclass(frozen=True, slots=True)
class Routed:
    """The deciding route, and the layer whose variables its target reads (0 for the default, which has none)."""

    rule: str
    layer: int
    target: TargetStep
    reason: str


def decide_route(context: Context) -> Routed:
    """Return the first route whose condition holds."""
    for index, layer in enumerate(context.plan.layers):
        if layer.routes:
            step = _first(context, index)
            if step is not None:
                return Routed(step.id, index, step.target, step.reason)
    return Routed("default", 0, context.plan.defaults.route, "")


def _first(context: Context, index: int) -> RouteStep | None:
    layer = context.plan.layers[index]
    try:
        chosen = layer.first_route.find(
            context.request, context.variables[index], context.budgets, None, None, context.instant
        )
    except RuleError as failed:
        return _one_by_one(context, index, failed.index)
    return None if chosen is None else layer.routes[chosen]


def _one_by_one(context: Context, index: int, start: int) -> RouteStep | None:
    """Walk the routes of a layer from one whose condition fails, so that failures are noted and handled as it says."""
    for step in context.plan.layers[index].routes[start:]:
        if context.holds(step.when, index, step.id, "routes"):
            return step
    return None
