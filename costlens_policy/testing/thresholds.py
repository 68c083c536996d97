"""Which thresholds of budgets were active in a decision."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from costlens_policy.compiler.budgets import ThresholdStep
from costlens_policy.engine.budgets import BudgetStage, Verdict
from costlens_policy.engine.context import Context, Refusal
from costlens_policy.engine.decision import Decision
from costlens_policy.engine.preparation import Preparations
from costlens_policy.money import add

__all__ = ["active_thresholds", "threshold_id"]


def threshold_id(budget: str, threshold: ThresholdStep) -> str:
    """Return the name of a threshold: the budget (``policy/budget``) and where it starts, a ratio or an amount."""
    start = threshold.at_ratio if threshold.at_ratio is not None else threshold.at_amount
    return f"{budget}@{start:f}"


def active_thresholds(decision: Decision, models: Sequence[str] | None = None) -> frozenset[tuple[str, int]]:
    """Return the thresholds that were active for some models: the one that serves and those that budgets excluded.

    Each is its budget (``policy/budget``) and its place in it. Deciding is pure, so the budgets judge these models once
    more: a decision keeps neither what excluded models met nor what a threshold reached before its rewrite.
    """
    plan = decision.plan
    if models is None:
        models = [item.model for item in decision.excluded if item.by in plan.budgets]
        models += [] if decision.model is None else [decision.model]
    if not plan.budgets or not models:
        return frozenset()
    context = Context(plan, dict(decision.request), decision.balances_read, decision.now)
    prepare, budgets = Preparations(context), BudgetStage(context)
    active: set[tuple[str, int]] = set()
    for model in models:
        try:
            candidate = prepare.of(context.offer(model))
        except Refusal:
            continue
        active.update(_active(budgets.judge(candidate.offer, candidate)))
    context.close()
    return frozenset(active)


def _active(verdict: Verdict) -> Iterator[tuple[str, int]]:
    for applied in verdict.budgets:
        call = verdict.call(applied.step)
        for index, threshold in enumerate(applied.step.thresholds):
            if call is not None and add(applied.taken, call) >= threshold.starts_at(applied.limit):
                yield applied.step.id, index
