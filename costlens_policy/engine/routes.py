"""Step 3, routes: the first match over all layers in order, else the policy set's default."""

from __future__ import annotations

from costlens_policy.compiler.rules import RouteStep
from costlens_policy.engine.context import Context
from costlens_policy.expressions.compile.first_match import RuleError

__all__ = ["decide_route"]


def decide_route(context: Context) -> RouteStep:
    """Return the first route whose condition holds."""
    for layer, first in context.plan.stages.routes:
        try:
            chosen = first.find(context.request, context.variables[layer], context.budgets, None, None, context.instant)
        except RuleError as failed:
            step = _one_by_one(context, layer, failed.index)
        else:
            step = None if chosen is None else context.plan.layers[layer].routes[chosen]
        if step is not None:
            return step
    return context.plan.defaults.route


def _one_by_one(context: Context, layer: int, start: int) -> RouteStep | None:
    """Walk the routes of a layer from one whose condition fails, so that failures are noted and handled as it says."""
    for step in context.plan.layers[layer].routes[start:]:
        if context.holds(step.when, layer, step.id, "routes"):
            return step
    return None
