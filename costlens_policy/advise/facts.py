"""What the policies of the advice read: the workload's needs, and what was reckoned, as attributes of a request."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from math import ceil
from typing import Any

from costlens_policy.advise.numbers import Numbers
from costlens_policy.advise.rules_of_thumb import RulesOfThumb
from costlens_policy.advise.strategies import (
    CACHED_PROMPT,
    FINE_TUNED,
    HYBRID,
    SMALL,
    Contest,
    Setting,
)
from costlens_policy.documents.workload import Contender
from costlens_policy.money import multiply, total

__all__ = ["facts_of"]

_STRATEGIES = {"caching": CACHED_PROMPT, "fine_tuned": FINE_TUNED, "small": SMALL, "hybrid": HYBRID}


def facts_of(setting: Setting, numbers: Numbers, rules: RulesOfThumb) -> dict[str, Any]:
    """Return the attributes by name. What is not known is left out; nothing is assumed in its place."""
    workload = setting.workload
    needs = workload.needs
    facts: dict[str, Any] = {
        "scope": needs.scope,
        "early_stage": needs.early_stage,
        "rapid_iteration": needs.rapid_iteration,
        "structured_output": needs.structured_output,
        "retrieval": needs.retrieval,
        "data_stays_inside": needs.data_stays_inside,
        "may_train_on_data": needs.may_train_on_data,
        "accuracy_needed": needs.accuracy,
        "latency_needed_ms": needs.latency_ms,
        "queries_per_month": int(numbers.inputs["queries.per_month"].base),
        "usual_crossover_queries_per_month": int(rules.crossover_queries_per_month.value),
        "horizon_months": setting.months,
    }
    facts.update(_models(setting, rules))
    facts.update(_money(numbers))
    if workload.fine_tuned is not None:
        facts["labelled_examples"] = workload.fine_tuned.labelling.at_hand
        facts["examples_needed"] = ceil(numbers.inputs["fine_tuned.labelling.examples"].base)
    return {name: value for name, value in facts.items() if value is not None}


def _models(setting: Setting, rules: RulesOfThumb) -> Iterator[tuple[str, Any]]:
    workload = setting.workload
    contests = (
        ("current", workload.current, setting.current),
        ("small", workload.small, setting.small),
        ("fine_tuned", workload.fine_tuned, setting.fine_tuned),
    )
    for key, contender, contest in contests:
        if contender is not None and contest is not None:
            yield f"{key}_is_inside", not contest.model.external
            yield f"{key}_accuracy", _accuracy(contender, contest, workload.task)
            yield f"{key}_latency_ms", _latency(contender, contest)
    yield "fine_tuned_latency_ms", _trained_latency(setting, rules)


def _accuracy(contender: Contender, contest: Contest, task: str | None) -> Decimal | float | None:
    if contender.accuracy is not None or task is None:
        return contender.accuracy
    return contest.model.quality.get(task)


def _latency(contender: Contender, contest: Contest) -> Decimal | float | None:
    return contest.model.latency_p50_ms if contender.latency_ms is None else contender.latency_ms


def _trained_latency(setting: Setting, rules: RulesOfThumb) -> Decimal | float | None:
    """Return what is known of the trained model, else the best that the rule of thumb hopes for on narrow tasks."""
    workload = setting.workload
    if workload.fine_tuned is None or setting.fine_tuned is None:
        return None
    known = _latency(workload.fine_tuned, setting.fine_tuned)
    current = _latency(workload.current, setting.current)
    if known is not None or current is None or workload.needs.scope != "narrow":
        return known
    left = total((Decimal(1), rules.latency_reduction.value.copy_negate()))
    return multiply(current if isinstance(current, Decimal) else Decimal(repr(current)), left)


def _money(numbers: Numbers) -> Iterator[tuple[str, Any]]:
    for key, name in _STRATEGIES.items():
        there = name in numbers.strategies
        yield f"has_{key}", there
        if there:
            yield f"{key}_saving_usd", numbers.savings[name]
            yield f"{key}_saving_at_worst_usd", numbers.savings_range.lowest[name]
            yield f"{key}_saving_at_best_usd", numbers.savings_range.highest[name]
    yield from _break_even(numbers.savings_range.lowest, numbers)


def _break_even(known: Mapping[str, Decimal], numbers: Numbers) -> Iterator[tuple[str, Any]]:
    if FINE_TUNED in known:
        found = numbers.break_evens[FINE_TUNED]
        yield "break_even_months", None if found is None else float(found.months)
        yield "crossover_queries_per_month", numbers.crossovers[FINE_TUNED]
