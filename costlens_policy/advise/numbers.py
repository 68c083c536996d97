"""The numbers of a workload: costs, savings, break-evens, and their sensitivity to uncertain inputs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from itertools import product

from costlens_policy.advise.inputs import Point, Range, RulesOfThumb, base_point, uncertain_inputs
from costlens_policy.advise.strategies import (
    CACHED_PROMPT,
    PROMPT,
    BreakEven,
    Setting,
    Strategy,
    break_even,
    cumulative,
    monthly_at,
    prompting_of,
    strategies_at,
)
from costlens_policy.frozen import frozen
from costlens_policy.money import total

__all__ = ["Extremes", "Numbers", "Swing", "calculate", "crossover", "swings", "totals_at"]

_MOST = 10**12


@frozen
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
    """The cumulative cost at the end of each month, from 0 on."""


def calculate(setting: Setting, rules: RulesOfThumb) -> Numbers:
    """Calculate with every input at its base, and with every combination of lowest and highest values."""
    inputs = uncertain_inputs(setting.workload, rules)
    base = base_point(inputs)
    strategies = strategies_at(setting, base)
    monthly = monthly_at(setting, base)
    prompting = prompting_of(strategies)
    totals = totals_at(setting, base)
    totals_range, savings_range = _ranges(setting, inputs)
    others = {name: item for name, item in strategies.items() if name not in (PROMPT, CACHED_PROMPT)}
    return Numbers(
        inputs,
        strategies,
        monthly,
        prompting.name,
        totals,
        _savings_at(setting, base, totals),
        totals_range,
        savings_range,
        swings(setting, inputs),
        {name: break_even(item, prompting, monthly) for name, item in others.items()},
        {name: crossover(setting, base, name) for name in others},
        {name: tuple(cumulative(item, monthly)) for name, item in strategies.items()},
    )


def crossover(setting: Setting, base: Point, name: str) -> int | None:
    """Return the fewest queries in the first month with which a strategy costs no more than prompting, else None.

    More queries never lower the saving of a strategy whose queries are cheaper, so bisection finds it; for one whose
    queries are not cheaper, no volume pays off.
    """
    strategies = strategies_at(setting, base)
    if strategies[name].usd_per_query >= prompting_of(strategies).usd_per_query:
        return None

    def pays(queries: int) -> bool:
        point = {**base, "queries.per_month": Decimal(queries)}
        return _savings_at(setting, point, totals_at(setting, point))[name] >= 0

    low, high = 0, 1
    while not pays(high):
        if high > _MOST:
            return None
        low, high = high, high * 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if pays(middle) else (middle, high)
    return high


@frozen
class Swing:
    """The effect of one input on the totals and savings of the strategies, with all others at their base."""

    input: str
    range: Range
    totals: tuple[Mapping[str, Decimal], Mapping[str, Decimal]]
    """Totals by strategy, where the input is low and where it is high."""
    savings: tuple[Mapping[str, Decimal], Mapping[str, Decimal]]
    """Savings by strategy, likewise."""

    def width(self, strategy: str) -> Decimal:
        """Return how far apart the two savings of a strategy are."""
        low, high = (savings[strategy] for savings in self.savings)
        return total((high, low.copy_negate())).copy_abs()


@frozen
class Extremes:
    """The lowest and the highest value of something by strategy, over every combination of low, base and high."""

    lowest: Mapping[str, Decimal]
    highest: Mapping[str, Decimal]


def totals_at(setting: Setting, point: Point) -> dict[str, Decimal]:
    """Return the total of each strategy over the horizon."""
    monthly = monthly_at(setting, point)
    return {name: item.total_usd(monthly) for name, item in strategies_at(setting, point).items()}


def _savings_at(setting: Setting, point: Point, totals: Mapping[str, Decimal]) -> dict[str, Decimal]:
    """Return how much each strategy saves compared with the cheaper way to prompt; negative if it costs more."""
    prompting = totals[prompting_of(strategies_at(setting, point)).name]
    return {name: total((prompting, amount.copy_negate())) for name, amount in totals.items()}


def swings(setting: Setting, inputs: Mapping[str, Range]) -> tuple[Swing, ...]:
    """Return the swing of every uncertain input, in the order of the document."""
    base = base_point(inputs)
    return tuple(_swing(setting, base, name, item) for name, item in inputs.items() if item.is_uncertain)


def _swing(setting: Setting, base: Point, name: str, item: Range) -> Swing:
    points = [{**base, name: value} for value in (item.low, item.high)]
    totals = [totals_at(setting, point) for point in points]
    savings = [_savings_at(setting, point, amounts) for point, amounts in zip(points, totals, strict=True)]
    return Swing(name, item, (totals[0], totals[1]), (savings[0], savings[1]))


def _ranges(setting: Setting, inputs: Mapping[str, Range]) -> tuple[Extremes, Extremes]:
    """Return the extremes of totals and of savings: every combination of lowest and highest values, and the base."""
    totals, savings = [], []
    for point in _corners(inputs):
        totals.append(totals_at(setting, point))
        savings.append(_savings_at(setting, point, totals[-1]))
    return _extremes(totals), _extremes(savings)


def _corners(inputs: Mapping[str, Range]) -> Iterator[Point]:
    base = base_point(inputs)
    yield base
    uncertain = [(name, item) for name, item in inputs.items() if item.is_uncertain]
    names = [name for name, _ in uncertain]
    for values in product(*((item.low, item.high) for _, item in uncertain)):
        yield base | dict(zip(names, values, strict=True))


def _extremes(found: Sequence[Mapping[str, Decimal]]) -> Extremes:
    names = found[0]
    return Extremes(
        {name: min(item[name] for item in found) for name in names},
        {name: max(item[name] for item in found) for name in names},
    )
