"""What one decision did to each rule and threshold, and who refused it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from costlens_policy.engine.budgets import BudgetStage, Costs, Verdict, taken
from costlens_policy.engine.context import Context, Refusal
from costlens_policy.engine.decision import Balance, Decision
from costlens_policy.engine.preparation import Preparations
from costlens_policy.engine.record import RuleOutcome, outcomes_of
from costlens_policy.frozen import frozen
from costlens_policy.money import add
from costlens_policy.testing.vocabulary import RuleKind, Vocabulary

__all__ = ["Observation", "observe"]


@frozen
class Observation:
    """A decision seen from its rules.

    ``outcomes`` has every rule of the plan. ``refused_by`` are the rules and budgets that refused the request, none
    where it was allowed. ``thresholds`` are those that were active, as ``policy/budget`` with their number, and
    ``thresholds_at_all`` those of fallbacks, too.
    """

    decision: Decision
    outcomes: Mapping[str, RuleOutcome]
    refused_by: frozenset[str]
    thresholds: frozenset[tuple[str, int]]
    thresholds_at_all: frozenset[tuple[str, int]]
    balances: Mapping[tuple[str, str], Balance]
    """Those that were given, whether the decision read them or not."""

    def evaluated(self, rule: str) -> bool:
        return self.outcomes.get(rule, RuleOutcome.NOT_REACHED) is not RuleOutcome.NOT_REACHED


def observe(
    decision: Decision, known: Vocabulary, balances: Mapping[tuple[str, str], Balance] | None = None
) -> Observation:
    """Read what a decision did to the rules. ``balances`` are those it was given; by default those that it read."""
    outcomes = outcomes_of(decision)
    budgets = {item.by for item in decision.excluded if known.is_rule(item.by, RuleKind.BUDGET)}
    excluded = _judged(decision, [item.model for item in decision.excluded if item.by in decision.plan.budgets])
    budgets.update(name for verdict, costs in excluded if verdict.full for name in _without_room(verdict, costs))
    # The record looks at budgets with the winner's eyes; one that excluded a candidate was asked all the same.
    outcomes.update(dict.fromkeys(budgets, RuleOutcome.MATCHED))
    # So it does at rewrites; those that only a fallback gets were applied to its call.
    outcomes.update(dict.fromkeys(_of_fallbacks(decision), RuleOutcome.MATCHED))
    refused_by: frozenset[str] = frozenset()
    if not decision.allowed:
        denies = {rule for rule in known.denies if outcomes.get(rule) is RuleOutcome.MATCHED}
        refused_by = frozenset({decision.rule, *budgets, *denies})
    served = [] if decision.model is None else [decision.model]
    thresholds = _active([*excluded, *_judged(decision, served)])
    at_all = thresholds | _active(_judged(decision, decision.fallbacks))
    given = decision.balances_read if balances is None else balances
    return Observation(decision, outcomes, refused_by, thresholds, at_all, given)


def _of_fallbacks(decision: Decision) -> Iterator[str]:
    """Yield the rewrites and budgets of the fallback calls."""
    for call in decision.fallback_calls:
        yield from call.rewrites
        yield from (seen.budget for seen in call.balances)


def _judged(decision: Decision, models: Sequence[str]) -> tuple[tuple[Verdict, Costs], ...]:
    """Return what the budgets say to some models, once more: deciding is pure.

    A decision keeps neither what excluded models met nor what a threshold reached before its rewrite.
    """
    plan = decision.plan
    if not plan.budgets or not models or decision.route is None:
        return ()
    context = Context(plan, dict(decision.request), decision.balances_read, decision.now, None, decision.measured)
    prepare, budgets = Preparations(context, decision.route), BudgetStage(context)
    found: list[tuple[Verdict, Costs]] = []
    for model in models:
        try:
            candidate = prepare.of(context.priced_model(model))
        except Refusal:
            continue
        found.append((budgets.judge(candidate), candidate))
    context.close()
    return tuple(found)


def _without_room(verdict: Verdict, costs: Costs) -> Iterator[str]:
    """Yield the budgets that have no room for a call, overflows among them."""
    for applied in verdict.budgets:
        call = taken(applied.step, costs)
        if call is not None and not applied.step.shadow and add(applied.taken, call) > applied.limit:
            yield applied.step.id


def _active(judged: Iterable[tuple[Verdict, Costs]]) -> frozenset[tuple[str, int]]:
    """Return the thresholds that were active, each as its budget (``policy/budget``) and its place in it."""
    return frozenset(
        (applied.step.id, index)
        for verdict, costs in judged
        for applied in (*verdict.budgets, *(full.applied for full, _ in verdict.passed))
        if (call := taken(applied.step, costs)) is not None
        for active in (tuple(applied.active(add(applied.taken, call))),)
        for index, threshold in enumerate(applied.step.thresholds)
        if threshold in active
    )
