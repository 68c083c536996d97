"""What the numbers rest on, in sentences that are printed with them."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from costlens_policy.advise.advice import Advice
from costlens_policy.advise.rules_of_thumb import Range, rules_of_thumb
from costlens_policy.advise.timeline import HOURS_PER_MONTH
from costlens_policy.money import plain

__all__ = ["assumptions", "readable"]


def assumptions(advice: Advice) -> tuple[str, ...]:
    """Return every assumption of this advice."""
    return tuple(_assumptions(advice))


def readable(value: Decimal) -> str:
    """Return a number as people read it: whole ones in groups of three digits."""
    return f"{int(value):,}" if value == int(value) else plain(value)


def _range(item: Range) -> str:
    values = (item.low, item.base, item.high) if item.is_uncertain else (item.base,)
    return " .. ".join(map(readable, values))


def _assumptions(advice: Advice) -> Iterator[str]:
    workload, numbers = advice.setting.workload, advice.numbers
    yield "lowest and highest are over every combination of the lowest and highest inputs; they are no probabilities"
    yield f"prices stay as they are on {advice.now.date()}; there is no interest"
    yield "of people's time, only labelling is counted"
    yield "every query is an average one, and prices of long contexts go by the average prompt"
    yield f"a month has {HOURS_PER_MONTH} hours; queries grow from month to month, not within one"
    if workload.caching is not None:
        yield "all strategies but prompt-only find the start of the prompt in the cache as often as the workload says"
    if workload.fine_tuned is not None:
        yield f"until the trained model serves, {numbers.prompting} does; labelling and training are paid at the start"
    rules = rules_of_thumb()
    for name, item in numbers.inputs.items():
        if item.origin != "workload":
            yield f"`{name}` is {_range(item)} ({rules.source})"
