"""What one average query costs. Averages need not be whole tokens, and stay exact."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from math import ceil

from costlens_policy.catalogue import Period
from costlens_policy.money import ZERO, multiply, total

__all__ = ["Query", "query_cost"]

_MILLIONTH = Decimal("1e-6")
_ONE = Decimal(1)


@dataclass(frozen=True, slots=True)
class Query:
    """Tokens of an average query. ``cached`` are read from the cache, ``written`` are written into it.

    Both are part of ``prompt``.
    """

    prompt: Decimal
    output: Decimal
    cached: Decimal = ZERO
    written: Decimal = ZERO

    def with_cache(self, stable: Decimal, hit_ratio: Decimal, shortest: int) -> Query:
        """Return the query where ``stable`` tokens at its start are looked up in the cache."""
        if stable < shortest:
            return self
        missed = total((_ONE, hit_ratio.copy_negate()))
        return Query(self.prompt, self.output, multiply(stable, hit_ratio), multiply(stable, missed))


def query_cost(period: Period, query: Query) -> Decimal:
    """Return US dollars for one query; prices of long contexts go by the average prompt."""
    rates = period.rates_for(ceil(query.prompt))
    price = rates.usd_per_million_tokens
    plain = total((query.prompt, query.cached.copy_negate(), query.written.copy_negate()))
    parts = (
        ("input", plain),
        ("cache_read", query.cached),
        ("cache_write", query.written),
        ("output", query.output),
    )
    tokens = total(multiply(price[bucket], amount) for bucket, amount in parts)
    return total((multiply(tokens, _MILLIONTH), rates.usd_per_request))
