"""All that is reckoned from a workload, before anybody recommends anything."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from costlens_policy.advise.inputs import Point, base_point, uncertain_inputs
from costlens_policy.advise.ranges import Extremes, Swing, extremes, savings_at, swings, totals_at
from costlens_policy.advise.rules_of_thumb import Range, RulesOfThumb
from costlens_policy.advise.strategies import (
    CACHED_PROMPT,
    PROMPT,
    Setting,
    monthly_at,
    prompting_of,
    strategies_at,
)
from costlens_policy.advise.strategy import BreakEven, Strategy, break_even, cumulative

__all__ = ["Numbers", "crossover", "reckon"]

_MOST = 10**12


@dataclass(frozen=True, slots=True)
class Numbers:
    """Amounts are US dollars over the horizon, by strategy. ``prompting`` is the cheaper way to prompt.

    ``break_evens`` and ``crossovers`` compare with it, at the base of all inputs; None where there is none. A crossover
    is the lowest number of queries in the first month with which the strategy costs no more over the horizon.
    """

    inputs: Mapping[str, Range]
    strategies: Mapping[str, Strategy]
    monthly: tuple[int, ...]
    prompting: str
    totals: Mapping[str, Decimal]
    savings: Mapping[str, Decimal]
    totals_range: Extremes
    savings_range: Extremes
    swings: tuple[Swing, ...]
    break_evens: Mapping[str, BreakEven | None]
    crossovers: Mapping[str, int | None]
    curves: Mapping[str, tuple[Decimal, ...]]
    """What has been paid by the end of each month, from 0 on."""


def reckon(setting: Setting, rules: RulesOfThumb) -> Numbers:
    """Reckon with every input at its base, and with every combination of lowest and highest values."""
    inputs = uncertain_inputs(setting.workload, rules)
    base = base_point(inputs)
    strategies = strategies_at(setting, base)
    monthly = monthly_at(setting, base)
    prompting = prompting_of(strategies)
    totals = totals_at(setting, base)
    totals_range, savings_range = extremes(setting, inputs)
    others = {name: item for name, item in strategies.items() if name not in (PROMPT, CACHED_PROMPT)}
    return Numbers(
        inputs,
        strategies,
        monthly,
        prompting.name,
        totals,
        savings_at(setting, base, totals),
        totals_range,
        savings_range,
        swings(setting, inputs),
        {name: break_even(item, prompting, monthly) for name, item in others.items()},
        {name: crossover(setting, base, name) for name in others},
        {name: tuple(cumulative(item, monthly)) for name, item in strategies.items()},
    )


def crossover(setting: Setting, base: Point, name: str) -> int | None:
    """Return the fewest queries in the first month with which a strategy costs no more than prompting, else None.

    More queries never lower the saving of a strategy whose queries are cheaper, so halving finds it; of one whose
    queries are not, volume is no reason.
    """
    strategies = strategies_at(setting, base)
    if strategies[name].usd_per_query >= prompting_of(strategies).usd_per_query:
        return None

    def pays(queries: int) -> bool:
        point = {**base, "queries.per_month": Decimal(queries)}
        return savings_at(setting, point, totals_at(setting, point))[name] >= 0

    low, high = 0, 1
    while not pays(high):
        if high > _MOST:
            return None
        low, high = high, high * 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if pays(middle) else (middle, high)
    return high
