"""When a hold ends by itself.

The ends of leases are rounded up to a grid, and an account keeps one sum for each end. So whatever has expired is
freed at the next touch of the account in a few steps, however many calls it was, and nothing has to run in the
background.
"""

from __future__ import annotations

from datetime import timedelta
from functools import lru_cache
from typing import Final

from costlens_policy.ledger.errors import AmountError
from costlens_policy.ledger.instants import MICROSECOND, SECOND

__all__ = ["MAX_LEASE", "lease_end"]

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
        raise AmountError(f"a lease is longer than nothing and at most {MAX_LEASE.days} days, not `{lease}`")
    length = lease // MICROSECOND
    return length, max(1, -(-length // (_STEPS * SECOND)))
