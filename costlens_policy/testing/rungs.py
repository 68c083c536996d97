"""Which rungs of budgets were active in a decision."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from costlens_policy.compiler.budgets import RungStep
from costlens_policy.engine.context import Context, Refusal
from costlens_policy.engine.decision import Decision
from costlens_policy.engine.ladder import Climb, Ladder
from costlens_policy.engine.preparation import Preparations
from costlens_policy.money import add

__all__ = ["active_rungs", "rung_id"]


def rung_id(budget: str, rung: RungStep) -> str:
    """Return the name of a rung: the budget (``policy/budget``) and where the rung starts, a ratio or an amount."""
    start = rung.at_ratio if rung.at_ratio is not None else rung.at_amount
    return f"{budget}@{start:f}"


def active_rungs(decision: Decision, models: Sequence[str] | None = None) -> frozenset[tuple[str, int]]:
    """Return the rungs that were active for some models: left out, the one that serves and those that a budget took
    out.

    They are told as the budget (``policy/budget``) and their place in it. Deciding is pure, so these models climb their
    budgets once more: a decision keeps neither what excluded models met nor what a rung reached before its rewrite.
    """
    plan = decision.plan
    if models is None:
        models = [item.model for item in decision.excluded if item.by in plan.budgets]
        models += [] if decision.model is None else [decision.model]
    if not plan.budgets or not models:
        return frozenset()
    context = Context(plan, dict(decision.request), decision.balances_read, decision.now)
    prepare, ladder = Preparations(context), Ladder(context)
    active: set[tuple[str, int]] = set()
    for model in models:
        try:
            candidate = prepare.of(context.offer(model))
        except Refusal:
            continue
        active.update(_active(ladder.climb(candidate.offer, candidate)))
    context.close()
    return frozenset(active)


def _active(climb: Climb) -> Iterator[tuple[str, int]]:
    for gauge in climb.gauges:
        call = climb.call(gauge.step)
        for index, rung in enumerate(gauge.step.rungs):
            if call is not None and add(gauge.taken, call) >= rung.starts_at(gauge.limit):
                yield gauge.step.id, index
