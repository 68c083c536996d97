"""One account in memory: its counters, the ends of its leases, and the buckets of a rolling window."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from costlens_policy.ledger.account import Account
from costlens_policy.ledger.buckets import bucket_width, clocks_after, forgotten_buckets, used_in_window
from costlens_policy.ledger.instants import SECOND, micros

__all__ = ["LeaseEnd", "Tally"]

_NEVER: Final = 1 << 62


class LeaseEnd:
    """What an account holds until one moment. Once that has passed it ``counts`` no more, whatever clocks do."""

    __slots__ = ("amount", "counts", "tally")

    def __init__(self, tally: Tally) -> None:
        self.tally = tally
        self.amount = 0
        self.counts = True

    def unhold(self, amount: int) -> None:
        if self.counts:
            self.amount -= amount
            self.tally.held -= amount


class Tally:
    """Counters of one account.

    They are right from ``since`` until ``until``, in microseconds; ``moved`` makes them right.

    The store holds its lock around everything here.
    """

    __slots__ = ("_buckets", "_clocks", "_ends", "_width", "account", "held", "is_new", "since", "until", "used")

    def __init__(self, account: Account) -> None:
        self.account = account
        self.is_new = True
        self.used = 0
        self.held = 0
        self._ends: dict[int, LeaseEnd] = {}
        rolling = account.period.rolling
        self._width = 0 if rolling is None else bucket_width(rolling)
        self._buckets: dict[int, int] = {}
        self._clocks: list[int] = []
        self.since = -_NEVER
        self.until = -_NEVER if self._width else _NEVER

    def moved(self, now: int) -> Tally:
        """Return the tally itself, right for ``now``: what has expired is freed, and a rolling window ends now."""
        if not self.since <= now < self.until:
            self._move(now)
        return self

    def at(self, now: int) -> tuple[int, int]:
        """Return used and held at ``now``, changing nothing."""
        passed = sum(end.amount for second, end in self._ends.items() if second * SECOND <= now)
        used = used_in_window(self._buckets, now // self._width) if self._width else self.used
        return used, self.held - passed

    def hold(self, amount: int, second: int) -> LeaseEnd:
        end = self._ends.get(second)
        if end is None:
            end = self._ends[second] = LeaseEnd(self)
            if second * SECOND < self.until:
                self.until = second * SECOND
        end.amount += amount
        self.held += amount
        return end

    def charge(self, amount: int, at: int) -> None:
        """Add to what is used. ``at`` is not before the time of the last ``moved``."""
        self.used += amount
        if self._width:
            bucket = at // self._width
            self._buckets[bucket] = self._buckets.get(bucket, 0) + amount

    def set(self, amount: int, now: int) -> int:
        """Make the amount what is used; return the difference."""
        difference = amount - self.used
        self.used = amount
        if self._width:
            self._buckets = {now // self._width: amount}
        return difference

    def ended_before(self, instant: datetime) -> bool:
        """Whether the period was over at ``instant`` and nothing is held any more."""
        resets_at = self.account.period.resets_at
        return resets_at is not None and resets_at < instant and self.at(micros(instant))[1] == 0

    def _move(self, now: int) -> None:
        for passed in [end for end in self._ends if end * SECOND <= now]:
            end = self._ends.pop(passed)
            end.counts = False
            self.held -= end.amount
        self.until = min(self._ends, default=_NEVER) * SECOND
        if self._width:
            self._roll(now // self._width)

    def _roll(self, bucket: int) -> None:
        self._clocks = clocks_after(self._clocks, bucket)
        for forgotten in forgotten_buckets(self._buckets, self._clocks):
            del self._buckets[forgotten]
        self.used = used_in_window(self._buckets, bucket)
        self.since = bucket * self._width
        self.until = min(self.until, self.since + self._width)
