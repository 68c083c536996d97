"""Calls in memory: held, settled, released, and what accounts sum up of them.

A settled call is kept flat, in two objects: many of them are kept, and Python's garbage collector visits each object
again and again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from itertools import zip_longest
from typing import Any, Final, NamedTuple

from costlens_policy.ledger.account import (
    Account,
    bucket_width,
    clocks_after,
    forgotten_buckets,
    forgotten_windows,
    lease_end,
    length_of,
    used_in_window,
    window_at,
)
from costlens_policy.ledger.adjustments import Adjusted, Adjustment
from costlens_policy.ledger.amounts import MICROSECOND, SECOND, instant_of, micros
from costlens_policy.ledger.calls import CallState, Charge, ChargedLine, Facts, Held, Hold, LineState, Settled
from costlens_policy.ledger.history import (
    Entry,
    Reservation,
    ReservedLine,
    call_state,
    charged_without_hold,
    held_again,
    match_charges,
)
from costlens_policy.ledger.shares import put_back

__all__ = ["AdjustmentRecord", "Drawn", "LeaseEnd", "OpenCall", "SetAside", "SettledCall", "Tally"]


_WIDTH: Final = 8


class Drawn(NamedTuple):
    """What a call took of the share that ``owner`` has of the account of a line."""

    line: int
    owner: Tally
    amount: int


class OpenCall:
    """A call that is held, or was. ``ends`` are in the order of its lines; ``reserved_at`` is in microseconds."""

    __slots__ = ("draws", "end", "ends", "hold", "lines", "released", "reserved_at")

    def __init__(
        self,
        hold: Hold,
        lines: tuple[LineState, ...],
        reserved_at: int,
        end: int,
        ends: list[LeaseEnd],
        draws: Sequence[Drawn] = (),
    ) -> None:
        self.hold = hold
        self.lines = lines
        self.reserved_at = reserved_at
        self.end = end
        self.ends = ends
        self.draws = draws
        self.released = False

    @classmethod
    def voided(cls, call: str, now: datetime, at: int) -> OpenCall:
        """Return a call that is given back before it is held."""
        return cls(Hold(call, (), now, MICROSECOND), (), at, at // SECOND, [])

    def state(self, now: int) -> CallState:
        return call_state(self.end, self.released, False, now)

    def counts(self, now: int) -> bool:
        """Whether no account has freed it, by this clock or by another one."""
        for end in self.ends:
            end.tally.move(now)
        return all(end.counts for end in self.ends)

    def unhold(self, now: int) -> None:
        """Give back what is held on every account that still counts it."""
        if not self.released:
            for index, (line, end) in enumerate(zip(self.lines, self.ends, strict=True)):
                end.tally.move(now)
                if end.unhold(line.amount) and self.draws:
                    self._put_back(index, line.amount, 0, now)

    def lengthen(self, end: int) -> None:
        """Let a hold that still counts last until ``end``."""
        for index, line in enumerate(self.lines):
            self.ends[index].unhold(line.amount)
            self.ends[index] = self.ends[index].tally.hold(line.amount, end)
        self.end = end

    def renew_shares(self, now: int) -> None:
        """Let the leases of the call's shares begin anew."""
        for draw in self.draws:
            share = draw.owner.share
            if share is not None and share.lives(self.ends[draw.line].tally, now):
                share.put(share.left, now)

    def _put_back(self, index: int, amount: int, charged: int, now: int) -> None:
        """Put what was drawn for a line and not used back into the shares, as far as they live."""
        for draw in self.draws:
            share = draw.owner.share
            if draw.line == index and share is not None and share.lives(self.ends[index].tally, now):
                share.put(put_back(share.left, draw.amount, amount, charged), now)

    def charge(
        self, charges: Sequence[Charge], now: int, at: int, lines: list[ChargedLine], flat: list[Any]
    ) -> tuple[bool, Sequence[Charge]]:
        """Charge what was held, adding to ``lines`` and ``flat``; return whether late, and the other charges."""
        late = self.released or now >= self.end * SECOND
        amounts, others = match_charges(self.lines, charges)
        for line, lease, charged in zip(self.lines, self.ends, amounts, strict=True):
            account, amount, limit, used, held, *_ = line
            tally = lease.tally
            if not tally.since <= now < tally.until:
                tally.move(now)
            if not lease.counts:
                late = True
            elif not self.released:
                lease.unhold(amount)
                if self.draws:
                    self._put_back(len(lines), amount, charged or 0, now)
            if charged:
                tally.charge(charged, at)
            used_now, held_now = tally.used, tally.held
            lines.append(
                ChargedLine(tally.shown if tally.windowed else account, charged or 0, amount, used_now, held_now)
            )
            flat += (account, amount, limit, used, held, charged, used_now, held_now)
        return late, others

    def held_again(self, hold: Hold, now: int) -> Held:
        return held_again(hold, self.lines, self.end, self.state(now))

    def reservation(self, now: int) -> Reservation:
        hold = self.hold
        lines = tuple(ReservedLine(line.account, line.amount) for line in hold.lines)
        return Reservation(hold.call, self.state(now), lines, hold.now, instant_of(self.end * SECOND), hold.facts)


class SettledCall:
    """A call that is settled. ``end`` is None where it was charged without a hold.

    ``flat`` has eight values for each line: account, amount held (None if it was not), limit, used and held before
    the hold; amount charged (None if it was not), used and held after the charge.
    """

    __slots__ = ("call", "end", "facts", "first_entry", "flat", "late", "reserved_at", "settled_at", "shared")

    def __init__(
        self,
        call: str,
        flat: tuple[Any, ...],
        reserved_at: datetime,
        settled_at: datetime,
        late: bool,
        end: int | None,
        facts: Facts,
        shared: tuple[tuple[int, ...], ...] = (),
    ) -> None:
        self.call = call
        self.flat = flat
        self.reserved_at = reserved_at
        self.settled_at = settled_at
        self.late = late
        self.end = end
        self.facts = facts
        self.shared = shared
        """Of each line held, what it had to do with shares; nothing where none had."""
        self.first_entry = 0

    def held_again(self, hold: Hold, now: int) -> Held:
        if self.end is None:
            raise charged_without_hold(hold.call)
        held = [line[:5] for line in self._lines() if line[1] is not None]
        lines = tuple(LineState(*line, *more) for line, more in zip_longest(held, self.shared, fillvalue=()))
        return held_again(hold, lines, self.end, "settled")

    def settled_again(self) -> Settled:
        lines = tuple(
            ChargedLine(account, charged or 0, was_held or 0, used, held)
            for account, was_held, _, _, _, charged, used, held in self._lines()
        )
        return Settled(self.call, lines, self.settled_at, self.late, repeated=True)

    def reservation(self, now: int) -> Reservation:
        lines = tuple(ReservedLine(line[0], line[1]) for line in self._lines() if line[1] is not None)
        ended = self.settled_at if self.end is None else instant_of(self.end * SECOND)
        return Reservation(self.call, "settled", lines, self.reserved_at, ended, self.facts, self.settled_again())

    def entries(self) -> Iterator[Entry]:
        """Make an entry of each line that was charged."""
        number = self.first_entry
        for account, was_held, _, _, _, charged, _, _ in self._lines():
            if charged is not None:
                at, facts = self.settled_at, self.facts
                yield Entry(str(number), at, "charge", self.call, account, charged, was_held or 0, self.late, facts)
                number += 1

    def _lines(self) -> Iterator[tuple[Any, ...]]:
        for start in range(0, len(self.flat), _WIDTH):
            yield self.flat[start : start + _WIDTH]


class AdjustmentRecord:
    """An adjustment, its answer, and the amount of its entry."""

    __slots__ = ("adjusted", "adjustment", "amount", "first_entry")

    def __init__(self, adjustment: Adjustment, adjusted: Adjusted, amount: int) -> None:
        self.adjustment = adjustment
        self.adjusted = adjusted
        self.amount = amount
        self.first_entry = 0

    def entries(self) -> Iterator[Entry]:
        it, number = self.adjustment, str(self.first_entry)
        yield Entry(number, it.now, it.kind, it.id, it.account, self.amount, 0, False, it.facts())


_NEVER: Final = 1 << 62


class LeaseEnd:
    """What an account holds until one moment. Once that has passed it ``counts`` no more, whatever clocks do.

    ``aside`` is what of the amount waits for calls of shares.
    """

    __slots__ = ("amount", "aside", "counts", "tally")

    def __init__(self, tally: Tally) -> None:
        self.tally = tally
        self.amount = 0
        self.aside = 0
        self.counts = True

    def unhold(self, amount: int) -> bool:
        """Give back what is held; False where that has been freed already."""
        if self.counts:
            self.amount -= amount
            self.tally.held -= amount
        return self.counts

    def set_aside(self, amount: int) -> None:
        """Set so much of what is held aside, or less where the amount is negative."""
        self.aside += amount
        self.tally.aside += amount


class SetAside:
    """What is ``left`` of the share that an account has of another one, of which ``end`` holds it. Leases and times are
    in microseconds.
    """

    __slots__ = ("end", "ends", "lease", "left", "second")

    def __init__(self, of: Tally, lease: timedelta, ends: tuple[str, ...], now: int) -> None:
        self.second = lease_end(now, lease)
        self.end = of.hold(0, self.second)
        self.lease = lease
        self.ends = ends
        self.left = 0

    def lives(self, of: Tally, now: int) -> bool:
        """Whether the share is one of that account, whose counters are right for ``now``, and has not ended."""
        return self.end.tally is of and self.end.counts and now < self.second * SECOND

    def put(self, left: int, now: int) -> None:
        """Let so much be left of a share that lives, and its lease begin anew."""
        self.end.unhold(self.left)
        self.end.set_aside(-self.left)
        self.second = max(self.second, lease_end(now, self.lease))
        self.end = self.end.tally.hold(left, self.second)
        self.end.set_aside(left)
        self.left = left

    def free(self, now: int) -> None:
        """Give back what is left."""
        self.end.tally.move(now)
        if self.end.unhold(self.left):
            self.end.set_aside(-self.left)


class Tally:
    """Counters of one account.

    They are right from ``since`` until ``until``, in microseconds; ``move`` makes them right.

    The store holds its lock around everything here.
    """

    __slots__ = (
        "_buckets", "_clocks", "_ends", "_length", "_start", "_width", "account", "aside", "held", "is_new",
        "needed_until", "share",
        "since", "until", "used", "windowed",
    )  # fmt: skip

    def __init__(self, account: Account) -> None:
        self.account = account
        self.needed_until = account.period.resets_at
        """When nothing depends on it any more: for one that is carried over, the end of the last window that may."""
        self.is_new = True
        self.used = 0
        self.held = 0
        self.aside = 0
        """What of ``held`` waits for calls of shares."""
        self.share: SetAside | None = None
        """What is set aside for this account on another one, if that has not ended."""
        self._ends: dict[int, LeaseEnd] = {}
        rolling = account.period.rolling
        self._width = 0 if rolling is None else bucket_width(rolling)
        self._buckets: dict[int, int] = {}
        self._clocks: list[int] = []
        self._length = length_of(account.period)
        self.windowed = self._length > 0
        """Whether the window is one from first use."""
        self._start: int | None = None
        """When the window from first use began that is in force; None for none."""
        self.since = -_NEVER
        self.until = -_NEVER if self._width or self._length else _NEVER

    @property
    def shown(self) -> Account:
        """The account with its window as it is in force."""
        return self.account.begun(self._start) if self.windowed else self.account

    def shown_at(self, now: int) -> Account:
        """Return the account with its window as it is at ``now``, changing nothing."""
        return self.account.begun(window_at(self._buckets, self._length, now)) if self.windowed else self.account

    def move(self, now: int) -> None:
        """Make the counters right for ``now``: what has expired is freed, and a window is that of ``now``."""
        if self.since <= now < self.until:
            return
        for passed in [end for end in self._ends if end * SECOND <= now]:
            end = self._ends.pop(passed)
            end.counts = False
            self.held -= end.amount
            self.aside -= end.aside
        self.until = min(self._ends, default=_NEVER) * SECOND
        if self._width:
            self._roll(now // self._width)
        elif self.windowed:
            self._enter(now)

    def begin(self, now: int) -> None:
        """Begin a window from first use, unless one is in force."""
        if not self.windowed or self._start is not None:
            return
        self._buckets[now] = 0
        for forgotten in forgotten_windows(self._buckets, now):
            del self._buckets[forgotten]
        self._enter(now)

    def at(self, now: int) -> tuple[int, int]:
        """Return used and held at ``now``, changing nothing."""
        passed = sum(end.amount for second, end in self._ends.items() if second * SECOND <= now)
        return self._used_at(now), self.held - passed

    def aside_at(self, now: int) -> int:
        """Return what is set aside at ``now``, changing nothing."""
        if not self.aside:
            return 0
        return sum(end.aside for second, end in self._ends.items() if second * SECOND > now)

    def share_at(self, now: int) -> int | None:
        """Return what is left of the account's share at ``now``, changing nothing; None where it has none then."""
        share = self.share
        return None if share is None or not share.lives(share.end.tally, now) else share.left

    def next_end(self, now: int) -> int | None:
        """Return when the next hold ends, in seconds since 1970."""
        held = (second for second, end in self._ends.items() if second * SECOND > now and end.amount)
        return min(held, default=None)

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
        """Add to what is used. ``at`` is not before the time of the last ``move``."""
        if self.windowed:
            self._charge_window(amount, at)
            return
        self.used += amount
        if self._width:
            bucket = at // self._width
            self._buckets[bucket] = self._buckets.get(bucket, 0) + amount

    def set(self, amount: int, now: int) -> int:
        """Make the amount what is used; return the difference."""
        difference = amount - self.used
        if self.windowed:
            self._charge_window(difference, now)
            return difference
        self.used = amount
        if self._width:
            self._buckets = {now // self._width: amount}
        return difference

    def correct(self, correction: Adjustment, now: int) -> None:
        """Add what a correction adds, or take away what it takes: the rest of a rolling window then counts from now."""
        used = correction.corrected(self.used)
        if correction.amount >= 0:
            self.charge(correction.amount, now)
        else:
            self.set(used, now)

    def ended_before(self, instant: datetime) -> bool:
        """Whether nothing depended on it any more at ``instant``, and nothing is held."""
        over = self.needed_until
        return over is not None and over < instant and self.at(micros(instant))[1] == 0

    def _used_at(self, now: int) -> int:
        if self.windowed:
            start = window_at(self._buckets, self._length, now)
            return 0 if start is None else self._buckets[start]
        return used_in_window(self._buckets, now // self._width) if self._width else self.used

    def _charge_window(self, amount: int, at: int) -> None:
        if amount:
            self._enter(at)
            self.begin(at)
            assert self._start is not None
            self._buckets[self._start] += amount
            self.used = self._buckets[self._start]

    def _enter(self, now: int) -> None:
        """Count in the window from first use that is in force at ``now``. Without one nothing is known of later."""
        start = self._start = window_at(self._buckets, self._length, now)
        self.used = 0 if start is None else self._buckets[start]
        self.since = now if start is None else min(start, now)
        self.until = now if start is None else min(self.until, start + self._length)

    def _roll(self, bucket: int) -> None:
        self._clocks = clocks_after(self._clocks, bucket)
        for forgotten in forgotten_buckets(self._buckets, self._clocks):
            del self._buckets[forgotten]
        self.used = used_in_window(self._buckets, bucket)
        self.since = bucket * self._width
        self.until = min(self.until, self.since + self._width)
