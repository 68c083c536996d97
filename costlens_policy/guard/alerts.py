"""Which alerts are due, and that each is raised once for its budget, scope key, period and threshold."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import field
from datetime import datetime
from decimal import Decimal
from hashlib import sha256
from typing import Final

from costlens_policy.compiler.plan import Plan
from costlens_policy.compiler.rules import BudgetStep, ThresholdStep
from costlens_policy.compiler.thresholds import Outlook
from costlens_policy.frozen import frozen
from costlens_policy.guard.delivery import LEASE, Delivery
from costlens_policy.guard.events import Event, EventKind
from costlens_policy.guard.link import Link
from costlens_policy.ledger import Account, AccountBalance, LedgerError, decimal_of
from costlens_policy.ledger.amounts import limit_of
from costlens_policy.money import ZERO, plain, subtract, total
from costlens_policy.units import base_of

__all__ = ["Alerts", "Standing"]

_REMEMBERED: Final = 50_000


@frozen
class Standing:
    """How an account stands, in the budget's unit: ``reached`` is what thresholds are compared with."""

    account: Account
    used: Decimal
    held: Decimal
    limit: Decimal
    call: Decimal
    recent: Mapping[str, Decimal] = field(default_factory=dict)
    """What was charged lately, by the times that burn rates name."""

    @property
    def reached(self) -> Decimal:
        return total((self.used, self.held, self.call))

    def is_at(self, threshold: ThresholdStep, clock: Callable[[], datetime]) -> bool:
        """Whether a threshold is active there; what is to be expected is asked of the time that a clock shows."""
        if threshold.expects is None:
            return self.reached >= threshold.starts_at(self.limit)
        left = max(subtract(self.limit, total((self.used, self.held))), ZERO)
        outlook = Outlook(self.used, left, self.limit, self.recent, self.account.period, clock())
        return threshold.expects.is_met(outlook)


class Alerts:
    """Raises the alerts of one plan. Safe for threads."""

    def __init__(self, plan: Plan, link: Link, delivery: Delivery, clock: Callable[[], datetime]) -> None:
        self._policy_set = f"{plan.name} {plan.version}"
        self._link = link
        self._delivery = delivery
        self._clock = clock
        self._thresholds = {
            step.id: tuple(_with_alerts(step)) for layer in plan.layers for step in layer.budgets if not step.per_call
        }
        self._any = any(self._thresholds.values())
        self._forecasts = {
            name for name, items in self._thresholds.items() if any(item.expects is not None for _, item in items)
        }
        self._first: dict[str, tuple[Decimal, float]] = {}
        self._raised: dict[tuple[str, str, str], None] = {}

    def __bool__(self) -> bool:
        """Whether any threshold has an alert."""
        return self._any

    def may_be_due(self, account: Account, taken: int, limit: Decimal) -> bool:
        """Return whether what is used and held, in the ledger's units, may reach a threshold of the account."""
        if account.budget in self._forecasts:
            return True
        known = self._first.get(account.budget)
        if known is None or known[0] is not limit:
            starts = [
                limit_of(threshold.starts_at(limit), account.unit)
                for _, threshold in self._thresholds.get(account.budget, ())
            ]
            known = self._first[account.budget] = (limit, min(starts, default=math.inf))
        return taken >= known[1]

    def reached(self, standing: Standing) -> None:
        """Raise the alerts of the thresholds that an account has reached."""
        for name, threshold in self._thresholds.get(standing.account.budget, ()):
            if standing.is_at(threshold, self._clock):
                assert threshold.alert is not None
                amounts = {
                    "used": plain(standing.used),
                    "held": plain(total((standing.held, standing.call))),
                    "limit": plain(standing.limit),
                }
                self._raise(standing.account, "alert", name, threshold.alert, amounts)

    def denied(self, balance: AccountBalance, reason: str) -> None:
        """Raise an event when a budget refuses a call, the first time in its period."""
        unit = balance.account.unit
        amounts = {"used": plain(decimal_of(balance.used, unit)), "held": plain(decimal_of(balance.held, unit))}
        self._raise(balance.account, "denied", "denied", f"a call was refused: {reason}", amounts)

    def needs_approval(self, balance: AccountBalance, id: str, threshold: str, reason: str) -> None:
        """Raise an event when calls need an approval, the first time in its period."""
        unit = balance.account.unit
        amounts = {"used": plain(decimal_of(balance.used, unit)), "held": plain(decimal_of(balance.held, unit))}
        text = f"approval `{id}` is needed: {reason}"
        self._raise(balance.account, "approval", f"{threshold} approval", text, {**amounts, "approval": id})

    def ledger_changed(self, fault: str, written: int) -> None:
        """Raise an event when the ledger is lost, or back."""
        kind: EventKind = "ledger-lost" if fault else "ledger-back"
        text = (
            f"the ledger cannot be reached: {fault}"
            if fault
            else f"the ledger is back; {written} charges were written late"
        )
        self._delivery.submit(Event(os.urandom(16).hex(), kind, self._clock(), text, self._policy_set), None)

    def _raise(self, account: Account, kind: EventKind, threshold: str, text: str, amounts: dict[str, str]) -> None:
        now = self._clock()
        period = account.period.alert_id(now)
        name = (account.name, period, threshold)
        if name in self._raised:
            return
        if len(self._raised) >= _REMEMBERED:
            self._raised.clear()
        self._raised[name] = None
        event = Event(
            id=sha256("\x1f".join((account.budget, period, threshold, account.key)).encode()).hexdigest()[:32],
            kind=kind,
            time=now,
            text=text,
            policy_set=self._policy_set,
            budget=account.budget,
            key=account.key,
            unit=account.unit,
            threshold=threshold,
            period=period,
            resets_at=account.period.resets_at,
            **amounts,
        )
        self._claim(event)

    def _claim(self, event: Event) -> None:
        try:
            claim = event.claim()
            if self._link.ask(lambda store: store.claim_alert(claim, event.time, LEASE)):
                self._delivery.submit(event, claim)
        except LedgerError:  # it cannot be reached, or cannot keep so long a name
            self._delivery.submit(event, None)  # better reported by each process than by none


def _with_alerts(step: BudgetStep) -> Iterator[tuple[str, ThresholdStep]]:
    """Yield the thresholds that have an alert, each with the name under which it is raised once."""
    names: set[str] = set()
    for threshold in step.thresholds:
        if threshold.alert is None:
            continue
        name = _name(step, threshold)
        while name in names:
            name += "+"
        names.add(name)
        yield name, threshold


def _name(step: BudgetStep, threshold: ThresholdStep) -> str:
    if threshold.at_amount is not None:
        return f"{plain(threshold.at_amount)} {base_of(step.unit)}"
    return threshold.name if threshold.at_ratio is None else plain(threshold.at_ratio)
