"""Step 5, budgets and their rungs: is there room for the worst case of this call, and what is active on the way up."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Final, Protocol

from costlens_policy.compiler.formula import Formula
from costlens_policy.compiler.plan import BudgetStep, RungStep
from costlens_policy.compiler.snapshot import ModelOnDay
from costlens_policy.engine.context import Context
from costlens_policy.engine.facts import Alert, Balance, BalanceSeen, Exclusion
from costlens_policy.engine.show import show_amount
from costlens_policy.expressions.runtime import CelError
from costlens_policy.money import add

__all__ = ["FREE", "ActiveRung", "Climb", "Gauge", "Ladder"]

_ONE: Final = Decimal(1)
_NEVER: Final = Decimal("Infinity")


@dataclass(frozen=True, slots=True)
class ActiveRung:
    layer: int
    budget: BudgetStep
    rung: RungStep


class Gauge:
    """A budget as the request finds it: whose share it is (``key``), the limit in force, and what is ``taken`` of it.

    ``starts`` are where its rungs begin, in their order; ``lowest`` is the first of them.
    """

    __slots__ = ("balance", "key", "layer", "limit", "lowest", "starts", "step", "taken")

    def __init__(self, layer: int, step: BudgetStep, key: str, limit: Decimal, balance: Balance) -> None:
        self.layer = layer
        self.step = step
        self.key = key
        self.limit = limit
        self.balance = balance
        self.taken = add(balance.used, balance.held)
        self.starts = tuple([rung.starts_at(limit) for rung in step.rungs]) if step.rungs else ()
        self.lowest = min(self.starts) if self.starts else _NEVER

    def seen(self, call: Decimal) -> BalanceSeen:
        """Return what a decision tells of the budget for a call that may add so much."""
        step, balance = self.step, self.balance
        return BalanceSeen(step.id, self.key, step.unit, self.limit, balance.used, balance.held, call, step.shadow)


class Climb:
    """What the budgets say to one candidate.

    ``lines`` are the budgets that the call counts against, each with what it may add. ``barred`` is the first reason
    why the candidate may not serve however cheap the call gets, ``full`` the first budget that has no room.
    """

    __slots__ = ("alerts", "barred", "full", "lines", "rungs")

    def __init__(self) -> None:
        self.lines: list[tuple[Gauge, Decimal]] = []
        self.rungs: list[ActiveRung] = []
        self.alerts: list[Alert] = []
        self.barred: Exclusion | None = None
        self.full: Exclusion | None = None

    @property
    def seen(self) -> tuple[BalanceSeen, ...]:
        return tuple(gauge.seen(call) for gauge, call in self.lines)

    @property
    def exclusion(self) -> Exclusion | None:
        return self.barred or self.full

    @property
    def rewrites(self) -> bool:
        """Whether an active rung changes the call."""
        return any(active.rung.steps for active in self.rungs) if self.rungs else False

    def bar(self, model: str, reason: str, by: str, key: str | None = None) -> None:
        self.barred = self.barred or Exclusion(model, reason, by, key)

    def fill(self, model: str, gauge: Gauge, call: Decimal) -> None:
        self.full = self.full or Exclusion(model, _no_room(gauge.seen(call)), gauge.step.id, gauge.key)

    def after(self, again: Climb) -> Climb:
        """Return what the budgets say once this climb's rungs have rewritten the call, which then climbed again."""
        again.rungs, again.alerts = self.rungs, self.alerts
        return again


FREE: Final = Climb()
"""What the budgets say where there are none."""


class Costs(Protocol):
    """What budgets need to know of a call: an estimate, or a candidate that has one."""

    @property
    def cost(self) -> Decimal | None: ...
    @property
    def worst_cost(self) -> Decimal | None: ...
    @property
    def prompt_tokens(self) -> int: ...
    @property
    def output_tokens(self) -> int: ...


class Ladder:
    """The budgets of one decision. What does not depend on the model is found once for all candidates."""

    __slots__ = ("_context", "_known")

    def __init__(self, context: Context) -> None:
        self._context = context
        self._known: dict[str, Gauge | None] = {}
        """By budget: None where it does not match the request, whatever the model."""

    def climb(self, offer: ModelOnDay, costs: Costs) -> Climb:
        """Ask every budget that matches the call on this model. The strictest wins."""
        result, known = Climb(), self._known
        for layer, step in self._context.plan.stages.budgets:
            gauge = known.get(step.id)
            if gauge is None and (step.id in known or not self._applies(layer, step, offer)):
                continue
            call = costs.worst_cost if step.unit == "usd" else _amount(step, costs)
            if call is None:
                _bar_unpriced(step, offer, costs, result)
                continue
            gauge = gauge or self._read(layer, step, offer, result)
            if gauge is not None:
                result.lines.append((gauge, call))
                reached = add(gauge.taken, call)
                if reached >= gauge.lowest:
                    self._take_rungs(gauge, reached, offer, result)
                if reached > gauge.limit and not step.shadow:
                    result.fill(offer.model.name, gauge, call)
        return result

    def _applies(self, layer: int, step: BudgetStep, offer: ModelOnDay) -> bool:
        context = self._context
        applies = step.in_force(context.now) and context.holds(step.when, layer, step.id, "budgets", offer.view)
        if not applies and not step.when_reads_model:
            self._known[step.id] = None
        return applies

    def _read(self, layer: int, step: BudgetStep, offer: ModelOnDay, result: Climb) -> Gauge | None:
        """Read the budget's scope key, limit and balance. Where that fails it cannot be kept: the model falls out."""
        context, formula = self._context, step.scope
        try:
            key = "" if step.scope is None else str(context.evaluate(step.scope, layer, offer.view))
            formula = step.limit if isinstance(step.limit, Formula) else None
            limit = context.limit(step, layer)
        except CelError as error:
            assert formula is not None
            context.note(formula, step.id, "budgets", error)
            if not step.shadow:
                result.bar(offer.model.name, f"budget `{step.id}` cannot be read: {error}", step.id)
            return None
        balance = context.balance(step, key)
        gauge = Gauge(layer, step, key, balance.limit_in_force(limit), balance)
        if not step.scope_reads_model and not step.when_reads_model:
            self._known[step.id] = gauge
        return gauge

    def _take_rungs(self, gauge: Gauge, reached: Decimal, offer: ModelOnDay, result: Climb) -> None:
        step = gauge.step
        for rung, start in zip(step.rungs, gauge.starts, strict=True):
            if reached < start:
                continue
            if rung.alert is not None:
                result.alerts.append(Alert(step.id, gauge.key, start, rung.alert))
            if step.shadow:
                continue
            result.rungs.append(ActiveRung(gauge.layer, step, rung))
            if rung.excludes and self._excluded_by(gauge, rung, offer):
                reason = (
                    f"budget `{step.id}` is past {show_amount(start, step.unit)}, from where the model is taken out"
                )
                result.bar(offer.model.name, reason, step.id, gauge.key)

    def _excluded_by(self, gauge: Gauge, rung: RungStep, offer: ModelOnDay) -> bool:
        if rung.exclude is None:
            return offer.model.name not in rung.models
        try:
            return bool(self._context.evaluate(rung.exclude, gauge.layer, offer.view))
        except CelError as error:
            self._context.note(rung.exclude, gauge.step.id, "budgets", error)
            return True  # what cannot be shown to be allowed under the rung is not


def _bar_unpriced(step: BudgetStep, offer: ModelOnDay, costs: Costs, result: Climb) -> None:
    if not step.shadow:
        lacks = "price" if costs.cost is None else "price for this service tier"
        result.bar(offer.model.name, f"it has no {lacks}, so budget `{step.id}` cannot be kept", step.id)


def _amount(step: BudgetStep, costs: Costs) -> Decimal | None:
    if step.unit == "usd":
        return costs.worst_cost
    return _ONE if step.unit == "requests" else Decimal(costs.prompt_tokens + costs.output_tokens)


def _no_room(seen: BalanceSeen) -> str:
    whose = f" of `{seen.key}`" if seen.key else ""
    call, used, held, limit = (
        show_amount(amount, seen.unit) for amount in (seen.call, seen.used, seen.held, seen.limit)
    )
    return f"budget `{seen.budget}`{whose} has no room for {call}: {used} used and {held} held of {limit}"
