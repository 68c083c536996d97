"""Step 5, budgets and their rungs: is there room for the worst case of this call, and what is active on the way up."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal

from costlens_policy.compiler.formula import Formula
from costlens_policy.compiler.plan import BudgetStep, RungStep
from costlens_policy.compiler.snapshot import ModelOnDay
from costlens_policy.engine.context import Context
from costlens_policy.engine.facts import Alert, BalanceSeen, Estimate, Exclusion
from costlens_policy.engine.show import show_amount
from costlens_policy.expressions.runtime import CelError
from costlens_policy.money import total

__all__ = ["ActiveRung", "Climb", "climb"]


@dataclass(frozen=True, slots=True)
class ActiveRung:
    layer: int
    budget: BudgetStep
    rung: RungStep


@dataclass(slots=True)
class Climb:
    """What the budgets say to one candidate.

    ``barred`` is the first reason why it may not serve however cheap the call gets, ``full`` the first budget that
    has no room.
    """

    seen: list[BalanceSeen] = field(default_factory=list)
    rungs: list[ActiveRung] = field(default_factory=list)
    alerts: list[Alert] = field(default_factory=list)
    barred: Exclusion | None = None
    full: Exclusion | None = None

    @property
    def exclusion(self) -> Exclusion | None:
        return self.barred or self.full

    @property
    def rewrites(self) -> bool:
        """Whether an active rung changes the call."""
        return any(active.rung.steps for active in self.rungs)

    def bar(self, model: str, reason: str, by: str) -> None:
        self.barred = self.barred or Exclusion(model, reason, by)


def climb(context: Context, offer: ModelOnDay, estimate: Estimate) -> Climb:
    """Ask every budget that matches the call on this model. The strictest wins."""
    result = Climb()
    for index, layer in enumerate(context.plan.layers):
        for step in layer.budgets:
            if step.in_force(context.now) and context.holds(step.when, index, step.id, "budgets", offer.view):
                _ask(context, index, step, offer, estimate, result)
    return result


def _ask(context: Context, index: int, step: BudgetStep, offer: ModelOnDay, estimate: Estimate, result: Climb) -> None:
    call = _amount(step, estimate)
    if call is None:
        if not step.shadow:
            lacks = "price" if estimate.cost is None else "price for this service tier"
            result.bar(offer.model.name, f"it has no {lacks}, so budget `{step.id}` cannot be kept", step.id)
        return
    seen = _see(context, index, step, offer, call, result)
    if seen is None:
        return
    result.seen.append(seen)
    reached = total((seen.used, seen.held, seen.call))
    _take_rungs(context, index, step, offer, seen, reached, result)
    if not step.shadow and reached > seen.limit:
        result.full = result.full or Exclusion(offer.model.name, _no_room(seen), step.id)


def _see(
    context: Context, index: int, step: BudgetStep, offer: ModelOnDay, call: Decimal, result: Climb
) -> BalanceSeen | None:
    """Read the budget's scope key, limit and balance. Where that fails it cannot be kept, so the model falls out."""
    formula = step.scope
    try:
        key = "" if step.scope is None else str(context.evaluate(step.scope, index, offer.view))
        formula = step.limit if isinstance(step.limit, Formula) else None
        limit = context.limit(step, index)
    except CelError as error:
        assert formula is not None
        context.note(formula, step.id, "budgets", error)
        if not step.shadow:
            result.bar(offer.model.name, f"budget `{step.id}` cannot be read: {error}", step.id)
        return None
    balance = context.balance(step, key)
    limit = balance.limit_in_force(limit)
    return BalanceSeen(step.id, key, step.unit, limit, balance.used, balance.held, call, step.shadow)


def _take_rungs(
    context: Context,
    index: int,
    step: BudgetStep,
    offer: ModelOnDay,
    seen: BalanceSeen,
    reached: Decimal,
    result: Climb,
) -> None:
    for rung in step.rungs:
        start = rung.starts_at(seen.limit)
        if reached < start:
            continue
        if rung.alert is not None:
            result.alerts.append(Alert(step.id, seen.key, start, rung.alert))
        if step.shadow:
            continue
        result.rungs.append(ActiveRung(index, step, rung))
        if rung.excludes and _excluded_by(context, index, step, rung, offer):
            reason = f"budget `{step.id}` is past {show_amount(start, seen.unit)}, from where the model is taken out"
            result.bar(offer.model.name, reason, step.id)


def _excluded_by(context: Context, index: int, step: BudgetStep, rung: RungStep, offer: ModelOnDay) -> bool:
    if rung.exclude is None:
        return offer.model.name not in rung.models
    try:
        return bool(context.evaluate(rung.exclude, index, offer.view))
    except CelError as error:
        context.note(rung.exclude, step.id, "budgets", error)
        return True  # what cannot be shown to be allowed under the rung is not


def _amount(step: BudgetStep, estimate: Estimate) -> Decimal | None:
    if step.unit == "usd":
        return estimate.worst_cost
    return Decimal(1) if step.unit == "requests" else Decimal(estimate.prompt_tokens + estimate.output_tokens)


def _no_room(seen: BalanceSeen) -> str:
    whose = f" of `{seen.key}`" if seen.key else ""
    call, used, held, limit = (
        show_amount(amount, seen.unit) for amount in (seen.call, seen.used, seen.held, seen.limit)
    )
    return f"budget `{seen.budget}`{whose} has no room for {call}: {used} used and {held} held of {limit}"
