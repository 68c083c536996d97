"""The strategies of a workload: each is a few numbers; cost, months, total, curve and break-even follow, exactly."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from fractions import Fraction
from functools import lru_cache
from math import ceil
from typing import Final

from costlens_policy.advise.inputs import Point
from costlens_policy.catalogue import Model, Period
from costlens_policy.documents.workload import FineTunedContender, WorkloadDocument
from costlens_policy.frozen import frozen
from costlens_policy.money import ZERO, multiply, per_million, total

__all__ = [
    "CACHED_PROMPT", "FINE_TUNED", "HOURS_PER_MONTH", "HOURS_PER_WEEK", "HYBRID", "PROMPT", "SMALL", "BreakEven",
    "Contest", "Query", "Setting", "Strategy", "Stretch", "break_even", "cumulative", "monthly_at", "monthly_queries",
    "prompting_of", "query_cost", "strategies_at",
]  # fmt: skip

HOURS_PER_MONTH: Final = Decimal("730.5")
"""A twelfth of 365.25 days."""
HOURS_PER_WEEK: Final = Decimal(168)


@frozen
class Stretch:
    """A month, or one of the two parts of the month in which the model comes.

    ``month`` counts from 0; ``live`` means that the fine-tuned model serves; ``ends_month`` that no further part
    follows.
    """

    month: int
    start: Decimal
    hours: Decimal
    queries: int
    live: bool
    ends_month: bool


@lru_cache(maxsize=256)
def monthly_queries(per_month: Decimal, growth: Decimal, months: int) -> tuple[int, ...]:
    """Return the queries of each month. They grow exactly, and are then rounded to whole queries, half to even."""
    factor = 1 + Fraction(growth)
    return tuple(round(Fraction(per_month) * factor**month) for month in range(months))


def _stretches(monthly: tuple[int, ...], wait_hours: Decimal) -> Iterator[Stretch]:
    """Cut the months at the time when the model comes; its month is split in whole queries."""
    for month, queries in enumerate(monthly):
        start = multiply(HOURS_PER_MONTH, month)
        before = min(max(total((wait_hours, start.copy_negate())), ZERO), HOURS_PER_MONTH)
        if before in (ZERO, HOURS_PER_MONTH):
            yield Stretch(month, start, HOURS_PER_MONTH, queries, before == ZERO, True)
            continue
        first = round(queries * Fraction(before) / Fraction(HOURS_PER_MONTH))
        yield Stretch(month, start, before, first, False, False)
        rest = total((HOURS_PER_MONTH, before.copy_negate()))
        yield Stretch(month, total((start, before)), rest, queries - first, True, True)


_MILLIONTH = Decimal("1e-6")
_ONE = Decimal(1)


@frozen
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


@frozen
class Strategy:
    """What one way to serve the task costs, in US dollars.

    ``usd_before`` is the cost of a query until the model is there, after ``wait_hours``. ``again_usd`` is paid every
    ``again_months`` months within the horizon, not at its end; 0 months mean never.
    """

    name: str
    usd_per_query: Decimal
    usd_before: Decimal = ZERO
    upfront_usd: Decimal = ZERO
    usd_per_hour: Decimal = ZERO
    wait_hours: Decimal = ZERO
    again_usd: Decimal = ZERO
    again_months: int = 0

    def of(self, stretch: Stretch) -> Decimal:
        """Return what a stretch costs. It may begin and end when a longer wait than the own one does."""
        if not stretch.live and self.wait_hours:
            return multiply(self.usd_before, stretch.queries)
        hosting = multiply(self.usd_per_hour, stretch.hours)
        return total((multiply(self.usd_per_query, stretch.queries), hosting))

    def paid_after(self, stretch: Stretch, months: int) -> Decimal:
        """Return what is paid at the end of a stretch."""
        again = self.again_months and stretch.ends_month and (stretch.month + 1) % self.again_months == 0
        return self.again_usd if again and stretch.month + 1 < months else ZERO

    def total_usd(self, monthly: tuple[int, ...]) -> Decimal:
        """Return the cost of all months together."""
        before = after = 0
        hours = ZERO
        for stretch in _stretches(monthly, self.wait_hours):
            if stretch.live:
                after += stretch.queries
                hours = total((hours, stretch.hours))
            else:
                before += stretch.queries
        times = (len(monthly) - 1) // self.again_months if self.again_months else 0
        return total(
            (
                self.upfront_usd,
                multiply(self.again_usd, times),
                multiply(self.usd_before, before),
                multiply(self.usd_per_query, after),
                multiply(self.usd_per_hour, hours),
            )
        )


@frozen
class BreakEven:
    """From here to the end of the horizon the cumulative cost is no higher: time in months, and queries until then."""

    months: Fraction
    queries: int


def break_even(strategy: Strategy, other: Strategy, monthly: tuple[int, ...]) -> BreakEven | None:
    """Return when the curve of a strategy goes below the one of another for good, or None where it does not.

    ``other`` is there from the beginning. A training in between that lifts the curve above the other's again puts the
    break-even off.
    """
    assert not other.wait_hours, "the other strategy is the one in place"
    gap = total((strategy.upfront_usd, other.upfront_usd.copy_negate()))
    found = BreakEven(Fraction(0), 0) if gap <= 0 else None
    queries = 0
    for stretch in _stretches(monthly, strategy.wait_hours):
        after = total((gap, strategy.of(stretch), other.of(stretch).copy_negate()))
        if gap > 0 >= after:
            found = _crossing(stretch, Fraction(gap) / (Fraction(gap) - Fraction(after)), queries)
        queries += stretch.queries
        months = len(monthly)
        gap = total((after, strategy.paid_after(stretch, months), other.paid_after(stretch, months).copy_negate()))
        if gap > 0:
            found = None
    return found


def _crossing(stretch: Stretch, share: Fraction, queries: int) -> BreakEven:
    hours = Fraction(stretch.start) + share * Fraction(stretch.hours)
    return BreakEven(hours / Fraction(HOURS_PER_MONTH), queries + ceil(share * stretch.queries))


def cumulative(strategy: Strategy, monthly: tuple[int, ...]) -> Iterator[Decimal]:
    """Yield what has been paid by the end of month 0 (the beginning), 1, 2 and so on."""
    paid = strategy.upfront_usd
    yield paid
    for stretch in _stretches(monthly, strategy.wait_hours):
        paid = total((paid, strategy.of(stretch)))
        if stretch.ends_month:
            yield paid
            paid = total((paid, strategy.paid_after(stretch, len(monthly))))


PROMPT = "prompt-only"
CACHED_PROMPT = "prompt-with-caching"
FINE_TUNED = "fine-tuned"
SMALL = "small-model"
HYBRID = "hybrid"


@frozen
class Contest:
    """A model of the workload, and its prices on the day of the advice."""

    model: Model
    period: Period


@frozen
class Setting:
    """What stays the same whatever the uncertain inputs are."""

    workload: WorkloadDocument
    months: int
    current: Contest
    small: Contest | None
    fine_tuned: Contest | None


def monthly_at(setting: Setting, point: Point) -> tuple[int, ...]:
    """Return the queries of each month."""
    return monthly_queries(point["queries.per_month"], point["queries.growth_per_month"], setting.months)


def strategies_at(setting: Setting, point: Point) -> dict[str, Strategy]:
    """Return the strategies that the workload gives enough to calculate, by name."""
    return {item.name: item for item in _strategies(setting, point)}


def prompting_of(strategies: dict[str, Strategy]) -> Strategy:
    """Return the cheaper of the two ways to prompt: what every other strategy is compared with."""
    prompting = [strategies[name] for name in (PROMPT, CACHED_PROMPT) if name in strategies]
    return min(prompting, key=lambda item: item.usd_per_query)


def _strategies(setting: Setting, point: Point) -> Iterator[Strategy]:
    workload = setting.workload
    whole = Query(Decimal(workload.prompt.tokens), point["output_tokens"])
    plain = query_cost(setting.current.period, whole)
    yield Strategy(PROMPT, plain)
    prompting = plain
    if workload.caching is not None:
        cached = query_cost(setting.current.period, _cached(workload, point, whole, ZERO))
        prompting = min(plain, cached)
        yield Strategy(CACHED_PROMPT, cached)
    if setting.fine_tuned is not None and workload.fine_tuned is not None:
        absorbed = total((point["prompt.examples"], point["prompt.instructions"]))
        rest = Query(total((whole.prompt, absorbed.copy_negate())), whole.output)
        cost = query_cost(setting.fine_tuned.period, _cached(workload, point, rest, absorbed))
        tuned = _trained(FINE_TUNED, workload.fine_tuned, point, prompting, cost)
        yield tuned
    if setting.small is not None:
        yield Strategy(SMALL, query_cost(setting.small.period, _cached(workload, point, whole, ZERO)))
    if workload.hybrid is not None and workload.fine_tuned is not None:
        share = point["hybrid.routed_share"]
        unrouted = multiply(total((_ONE, share.copy_negate())), prompting)
        mixed = total((multiply(share, tuned.usd_per_query), unrouted))
        yield _trained(HYBRID, workload.fine_tuned, point, prompting, mixed)


def _cached(workload: WorkloadDocument, point: Point, query: Query, absorbed: Decimal) -> Query:
    """Return the query with what is left of its stable start in the cache; what training absorbs stood there."""
    caching = workload.caching
    if caching is None:
        return query
    start = multiply(caching.share, workload.prompt.tokens)
    stable = max(total((start, absorbed.copy_negate())), ZERO)
    return query.with_cache(stable, point["caching.hit_ratio"], caching.shortest_tokens)


def _trained(name: str, tuned: FineTunedContender, point: Point, prompting: Decimal, cost: Decimal) -> Strategy:
    training = _training_cost(tuned, point)
    examples, usd_each = point["fine_tuned.labeling.examples"], point["fine_tuned.labeling.usd_each"]
    missing = max(total((examples, Decimal(-tuned.labeling.at_hand))), ZERO)
    again = tuned.retraining
    relabeled = ZERO if again is None else multiply(again.relabeled_share, examples)
    return Strategy(
        name,
        usd_per_query=cost,
        usd_before=prompting,
        upfront_usd=total((training, multiply(missing, usd_each))),
        usd_per_hour=point["fine_tuned.hosting_usd_per_hour"],
        wait_hours=multiply(point["fine_tuned.lead_weeks"], HOURS_PER_WEEK),
        again_usd=ZERO if again is None else total((training, multiply(relabeled, usd_each))),
        again_months=0 if again is None else again.every_months,
    )


def _training_cost(tuned: FineTunedContender, point: Point) -> Decimal:
    """Return US dollars for one training, labeling aside: as given, or from the size of the data."""
    training = tuned.training
    if training is None or training.tokens_per_example is None:
        return point["fine_tuned.training.usd"]
    assert training.usd_per_million_tokens is not None, "the document has seen to it"
    tokens = multiply(point["fine_tuned.labeling.examples"], training.tokens_per_example * training.epochs)
    return per_million(training.usd_per_million_tokens, int(tokens))
