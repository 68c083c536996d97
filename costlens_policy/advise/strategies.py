"""From a workload, prices and one value for every input to the strategies."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from costlens_policy.advise.inputs import Point
from costlens_policy.advise.strategy import HOURS_PER_WEEK, Query, Strategy, monthly_queries, query_cost
from costlens_policy.catalogue import Model, Period
from costlens_policy.documents.workload import FineTunedContender, WorkloadDocument
from costlens_policy.frozen import frozen
from costlens_policy.money import ZERO, multiply, per_million, total

__all__ = [
    "CACHED_PROMPT", "FINE_TUNED", "HYBRID", "PROMPT", "SMALL", "Contest", "Setting", "monthly_at", "prompting_of",
    "strategies_at",
]  # fmt: skip

PROMPT = "prompt-only"
CACHED_PROMPT = "prompt-with-caching"
FINE_TUNED = "fine-tuned"
SMALL = "small-model"
HYBRID = "hybrid"

_ONE = Decimal(1)


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
    examples, usd_each = point["fine_tuned.labelling.examples"], point["fine_tuned.labelling.usd_each"]
    missing = max(total((examples, Decimal(-tuned.labelling.at_hand))), ZERO)
    again = tuned.retraining
    relabelled = ZERO if again is None else multiply(again.relabelled_share, examples)
    return Strategy(
        name,
        usd_per_query=cost,
        usd_before=prompting,
        upfront_usd=total((training, multiply(missing, usd_each))),
        usd_per_hour=point["fine_tuned.hosting_usd_per_hour"],
        wait_hours=multiply(point["fine_tuned.lead_weeks"], HOURS_PER_WEEK),
        again_usd=ZERO if again is None else total((training, multiply(relabelled, usd_each))),
        again_months=0 if again is None else again.every_months,
    )


def _training_cost(tuned: FineTunedContender, point: Point) -> Decimal:
    """Return US dollars for one training, labelling aside: as given, or from the size of the data."""
    training = tuned.training
    if training is None or training.tokens_per_example is None:
        return point["fine_tuned.training.usd"]
    assert training.usd_per_million_tokens is not None, "the document has seen to it"
    tokens = multiply(point["fine_tuned.labelling.examples"], training.tokens_per_example * training.epochs)
    return per_million(training.usd_per_million_tokens, int(tokens))
