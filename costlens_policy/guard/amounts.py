"""Amounts of the ledger for people: exact, without trailing zeros."""

from __future__ import annotations

from decimal import Decimal

from costlens_policy.ledger import Unit, decimal_of
from costlens_policy.money import ZERO, plain

__all__ = ["shown_amount"]


def shown_amount(amount: int, unit: Unit) -> Decimal:
    """Return dollars, tokens or requests, written as short as they can be."""
    return Decimal(plain(decimal_of(amount, unit))) if amount else ZERO
