"""From what stores keep back to what callers know."""

from __future__ import annotations

from datetime import timedelta

from costlens_policy.ledger.instants import instant_of
from costlens_policy.periods import Period

__all__ = ["period_of"]


def period_of(id: str, starts_at: int | None, resets_at: int | None, rolling: int | None) -> Period:
    """Return the period whose times and length are given in microseconds."""
    return Period(
        id,
        None if starts_at is None else instant_of(starts_at),
        None if resets_at is None else instant_of(resets_at),
        None if rolling is None else timedelta(microseconds=rolling),
    )
