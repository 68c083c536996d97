"""Amounts of the ledger for people: exact, without trailing zeros; and into the ledger's own, each found once."""

from __future__ import annotations

from decimal import Context, Decimal
from typing import Final

from costlens_policy.ledger import Unit, decimal_of
from costlens_policy.ledger.amounts import amount_of, split_limbs
from costlens_policy.money import ZERO

__all__ = ["LedgerAmounts", "shown_amount"]

_EXACT: Final = Context(prec=120)


def shown_amount(amount: int, unit: Unit) -> Decimal:
    """Return dollars, tokens or requests, written as short as they can be."""
    if not amount:
        return ZERO
    whole, rest = split_limbs(amount) if unit == "usd" else (amount, 0)
    return decimal_of(amount, unit).normalize(_EXACT) if rest else Decimal(whole)


class LedgerAmounts:
    """Amounts of one call in the ledger's units. Most of its budgets have the very same one, which is found once."""

    __slots__ = ("_found", "_unit", "_value")

    def __init__(self) -> None:
        self._value: Decimal | None = None
        self._unit: Unit = "usd"
        self._found = 0

    def of(self, value: Decimal, unit: Unit) -> int:
        """Return what ``amount_of`` does."""
        if value is not self._value or unit != self._unit:
            self._value, self._unit, self._found = value, unit, amount_of(value, unit)
        return self._found
