"""What was charged lately: accounts beside those of a budget, one for each time over which it measures a burn rate.

Such an account is one of a rolling window, so it is kept in buckets that move along, in every store. It takes the
charges of its budget, holds nothing and limits nothing. It belongs to one period of the budget: what was spent in the
period before does not count in the next one. Of a window from first use only the ledger knows when it began, and a
charge can come from a process that does not; so the windows of one key share the account, and what was spent in the
window before counts, too, rather than not at all. Its name is the budget's with ``~`` and the time, which no policy can
give a budget.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from costlens_policy.ledger.account import BESIDE
from costlens_policy.periods import Period, Schedule

__all__ = ["Recent", "budget_of", "recent_name", "recent_time"]


def recent_name(budget: str, text: str) -> str:
    """Return the name of the account for recent charges of a budget over a time, such as ``1h``."""
    return f"{budget}{BESIDE}{text}"


def budget_of(name: str) -> str:
    """Return the budget to which an account belongs, by its name."""
    return name.partition(BESIDE)[0]


def recent_time(name: str) -> str:
    """Return the time over which an account counts recent charges, as the policy writes it."""
    return name.partition(BESIDE)[2]


class Recent:
    """The periods of such an account: a rolling window within each period of its budget."""

    __slots__ = ("_last", "_schedule", "_span")

    def __init__(self, schedule: Schedule, span: timedelta) -> None:
        self._schedule = schedule
        self._span = span
        self._last: tuple[Period, Period] | None = None

    def at(self, now: datetime) -> Period | None:
        period = self._schedule.at(now)
        if period is None:
            return None
        last = self._last
        if last is None or last[0] is not period:
            name = f"{period.id}{BESIDE}{self._span.total_seconds():g}s"
            last = self._last = (period, Period(name, rolling=self._span))
        return last[1]
