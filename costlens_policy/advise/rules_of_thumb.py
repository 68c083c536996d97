"""The rules of thumb: what is reckoned with where a workload says nothing better, from the data file beside this."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from importlib.resources import files
from typing import Annotated

from pydantic import Field

from costlens_policy.documents.document import Section
from costlens_policy.documents.scalars import Number
from costlens_policy.money import multiply, total
from costlens_policy.source.compose import compose
from costlens_policy.source.read import source_of

__all__ = ["Range", "RulesOfThumb", "rules_of_thumb"]

_FILE = "rules_of_thumb.yaml"
_HALF = Decimal("0.5")


@dataclass(frozen=True, slots=True)
class Range:
    """An input as low, base and high; all three are equal where it is known. ``origin`` says who gave it."""

    low: Decimal
    base: Decimal
    high: Decimal
    origin: str = "workload"

    @property
    def is_uncertain(self) -> bool:
        return self.low != self.high


class _Between(Section):
    """A rule of thumb with a lowest and a highest value."""

    low: Number
    base: Number | None = None
    high: Number
    says: Annotated[str, Field(min_length=1)]


class _About(Section):
    """A rule of thumb with one value."""

    value: Number
    says: Annotated[str, Field(min_length=1)]


class RulesOfThumb(Section):
    """What the data file holds; ``source`` says where all of it comes from, ``says`` what was said."""

    source: Annotated[str, Field(min_length=1)]
    training_usd: _Between
    labelled_examples: _Between
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
