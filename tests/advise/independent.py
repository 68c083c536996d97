"""The same sums once more, in fractions, hour by hour of a timeline instead of strategy by strategy.

Nothing here is taken from the package: prices and sentences of docs/advise.md are all it knows.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

F = Fraction
MONTH_HOURS = F(7305, 10)


@dataclass(frozen=True)
class Facts:
    """A workload as plain numbers; every amount is a fraction."""

    per_month: F
    growth: F
    months: int
    tokens: F
    absorbed: F
    output: F
    share: F
    hit: F
    training: F
    examples: F
    at_hand: F
    usd_each: F
    every: int
    relabeled: F
    hourly: F
    weeks: F
    routed: F


LARGE = (F(2), F(1, 2), F(5, 2), F(8))
TUNED = (F(4, 5), F(1, 5), F(4, 5), F(16, 5))
SMALL = (F(1, 10), F(1, 40), F(1, 10), F(2, 5))


def per_query(prices: tuple[F, F, F, F], prompt: F, stable: F, hit: F, output: F) -> F:
    """Input, cache reads, cache writes and output, in dollars."""
    plain, read, write, out = prices
    return ((prompt - stable) * plain + stable * hit * read + stable * (1 - hit) * write + output * out) / 1_000_000


def costs(facts: Facts) -> dict[str, F]:
    """Return the cost of one query by strategy."""
    stable = facts.share * facts.tokens
    left = max(stable - facts.absorbed, F(0))
    found = {
        "prompt-only": per_query(LARGE, facts.tokens, F(0), F(0), facts.output),
        "prompt-with-caching": per_query(LARGE, facts.tokens, stable, facts.hit, facts.output),
        "small-model": per_query(SMALL, facts.tokens, stable, facts.hit, facts.output),
        "fine-tuned": per_query(TUNED, facts.tokens - facts.absorbed, left, facts.hit, facts.output),
    }
    cheaper = min(found["prompt-only"], found["prompt-with-caching"])
    found["hybrid"] = facts.routed * found["fine-tuned"] + (1 - facts.routed) * cheaper
    return found


def queries(facts: Facts) -> list[int]:
    """Multiply month by month, and round to whole queries only to look."""
    volume, found = facts.per_month, []
    for _ in range(facts.months):
        found.append(round(volume))
        volume *= 1 + facts.growth
    return found


def first_payment(facts: Facts) -> F:
    return facts.training + max(facts.examples - facts.at_hand, F(0)) * facts.usd_each


def later_payment(facts: Facts) -> F:
    return facts.training + facts.relabeled * facts.examples * facts.usd_each


def paid_by(facts: Facts, strategy: str, until: F, beside: str | None = None) -> F:
    """Return what a strategy has paid by a time in hours, payments at that very time included.

    ``beside`` is a strategy that sees the same queries: those of a month come in two parts where it is a trained one.
    """
    unit = costs(facts)
    trained = strategy in ("fine-tuned", "hybrid")
    before = min(unit["prompt-only"], unit["prompt-with-caching"]) if trained else unit[strategy]
    wait = facts.weeks * 168 if trained or beside in ("fine-tuned", "hybrid") else F(0)
    paid = first_payment(facts) if trained else F(0)
    for month, volume in enumerate(queries(facts)):
        start = month * MONTH_HOURS
        if until < start:
            break
        if trained and month and facts.every and month % facts.every == 0:
            paid += later_payment(facts)
        # Whole queries fall before and after the day the model comes; within either part they come evenly.
        part = min(max(wait - start, F(0)), MONTH_HOURS)
        early = round(volume * part / MONTH_HOURS)
        gone = min(until - start, MONTH_HOURS)
        if part:
            paid += before * early * min(gone / part, 1)
        if part < MONTH_HOURS and gone > part:
            rest = (gone - part) / (MONTH_HOURS - part)
            paid += unit[strategy] * (volume - early) * rest
            paid += facts.hourly * (gone - part) if trained else 0
    return paid


def total(facts: Facts, strategy: str) -> F:
    return paid_by(facts, strategy, facts.months * MONTH_HOURS)
