"""Instants as the ledger stores them: whole microseconds since 1970, UTC."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

from costlens_policy.ledger.errors import AmountError

__all__ = ["MICROSECOND", "SECOND", "instant_of", "micros", "micros_or_none"]

MICROSECOND: Final = timedelta(microseconds=1)
SECOND: Final = 1_000_000
"""Microseconds of a second."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def micros(instant: datetime) -> int:
    """Return microseconds since 1970. Raises ``AmountError`` for a time without a zone."""
    try:
        return (instant - _EPOCH) // MICROSECOND
    except TypeError:
        raise AmountError(f"`{instant}` has no time zone, so it is no instant") from None


def micros_or_none(instant: datetime | None) -> int | None:
    return None if instant is None else micros(instant)


def instant_of(microseconds: int) -> datetime:
    """Return the instant, in UTC."""
    return _EPOCH + timedelta(microseconds=microseconds)
