"""What the tokens of a call add to a budget that counts tokens: each as much as the budget's unit gives its kind."""

from __future__ import annotations

from decimal import Decimal
from functools import lru_cache
from itertools import product
from operator import mul
from typing import Final, NamedTuple

from costlens_policy.catalogue import BUCKETS, Usage
from costlens_policy.units import Unit, measure, root_of

__all__ = ["Held", "count_at_most", "count_reasoning", "count_tokens", "weighs_reasoning", "weights_of"]

_INPUTS: Final = tuple(bucket for bucket in BUCKETS if root_of(bucket) == "input")
_OUTPUTS: Final = tuple(bucket for bucket in BUCKETS if root_of(bucket) == "output")


class Held(NamedTuple):
    """What was held for the tokens that a call was estimated at, in a unit of tokens."""

    amount: Decimal
    prompt_tokens: int
    output_tokens: int


def count_tokens(unit: Unit, usage: Usage, unknown: int = 0) -> Decimal:
    """Return what the reported tokens of a call add up to in a unit of tokens, exactly.

    ``unknown`` are tokens of no known kind: each counts as the heaviest one.
    """
    weights = weights_of(unit)
    return measure(unit).amount(sum(map(mul, usage, weights)) + (unknown * max(weights) if unknown else 0))


def count_at_most(unit: Unit, usage: Usage, unknown: int = 0, held: Held | None = None) -> Decimal:
    """Return the most that tokens can add up to whose kinds nobody reported.

    Those that are counted as ``input`` or ``output`` may have been any kind of input or output; those that are no more
    than was ``held`` for, any kind that was held for. ``unknown`` are as in ``count_tokens``.
    """
    known = measure(unit)
    inputs, outputs = known.heaviest(_INPUTS), known.heaviest(_OUTPUTS)
    if held is not None:
        fits = usage.prompt_tokens <= held.prompt_tokens, usage.answer_tokens + unknown <= held.output_tokens
        pairs = _pairs_held(unit, held) or {(inputs, outputs)}
        inputs, outputs = max(
            ((one if fits[0] else inputs, other if fits[1] else outputs) for one, other in pairs),
            key=lambda pair: pair[0] * usage.input + pair[1] * usage.output,
        )
    weights = dict(zip(BUCKETS, weights_of(unit), strict=True))
    heaviest = max(weights.values())
    weights |= {"input": inputs, "output": outputs}
    most = known.amount(sum(map(mul, usage, weights.values())) + unknown * heaviest)
    return min(most, held.amount) if held is not None and all(fits) else most


def _pairs_held(unit: Unit, held: Held) -> set[tuple[int, int]]:
    """Return as what a token of the prompt, and one of the output, may have been held, in whole units.

    A hold keeps one amount of both. What a request ruled out, such as writes to a cache, shows in it.
    """
    known = measure(unit)
    inputs, outputs = ({known.per_token[kind] for kind in kinds} for kinds in (_INPUTS, _OUTPUTS))
    return {
        pair
        for pair in product(inputs, outputs)
        if known.amount(pair[0] * held.prompt_tokens + pair[1] * held.output_tokens) == held.amount
    }


def count_reasoning(unit: Unit, usage: Usage, unknown: int = 0) -> Decimal:
    """Return what reported tokens add up to where nobody says how many of the output were reasoning.

    All of the output counts as that if it weighs more. ``unknown`` are as in ``count_tokens``.
    """
    if weighs_reasoning(unit):
        usage = usage._replace(output=0, reasoning=usage.reasoning + usage.output)
    return count_tokens(unit, usage, unknown)


def weighs_reasoning(unit: Unit) -> bool:
    """Return whether a token of reasoning counts more than other output."""
    per_token = measure(unit).per_token
    return bool(per_token) and per_token["reasoning"] > per_token["output"]


@lru_cache(maxsize=1024)
def weights_of(unit: Unit) -> tuple[int, ...]:
    """Return what a token of each bucket of a ``Usage`` adds, in whole units, in the order of ``BUCKETS``."""
    per_token = measure(unit).per_token
    return tuple(per_token[bucket] for bucket in BUCKETS)
