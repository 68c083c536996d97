"""The advice as JSON-like data. Money and other exact numbers are decimal strings."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from costlens_policy.advise.advice import Advice
from costlens_policy.advise.assumptions import assumptions
from costlens_policy.advise.numbers import Numbers
from costlens_policy.advise.ranges import Swing
from costlens_policy.advise.recommend import Recommendation
from costlens_policy.money import plain

__all__ = ["export_advice"]


def export_advice(advice: Advice) -> dict[str, Any]:
    """Return everything that was reckoned and recommended; months of a break-even are rounded to six digits."""
    numbers = advice.numbers
    return {
        "workload": advice.setting.workload.metadata.name,
        "horizon_months": advice.setting.months,
        "prices_of": advice.now.date().isoformat(),
        "queries": list(numbers.monthly),
        "compared_with": numbers.prompting,
        "strategies": {name: _strategy(numbers, name) for name in numbers.strategies},
        "swings": [_swing(item) for item in numbers.swings],
        "inputs": {
            name: {"low": plain(item.low), "base": plain(item.base), "high": plain(item.high), "origin": item.origin}
            for name, item in numbers.inputs.items()
        },
        "recommendation": _recommendation(advice.recommendation),
        "assumptions": list(assumptions(advice)),
    }


def _strategy(numbers: Numbers, name: str) -> dict[str, Any]:
    strategy = numbers.strategies[name]
    found: dict[str, Any] = {
        "usd_per_query": plain(strategy.usd_per_query),
        "upfront_usd": plain(strategy.upfront_usd),
        "usd_per_hour": plain(strategy.usd_per_hour),
        "total_usd": _spread(numbers.totals_range.lowest, numbers.totals, numbers.totals_range.highest, name),
        "saving_usd": _spread(numbers.savings_range.lowest, numbers.savings, numbers.savings_range.highest, name),
        "paid_usd": [plain(amount) for amount in numbers.curves[name]],
    }
    if name in numbers.break_evens:
        even = numbers.break_evens[name]
        when = None if even is None else {"months": round(float(even.months), 6), "queries": even.queries}
        found |= {"break_even": when, "crossover_queries_per_month": numbers.crossovers[name]}
    return found


def _spread(low: Any, base: Any, high: Any, name: str) -> dict[str, str]:
    return {"low": plain(low[name]), "base": plain(base[name]), "high": plain(high[name])}


def _swing(item: Swing) -> dict[str, Any]:
    savings = [{name: plain(amount) for name, amount in found.items()} for found in item.savings]
    return {"input": item.input, "saving_usd_at_low": savings[0], "saving_usd_at_high": savings[1]}


def _recommendation(found: Recommendation) -> dict[str, Any]:
    return {
        "strategy": found.strategy,
        "rule": found.rule,
        "says": found.says,
        "considerations": [{"rule": item.rule, "says": item.says} for item in found.considerations],
        "marks": dict(found.marks),
        # As the policies saw them, in doubles, so that `eval` takes them as a request.
        "facts": {name: float(value) if isinstance(value, Decimal) else value for name, value in found.facts.items()},
        "policy_digest": found.decision.policy_digest,
    }
