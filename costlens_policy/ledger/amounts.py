"""Exact amounts, limits and timestamps as the whole numbers in which ledgers count them.

A femto-dollar is 1e-15 US dollars: the cheapest cached token of any price list is a million of them, and a billion
dollars are 1e24. A store whose integers are narrower keeps an amount as two limbs of base 1e15, for dollars therefore
as dollars and femto-dollars; each limb, and the sum of several, stays below 2**53, so that even arithmetic in doubles
is exact.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import ROUND_CEILING, ROUND_FLOOR, Context, Decimal, InvalidOperation
from typing import Final

from costlens_policy.ledger.errors import AmountError
from costlens_policy.units import Unit, UnitError, measure

__all__ = [
    "LIMB",
    "MAX_AMOUNT",
    "MAX_LIMIT",
    "MICROSECOND",
    "SECOND",
    "Unit",
    "amount_of",
    "checked_amount",
    "decimal_of",
    "instant_of",
    "join_limbs",
    "limit_of",
    "micros",
    "micros_or_none",
    "split_limbs",
]


LIMB: Final = 10**15
"""Base of the limbs."""
MAX_AMOUNT: Final = 10**27
"""Largest amount of one hold, charge or grant: a thousand billion dollars, or a thousand billion million million
tokens, or less than that many where tokens count with weights.
"""
MAX_LIMIT: Final = 10**30
"""What a larger limit counts as."""


class _FractionDigits(dict[Unit, int]):
    """The digits after the point by unit. Most calls meet a few units, and a dictionary finds them at once."""

    def __missing__(self, unit: Unit) -> int:
        try:
            digits = self[unit] = measure(unit).digits
        except UnitError as error:
            raise AmountError(str(error)) from None
        return digits


_FRACTION_DIGITS: Final = _FractionDigits()
_EXACT: Final = Context(prec=120)


def amount_of(value: Decimal | int, unit: Unit) -> int:
    """Return a cost or count as the ledger holds it, rounded up: what is held or charged is never less than it costs.

    Raises ``AmountError`` for what is negative, not finite, or above ``MAX_AMOUNT``.
    """
    amount = _whole(value, unit, ROUND_CEILING)
    return amount if amount <= MAX_AMOUNT else checked_amount(amount)


def limit_of(value: Decimal | int, unit: Unit) -> int:
    """Return a limit as the ledger compares it, rounded down: what is admitted is never more than it says."""
    return min(_whole(value, unit, ROUND_FLOOR), MAX_LIMIT)


def decimal_of(amount: int, unit: Unit) -> Decimal:
    """Return an amount of the ledger in its unit, exactly. Differences may be negative."""
    return Decimal(amount).scaleb(-_FRACTION_DIGITS[unit], _EXACT)


def checked_amount(amount: int) -> int:
    """Return the amount if a hold, charge or grant can have it; raises ``AmountError``."""
    if amount.__class__ is not int:
        raise AmountError(f"an amount must be a whole number of femto-dollars, tokens or requests, got `{amount!r}`")
    if not 0 <= amount <= MAX_AMOUNT:
        raise AmountError(f"an amount must be from 0 to {MAX_AMOUNT}, got `{amount}`")
    return amount


def split_limbs(amount: int) -> tuple[int, int]:
    """Return the high and the low limb. Only the high one is negative, where the amount is."""
    return divmod(amount, LIMB)


def join_limbs(high: int, low: int) -> int:
    """Return the amount of two limbs."""
    return high * LIMB + low


def _whole(value: Decimal | int, unit: Unit, rounding: str) -> int:
    number = value if value.__class__ is Decimal else _decimal(value)
    if not number.is_finite() or number < 0:
        raise AmountError(f"an amount must be finite and non-negative, got `{value}`")
    if number.adjusted() > 40:
        raise AmountError(f"an amount must be at most {MAX_AMOUNT}, got `{value}`")
    try:
        return int(number.scaleb(_FRACTION_DIGITS[unit], _EXACT).to_integral_value(rounding, _EXACT))
    except InvalidOperation:
        raise AmountError(f"an amount must have at most {_EXACT.prec} digits, got `{value}`") from None


def _decimal(value: Decimal | int) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, Decimal | int):
        raise AmountError(f"an amount must be a decimal or a whole number, got `{value!r}`")
    return Decimal(value)


MICROSECOND: Final = timedelta(microseconds=1)
SECOND: Final = 1_000_000
"""Microseconds of a second."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def micros(instant: datetime) -> int:
    """Return microseconds since 1970. Raises ``AmountError`` for a time without a zone."""
    try:
        return (instant - _EPOCH) // MICROSECOND
    except TypeError:
        raise AmountError(f"a timestamp must have a time zone, got `{instant}`") from None


def micros_or_none(instant: datetime | None) -> int | None:
    return None if instant is None else micros(instant)


def instant_of(microseconds: int) -> datetime:
    """Return the instant, in UTC."""
    return _EPOCH + timedelta(microseconds=microseconds)
