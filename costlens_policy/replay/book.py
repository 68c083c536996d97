"""What was spent of each budget, period by period, at one moment of the replay."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from decimal import Decimal

from costlens_policy.compiler.plan import Plan
from costlens_policy.engine.decision import Alert, Balance, Decision
from costlens_policy.money import ZERO, total
from costlens_policy.periods import Period

__all__ = ["BalanceBook"]

_Key = tuple[str, str]
_NOTHING = Balance()


class BalanceBook(Mapping[_Key, Balance]):
    """Balances by budget and scope key as the engine asks for them. Set ``now`` before each decision."""

    __slots__ = ("_accounts", "_alerted", "_rolling", "_schedules", "now")

    def __init__(self, plan: Plan) -> None:
        steps = {step.id: step for _, step in plan.budgets.values()}
        self.now = datetime(1970, 1, 1, tzinfo=UTC)
        self._schedules = {name: step.schedule for name, step in steps.items()}
        self._accounts: dict[tuple[str, str, str], Decimal] = {}
        self._rolling: dict[tuple[str, str, str], deque[tuple[datetime, Decimal]]] = {}
        self._alerted: set[tuple[str, str, str, Decimal]] = set()

    def __getitem__(self, key: _Key) -> Balance:
        period = self._schedules[key[0]].at(self.now)
        if period is None:
            return _NOTHING
        account = (*key, period.id)
        if period.rolling is not None:
            self._forget(account, period)
        used = self._accounts.get(account, ZERO)
        return Balance(used) if used else _NOTHING

    def __iter__(self) -> Iterator[_Key]:
        return iter({(budget, key) for budget, key, _ in self._accounts})

    def __len__(self) -> int:
        return len({(budget, key) for budget, key, _ in self._accounts})

    def charge(self, decision: Decision, tokens: int, cost: Decimal | None) -> None:
        """Add a call to every budget that it counts against. ``cost`` is None where the model has no price."""
        for seen in decision.balances:
            period = self._schedules[seen.budget].at(self.now)
            amount = _amount(seen.unit, tokens, cost)
            if period is None or not amount:
                continue
            account = (seen.budget, seen.key, period.id)
            self._accounts[account] = total((self._accounts.get(account, ZERO), amount))
            if period.rolling is not None:
                self._rolling.setdefault(account, deque()).append((self.now, amount))

    def first_alerts(self, decision: Decision) -> list[Alert]:
        """Return the alerts that are due for the first time in their period."""
        fresh = []
        for alert in decision.alerts:
            period = self._schedules[alert.budget].at(self.now)
            if period is None:  # a budget on single calls alerts every time
                fresh.append(alert)
                continue
            mark = (alert.budget, alert.key, period.alert_id(self.now), alert.at)
            if mark not in self._alerted:
                self._alerted.add(mark)
                fresh.append(alert)
        return fresh

    def _forget(self, account: tuple[str, str, str], period: Period) -> None:
        charges = self._rolling.get(account)
        assert period.rolling is not None
        start = self.now - period.rolling
        while charges and charges[0][0] <= start:
            self._accounts[account] = total((self._accounts[account], -charges.popleft()[1]))


def _amount(unit: str, tokens: int, cost: Decimal | None) -> Decimal:
    if unit == "usd":
        return ZERO if cost is None else cost
    if unit == "requests":
        return Decimal(1)
    return Decimal(tokens)
