"""Budgets in integer units: what each account has used, and which accounts a request counts against."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from itertools import takewhile
from math import inf
from typing import Any, Final

import polars as pl

from costlens_policy.compiler.plan import Plan
from costlens_policy.compiler.rules import BudgetStep
from costlens_policy.engine.decide import decide
from costlens_policy.engine.decision import Alert, Balance, BalanceSeen
from costlens_policy.errors import RequestError
from costlens_policy.frozen import frozen
from costlens_policy.money import from_units
from costlens_policy.periods import Schedule, schedule_of
from costlens_policy.replay.columns.batch import instant, micros
from costlens_policy.replay.columns.deciding import requests_in, token_units
from costlens_policy.replay.columns.reads import PROMPT, keys_of, price_changes, reads_of_budgets
from costlens_policy.units import Unit

__all__ = ["UNKNOWN", "Account", "Accounts", "Line", "Lines"]

_Key = tuple[str, str]
_NOTHING: Final = Balance()
_FOR_EVER: Final = 2**63
_LONG_AGO: Final = -(2**63)
_MOST_UNITS: Final = 2**126
"""What is used is looked at in columns up to here, whose sums have 128 bits."""


class Account:
    """One budget and scope key. Amounts are units of ``digits`` fractional digits.

    ``used`` is right up to the time ``ends``, from where ``at`` starts on the next period. Time never goes back.
    ``_alerted`` has, by the name of a threshold, the time until which it does not alert again.
    """

    __slots__ = (
        "_alerted",
        "_charges",
        "_counts_none",
        "_length",
        "_schedule",
        "_span",
        "counts",
        "digits",
        "ends",
        "used",
    )

    def __init__(self, schedule: Schedule, digits: int, *, counts_none: bool = False) -> None:
        """``counts_none`` says that each call stands for itself."""
        self._schedule = schedule
        self._counts_none = counts_none
        self._charges: deque[tuple[int, int]] = deque()
        self._length = 0
        self._span = 0
        """The length of a window from first use, which is in force up to ``ends``; none is where that is over."""
        self._alerted: dict[str, int] = {}
        self.counts = False
        self.digits = digits
        self.ends = _LONG_AGO
        self.used = 0

    def at(self, now: int) -> int:
        """Return what is used at a time."""
        if now >= self.ends:
            self._turn(now)
        if self._length:
            charges, start = self._charges, now - self._length
            while charges and charges[0][0] <= start:
                self.used -= charges.popleft()[1]
        return self.used

    def charge(self, now: int, amount: int) -> None:
        """Add what a call came to. ``at`` was asked for the same time before."""
        if self._span and now >= self.ends:
            self.ends = now + self._span
        if self.counts and amount:
            self.used += amount
            if self._length:
                self._charges.append((now, amount))

    def stays_until(self, now: int) -> int:
        """Return until when the period stays that is in force, so that calls only add up; ``now`` where none counts.

        ``at`` was asked for the same time before.
        """
        if self._counts_none:
            return _FOR_EVER
        return self.ends if self.counts else now

    def least_by(self, now: int) -> int:
        """Return what is left of what is used once a rolling window has come to a time, without later charges.

        ``at`` was asked for an earlier time of the same period.
        """
        if not self._length:
            return self.used
        ended = takewhile(lambda charge: charge[0] <= now - self._length, self._charges)
        return self.used - sum(amount for _, amount in ended)

    def peak(self, total: int, times: pl.Series, amounts: pl.Series) -> int:
        """Return the most that is used at any time while some calls are charged that come to ``total``.

        They are in the order of time, and in the period in force; none is charged less than nothing. ``at`` was asked
        for a time before all of them. What a rolling window forgets in the meantime makes room.
        """
        if not self.counts:
            return self.used
        if not self._length or times.is_empty() or self.used + total >= _MOST_UNITS:
            return self.used + total
        earlier = list(takewhile(lambda charge: charge[0] <= times[-1] - self._length, self._charges))
        before = pl.DataFrame(earlier, schema={"at": pl.Int64, "amount": pl.Int128}, orient="row")
        amounts = amounts.cast(pl.Int128)
        forgotten = pl.concat([pl.Series([0], dtype=pl.Int128), before["amount"], amounts]).cum_sum()
        gone = pl.concat([before["at"], times]).search_sorted(times - self._length, "right")
        growth = (amounts.cum_sum() - forgotten.gather(gone)).max()
        return self.used + max(0, int(growth))  # type: ignore[arg-type]  # there are amounts

    def charge_all(self, total: int, each: Callable[[], Iterable[tuple[int, int]]]) -> None:
        """Add what some calls came to, all of which lie in the period that is in force.

        ``each`` gives when they were, in order, and what each came to: a rolling window forgets them one by one.
        """
        if not self.counts:
            return
        self.used += total
        if self._length:
            self._charges.extend((at, amount) for at, amount in each() if amount)

    def has_alerted(self, threshold: str, now: int) -> bool:
        """Return whether the alert of a threshold is not due again before a time has passed."""
        return self.counts and now < self._alerted.get(threshold, _LONG_AGO)

    def is_first(self, now: int, threshold: str) -> bool:
        """Return whether the alert of a threshold is due for the first time in the current period.

        ``at`` was asked for the same time before. A rolling window alerts once in each of its lengths.
        """
        if not self.counts:  # a budget on single calls alerts every time
            return True
        if now < self._alerted.get(threshold, _LONG_AGO):
            return False
        ends = now + self._span if self._span and now >= self.ends else self.ends
        self._alerted[threshold] = (now // self._length + 1) * self._length if self._length else ends
        return True

    def started_at(self, now: int) -> datetime | None:
        """Return when the window from first use began that is in force; None for every other window."""
        return instant(self.ends - self._span) if self._span and now < self.ends else None

    def _turn(self, now: int) -> None:
        """Start on the period that a time lies in."""
        if self.ends != _LONG_AGO:
            self.used = 0
            self._charges.clear()
        period = self._schedule.at(instant(now))
        self.counts = period is not None
        self.ends = now + 1
        if period is not None:
            self._length = 0 if period.rolling is None else period.rolling // period.rolling.resolution
            if period.first_use is not None:
                self._span = period.first_use // period.first_use.resolution
                self.ends = now
                return
            self.ends = _FOR_EVER if period.resets_at is None else micros(period.resets_at)

    def to_list(self) -> list[Any]:
        """Return the state as JSON-like data."""
        return [
            self.used,
            self.counts,
            self.ends,
            self._length,
            list(self._charges),
            [[name, until] for name, until in self._alerted.items()],
            self._span,
        ]

    def restore(self, data: list[Any]) -> None:
        """Take over a state that ``to_list`` returned."""
        self.used, self.counts, self.ends, self._length, charges, alerted, *span = data
        self._charges = deque((at, amount) for at, amount in charges)
        self._span = span[0] if span else 0
        self._alerted = dict(alerted)


class Accounts(Mapping[_Key, Balance]):
    """All accounts by budget and scope key; as a mapping, the balances that the engine asks for at ``now``."""

    __slots__ = ("_alone", "_digits", "_known", "_schedules", "now")

    def __init__(self, plan: Plan, digits: int) -> None:
        """``digits`` are the fractional digits of a unit of money."""
        steps: dict[str, BudgetStep] = {step.id: step for _, step in plan.budgets.values()}
        self.now = 0
        self._digits = {name: digits if step.unit == "usd" else step.measure.digits for name, step in steps.items()}
        self._alone = {name for name, step in steps.items() if "per_call" in step.terms}
        self._schedules = {name: schedule_of(step.terms) for name, step in steps.items()}
        self._known: dict[_Key, Account] = {}

    def of(self, budget: str, key: str) -> Account:
        """Return the account of a budget and scope key."""
        found = self._known.get((budget, key))
        if found is None:
            counts_none = budget in self._alone
            found = Account(self._schedules[budget], self._digits[budget], counts_none=counts_none)
            self._known[budget, key] = found
        return found

    def __getitem__(self, place: _Key) -> Balance:
        account = self._known.get(place)
        if account is None:
            return _NOTHING
        used, started_at = account.at(self.now), account.started_at(self.now)
        if not used and started_at is None:
            return _NOTHING
        return Balance(from_units(used, account.digits), started_at=started_at)

    def __iter__(self) -> Iterator[_Key]:
        return iter(self._known)

    def __len__(self) -> int:
        return len(self._known)

    def merge(self, other: Accounts) -> None:
        """Take over accounts that are not among these."""
        for (budget, key), account in other._known.items():
            self.of(budget, key).restore(account.to_list())

    def to_list(self) -> list[Any]:
        """Return the state as JSON-like data."""
        return [[budget, key, account.to_list()] for (budget, key), account in self._known.items()]

    def restore(self, data: list[Any]) -> None:
        """Take over a state that ``to_list`` returned."""
        for budget, key, state in data:
            self.of(budget, key).restore(state)


UNKNOWN: Final = -1
"""The code of requests whose budgets have to be asked for each of them."""
_KEPT: Final = 200_000


@frozen
class Line:
    """A budget that calls count against. Amounts are units of the account.

    From ``alerts_from`` on an alert is due, from ``acts_from`` on a threshold does more than alert or another budget is
    asked to count the call; there is room up to ``limit``, which is infinite where the budget only watches.
    """

    account: Account
    unit: Unit
    place: int
    """Of the unit in ``token_units``; -1 for others."""
    budget: str
    key: str
    limit: float
    alerts_from: float
    acts_from: float
    alerts: tuple[tuple[int, Alert], ...]
    """Where each alert begins, in units, and the alert."""


class Lines:
    """The lines of batches; ``rows`` are by code, and ``charged`` the accounts of each with their units."""

    __slots__ = (
        "_accounts",
        "_attributes",
        "_changes",
        "_known",
        "_plan",
        "_reads",
        "_spans",
        "_units",
        "charged",
        "rows",
    )

    def __init__(self, plan: Plan, attributes: Sequence[str], accounts: Accounts) -> None:
        self._plan = plan
        self._attributes = tuple(attributes)
        self._accounts = accounts
        self._changes = price_changes(plan)
        self._reads = reads_of_budgets(plan, attributes)
        self._units = token_units(plan)
        self._spans = [step.span for layer in plan.layers for step in layer.budgets if step.span is not None]
        self._known: dict[tuple[Any, ...], int] = {}
        self.rows: list[tuple[Line, ...]] = []
        self.charged: list[tuple[tuple[Account, Unit], ...]] = []

    def codes(self, frame: pl.DataFrame, served: pl.Series) -> pl.Series:
        """Return for each row the code of its lines, or ``UNKNOWN``.

        ``served`` marks the rows that some model can serve. The others are not looked up.
        """
        if not self._reads.shared or PROMPT in self._reads.exact:
            return pl.repeat(UNKNOWN, frame.height, dtype=pl.Int32, eager=True)
        if len(self._known) >= _KEPT:
            self._known.clear()
            self.rows.clear()
            self.charged.clear()
        spans = [(micros(start), micros(end)) for start, end in self._spans]
        keys = keys_of(frame, self._reads, self._changes).with_columns(
            served.alias("served"),
            *(frame["time"].is_between(*span, closed="left").alias(f"span {at}") for at, span in enumerate(spans)),
        )
        names = keys.columns
        groups = keys.with_row_index("_row").group_by(names, maintain_order=True).agg(pl.col("_row").first())
        requests = requests_in(frame[groups["_row"]], self._attributes)
        found = [
            self._code(key, request, at, prompt) if key[-1 - len(spans)] else UNKNOWN
            for key, (request, at, prompt) in zip(groups.drop("_row").iter_rows(), requests, strict=True)
        ]
        coded = groups.drop("_row").with_columns(pl.Series("_line", found, pl.Int32))
        return keys.join(coded, on=names, how="left", nulls_equal=True, maintain_order="left")["_line"]

    def _code(self, key: tuple[Any, ...], request: Mapping[str, Any], at: int, prompt: int) -> int:
        code = self._known.get(key)
        if code is None:
            lines = self._ask(request, at, prompt if self._reads.cuts[PROMPT] else 1)
            code = UNKNOWN if lines is None else len(self.rows)
            if lines is not None:
                self.rows.append(lines)
                self.charged.append(tuple((line.account, line.unit) for line in lines))
            self._known[key] = code
        return code

    def _ask(self, request: Mapping[str, Any], at: int, prompt: int) -> tuple[Line, ...] | None:
        """Ask what a request counts against while nothing is spent."""
        try:
            decision = decide(self._plan, {**request, PROMPT: prompt}, {}, instant(at))
        except RequestError:
            return None
        if decision.model is None or decision.errors or decision.overflowed:
            return None
        return tuple(self._line(seen) for seen in decision.balances)

    def _line(self, seen: BalanceSeen) -> Line:
        step = self._plan.budgets[seen.budget][1]
        account = self._accounts.of(seen.budget, seen.key)
        scale = Decimal(1).scaleb(account.digits)
        starts = [(_up(threshold.starts_at(seen.limit), scale), threshold) for threshold in step.levels]
        acts = [start for start, threshold in starts if not step.shadow and threshold.acts]
        alerts = [
            (start, Alert(step.id, seen.key, threshold.starts_at(seen.limit), threshold.alert, threshold.name))
            for start, threshold in starts
            if threshold.alert is not None
        ]
        limit = inf if step.shadow else _down(seen.limit, scale)
        first = min((start for start, _ in alerts), default=inf)
        place = self._units.index(step.unit) if step.unit in self._units else -1
        first_act = min([*acts, limit + 1] if step.overflow else acts, default=inf)
        if step.forecasts:  # what depends on the time of each row is decided for each row
            first_act = 0
        return Line(account, step.unit, place, step.id, seen.key, limit, first, first_act, tuple(alerts))


def _down(amount: Decimal, scale: Decimal) -> int:
    numerator, denominator = amount.as_integer_ratio()
    return numerator * int(scale) // denominator


def _up(amount: Decimal, scale: Decimal) -> int:
    numerator, denominator = amount.as_integer_ratio()
    return -(-numerator * int(scale) // denominator)
