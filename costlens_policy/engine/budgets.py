"""Step 5, budgets: is there room for the worst case of this call, and which thresholds does it reach."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from types import MappingProxyType
from typing import Final, NamedTuple, Protocol

from costlens_policy.compiler.formula import Formula
from costlens_policy.compiler.priced_models import PricedModel
from costlens_policy.compiler.rules import BudgetStep, ThresholdStep
from costlens_policy.compiler.thresholds import BurnRate, Outlook
from costlens_policy.engine.context import Context, period_of, task_of
from costlens_policy.engine.facts import Alert, Balance, BalanceSeen, Exclusion, Overflowed
from costlens_policy.expressions.runtime import CelError
from costlens_policy.frozen import frozen
from costlens_policy.money import ZERO, add, multiply, subtract, total
from costlens_policy.quantiles import LONGEST_TASK, Measured
from costlens_policy.runs import RUN
from costlens_policy.units import Measure, Unit, show_amount

__all__ = [
    "FREE", "NOTHING", "NO_RATIOS", "SURELY", "ActiveThreshold", "AppliedBudget", "BudgetStage", "Costs", "Ratios",
    "Verdict", "added", "held", "held_for", "no_room", "taken", "why_worst", "worst_by_unit",
]  # fmt: skip

_ONE: Final = Decimal(1)


def _nothing_is_sure(_: Measure) -> Decimal:
    return ZERO


class Ratios(dict[str, Decimal]):
    """By budget (``policy/budget``), which part of the worst case of one call is held, where that is not all of it.

    ``sure`` says what the prompt alone adds to a budget, however cheap it is: no less than that is held. Most budgets
    of a call hold the very same part of the very same amount, which is worked out once.
    """

    __slots__ = ("_last", "_sure")

    def __init__(
        self,
        ratios: Mapping[str, Decimal] = MappingProxyType({}),
        sure: Callable[[Measure], Decimal] = _nothing_is_sure,
    ) -> None:
        super().__init__(ratios)
        self._sure = sure
        self._last = ZERO, ZERO, "", ZERO

    def part(self, step: BudgetStep, call: Decimal) -> Decimal | None:
        """Return what a budget holds for the call, which may add so much; None where all of it is held."""
        ratio, unit = self.get(step.id), step.unit
        if ratio is None:
            return None
        amount, part, of_unit, hold = self._last
        if amount is not call or part != ratio or of_unit != unit:
            least = max(multiply(call, ratio), min(self._sure(step.measure), call))
            hold = step.measure.rounded_up(least)
            self._last = call, ratio, unit, hold
        return hold


NO_RATIOS: Final = Ratios()
"""Where all of the worst case is held, on every budget."""
SURELY: Final = 1 - 1e-12
"""What takes a double below the amount that it was rounded from."""
_NEVER: Final = Decimal("Infinity")
_COUNTS: Final = frozenset({"requests", "runs"})
"""Units in which all calls are alike."""


@frozen
class ActiveThreshold:
    layer: int
    budget: BudgetStep
    threshold: ThresholdStep


class AppliedBudget:
    """A budget as the request finds it: whose share it is (``key``), the limit in force, and what is ``taken`` of it.

    What is set aside for budgets that count the call, too (``own``), is not taken from it. ``waiting`` is what budgets
    reserved from this one may still spend of which nothing is set aside: the call lets that begin.

    A call below ``room`` reaches nothing: neither a threshold nor the limit. ``expecting`` are the thresholds that are
    active whatever the call is, since the budget is expected to end so: then there is no room to reach nothing.
    """

    __slots__ = (
        "balance", "carried", "expecting", "key", "layer", "limit", "own", "room", "step", "taken", "waiting",
    )  # fmt: skip

    def __init__(self, layer: int, step: BudgetStep, key: str, limit: Decimal, balance: Balance) -> None:
        """``limit`` is that of the policy."""
        carry_over = step.carry_over
        self.carried = ZERO if carry_over is None else balance.carried(limit, carry_over)
        limit = balance.limit_in_force(limit, carry_over)
        self.layer = layer
        self.step = step
        self.key = key
        self.limit = limit
        self.balance = balance
        self.taken = taken = balance.used if balance.held is ZERO else add(balance.used, balance.held)
        first = step.first if limit is step.limit else None
        if first is None:
            first = step.first_under(limit) if step.lowest else limit
        self.room = first if taken is ZERO else subtract(first, taken)
        self.expecting: tuple[ThresholdStep, ...] = ()
        self.own = ZERO
        self.waiting: tuple[tuple[Decimal, AppliedBudget], ...] = ()

    def give(self, shares: Sequence[AppliedBudget]) -> None:
        """Take what is set aside for budgets that count the call, too, and what has to be for the others of them."""
        waiting = []
        for share in shares:
            balance = share.balance
            if balance.reserved is not None:
                self.own = add(self.own, balance.reserved)
                continue
            spent = add(balance.used, max(ZERO, subtract(balance.held, balance.set_aside)))
            waiting.append((max(ZERO, subtract(share.limit, spent)), share))
        self.waiting = tuple(waiting)
        free = min(self.own, self.balance.held)
        self.taken = subtract(self.taken, free)
        self.room = subtract(add(self.room, free), total([rest for rest, _ in waiting]))

    def begins(self, takes: Decimal) -> Decimal:
        """Return what is set aside beside a call that takes so much."""
        return total([max(ZERO, subtract(rest, takes)) for rest, _ in self.waiting]) if self.waiting else ZERO

    def reached(self, takes: Decimal) -> Decimal:
        """Return what is taken once a call takes so much."""
        reached = add(self.taken, takes)
        return add(reached, self.begins(takes)) if self.waiting else reached

    def expect(self, now: datetime) -> None:
        """Find the thresholds that are active because of what is to be expected."""
        period = period_of(self.step, self.balance.started_at, now)
        if period is None:
            return
        left = max(subtract(self.limit, self.taken), ZERO)
        at = Outlook(self.balance.used, left, self.limit, dict(self.balance.recent), period, now)
        self.expecting = tuple(
            item for item in self.step.forecasts if item.expects is not None and item.expects.is_met(at)
        )
        if self.expecting:
            self.room = min(self.room, ZERO)

    def active(self, reached: Decimal) -> Iterator[ThresholdStep]:
        """Yield the thresholds that are active where used + held + the call is an amount, in the order they act."""
        for threshold in self.step.levels:
            if reached >= threshold.starts_at(self.limit):
                yield threshold
        yield from self.expecting

    def seen(self, call: Decimal, hold: Decimal | None = None) -> BalanceSeen:
        """Return what a decision tells of the budget for a call that may add so much, and for which ``hold`` is held.

        None holds all of it.
        """
        step, balance = self.step, self.balance
        seen = BalanceSeen(
            step.id, self.key, step.unit, self.limit, balance.used, balance.held, call, step.shadow, hold, self.carried
        )
        if balance.set_aside is ZERO and self.own is ZERO and not self.waiting:
            return seen
        begins = self.begins(call if hold is None else hold)
        return seen._replace(set_aside=balance.set_aside, own=self.own, begins=begins)


class Costs(Protocol):
    """What budgets need to know of a call: an estimate, or a candidate."""

    @property
    def cost(self) -> Decimal | None: ...
    @property
    def worst_cost(self) -> Decimal | None: ...
    @property
    def prompt_tokens(self) -> int: ...
    @property
    def output_tokens(self) -> int: ...
    @property
    def ratios(self) -> Ratios: ...
    @property
    def lacks(self) -> str:
        """What is not known where the worst cost is not, for people."""

    def weighed(self, measure: Measure) -> int:
        """Return the most that the tokens may add where kinds count differently, in whole units."""


class PricedCall(Costs, Protocol):
    """A candidate, which knows quickly whether its worst cost stays below an amount."""

    priced: PricedModel
    ratios: Ratios

    def surely_below(self, usd: float) -> bool: ...

    def sure(self, measure: Measure) -> Decimal:
        """Return what the prompt alone adds to a budget, as the cheapest kind of tokens that it may be."""


def added(step: BudgetStep, costs: Costs) -> Decimal | None:
    """Return what a call adds to a budget at most, in its unit; None where its worst cost is not known."""
    unit = step.unit
    if unit == "usd":
        return costs.worst_cost
    if step.measure.by_kind:
        return step.measure.amount(costs.weighed(step.measure))
    return _ONE if unit in ("requests", "runs") else Decimal(costs.prompt_tokens + costs.output_tokens)


def held(step: BudgetStep, costs: Costs, call: Decimal) -> Decimal | None:
    """Return what a budget holds for a call that may add so much; None where all of it is held."""
    return costs.ratios.part(step, call) if costs.ratios else None


def taken(step: BudgetStep, costs: Costs) -> Decimal | None:
    """Return what a call takes of a budget until it is settled; None where its worst cost is not known."""
    call = added(step, costs)
    hold = None if call is None else held(step, costs, call)
    return call if hold is None else hold


def worst_by_unit(call: JudgedCall) -> dict[Unit, Decimal]:
    """Return the most that a call may add to budgets in dollars or tokens, by unit."""
    found: dict[Unit, Decimal] = {}
    for applied in call.verdict.budgets:
        unit = applied.step.unit
        if unit not in found and unit not in _COUNTS and not applied.step.per_call:
            amount = added(applied.step, call)
            if amount is not None:
                found[unit] = amount
    return found


def why_worst(step: BudgetStep, task: str, known: Measured | None) -> str:
    """Return why the worst case of a call is held where the budget holds a quantile of what such calls have cost."""
    assert step.hold is not None, "the budget holds a quantile"
    if not task:
        return "its worst case is held, since the request has no task"
    cases = 0 if known is None else known.cases
    return f"its worst case is held, since {cases:,} of the {step.hold.cases:,} cases that a quantile takes are known"


class Full(NamedTuple):
    """A budget without room, what the call might add to it, and what would be held, if not all of that.

    ``why`` says why all of it would be, where the budget holds less of others.
    """

    applied: AppliedBudget
    call: Decimal
    hold: Decimal | None
    why: str = ""

    @property
    def seen(self) -> BalanceSeen:
        return self.applied.seen(self.call, self.hold)

    @property
    def share(self) -> tuple[str, str] | None:
        """The budget and scope key that have to be set aside, where the call alone would have room."""
        applied = self.applied
        takes = self.call if self.hold is None else self.hold
        if not applied.waiting or add(applied.taken, takes) > applied.limit:
            return None
        _, share = max(applied.waiting, key=lambda item: item[0])
        return share.step.id, share.key


class Verdict:
    """What the budgets say to one candidate, or to all of them where they reach nothing.

    ``budgets`` are the budgets that the call counts against; ``passed`` are those that have no room for it, so that
    another one of ``budgets`` counts it. ``barred`` is the first reason why the candidate may not serve however cheap
    the call gets, ``full`` the first budget that has no room. ``shadowed`` are the reasons of budgets in shadow, which
    exclude nobody. ``approved`` says that it may go past a threshold since somebody has approved that.
    """

    __slots__ = ("alerts", "approved", "barred", "budgets", "full", "passed", "shadowed", "thresholds")

    def __init__(self, budgets: list[AppliedBudget]) -> None:
        self.budgets = budgets
        self.passed: list[tuple[Full, AppliedBudget]] = []
        self.thresholds: list[ActiveThreshold] = []
        self.alerts: list[Alert] = []
        self.barred: Exclusion | None = None
        self.full: Exclusion | None = None
        self.shadowed: list[Exclusion] = []
        self.approved = False

    def seen(self, costs: Costs) -> tuple[BalanceSeen, ...]:
        """Return the budgets as they stood before a call, without those to which it adds nobody knows what."""
        return tuple(
            [
                item.seen(call, held(item.step, costs, call))
                for item in self.budgets
                if (call := added(item.step, costs)) is not None
            ]
        )

    @property
    def exclusion(self) -> Exclusion | None:
        if self.full is not None and self.barred is not None and self.barred.needs is not None and not self.rewrites:
            return self.full  # whatever is approved, there is no room
        return self.barred or self.full

    @property
    def rewrites(self) -> bool:
        """Whether an active threshold changes the call."""
        return any(active.threshold.steps for active in self.thresholds)

    @property
    def overflowed(self) -> tuple[Overflowed, ...]:
        return tuple(Overflowed(full.seen, to.step.id, to.key) for full, to in self.passed)

    def bar(
        self,
        step: BudgetStep,
        model: str,
        reason: str,
        key: str | None = None,
        threshold: str | None = None,
        needs: Decimal | None = None,
    ) -> None:
        """Exclude the candidate however cheap the call gets; a budget in shadow only says that it would."""
        exclusion = Exclusion(model, reason, step.id, key, threshold, needs)
        if step.shadow:
            self.shadowed.append(exclusion)
        elif self.barred is None or (self.barred.needs is not None and needs is None):  # no approval helps
            self.barred = exclusion

    def counts_on(self, applied: AppliedBudget) -> bool:
        """Whether a budget counts the call already, since it stands in for another one."""
        return any(item.step is applied.step and item.key == applied.key for item in self.budgets)

    def instead_of(self, applied: AppliedBudget) -> AppliedBudget | None:
        """Return the budget that counts the call in place of one that has no room; None where nothing is known."""
        for (full, *_), to in self.passed:
            if full.step is applied.step and full.key == applied.key:
                return to
        return None

    def count(self, applied: AppliedBudget, full: Sequence[Full]) -> None:
        """Count the call on a budget, in place of those that had no room."""
        if not full:
            self.budgets.append(applied)
            return
        if not self.counts_on(applied):
            self.budgets.append(applied)
        self.passed += [(item, applied) for item in full]

    def fill(self, model: str, full: Sequence[Full], more: str = "") -> None:
        """Exclude the candidate because a budget has no room, and none of its overflows either.

        ``more`` says why there is no further one.
        """
        self.budgets += [item.applied for item in full if not self.counts_on(item.applied)]
        first = full[0].applied
        reason = "; its overflow has none either: ".join(_room_problem(item) for item in full)
        self.full = self.full or Exclusion(model, reason + more, first.step.id, first.key, share=full[0].share)

    def shadow(self, model: str, full: Full) -> None:
        """Say that a budget in shadow would have no room."""
        applied = full.applied
        reason = _room_problem(full)
        if applied.step.overflow:
            reason += f"; the call would count on its overflow `{applied.step.overflow}`"
        self.shadowed.append(Exclusion(model, reason, applied.step.id, applied.key))

    def after(self, again: Verdict) -> Verdict:
        """Return the verdict on a call that this verdict's thresholds have rewritten: their work, the new room."""
        result = Verdict(again.budgets)
        result.thresholds, result.alerts = self.thresholds, self.alerts
        result.barred, result.full, result.shadowed = again.barred, again.full, again.shadowed
        result.passed, result.approved = again.passed, again.approved
        return result


FREE: Final = Verdict([])
"""What the budgets say where there are none."""


class JudgedCall(Costs, Protocol):
    """A candidate, and what the budgets say to it."""

    verdict: Verdict


class _Most(NamedTuple):
    """The most that any of several calls may add."""

    cost: Decimal | None
    worst_cost: Decimal | None
    prompt_tokens: int
    output_tokens: int = 0
    calls: Sequence[Costs] = ()
    ratios: Ratios = NO_RATIOS
    lacks: str = "it has no price"

    def weighed(self, measure: Measure) -> int:
        return max((call.weighed(measure) for call in self.calls), default=0)


NOTHING: Final[Costs] = _Most(ZERO, ZERO, 0)
"""A call that adds nothing, to ask which budgets there are."""


def held_for(calls: Sequence[JudgedCall]) -> tuple[BalanceSeen, ...]:
    """Return on each budget the most that is held for one of the candidates. Limits on single calls hold nothing."""
    budgets = calls[0].verdict.budgets if calls else []
    at_once = budgets and not any(call.ratios for call in calls)
    if at_once and all(call.verdict.budgets is budgets for call in calls):  # as nearly always: nothing is reached
        usd = max([call.worst_cost or ZERO for call in calls])
        most = _Most(usd, usd, max([call.prompt_tokens + call.output_tokens for call in calls]), 0, calls)
        return Verdict([item for item in budgets if not item.step.per_call]).seen(most)
    dearest: dict[tuple[str, str], tuple[AppliedBudget, Decimal, Decimal]] = {}
    for candidate in calls:
        for applied in candidate.verdict.budgets:
            step, place = applied.step, (applied.step.id, applied.key)
            call, takes = added(step, candidate), taken(step, candidate)
            if call is None or takes is None or step.per_call:
                continue
            _, most_added, most_held = dearest.get(place, (applied, ZERO, ZERO))
            dearest[place] = (applied, max(call, most_added), max(takes, most_held))
    return tuple(
        [
            applied.seen(call, None if applied.step.hold is None or hold == call else hold)
            for applied, call, hold in dearest.values()
        ]
    )


class _Unreadable(Exception):  # noqa: N818 - control flow inside this stage
    """A budget cannot be kept; the text says why."""


class _Case(NamedTuple):
    """A call on a model, and what the budgets have said to it so far."""

    priced: PricedModel
    costs: Costs
    verdict: Verdict

    def refuse(self, step: BudgetStep, problem: str, full: tuple[Full, ...]) -> None:
        """Exclude the candidate since a budget cannot be kept for it."""
        if full:
            self.verdict.fill(self.priced.model.name, full, f"; {problem}")
        else:
            self.verdict.bar(step, self.priced.model.name, problem)


class BudgetStage:
    """The budgets of one decision. What does not depend on the model is found once for all candidates."""

    __slots__ = ("_context", "_known", "_quantiles", "_tokens", "_usd", "_verdict")

    def __init__(self, context: Context) -> None:
        self._context = context
        self._known: dict[str, AppliedBudget | None] = {}
        """By budget: None where it does not match the request, whatever the model."""
        self._verdict: Verdict | None = None
        """The verdict on every call below so many ``_tokens`` and ``_usd``: it reaches nothing."""
        self._tokens = self._usd = -math.inf
        self._quantiles = context.plan.stages.quantiles if context.measures else ()

    def judge(self, call: PricedCall) -> Verdict:
        """Ask every budget that matches the call on a model. The strictest wins."""
        if self._quantiles:
            call.ratios = self._ratios(call)
        verdict = self._verdict
        if verdict is None:
            if not call.surely_below(math.inf):  # its worst cost is not known: some budgets will not even be read
                return self.judge_each(call.priced, call)
            verdict = self._verdict = self._found(call)
        if call.prompt_tokens + call.output_tokens < self._tokens and call.surely_below(self._usd):
            return verdict  # as nearly always
        return self.judge_each(call.priced, call)

    def _ratios(self, call: PricedCall) -> Ratios:
        """Return which part of its worst case is held for a call, by budget, where that is known.

        Where the worst case has room, so has any part of it: then nothing else is asked.
        """
        context, model, output = self._context, call.priced.model.name, call.output_tokens
        task = task_of(context)
        if not 0 < len(task) <= LONGEST_TASK:
            return NO_RATIOS
        ratios = Ratios(sure=call.sure)
        for step in self._quantiles:
            known = context.known_of(step, model, task, output)
            if known is not None and step.hold is not None and known.cases >= step.hold.cases:
                ratios[step.id] = known.ratio
        return ratios

    def _found(self, call: PricedCall) -> Verdict:
        """Read the budgets once for all candidates, where they are the same for all of them."""
        stages = self._context.plan.stages
        if stages.budgets_read_model:
            return FREE
        priced, length = call.priced, call.prompt_tokens + call.output_tokens
        budgets: list[AppliedBudget] = []
        usd = tokens = _NEVER
        for layer, step in stages.budgets:
            if step.has_terms and not self._applies(layer, step, priced):
                continue
            try:
                applied = self._read(layer, step, priced)
            except _Unreadable:  # told when the budgets are asked one by one
                return FREE
            budgets.append(applied)
            unit, room = step.unit, applied.room
            if unit == "usd":
                usd = room if room < usd else usd
            elif unit == "tokens" or step.measure.by_kind:
                room = _in_tokens(step.measure, room) if step.measure.by_kind else room
                tokens = room if room < tokens else tokens
            elif room <= _ONE:
                return FREE
            if step.overflow and not (length < tokens and call.surely_below(float(usd))):
                return FREE  # its overflow may be asked before the budgets behind it
        self._usd = math.inf if usd is _NEVER else float(usd)
        self._tokens = math.inf if tokens is _NEVER else int(tokens) if tokens > ZERO else 0
        return Verdict(budgets)

    def judge_each(self, priced: PricedModel, costs: Costs) -> Verdict:
        """Ask the budgets one by one whether they match the call, and what it reaches there."""
        case = _Case(priced, costs, Verdict([]))
        for layer, step in self._context.plan.stages.budgets:
            self._count(layer, step, case)
        return case.verdict

    def _count(self, layer: int, step: BudgetStep, case: _Case, full: tuple[Full, ...] = ()) -> None:
        """Count a call on a budget if that applies to it; ``full`` are those without room that it stands in for."""
        known, (priced, costs, verdict) = self._known, case
        applied = known.get(step.id)
        if applied is None and (step.id in known or not self._applies(layer, step, priced)):
            if full:
                verdict.fill(priced.model.name, full, f"; its overflow `{step.id}` does not count this call")
            return
        call = added(step, costs)
        if call is None:
            case.refuse(step, _unpriced(step, costs), full)
            return
        try:
            applied = applied or self._read(layer, step, priced)
        except _Unreadable as unreadable:
            case.refuse(step, str(unreadable), full)
            return
        hold = held(step, costs, call)
        takes = call if hold is None else hold
        if full and (instead := verdict.instead_of(applied)) is not None:  # it stood in for another one before
            verdict.count(instead, full)
        elif takes < applied.room or (full and verdict.counts_on(applied)):
            verdict.count(applied, full)
        else:
            asked = Full(applied, call, hold, self._why_worst(step, case) if step.hold and hold is None else "")
            self._reach(asked, applied.reached(takes), case, full)

    def _reach(self, asked: Full, reached: Decimal, case: _Case, full: tuple[Full, ...]) -> None:
        """Take what a call reaches in a budget: thresholds, or its limit, and then its overflow."""
        applied, verdict = asked.applied, case.verdict
        step = applied.step
        self._take_thresholds(applied, reached, case.priced, verdict)
        if reached <= applied.limit or step.shadow:
            verdict.count(applied, full)
            if reached > applied.limit:
                verdict.shadow(case.priced.model.name, asked)
            return
        full = (*full, asked)
        following = self._context.plan.stages.overflows.get(step.overflow)
        if following is None:
            verdict.fill(case.priced.model.name, full)
        else:
            self._count(*following, case, full)

    def _why_worst(self, step: BudgetStep, case: _Case) -> str:
        context, costs = self._context, case.costs
        task = task_of(context)
        known = context.known_of(step, case.priced.model.name, task, costs.output_tokens)
        return why_worst(step, task, known)

    def _applies(self, layer: int, step: BudgetStep, priced: PricedModel) -> bool:
        context = self._context
        applies = step.span is None or step.in_force(context.now)
        if applies and step.unit == "runs":
            applies = RUN in context.request
        if applies and step.when is not None:
            applies = context.holds(step.when, layer, step.id, "budgets", priced.view)
        if not applies and not step.when_reads_model:
            self._known[step.id] = None
        return applies

    def _read(self, layer: int, step: BudgetStep, priced: PricedModel) -> AppliedBudget:
        """Read the budget's scope key, limit and balance. Raises ``_Unreadable``: then it cannot be kept."""
        context = self._context
        formula: Formula | Decimal | None = step.scope
        try:
            key = "" if formula is None else context.key(step, layer, priced.view)
            formula = step.limit
            limit = formula if isinstance(formula, Decimal) else context.limit(step, layer)
        except CelError as error:
            assert isinstance(formula, Formula)
            context.note(formula, step.id, "budgets", error)
            raise _Unreadable(f"budget `{step.id}` cannot be read: {error}") from None
        balance = context.balance(step, key)
        applied = AppliedBudget(layer, step, key, limit, balance)
        shares = context.plan.stages.shares.get(step.id)
        if shares:
            applied.give(list(self._sharing(shares, priced)))
        if step.forecasts:
            applied.expect(context.now)
        if not step.scope_reads_model and not step.when_reads_model:
            self._known[step.id] = applied
        return applied

    def _sharing(self, shares: Sequence[tuple[int, BudgetStep]], priced: PricedModel) -> Iterator[AppliedBudget]:
        """Yield the budgets of these that count the call, too; one that cannot be read excludes it by itself."""
        for layer, step in shares:
            known = self._known.get(step.id)
            if known is None and step.id not in self._known and self._applies(layer, step, priced):
                try:
                    known = self._read(layer, step, priced)
                except _Unreadable:
                    continue
            if known is not None:
                yield known

    def _take_thresholds(self, applied: AppliedBudget, reached: Decimal, priced: PricedModel, result: Verdict) -> None:
        step = applied.step
        for threshold in applied.active(reached):
            if threshold.alert is not None:
                start = applied.balance.used if threshold.expects is not None else threshold.starts_at(applied.limit)
                result.alerts.append(Alert(step.id, applied.key, start, threshold.alert, threshold.name))
            if not step.shadow:
                result.thresholds.append(ActiveThreshold(applied.layer, step, threshold))
            if threshold.approval is not None:
                self._ask(applied, threshold, reached, priced, result)
            if threshold.excludes and self._excluded_by(applied, threshold, priced):
                result.bar(step, priced.model.name, _past(applied, threshold), applied.key, threshold.name)

    def _ask(
        self, applied: AppliedBudget, threshold: ThresholdStep, reached: Decimal, priced: PricedModel, result: Verdict
    ) -> None:
        """Exclude a candidate that goes past a threshold without the approval that it needs."""
        step, needs = applied.step, threshold.approval
        assert needs is not None
        approvals = applied.balance.approvals
        if any(item.covers(threshold.name, reached, self._context.now) for item in approvals):
            result.approved = True
            return
        amount = show_amount(reached, step.unit)
        reason = f"budget `{step.id}`{_whose(applied.key)} is {_point(applied, threshold)}"
        reason = f"{reason.removesuffix(',')}, and {amount} with this call need an approval: {needs.reason}"
        result.bar(step, priced.model.name, reason, applied.key, threshold.name, reached)

    def _excluded_by(self, applied: AppliedBudget, threshold: ThresholdStep, priced: PricedModel) -> bool:
        if threshold.exclude is None:
            return priced.model.name not in threshold.models
        try:
            return bool(self._context.evaluate(threshold.exclude, applied.layer, priced.view))
        except CelError as error:
            self._context.note(threshold.exclude, applied.step.id, "budgets", error)
            return True  # what cannot be shown to be allowed under the threshold is not


def _in_tokens(measure: Measure, room: Decimal) -> Decimal:
    """Return how many tokens surely stay below an amount, whatever their kinds."""
    numerator, denominator = room.as_integer_ratio()
    return Decimal(numerator * 10**measure.digits // (denominator * max(measure.per_token.values())))


def _unpriced(step: BudgetStep, costs: Costs) -> str:
    return f"{costs.lacks}, so budget `{step.id}` cannot be kept"


def _room_problem(full: Full) -> str:
    reason = full.applied.step.reason
    return no_room(full.seen) + (f", and {full.why}" if full.why else "") + (f" ({reason})" if reason else "")


def _past(applied: AppliedBudget, threshold: ThresholdStep) -> str:
    return f"budget `{applied.step.id}`{_whose(applied.key)} is {_point(applied, threshold)} and excludes the model"


def _point(applied: AppliedBudget, threshold: ThresholdStep) -> str:
    """Return where a budget is, for people."""
    step, expects = applied.step, threshold.expects
    if expects is None:
        start = show_amount(threshold.starts_at(applied.limit), step.unit)
        return f"past its threshold at {start if threshold.at_ratio is None else f'{threshold.at_ratio:f} ({start})'}"
    if isinstance(expects, BurnRate):
        (long, _), (short, _) = expects.windows
        return f"spent at {expects.rate:f} times the rate of its limit, over {long} and {short},"
    if expects.projected_ratio is not None:
        return f"expected to use at least {expects.projected_ratio:f} times its limit"
    return f"expected to be exhausted within {threshold.name.partition(':')[2]}"


def _whose(key: str) -> str:
    return f" of `{key}`" if key else ""


def no_room(seen: BalanceSeen) -> str:
    """Return why a call has no room on a budget, for people."""
    call, used, held, limit = (
        show_amount(amount, seen.unit) for amount in (seen.taken, seen.used, seen.held, seen.limit)
    )
    carried = f", {show_amount(seen.carried, seen.unit)} of it carried over" if seen.carried else ""
    whose = _whose(seen.key)
    if seen.begins:
        call = f"{call} and the {show_amount(seen.begins, seen.unit)} to set aside with it"
    if seen.set_aside:
        held = f"{held} held ({show_amount(seen.set_aside, seen.unit)} of it set aside)"
    else:
        held = f"{held} held"
    return f"budget `{seen.budget}`{whose} has no room for {call}: {used} used and {held} of {limit}{carried}"
