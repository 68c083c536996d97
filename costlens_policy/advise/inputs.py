"""Inputs of the advice: as low, base and high, and the rules of thumb that replace missing ones."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from functools import cache
from importlib.resources import files
from typing import Annotated, TypeAlias

from pydantic import Field

from costlens_policy.documents.document import Number, Section
from costlens_policy.documents.workload import FineTunedContender, Spread, WorkloadDocument
from costlens_policy.frozen import frozen
from costlens_policy.money import multiply, total
from costlens_policy.source.compose import compose
from costlens_policy.source.read import source_of

__all__ = ["Point", "Range", "RulesOfThumb", "base_point", "rules_of_thumb", "uncertain_inputs"]

_FILE = "rules_of_thumb.yaml"
_HALF = Decimal("0.5")


@frozen
class Range:
    """An input as low, base and high; all three are equal where it is known. ``origin`` is its source."""

    low: Decimal
    base: Decimal
    high: Decimal
    origin: str = "workload"

    @property
    def is_uncertain(self) -> bool:
        return self.low != self.high


class _Between(Section):
    """A rule of thumb with a low and a high value."""

    low: Number
    base: Number | None = None
    high: Number
    claim: Annotated[str, Field(min_length=1)]


class _About(Section):
    """A rule of thumb with one value."""

    value: Number
    claim: Annotated[str, Field(min_length=1)]


class RulesOfThumb(Section):
    """What the data file holds; ``source`` is the origin of all of it, ``claim`` its wording."""

    source: Annotated[str, Field(min_length=1)]
    training_usd: _Between
    labeled_examples: _Between
    lead_weeks: _Between
    crossover_queries_per_month: _About
    latency_reduction: _About

    def range_of(self, rule: _Between) -> Range:
        """Return a rule as an input; the base is the middle where the file gives none."""
        base = multiply(total((rule.low, rule.high)), _HALF) if rule.base is None else rule.base
        return Range(rule.low, base, rule.high, self.source)


@cache
def rules_of_thumb() -> RulesOfThumb:
    """Return the rules of thumb of the data file."""
    text = files("costlens_policy.advise").joinpath(_FILE).read_text(encoding="utf-8")
    (located,) = compose(source_of(text, _FILE)).documents
    return RulesOfThumb.model_validate(located.root.to_plain())


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
    training, examples = tuned.training, tuned.labeling.examples
    if training is None:
        yield "fine_tuned.training.usd", rules.range_of(rules.training_usd)
    elif training.usd is not None:
        yield "fine_tuned.training.usd", _range(training.usd)
    by_rule = rules.range_of(rules.labeled_examples)
    yield "fine_tuned.labeling.examples", by_rule if examples is None else _range(examples)
    yield "fine_tuned.labeling.usd_each", _range(tuned.labeling.usd_each)
    yield "fine_tuned.hosting_usd_per_hour", _range(tuned.hosting_usd_per_hour)
    lead = tuned.lead_weeks
    yield "fine_tuned.lead_weeks", rules.range_of(rules.lead_weeks) if lead is None else _range(lead)


def _range(given: Decimal | Spread) -> Range:
    return Range(given.low, given.base, given.high) if isinstance(given, Spread) else Range(given, given, given)
