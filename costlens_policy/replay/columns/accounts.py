"""What was spent of each budget, in whole units, at the present moment of the replay."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any, Final

from costlens_policy.compiler.budgets import BudgetStep
from costlens_policy.compiler.plan import Plan
from costlens_policy.engine.decision import Balance
from costlens_policy.money import from_units, plain
from costlens_policy.periods import Schedule, schedule_of
from costlens_policy.replay.columns.batch import instant, micros

__all__ = ["Account", "Accounts"]

_Key = tuple[str, str]
_NOTHING: Final = Balance()
_FOR_EVER: Final = 2**63
_LONG_AGO: Final = -(2**63)


class Account:
    """One budget and scope key. Amounts are units of ``digits`` fractional digits.

    ``used`` is right up to the moment ``ends``, from where ``at`` starts on the next period. Moments never go back.
    ``_told`` says by the start of an alert up to which moment it is not told again.
    """

    __slots__ = ("_charges", "_length", "_schedule", "_told", "counts", "digits", "ends", "used")

    def __init__(self, schedule: Schedule, digits: int) -> None:
        self._schedule = schedule
        self._charges: deque[tuple[int, int]] = deque()
        self._length = 0
        self._told: dict[Decimal, int] = {}
        self.counts = False
        self.digits = digits
        self.ends = _LONG_AGO
        self.used = 0

    def at(self, now: int) -> int:
        """Return what is used at a moment."""
        if now >= self.ends:
            self._turn(now)
        if self._length:
            charges, start = self._charges, now - self._length
            while charges and charges[0][0] <= start:
                self.used -= charges.popleft()[1]
        return self.used

    def charge(self, now: int, amount: int) -> None:
        """Add what a call came to. ``at`` was asked for the same moment before."""
        if self.counts and amount:
            self.used += amount
            if self._length:
                self._charges.append((now, amount))

    def is_first(self, now: int, start: Decimal) -> bool:
        """Say whether an alert that begins at an amount is due for the first time in the present period.

        ``at`` was asked for the same moment before. A rolling window alerts once in each of its lengths.
        """
        if not self.counts:  # a budget on single calls alerts every time
            return True
        if now < self._told.get(start, _LONG_AGO):
            return False
        self._told[start] = (now // self._length + 1) * self._length if self._length else self.ends
        return True

    def _turn(self, now: int) -> None:
        """Start on the period that a moment lies in."""
        if self.ends != _LONG_AGO:
            self.used = 0
            self._charges.clear()
        period = self._schedule.at(instant(now))
        self.counts = period is not None
        self.ends = now + 1
        if period is not None:
            self._length = 0 if period.rolling is None else period.rolling // period.rolling.resolution
            self.ends = _FOR_EVER if period.resets_at is None else micros(period.resets_at)

    def to_list(self) -> list[Any]:
        """Return the state as JSON-like data."""
        return [
            self.used,
            self.counts,
            self.ends,
            self._length,
            list(self._charges),
            [[plain(start), until] for start, until in self._told.items()],
        ]

    def restore(self, data: list[Any]) -> None:
        """Take over a state that ``to_list`` returned."""
        self.used, self.counts, self.ends, self._length, charges, told = data
        self._charges = deque((at, amount) for at, amount in charges)
        self._told = {Decimal(start): until for start, until in told}


class Accounts(Mapping[_Key, Balance]):
    """All accounts by budget and scope key; as a mapping, the balances that the engine asks for at ``now``."""

    __slots__ = ("_digits", "_known", "_schedules", "now")

    def __init__(self, plan: Plan, digits: int) -> None:
        """``digits`` are the fractional digits of a unit of money."""
        steps: dict[str, BudgetStep] = {step.id: step for _, step in plan.budgets.values()}
        self.now = 0
        self._digits = {name: digits if step.unit == "usd" else 0 for name, step in steps.items()}
        self._schedules = {name: schedule_of(step.window) for name, step in steps.items()}
        self._known: dict[_Key, Account] = {}

    def of(self, budget: str, key: str) -> Account:
        """Return the account of a budget and scope key."""
        found = self._known.get((budget, key))
        if found is None:
            found = self._known[budget, key] = Account(self._schedules[budget], self._digits[budget])
        return found

    def __getitem__(self, place: _Key) -> Balance:
        account = self._known.get(place)
        used = 0 if account is None else account.at(self.now)
        return Balance(from_units(used, account.digits)) if used and account is not None else _NOTHING

    def __iter__(self) -> Iterator[_Key]:
        return iter(self._known)

    def __len__(self) -> int:
        return len(self._known)

    def to_list(self) -> list[Any]:
        """Return the state as JSON-like data."""
        return [[budget, key, account.to_list()] for (budget, key), account in self._known.items()]

    def restore(self, data: list[Any]) -> None:
        """Take over a state that ``to_list`` returned."""
        for budget, key, state in data:
            self.of(budget, key).restore(state)
