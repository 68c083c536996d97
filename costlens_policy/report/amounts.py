"""Money in columns: two whole numbers for each amount, so that sums of any length are exact."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Final

import polars as pl

from costlens_policy.money import MAX_FRACTION_DIGITS, from_units, to_units

__all__ = ["amount_columns", "amount_in", "limbs", "summed"]

_LIMB: Final = 10**15
HIGH: Final = "_high"
LOW: Final = "_low"


def limbs(amount: Decimal) -> tuple[int, int]:
    """Return an amount in femto-dollars, and what remains of it in units of 1e-30 US dollars."""
    return divmod(to_units(amount, MAX_FRACTION_DIGITS), _LIMB)


def amount_columns(name: str) -> dict[str, Any]:
    """Return the two columns of an amount, with their types: sums of 1e22 US dollars fit."""
    return {f"{name}{HIGH}": pl.Int128, f"{name}{LOW}": pl.Int64}


def summed(name: str, where: pl.Expr | None = None) -> tuple[pl.Expr, pl.Expr]:
    """Return the sums of both columns of an amount, over the rows where a condition holds."""
    columns = [pl.col(f"{name}{HIGH}"), pl.col(f"{name}{LOW}").cast(pl.Int128)]
    chosen = columns if where is None else [column.filter(where) for column in columns]
    return chosen[0].sum(), chosen[1].sum()


def amount_in(high: int | None, low: int | None) -> Decimal:
    """Return the US dollars of two sums, exactly."""
    return from_units((high or 0) * _LIMB + (low or 0), MAX_FRACTION_DIGITS)
