"""From the budgets of a plan to the accounts of the ledger."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Final

from costlens_policy.compiler.plan import Plan
from costlens_policy.compiler.rules import BudgetStep
from costlens_policy.ledger.account import Account
from costlens_policy.ledger.amounts import limit_of
from costlens_policy.periods import Period, Schedule

__all__ = ["Accounts"]

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
