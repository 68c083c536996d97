"""From the budgets of a plan to the ledger: their accounts, amounts in its units, and what a decision holds."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from decimal import Context, Decimal
from typing import Final, NamedTuple

from costlens_policy.compiler.plan import Plan
from costlens_policy.compiler.rules import BudgetStep
from costlens_policy.engine.context import Context as DecisionContext
from costlens_policy.engine.decision import BalanceSeen, Decision
from costlens_policy.ledger import Unit, decimal_of
from costlens_policy.ledger.account import Account
from costlens_policy.ledger.amounts import amount_of, limit_of, split_limbs
from costlens_policy.ledger.calls import HoldLine
from costlens_policy.money import ZERO
from costlens_policy.periods import Period, Schedule

__all__ = ["Accounts", "HeldLine", "LedgerAmounts", "context_of", "holds_of", "shown_amount"]


_KEPT: Final = 20_000


class Accounts:
    """The accounts of one plan. Each is made once for each of its periods; safe for threads."""

    def __init__(self, plan: Plan) -> None:
        self.steps: Final[dict[str, BudgetStep]] = {
            step.id: step for layer in plan.layers for step in layer.budgets if not step.per_call
        }
        """Every budget that adds up, by ``policy/budget``."""
        self.limits: Final[dict[str, int]] = {
            id: limit_of(step.limit, step.unit) for id, step in self.steps.items() if isinstance(step.limit, Decimal)
        }
        """The limits that are constants, in the ledger's units."""
        self._schedules: Final[dict[str, Schedule]] = {id: step.schedule for id, step in self.steps.items()}
        self._made: dict[tuple[str, str], Account] = {}

    def period(self, budget: str, now: datetime) -> Period | None:
        """Return the present period of a budget; None where it has none now."""
        return self._schedules[budget].at(now)

    def account(self, budget: str, key: str, now: datetime) -> Account | None:
        """Return the present account of a budget and scope key; None where it has none now, or is per call."""
        if budget not in self._schedules:
            return None
        period = self.period(budget, now)
        if period is None:
            return None
        known = self._made.get((budget, key))
        if known is not None and known.period is period:
            return known
        if len(self._made) >= _KEPT:
            self._made.clear()
        account = self._made[budget, key] = Account(budget, key, self.steps[budget].unit, period)
        return account


_EXACT: Final = Context(prec=120)


def shown_amount(amount: int, unit: Unit) -> Decimal:
    """Return dollars, tokens or requests, written as short as they can be."""
    if not amount:
        return ZERO
    whole, rest = split_limbs(amount) if unit == "usd" else (amount, 0)
    return decimal_of(amount, unit).normalize(_EXACT) if rest else Decimal(whole)


class LedgerAmounts:
    """Amounts of one call in the ledger's units. Most of its budgets have the very same one, which is found once."""

    __slots__ = ("_found", "_unit", "_value")

    def __init__(self) -> None:
        self._value: Decimal | None = None
        self._unit: Unit = "usd"
        self._found = 0

    def of(self, value: Decimal, unit: Unit) -> int:
        """Return what ``amount_of`` does."""
        if value is not self._value or unit != self._unit:
            self._value, self._unit, self._found = value, unit, amount_of(value, unit)
        return self._found


class HeldLine(NamedTuple):
    """A budget that a decision counts against, and what is asked of the ledger for it."""

    seen: BalanceSeen
    ask: HoldLine

    @property
    def account(self) -> Account:
        return self.ask.account


def holds_of(decision: Decision, accounts: Accounts) -> tuple[HeldLine, ...]:
    """Return what to hold: on each budget the most that the model or a listed fallback may add."""
    return tuple(_held(decision, accounts))


def _held(decision: Decision, accounts: Accounts) -> Iterator[HeldLine]:
    amounts = LedgerAmounts()
    for seen in decision.holds:
        account = accounts.account(seen.budget, seen.key, decision.now)
        if account is not None:
            limit = None if seen.shadow else _policy_limit(seen, decision, accounts)
            yield HeldLine(seen, HoldLine(account, amounts.of(seen.call, seen.unit), limit))


def _policy_limit(seen: BalanceSeen, decision: Decision, accounts: Accounts) -> int:
    """Return the limit that the policy itself states, in the ledger's units: changes by hand are the ledger's."""
    known = accounts.limits.get(seen.budget)
    if known is not None:
        return known
    layer, step = decision.plan.budgets[seen.budget]
    return limit_of(context_of(decision).limit(step, layer), step.unit)


def context_of(decision: Decision) -> DecisionContext:
    """Return what the decision was made on, so that more can be asked of it."""
    return DecisionContext(decision.plan, dict(decision.request), decision.balances_read, decision.now)
