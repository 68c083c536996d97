"""Accounts: what a balance belongs to, and the balance.

A charge goes into the bucket of its time and counts as long as any part of that bucket lies in the window. So a
charge never counts for less than the window's length, and at most one bucket, a ``BUCKETS``-th of the length, longer.

Which buckets may go is decided by the clocks that were seen, and by nothing else: an account remembers which bucket
each of the last ``CLOCKS`` clocks showed, and keeps what lies in the windows of all of them, and as much again. So a
clock that is ahead or behind, or jumps, cannot make forgotten what another one still counts. Nobody says which clock
it is: one that shows at most ``STEP`` buckets more than one seen before is taken for that one, gone on.

The ends of leases are rounded up to a grid, and an account keeps one sum for each end. So whatever has expired is
freed at the next touch of the account in a few steps, however many calls it was, and nothing has to run in the
background.

A window from first use has a bucket of its own, under the microsecond at which it began. Windows of one account never
overlap: one begins only at a time that lies in no other, and within whose length no other begins. So a clock that is
behind one that has begun a window counts in that window, and not in one beside it. An account keeps the last
``KEPT_WINDOWS`` of them, for clocks that are behind by more than a window.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import field, replace
from datetime import timedelta
from functools import lru_cache
from typing import Final, NamedTuple

from costlens_policy.frozen import frozen
from costlens_policy.ledger.amounts import MICROSECOND, SECOND, Unit, instant_of, micros_or_none
from costlens_policy.ledger.errors import AmountError
from costlens_policy.periods import FIRST_USE, Period

__all__ = [
    "AFTER_SEPARATOR",
    "BESIDE",
    "BUCKETS",
    "CLOCKS",
    "KEPT_BUCKETS",
    "KEPT_WINDOWS",
    "LAST_NAME",
    "MAX_LEASE",
    "SEPARATOR",
    "STEP",
    "Account",
    "AccountBalance",
    "Approved",
    "Grants",
    "bucket_width",
    "checked_text",
    "clocks_after",
    "forgotten_buckets",
    "forgotten_windows",
    "lease_end",
    "length_of",
    "period_of",
    "span_of",
    "used_in_window",
    "window_at",
]


SEPARATOR: Final = "\x1f"
"""Stands between the parts of a name."""
AFTER_SEPARATOR: Final = "\x20"
"""The character that follows it, so that a name and this are beyond all names that the name begins."""
LAST_NAME: Final = "\U0010ffff"
BESIDE: Final = "~"
"""Stands in the name of an account behind that of the budget beside whose account it counts."""
_LONGEST: Final = 1200
"""Bytes: names of a policy and a budget, a period, a unit with weights, and a scope key."""


@frozen
class Account:
    """One budget, one scope key, one period, one unit.

    ``budget`` is ``policy/budget``; ``key`` is empty where all share it.

    ``name`` is the one text by which stores know the account, ``scope`` the same without the period. Two accounts are
    equal when their names are.
    """

    budget: str = field(compare=False)
    key: str = field(compare=False)
    unit: Unit = field(compare=False)
    period: Period = field(compare=False)
    name: str = field(init=False, repr=False)
    scope: str = field(init=False, repr=False, compare=False)

    @property
    def is_beside(self) -> bool:
        """Whether it counts once more, beside the account of a budget, what was charged there lately."""
        return BESIDE in self.budget

    def __post_init__(self) -> None:
        for text in (self.budget, self.period.id):
            if SEPARATOR in text:
                raise AmountError(f"the name of an account must not contain a control character, got `{text!r}`")
        name = SEPARATOR.join((self.budget, self.period.id, self.unit, self.key))
        object.__setattr__(self, "name", checked_text(name, "the name of an account"))
        object.__setattr__(self, "scope", SEPARATOR.join((self.budget, self.unit, self.key)))

    def begun(self, start: int | None) -> Account:
        """Return the account with its window from first use that began at ``start``, in microseconds.

        None where no window is in force. The account itself where its window is another one.
        """
        period = self.period
        if period.first_use is None:
            return self
        return replace(self, period=period.begun(None if start is None else instant_of(start)))


class Approved(NamedTuple):
    """What somebody has answered: calls past a threshold may go on up to an amount, or, for None, may not.

    ``until`` is in microseconds since 1970, None where it holds for the period.
    """

    threshold: str
    up_to: int | None
    until: int | None


@frozen
class Grants:
    """What adjustments do to a limit for the time being: ``override`` replaces it, ``topup`` is added.

    ``approvals`` say which thresholds calls may go past; they change no limit. ``replaced``: the period is over, and an
    override was in force when it ended.
    """

    override: int | None = None
    topup: int = 0
    approvals: tuple[Approved, ...] = ()
    replaced: bool = False

    def applied_to(self, limit: int) -> int:
        """Return the limit in force."""
        return (limit if self.override is None else self.override) + self.topup


class AccountBalance(NamedTuple):
    """What is spent, what is held for calls under way, and what was granted on top of the policy's limit.

    ``set_aside`` is what of ``held`` waits for calls of shares. ``share`` is what is set aside for this account in its
    turn; None where it has no share now.

    A named tuple, since several are made for every call.
    """

    account: Account
    used: int = 0
    held: int = 0
    grants: Grants = Grants()
    set_aside: int = 0
    share: int | None = None


def checked_text(text: str, what: str) -> str:
    """Return a text that every store can keep; raises ``AmountError``."""
    if text.isascii() and len(text) <= _LONGEST and "\x00" not in text:
        return text
    if "\x00" in text or any("\ud800" <= character <= "\udfff" for character in text):
        raise AmountError(f"{what} must not contain NUL or half a surrogate pair, got `{text!r}`")
    if len(text) > _LONGEST or len(text.encode()) > _LONGEST:
        raise AmountError(f"{what} must be at most {_LONGEST} bytes long, got {len(text.encode())}")
    return text


BUCKETS: Final = 120
"""Buckets of one window."""
KEPT_BUCKETS: Final = 3 * BUCKETS
"""How many buckets before that of a clock are kept. Up to so many in all nothing is looked for that may go."""
CLOCKS: Final = 16
"""How many clocks an account remembers; the one that was asked longest ago goes first."""
STEP: Final = BUCKETS // 2
"""By how many buckets a clock may have gone on since it was seen last."""


def bucket_width(rolling: timedelta) -> int:
    """Return the width in microseconds, rounded up."""
    return -(-(rolling // MICROSECOND) // BUCKETS)


def used_in_window(buckets: Mapping[int, int], bucket: int) -> int:
    """Return what counts while ``bucket`` is the current one. Those ahead of it, from another clock, count too."""
    oldest = bucket - BUCKETS
    return sum(amount for index, amount in buckets.items() if index >= oldest)


def clocks_after(clocks: Sequence[int], bucket: int) -> list[int]:
    """Return the clocks, the latest asked last, once one of them has shown a bucket."""
    before = max((clock for clock in clocks if bucket - STEP <= clock <= bucket), default=None)
    return [*(clock for clock in clocks if clock != before), bucket][-CLOCKS:]


def forgotten_buckets(buckets: Iterable[int], clocks: Sequence[int]) -> list[int]:
    """Return which buckets an account need not keep: those too old for each clock that is not behind them."""
    known = sorted(buckets)
    if len(known) <= KEPT_BUCKETS:
        return []
    latest = max(clocks)
    return [
        bucket
        for bucket in known
        if bucket <= latest and not any(clock - KEPT_BUCKETS < bucket <= clock for clock in clocks)
    ]


KEPT_WINDOWS: Final = 16
"""How many windows from first use an account keeps."""


def window_at(starts: Iterable[int], length: int, now: int) -> int | None:
    """Return when the window from first use began that counts at ``now``: the one that ``now`` lies in, else one that a
    clock ahead of this one has begun less than a length later. All in microseconds.
    """
    near = [start for start in starts if now - length < start < now + length]
    return max((start for start in near if start <= now), default=min(near, default=None))


def forgotten_windows(starts: Iterable[int], current: int) -> list[int]:
    """Return which windows from first use an account need not keep once ``current`` has begun."""
    return sorted(start for start in starts if start != current)[: 1 - KEPT_WINDOWS]


def length_of(period: Period) -> int:
    """Return the length of a window from first use in microseconds; 0 for every other window."""
    return 0 if period.first_use is None else period.first_use // MICROSECOND


def span_of(period: Period) -> tuple[int | None, int | None, int | None, int]:
    """Return what stores keep of a period, in microseconds: start, reset, length, and the width of buckets.

    The width is 0 where the window does not move, and less than nothing, by its length, for one from first use.
    """
    if period.first_use is not None:
        return None, None, length_of(period), -length_of(period)
    span = micros_or_none(period.starts_at), micros_or_none(period.resets_at)
    if period.rolling is None:
        return *span, None, 0
    return *span, period.rolling // MICROSECOND, bucket_width(period.rolling)


def period_of(id: str, starts_at: int | None, resets_at: int | None, rolling: int | None) -> Period:
    """Return the period whose times and length are given in microseconds."""
    if id.startswith(FIRST_USE) and BESIDE not in id:
        assert rolling is not None
        period = Period(id, first_use=timedelta(microseconds=rolling))
        return period.begun(None if starts_at is None else instant_of(starts_at))
    return Period(
        id,
        None if starts_at is None else instant_of(starts_at),
        None if resets_at is None else instant_of(resets_at),
        None if rolling is None else timedelta(microseconds=rolling),
    )


MAX_LEASE: Final = timedelta(days=31)

_STEPS: Final = 120


def lease_end(now: int, lease: timedelta) -> int:
    """Return the end of a lease, in seconds since 1970; ``now`` is in microseconds.

    It is rounded up to whole seconds, and for leases above two minutes to a 120th of their length.
    """
    length, grid = _measures(lease)
    return -(-(now + length) // (grid * SECOND)) * grid


@lru_cache(maxsize=256)
def _measures(lease: timedelta) -> tuple[int, int]:
    """Return the length in microseconds, and the grid in seconds to which ends are rounded."""
    if not timedelta(0) < lease <= MAX_LEASE:
        raise AmountError(f"a lease must be positive and at most {MAX_LEASE.days} days, got `{lease}`")
    length = lease // MICROSECOND
    return length, max(1, -(-length // (_STEPS * SECOND)))
