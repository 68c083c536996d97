"""What a decision holds, line by line, and on which lines another model would be charged."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from costlens_policy.engine.budgets import BudgetStage
from costlens_policy.engine.context import Context
from costlens_policy.engine.decision import BalanceSeen, Decision, Estimate
from costlens_policy.guard.accounts import Accounts
from costlens_policy.guard.amounts import LedgerAmounts
from costlens_policy.guard.recalled import Recalled
from costlens_policy.ledger.account import Account
from costlens_policy.ledger.amounts import limit_of
from costlens_policy.ledger.calls import HoldLine
from costlens_policy.money import ZERO

__all__ = ["HeldLine", "budgets_of", "holds_of"]

_FREE = Estimate(ZERO, 0, 0, 1, "", ZERO)


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


def budgets_of(decision: Decision, model: str) -> tuple[BalanceSeen, ...]:
    """Return the budgets that a call counts against on a model, also on one that the decision does not list.

    For a listed model ``call`` is the most that it may add, for others zero.
    """
    if isinstance(decision, Recalled):
        return decision.budgets_of(model)
    if model == decision.model:
        lines = decision.balances
    else:
        listed = next((call.balances for call in decision.fallback_calls if call.model == model), None)
        lines = _asked_anew(decision, model) if listed is None else listed
    budgets = decision.plan.budgets
    return tuple(line for line in lines if not budgets[line.budget][1].per_call)


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
    return limit_of(_context(decision).limit(step, layer), step.unit)


def _asked_anew(decision: Decision, model: str) -> tuple[BalanceSeen, ...]:
    context = _context(decision)
    return BudgetStage(context).judge(context.priced_model(model), _FREE).seen


def _context(decision: Decision) -> Context:
    return Context(decision.plan, dict(decision.request), decision.balances_read, decision.now)
