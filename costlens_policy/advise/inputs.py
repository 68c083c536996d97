"""The inputs that may be uncertain, by the names that they have in the workload."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import TypeAlias

from costlens_policy.advise.rules_of_thumb import Range, RulesOfThumb
from costlens_policy.documents.workload import FineTunedContender, Spread, WorkloadDocument

__all__ = ["Point", "base_point", "uncertain_inputs"]

Point: TypeAlias = Mapping[str, Decimal]
"""One value for every input."""


def uncertain_inputs(workload: WorkloadDocument, rules: RulesOfThumb) -> dict[str, Range]:
    """Return every input that may be uncertain, known ones included, in the order of the document."""
    return dict(_inputs(workload, rules))


def base_point(inputs: Mapping[str, Range]) -> dict[str, Decimal]:
    """Return the base value of every input."""
    return {name: item.base for name, item in inputs.items()}


def _inputs(workload: WorkloadDocument, rules: RulesOfThumb) -> Iterator[tuple[str, Range]]:
    yield "queries.per_month", _range(workload.queries.per_month)
    yield "queries.growth_per_month", _range(workload.queries.growth_per_month)
    yield "prompt.examples", _range(workload.prompt.examples)
    yield "prompt.instructions", _range(workload.prompt.instructions)
    yield "output_tokens", _range(workload.output_tokens)
    if workload.caching is not None:
        yield "caching.hit_ratio", _range(workload.caching.hit_ratio)
    if workload.fine_tuned is not None:
        yield from _training_inputs(workload.fine_tuned, rules)
    if workload.hybrid is not None:
        yield "hybrid.routed_share", _range(workload.hybrid.routed_share)


def _training_inputs(tuned: FineTunedContender, rules: RulesOfThumb) -> Iterator[tuple[str, Range]]:
    training, examples = tuned.training, tuned.labelling.examples
    if training is None:
        yield "fine_tuned.training.usd", rules.range_of(rules.training_usd)
    elif training.usd is not None:
        yield "fine_tuned.training.usd", _range(training.usd)
    by_rule = rules.range_of(rules.labelled_examples)
    yield "fine_tuned.labelling.examples", by_rule if examples is None else _range(examples)
    yield "fine_tuned.labelling.usd_each", _range(tuned.labelling.usd_each)
    yield "fine_tuned.hosting_usd_per_hour", _range(tuned.hosting_usd_per_hour)
    lead = tuned.lead_weeks
    yield "fine_tuned.lead_weeks", rules.range_of(rules.lead_weeks) if lead is None else _range(lead)


def _range(given: Decimal | Spread) -> Range:
    return Range(given.low, given.base, given.high) if isinstance(given, Spread) else Range(given, given, given)
