"""Rolling windows in buckets of time.

A charge goes into the bucket of its time and counts as long as any part of that bucket lies in the window. So a
charge never counts for less than the window's length, and at most one bucket, a ``BUCKETS``-th of the length, longer.

Which buckets are kept is decided by their number, not by a clock: one that jumps ahead and back cannot make money
forgotten.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Final

from costlens_policy.ledger.instants import MICROSECOND

__all__ = ["BUCKETS", "KEPT_BUCKETS", "bucket_width", "forgotten_buckets", "used_in_window"]

BUCKETS: Final = 120
"""Buckets of one window."""
KEPT_BUCKETS: Final = 3 * BUCKETS
"""How many of the newest buckets an account keeps; the older ones go when there are more."""


def bucket_width(rolling: timedelta) -> int:
    """Return the width in microseconds, rounded up."""
    return -(-(rolling // MICROSECOND) // BUCKETS)


def used_in_window(buckets: Mapping[int, int], bucket: int) -> int:
    """Return what counts while ``bucket`` is the present one. Those ahead of it, from another clock, count too."""
    oldest = bucket - BUCKETS
    return sum(amount for index, amount in buckets.items() if index >= oldest)


def forgotten_buckets(buckets: Iterable[int]) -> list[int]:
    """Return which buckets an account need not keep."""
    return sorted(buckets)[:-KEPT_BUCKETS]
