"""A table before anyone has decided how it looks, and amounts as people read them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from costlens_policy.money import ZERO, format_usd

__all__ = ["Table", "change", "dollars", "share"]

_CENT = Decimal("0.01")
_SMALL = Decimal("0.000001")


@dataclass(frozen=True, slots=True)
class Table:
    """``numbers`` are the columns, from 0 on, that hold numbers."""

    title: str
    headings: Sequence[str]
    rows: Sequence[Sequence[str]]
    numbers: frozenset[int] = frozenset()


def dollars(amount: Decimal | None) -> str:
    """Return an amount to the cent, or to a millionth of a dollar where it is less than a dollar."""
    if amount is None:
        return "unpriced"
    return format_usd(amount.quantize(_CENT if abs(amount) >= 1 else _SMALL))


def change(amount: Decimal) -> str:
    """Return a difference with its sign."""
    return f"+{dollars(amount)}" if amount > 0 else dollars(amount)


def share(part: Decimal, whole: Decimal) -> str:
    """Return a part as a signed percentage of a whole."""
    return f"{part / whole:+.1%}" if whole else ("0.0%" if part == ZERO else "from nothing")
