"""Real-time spend: what each budget and scope key has used, holds, and has left."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import datetime
from decimal import Context, Decimal
from typing import Final

from costlens_policy.compiler.formula import Formula
from costlens_policy.compiler.plan import Plan
from costlens_policy.compiler.rules import BudgetStep, key_problem
from costlens_policy.errors import RequestError
from costlens_policy.frozen import frozen
from costlens_policy.guard.accounts import Accounts, shown_amount
from costlens_policy.guard.errors import GuardError
from costlens_policy.guard.link import Link
from costlens_policy.ledger import AccountBalance, AccountQuery, Period
from costlens_policy.ledger.account import AFTER_SEPARATOR, SEPARATOR
from costlens_policy.ledger.carrying import amounts_before
from costlens_policy.money import add
from costlens_policy.units import Unit

__all__ = ["Spend", "earlier_units", "spend_of"]

_PAGE: Final = 1000
_RATIOS: Final = Context(prec=12)


@frozen
class Spend:
    """The state of one budget and scope key in its present period, in the budget's unit.

    ``limit`` is the one in force. Where the policy computes it from requests nobody knows it without one: then
    ``limit`` and ``left`` are None. ``resets_at`` is when the period ends, None for rolling windows and lifetimes;
    ``starts_at`` when it began, for a rolling window when what counts began. ``changed_by_hand``: a top-up or an
    override is in force.
    """

    budget: str
    key: str
    unit: Unit
    used: Decimal
    held: Decimal
    limit: Decimal | None
    left: Decimal | None
    starts_at: datetime | None
    resets_at: datetime | None
    shadow: bool
    changed_by_hand: bool
    overflow: str = ""
    """The budget that counts what has no room here; empty where there is none."""
    carried: Decimal = Decimal(0)
    """What earlier periods left unused, as a part of the limit."""
    is_overflow: bool = False
    """Whether this budget counts only what has no room on another one."""
    set_aside: Decimal = Decimal(0)
    """What of ``held`` is set aside for budgets that are reserved from this one."""
    reserved: Decimal | None = None
    """What is left of what is set aside for this key in the budget that it is reserved from; None where nothing is."""

    @property
    def used_ratio(self) -> Decimal | None:
        """How much of the limit is used or held; None where the limit is not known, 1 where it is zero."""
        if self.limit is None:
            return None
        return _RATIOS.divide(add(self.used, self.held), self.limit) if self.limit else Decimal(1)


def spend_of(
    plan: Plan, accounts: Accounts, link: Link, now: datetime, budget: str | None, key: str | None
) -> tuple[Spend, ...]:
    """Return the state of budgets, of all that were ever touched in this period or of one.

    A budget without scope is there from the beginning, others once a call has touched their key. Raises
    ``GuardError`` for a budget that the plan does not have, ``RequestError`` for a key that no ledger could keep,
    ``LedgerUnavailableError``.
    """
    problem = None if key is None else key_problem(key)
    if problem is not None:
        raise RequestError((f"`key` {problem}",))
    named = plan.stages.overflows
    spends = (spend for step in _steps(plan, accounts, budget) for spend in _of_budget(step, accounts, link, now, key))
    return tuple(replace(spend, is_overflow=True) if spend.budget in named else spend for spend in spends)


def earlier_units(
    plan: Plan, accounts: Accounts, link: Link, now: datetime, budget: str | None
) -> Iterator[tuple[str, Unit]]:
    """Yield budgets that were counted in another unit in their current period, each with that unit.

    Such balances do not count against the limit. Takes and raises what ``spend_of`` does.
    """
    for step in _steps(plan, accounts, budget):
        period, after = accounts.period(step.id, now), ""
        while period is not None:
            query = AccountQuery(budget=step.id, period=period.id, after=after)
            balances = link.ask(lambda store, query=query: store.accounts(query, now)).items  # type: ignore[misc]
            if not balances:
                break
            unit = balances[0].account.unit
            if unit != step.unit and any(item.used or item.held for item in balances if item.account.unit == unit):
                yield step.id, unit
            after = SEPARATOR.join((step.id, period.id, unit)) + AFTER_SEPARATOR  # beyond all keys of that unit


def _steps(plan: Plan, accounts: Accounts, budget: str | None) -> Iterable[BudgetStep]:
    if budget is None:
        return accounts.steps.values()
    known = plan.budgets.get(budget)
    if known is None:
        raise GuardError(f"no budget `{budget}`; there are {', '.join(f'`{id}`' for id in accounts.steps) or 'none'}")
    return (known[1],) if known[1].id in accounts.steps else ()


def _of_budget(step: BudgetStep, accounts: Accounts, link: Link, now: datetime, key: str | None) -> Iterator[Spend]:
    period = accounts.period(step.id, now)
    if period is None:
        return
    asked = "" if key is None and step.scope is None else key
    if asked is not None:
        account = accounts.account(step.id, asked, now)
        assert account is not None, "the period was found"
        balances: Iterable[AccountBalance] = link.ask(lambda store: store.balances([account], now))
    else:
        balances = _touched(step, period, link, now)
    for balance in balances:
        carry = accounts.carry(balance.account)
        earlier: tuple[int, ...] = ()
        if carry is not None:
            before = link.ask(lambda store, carry=carry: store.balances(carry.earlier, now))  # type: ignore[misc]
            earlier = amounts_before(carry.rule, before)
        yield _spend(step, balance, tuple(shown_amount(amount, step.unit) for amount in earlier), now)


def _touched(step: BudgetStep, period: Period, link: Link, now: datetime) -> Iterator[AccountBalance]:
    after = ""
    while True:
        query = AccountQuery(budget=step.id, period=period.id, unit=step.unit, after=after, limit=_PAGE)
        page = link.ask(lambda store, query=query: store.accounts(query, now))  # type: ignore[misc]
        yield from page.items
        after = page.next
        if not after:
            return


def _spend(step: BudgetStep, balance: AccountBalance, earlier: tuple[Decimal, ...], now: datetime) -> Spend:
    account, unit = balance.account, step.unit
    used, held = shown_amount(balance.used, unit), shown_amount(balance.held, unit)
    carried = _carried(step, balance, earlier)
    limit = _limit(step, balance)
    if limit is not None:
        limit = add(limit, carried)
    left = None if limit is None else max(limit - used - held, Decimal(0))
    grants = balance.grants
    return Spend(
        budget=account.budget,
        key=account.key,
        unit=unit,
        used=used,
        held=held,
        limit=limit,
        left=left,
        starts_at=account.period.since(now),
        resets_at=account.period.resets_at,
        shadow=step.shadow,
        changed_by_hand=grants.override is not None or grants.topup > 0,
        overflow=step.overflow,
        carried=carried,
        set_aside=shown_amount(balance.set_aside, unit),
        reserved=None if balance.share is None else shown_amount(balance.share, unit),
    )


def _carried(step: BudgetStep, balance: AccountBalance, earlier: tuple[Decimal, ...]) -> Decimal:
    """Return what is carried over: nothing where an override is in force, nor where the limit is not known."""
    if step.carry_over is None or balance.grants.override is not None or isinstance(step.limit, Formula):
        return Decimal(0)
    return step.carry_over.amount(step.limit, earlier)


def _limit(step: BudgetStep, balance: AccountBalance) -> Decimal | None:
    grants = balance.grants
    if grants.override is not None:
        return shown_amount(grants.override + grants.topup, step.unit)
    return None if isinstance(step.limit, Formula) else add(step.limit, shown_amount(grants.topup, step.unit))
