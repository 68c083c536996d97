"""From the budgets of a plan to the ledger: accounts and balances, amounts in its units, what a decision holds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from decimal import Context, Decimal
from threading import Lock
from typing import Final, NamedTuple, TypeAlias

from costlens_policy.carry_over import CarryOver
from costlens_policy.compiler.plan import Plan
from costlens_policy.compiler.rules import BudgetStep
from costlens_policy.engine.context import Context as DecisionContext
from costlens_policy.engine.decision import BalanceSeen, Decision
from costlens_policy.guard.recent import Recent, budget_of, recent_name, recent_time
from costlens_policy.guard.run_records import ends_of
from costlens_policy.ledger import Unit, decimal_of
from costlens_policy.ledger.account import Account, AccountBalance
from costlens_policy.ledger.amounts import amount_of, limit_of
from costlens_policy.ledger.calls import Carry, Charge, ChargedLine, HoldLine, LineState, Share
from costlens_policy.ledger.carrying import carry_rule
from costlens_policy.ledger.shares import lease_of
from costlens_policy.money import ZERO
from costlens_policy.periods import Period, Schedule, periods_after, periods_before, schedule_of
from costlens_policy.runs import RUN, lineage_of

__all__ = [
    "NEVER", "Accounts", "Known", "Place", "ToHold", "context_of", "holds_of", "line_limit", "shown_amount",
]  # fmt: skip


_KEPT: Final = 50_000
NEVER: Final = float("-inf")
"""When a balance was seen that no store has reported yet."""

Place: TypeAlias = tuple[str, str]
"""A budget (``policy/budget``) and a scope key."""


class Known:
    """An account of the current period, and its balance as the store reported it last, in this process.

    ``at`` is when that was, in seconds of a steady timer. It is written after the balance and read before it, without a
    lock, so that a balance is never taken for newer than it is.
    """

    __slots__ = ("account", "at", "balance", "carry", "earlier", "earlier_at", "limit")

    def __init__(self, account: Account, limit: int | None, carry: Carry | None = None) -> None:
        self.account: Final = account
        self.limit: Final = limit
        """The limit of the policy in the ledger's units; None where it is an expression."""
        self.carry: Final = carry
        """What is carried over into the account, if anything can be."""
        self.balance = AccountBalance(account)
        self.at = NEVER
        self.earlier: tuple[int, ...] = ()
        """What earlier periods have used or hold that counts for what is carried over, the latest first."""
        self.earlier_at = NEVER
        """When a store reported that; see ``at``."""

    def move(self, used: int, held: int) -> None:
        """Move the balance by what this process knows and the store has not reported."""
        before, share = self.balance, self.balance.share
        self.balance = before._replace(
            used=max(0, before.used + used),
            held=max(0, before.held + held),
            share=None if share is None else max(0, share - used - held),
        )


class Accounts:
    """The accounts of one plan, each with its balance as seen last; other processes may know more. Safe for threads.

    Those of an earlier version of the policies (``before``) say what an account's balance was when it was seen last.
    """

    def __init__(self, plan: Plan, before: Accounts | None = None) -> None:
        self.steps: Final[dict[str, BudgetStep]] = {
            step.id: step for layer in plan.layers for step in layer.budgets if not step.per_call
        }
        """Every budget that adds up, by ``policy/budget``."""
        self._limits: Final[dict[str, int]] = {
            id: limit_of(step.limit, step.unit) for id, step in self.steps.items() if isinstance(step.limit, Decimal)
        }
        self.measuring: Final = frozenset(id for id, step in self.steps.items() if step.recent)
        """Those that measure what was charged lately."""
        self.approving: Final = any(item.approval for step in self.steps.values() for item in step.thresholds)
        """Whether a threshold needs approvals."""
        self.counts_runs: Final = any(step.unit == "runs" for step in self.steps.values())
        self._schedules: Final[dict[str, Schedule]] = {id: step.schedule for id, step in self.steps.items()}
        self._schedules.update(
            (recent_name(id, text), Recent(step.schedule, span))
            for id, step in self.steps.items()
            for text, span in step.recent.items()
        )
        self._carrying: Final[dict[str, tuple[CarryOver, Schedule]]] = {
            id: (carry_rule(step.carry_over, step.unit), schedule_of(step.terms))
            for id, step in self.steps.items()
            if step.carry_over is not None
        }
        """The rules of budgets that carry over, and schedules to ask for other periods."""
        self._windows: dict[str, tuple[Period, tuple[Period, ...], int]] = {}
        """Of budgets that carry over: the periods around one, the latest first, and its place among them."""
        self._known: dict[Place, Known] = {}
        self._known_before: dict[Place, Known] = {} if before is None else before._known
        self._lock = Lock()
        """Held where a balance is changed: what moves it reads it first."""

    def period(self, budget: str, now: datetime) -> Period | None:
        """Return the current period of a budget; None where it has none now."""
        return self._schedules[budget].at(now)

    def account(self, budget: str, key: str, now: datetime) -> Account | None:
        """Return the current account of a budget and scope key; None where it has none now, or is per call.

        A window from first use is the one that was seen last.
        """
        known = self.known((budget, key), now)
        return None if known is None else known.balance.account

    def known(self, place: Place, now: datetime) -> Known | None:
        """Return what is known of the current account of a budget and scope key; None as ``account`` does."""
        schedule = self._schedules.get(place[0])
        period = None if schedule is None else schedule.at(now)
        if period is None:
            return None
        known = self._known.get(place)
        if known is not None and known.account.period is period:
            return known
        budget, key = place
        return self._know(place, Account(budget, key, self.steps[budget_of(budget)].unit, period))

    def recent_places(self, budget: str, key: str) -> tuple[Place, ...]:
        """Return where the recent charges of a budget and scope key are counted, for each of its burn rates."""
        step = self.steps.get(budget)
        if step is None or not step.recent:
            return ()
        return tuple([(recent_name(budget, text), key) for text in step.recent])

    def recent(self, budget: str, key: str, now: datetime) -> dict[str, Decimal]:
        """Return what was charged lately on a budget and scope key, as it was seen last, by the times it measures."""
        found: dict[str, Decimal] = {}
        for name, _ in self.recent_places(budget, key):
            known = self.known((name, key), now)
            if known is not None:
                found[recent_time(name)] = decimal_of(known.balance.used, known.account.unit)
        return found

    def carry(self, account: Account) -> Carry | None:
        """Return what may be carried over into an account; None where its budget carries nothing over."""
        found = self._carrying.get(account.budget)
        if found is None:
            return None
        rule, schedule = found
        known = self._windows.get(account.budget)
        if known is None or known[0] != account.period:
            after = periods_after(schedule, account.period, rule.periods)
            before = periods_before(schedule, account.period, rule.periods)
            known = self._windows[account.budget] = account.period, (*after[::-1], account.period, *before), len(after)
        _, periods, place = known
        return Carry(tuple([Account(account.budget, account.key, account.unit, item) for item in periods]), place, rule)

    def put_earlier(self, known: Known, amounts: tuple[int, ...], at: float) -> None:
        """Take over what earlier periods have used, as the store has reported it."""
        with self._lock:
            known.earlier = amounts
            known.earlier_at = at

    def put(self, balances: Iterable[AccountBalance], at: float) -> None:
        """Take over balances that the store has reported."""
        with self._lock:
            for balance in balances:
                if (known := self._of(balance.account)) is not None:
                    known.balance = balance
                    known.at = at

    def put_held(self, held: ToHold, lines: Sequence[LineState], at: float) -> None:
        """Take over what a hold reports, with the hold itself; what was granted stays as it was seen."""
        with self._lock:
            for item, (account, amount, _, used, before, *_) in zip(held.known, lines, strict=True):
                item.balance = AccountBalance(account, used, before + amount, item.balance.grants)
                item.at = at
            if held.shares:
                _put_shares(held, lines)

    def put_charged(self, known: Iterable[Known | None], lines: Iterable[ChargedLine], at: float) -> None:
        """Take over what a settlement reports; what was granted stays as it was seen.

        ``known`` is what is known of the accounts, None where that has to be looked for.
        """
        with self._lock:
            for found, (account, amount, was_held, used, held) in zip(known, lines, strict=False):
                item = found or self._of(account)
                if item is not None:
                    if account.period.starts_at is None:  # not every store reports a window from first use here
                        account = item.balance.account
                    before = item.balance
                    item.balance = AccountBalance(account, used, held, before.grants)
                    item.at = at
                    if before.share is not None or before.set_aside:
                        left = None if before.share is None else max(0, before.share + was_held - amount)
                        item.balance = item.balance._replace(set_aside=before.set_aside, share=left)

    def add(self, charges: Iterable[Charge]) -> None:
        """Count charges that the store does not have yet. What they take of a share is no longer set aside for it."""
        with self._lock:
            charges = list(charges)
            counted = {charge.account.budget: charge.account for charge in charges}
            for charge in charges:
                if (known := self._of(charge.account)) is None:
                    continue
                share, step = known.balance.share, self.steps.get(charge.account.budget)
                whole = None if step is None else counted.get(step.reserved_from)
                if share and whole is not None and (of := self._of(whole)) is not None:
                    of.move(0, -min(share, charge.amount))
                known.move(charge.amount, 0)

    def hold(self, held: ToHold, *, back: bool = False) -> None:
        """Count what a call holds, or take it off again. What is set aside for it moves, and is not counted twice."""
        with self._lock:
            amounts = {line.account.name: line.amount for line in held.lines} if held.shares else {}
            for share in held.shares:
                owner, of = self._of(share.account), self._of(share.of)
                if owner is not None and of is not None and owner.balance.share is not None:
                    moved = min(amounts[share.of.name], of.balance.held if back else owner.balance.share)
                    of.move(0, moved if back else -moved)
            for line in held.lines:
                if (known := self._of(line.account)) is not None:
                    known.move(0, -line.amount if back else line.amount)

    def _of(self, account: Account) -> Known | None:
        """Return what is known of an account; None where its period is not the last one that was asked for."""
        place = (account.budget, account.key)
        known = self._known.get(place)
        if known is None:
            return self._know(place, account)
        return known if known.account is account or known.account == account else None

    def _know(self, place: Place, account: Account) -> Known:
        if len(self._known) >= _KEPT:
            self._known.clear()
        known = Known(account, self._limits.get(place[0]), self.carry(account))
        before = self._known_before.get(place)
        if before is not None and before.account == account:
            known.at, known.balance = before.at, before.balance
        self._known[place] = known
        return known


_EXACT: Final = Context(prec=120)


def shown_amount(amount: int, unit: Unit) -> Decimal:
    """Return an amount in its unit, written as short as it can be."""
    if not amount:
        return ZERO
    exact = decimal_of(amount, unit)
    whole = int(exact)
    return Decimal(whole) if whole == exact else exact.normalize(_EXACT)


class ToHold(NamedTuple):
    """What a decision holds: the budgets as it saw them and, in the same order, what is asked of the ledger.

    ``known`` is what is known of the accounts, empty for a hold of which only the ledger knows. ``shares`` are the
    budgets that are reserved from others.
    """

    decision: Decision
    seen: tuple[BalanceSeen, ...] = ()
    lines: tuple[HoldLine, ...] = ()
    known: tuple[Known, ...] = ()
    shares: tuple[Share, ...] = ()


def holds_of(decision: Decision, find: Callable[[Place], Known | None]) -> ToHold:
    """Return what to hold: on each budget the most that is held for the model or a listed fallback.

    ``find`` returns what is known of the current account of a budget and scope key. A denied decision holds nothing.
    """
    counted, lines, accounts = [], [], []
    value, value_unit, amount = ZERO, "", 0  # most budgets of a call have the very same value, which is converted once
    for seen in decision.holds:
        budget, key, unit, _, _, _, call, shadow, hold, _, _, _, _ = seen
        known = find((budget, key))
        if known is None or unit == "runs":  # a run is held by itself, once
            continue
        takes = call if hold is None else hold
        if takes is not value or unit != value_unit:
            value, value_unit, amount = takes, unit, amount_of(takes, unit)
        limit = None if shadow else line_limit(seen, known, decision)
        counted.append(seen)
        lines.append(HoldLine(known.account, amount, limit, known.carry))
        accounts.append(known)
    shares = _shares_of(decision, lines) if decision.plan.stages.shares else ()
    return ToHold(decision, tuple(counted), tuple(lines), tuple(accounts), shares)


def _shares_of(decision: Decision, lines: Sequence[HoldLine]) -> tuple[Share, ...]:
    """Return which of the lines are shares of others: of budgets that are reserved from those.

    A share ends with the run that is its scope key, and with those around it.
    """
    accounts = {line.account.budget: line.account for line in reversed(lines)}
    run, found = decision.request.get(RUN), []
    for line in lines:
        step = decision.plan.budgets[line.account.budget][1]
        of = accounts.get(step.reserved_from)
        if of is not None:
            key = line.account.key
            ends = ends_of(key) if isinstance(run, str) and key in lineage_of(run) else ()
            lease = lease_of(step.reserved_for, decision.now, line.account.period)
            found.append(Share(line.account, of, lease, ends))
    return tuple(found)


def _put_shares(held: ToHold, lines: Sequence[LineState]) -> None:
    """Take over what a hold left of shares; where two draw on one account, nobody reports what each has left."""
    items = {item.account.name: (item, line) for item, line in zip(held.known, lines, strict=True)}
    drawing = Counter(share.of.name for share in held.shares)
    for share in held.shares:
        of, line = items[share.of.name]
        owner, _ = items[share.account.name]
        left = line.own - line.drawn + line.aside if drawing[share.of.name] == 1 else owner.balance.share
        owner.balance = owner.balance._replace(share=left)
    for name in drawing:
        of, line = items[name]
        aside = max(line.own, of.balance.set_aside) - line.drawn + line.aside
        of.balance = of.balance._replace(held=line.held_after, set_aside=aside)


def line_limit(seen: BalanceSeen, known: Known, decision: Decision) -> int | None:
    """Return the limit of the policy in the ledger's units, without what is carried over and manual adjustments: those
    are the ledger's.

    None for a budget in shadow, which refuses nothing.
    """
    if seen.shadow or known.limit is not None:
        return None if seen.shadow else known.limit
    layer, step = decision.plan.budgets[seen.budget]
    return limit_of(context_of(decision).limit(step, layer), step.unit)


def context_of(decision: Decision) -> DecisionContext:
    """Return what the decision was made on, so that more can be asked of it."""
    return DecisionContext(decision.plan, dict(decision.request), decision.balances_read, decision.now)
