"""The figures of some calls: counts, tokens, money, latency; and how columns become them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Context, Decimal
from typing import Any, Final

import polars as pl

from costlens_policy.money import ZERO, subtract
from costlens_policy.report.amounts import amount_in, summed

__all__ = ["FIGURES", "Figures", "Latency", "figures_of", "share"]

_ROUGHLY: Final = Context(prec=12)


@dataclass(frozen=True, slots=True)
class Latency:
    """Of ``calls`` calls, in milliseconds. A percentile is the smallest latency that so many per cent keep to."""

    calls: int
    p50: Decimal
    p95: Decimal
    p99: Decimal


@dataclass(frozen=True, slots=True)
class Figures:
    """What is known of some calls. Money is exact.

    ``cost`` is the sum over the ``priced`` ones. ``cached_tokens`` are part of ``input_tokens``; ``cache_known_tokens``
    is the part of them whose cached share was recorded. ``baseline_cost`` and ``compared_cost`` are over the same
    ``compared`` calls, those for which both are known.
    """

    requests: int
    denied: int
    priced: int
    input_tokens: int
    cached_tokens: int
    cache_known_tokens: int
    output_tokens: int
    compared: int
    cost: Decimal
    compared_cost: Decimal
    baseline_cost: Decimal
    latency: Latency | None

    @property
    def unpriced(self) -> int:
        """How many calls were made whose cost is not known."""
        return self.requests - self.denied - self.priced

    @property
    def tokens(self) -> int:
        return self.input_tokens + self.output_tokens

    @property
    def cache_hit_rate(self) -> Decimal | None:
        """The cached share of all input tokens whose cached share was recorded."""
        return share(self.cached_tokens, self.cache_known_tokens)

    @property
    def savings(self) -> Decimal | None:
        """How much less the compared calls cost than at the baseline; negative where they cost more."""
        return subtract(self.baseline_cost, self.compared_cost) if self.compared else None

    @property
    def savings_share(self) -> Decimal | None:
        return None if self.savings is None else share(self.savings, self.baseline_cost)


def share(part: Decimal | int, whole: Decimal | int) -> Decimal | None:
    """Return a share to twelve digits, None of nothing."""
    return _ROUGHLY.divide(Decimal(part), Decimal(whole)) if whole else None


def _percentile(percent: int) -> pl.Expr:
    latency = pl.col("latency").drop_nulls()
    return latency.sort().get((latency.len() * percent + 99) // 100 - 1, null_on_oob=True)


_PRICED: Final = pl.col("cost_high").is_not_null()
_BOTH: Final = _PRICED & pl.col("baseline_high").is_not_null()

FIGURES: Final[Sequence[pl.Expr]] = (
    pl.len().alias("requests"),
    pl.col("denied").sum().alias("denied"),
    _PRICED.sum().alias("priced"),
    pl.col("input").sum().alias("input_tokens"),
    pl.col("cached").sum().alias("cached_tokens"),
    pl.col("input").filter(pl.col("cached").is_not_null()).sum().alias("cache_known_tokens"),
    pl.col("output").sum().alias("output_tokens"),
    _BOTH.sum().alias("compared"),
    *(
        expression.alias(f"{name}_{part}")
        for name, (high, low) in (
            ("cost", summed("cost")),
            ("compared_cost", summed("cost", _BOTH)),
            ("baseline_cost", summed("baseline", _BOTH)),
        )
        for part, expression in (("high", high), ("low", low))
    ),
    pl.col("latency").count().alias("timed"),
    *(_percentile(percent).alias(f"p{percent}") for percent in (50, 95, 99)),
)
"""What to select of a frame, whole or by group, for ``figures_of``."""


def figures_of(row: Mapping[str, Any]) -> Figures:
    """Return the figures that a row of selected ``FIGURES`` holds."""
    latency = None
    if row["timed"]:
        latency = Latency(row["timed"], *(Decimal(row[name]) / 1000 for name in ("p50", "p95", "p99")))
    return Figures(
        requests=row["requests"],
        denied=row["denied"],
        priced=row["priced"],
        input_tokens=row["input_tokens"],
        cached_tokens=row["cached_tokens"],
        cache_known_tokens=row["cache_known_tokens"],
        output_tokens=row["output_tokens"],
        compared=row["compared"],
        cost=amount_in(row["cost_high"], row["cost_low"]),
        compared_cost=amount_in(row["compared_cost_high"], row["compared_cost_low"]),
        baseline_cost=amount_in(row["baseline_cost_high"], row["baseline_cost_low"]),
        latency=latency,
    )


EMPTY: Final = Figures(0, 0, 0, 0, 0, 0, 0, 0, ZERO, ZERO, ZERO, None)
"""The figures of no call."""
