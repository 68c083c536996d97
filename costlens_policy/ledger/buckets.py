"""Rolling windows in buckets of time.

A charge goes into the bucket of its time and counts as long as any part of that bucket lies in the window. So a
charge never counts for less than the window's length, and at most one bucket, a ``BUCKETS``-th of the length, longer.

Which buckets may go is decided by the clocks that were seen, and by nothing else: an account remembers which bucket
each of the last ``CLOCKS`` clocks showed, and keeps what lies in the windows of all of them, and as much again. So a
clock that is ahead or behind, or jumps, cannot make forgotten what another one still counts. Nobody says which clock
it is: one that shows at most ``STEP`` buckets more than one seen before is taken for that one, gone on.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Final

from costlens_policy.ledger.instants import MICROSECOND

__all__ = [
    "BUCKETS", "CLOCKS", "KEPT_BUCKETS", "STEP", "bucket_width", "clocks_after", "forgotten_buckets", "used_in_window",
]  # fmt: skip

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
    """Return what counts while ``bucket`` is the present one. Those ahead of it, from another clock, count too."""
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
