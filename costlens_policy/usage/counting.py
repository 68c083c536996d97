"""What the tokens of a call add to a budget that counts tokens: each as much as the budget's unit gives its kind."""

from __future__ import annotations

from decimal import Decimal
from functools import lru_cache
from operator import mul
from typing import Final

from costlens_policy.catalogue import BUCKETS, Usage
from costlens_policy.units import Unit, measure, root_of

__all__ = ["count_at_most", "count_tokens", "weights_of"]

_INPUTS: Final = tuple(bucket for bucket in BUCKETS if root_of(bucket) == "input")
_OUTPUTS: Final = tuple(bucket for bucket in BUCKETS if root_of(bucket) == "output")


def count_tokens(unit: Unit, usage: Usage, unknown: int = 0) -> Decimal:
    """Return what the reported tokens of a call add up to in a unit of tokens, exactly.

    ``unknown`` are tokens of no known kind: each counts as the heaviest one.
    """
    weights = weights_of(unit)
    return measure(unit).amount(sum(map(mul, usage, weights)) + (unknown * max(weights) if unknown else 0))


def count_at_most(unit: Unit, usage: Usage, unknown: int = 0) -> Decimal:
    """Return the most that tokens can add up to whose kinds nobody reported.

    Those that are counted as ``input`` or ``output`` may have been any kind of input or output. ``unknown`` are as in
    ``count_tokens``.
    """
    known = measure(unit)
    weights = dict(zip(BUCKETS, weights_of(unit), strict=True))
    weights |= {"input": known.heaviest(_INPUTS), "output": known.heaviest(_OUTPUTS)}
    return known.amount(sum(map(mul, usage, weights.values())) + unknown * max(weights.values()))


@lru_cache(maxsize=1024)
def weights_of(unit: Unit) -> tuple[int, ...]:
    """Return what a token of each bucket of a ``Usage`` adds, in whole units, in the order of ``BUCKETS``."""
    per_token = measure(unit).per_token
    return tuple(per_token[bucket] for bucket in BUCKETS)
