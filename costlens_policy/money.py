"""Exact US dollars. Amounts are ``Decimal``; a binary float never enters a sum.

Every operation here is exact: amounts have at most ``MAX_FRACTION_DIGITS`` fractional digits, token counts are whole,
and the context's precision leaves room for their products and for sums of billions of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from decimal import ROUND_CEILING, Context, Decimal, Inexact, InvalidOperation
from typing import Final

__all__ = [
    "MAX_AMOUNT", "MAX_FRACTION_DIGITS", "ZERO", "add", "format_usd", "fraction_digits", "from_units", "multiply",
    "per_million", "plain", "round_up", "subtract", "to_units", "total", "usd",
]  # fmt: skip

ZERO: Final = Decimal(0)
MAX_AMOUNT: Final = Decimal(10) ** 15
"""More than any amount of money here can be, in US dollars."""
MAX_FRACTION_DIGITS: Final = 30
"""As many digits as an amount may have after the point: price lists need 18, and a millionth of them six more."""

_EXACT: Final = Context(prec=120, traps=[Inexact, InvalidOperation])
_ROUNDING: Final = Context(prec=120)
_MILLIONTH: Final = Decimal("1e-6")
_FEMTO_EXPONENT: Final = -15
_FEMTO: Final = Decimal(1).scaleb(_FEMTO_EXPONENT)

add: Final[Callable[[Decimal, Decimal], Decimal]] = _EXACT.add
"""Add exactly."""
subtract: Final[Callable[[Decimal, Decimal], Decimal]] = _EXACT.subtract
"""Subtract exactly."""
multiply: Final[Callable[[Decimal | int, Decimal | int], Decimal]] = _EXACT.multiply
"""Multiply exactly. It is the context's own method: pricing a call has no time for one more call of Python's."""


def usd(value: Decimal | int | float | str) -> Decimal:
    """Return an amount in US dollars; a float counts as the shortest decimal that reads back as it.

    Raises ``ValueError`` for what is not a finite number of dollars from zero to ``MAX_AMOUNT`` with at most
    ``MAX_FRACTION_DIGITS`` digits after the point.
    """
    if isinstance(value, bool):
        raise ValueError("an amount of money is a number, not a boolean")
    try:
        amount = Decimal(repr(value)) if isinstance(value, float) else Decimal(value)
    except InvalidOperation:
        raise ValueError("an amount of money is a decimal number") from None
    if not amount.is_finite() or amount < 0:
        raise ValueError("an amount of money is finite and not negative")
    if amount > MAX_AMOUNT:
        raise ValueError(f"an amount of money is at most {MAX_AMOUNT:f} US dollars")
    if fraction_digits(amount) > MAX_FRACTION_DIGITS:
        raise ValueError(f"an amount of money has at most {MAX_FRACTION_DIGITS} digits after the point")
    return amount


def total(amounts: Iterable[Decimal]) -> Decimal:
    """Return the exact sum; of nothing, zero. Amounts may be negative, as differences are."""
    result = ZERO
    for amount in amounts:
        result = add(result, amount)
    return result


def round_up(amount: Decimal) -> Decimal:
    """Return the amount in whole femto-dollars (1e-15), which is what a ledger adds up, never less than it was."""
    exponent = amount.as_tuple().exponent
    if isinstance(exponent, int) and exponent >= _FEMTO_EXPONENT:
        return amount
    return amount.quantize(_FEMTO, ROUND_CEILING, _ROUNDING)


def per_million(price: Decimal, tokens: int) -> Decimal:
    """Return what ``tokens`` cost at ``price`` US dollars per million tokens."""
    return multiply(multiply(price, tokens), _MILLIONTH)


def fraction_digits(amount: Decimal) -> int:
    """Return how many digits after the point the amount needs, trailing zeros aside."""
    exponent = amount.as_tuple().exponent
    assert isinstance(exponent, int), "an amount is finite"
    if exponent >= 0:
        return 0
    digits = amount.as_tuple().digits
    if not any(digits):
        return 0
    zeros = next(count for count, digit in enumerate(reversed(digits)) if digit)
    return max(0, -exponent - zeros)


def to_units(amount: Decimal, digits: int) -> int:
    """Return the amount as a whole number of units of ``10 ** -digits`` US dollars; it must be whole in them."""
    units = int(amount.scaleb(digits, _EXACT))
    assert from_units(units, digits) == amount, "the amount has more digits than the unit"
    return units


def from_units(units: int, digits: int) -> Decimal:
    """Return the amount of a whole number of units of ``10 ** -digits`` US dollars."""
    return Decimal(units).scaleb(-digits, _EXACT)


def plain(amount: Decimal) -> str:
    """Return the one text that equal amounts share, such as ``0.25`` or ``1000``: no exponent, no trailing zeros."""
    text = str(amount)
    if "E" in text or "e" in text:
        text = f"{amount:f}"  # which takes three times as long
    return text.rstrip("0").rstrip(".") if "." in text else text


def format_usd(amount: Decimal) -> str:
    """Return a short text for people, such as ``$0.000125`` or ``$1,204.50``: two digits at least, no trailing zeros.

    The sign of a difference stands before the dollar sign.
    """
    sign = "-" if amount < 0 else ""
    whole, _, fraction = f"{amount.copy_abs():,f}".partition(".")
    return f"{sign}${whole}.{fraction.rstrip('0').ljust(2, '0')}"
