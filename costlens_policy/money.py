"""Exact US dollars. Amounts are ``Decimal``; a binary float never enters a sum.

Every operation here is exact: prices have at most a dozen fractional digits, token counts are whole, and the context's
precision leaves room for their products and for sums of billions of them.
"""

from __future__ import annotations

from decimal import Context, Decimal, Inexact, InvalidOperation
from typing import Final

__all__ = ["ZERO", "format_usd", "per_million", "usd"]

ZERO: Final = Decimal(0)
_EXACT: Final = Context(prec=60, traps=[Inexact, InvalidOperation])
_MILLIONTH: Final = Decimal("1e-6")


def usd(value: Decimal | int | float | str) -> Decimal:
    """Return an amount in US dollars; a float counts as the shortest decimal that reads back as it.

    Raises ``ValueError`` for what is not a finite number of dollars from zero on.
    """
    if isinstance(value, bool):
        raise ValueError("an amount of money is a number, not a boolean")
    try:
        amount = Decimal(repr(value)) if isinstance(value, float) else Decimal(value)
    except InvalidOperation:
        raise ValueError("an amount of money is a decimal number") from None
    if not amount.is_finite() or amount < 0:
        raise ValueError("an amount of money is finite and not negative")
    return amount


def per_million(price: Decimal, tokens: int) -> Decimal:
    """Return what ``tokens`` cost at ``price`` US dollars per million tokens."""
    return _EXACT.multiply(_EXACT.multiply(price, Decimal(tokens)), _MILLIONTH)


def format_usd(amount: Decimal) -> str:
    """Return a short text for people, such as ``$0.000125`` or ``$1,204.50``: two digits at least, no trailing zeros."""
    plain = f"{amount:,f}"
    whole, _, fraction = plain.partition(".")
    return f"${whole}.{fraction.rstrip('0').ljust(2, '0')}"
