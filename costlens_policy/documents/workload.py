"""A workload: what one task asks of models, and what it would take to train one for it."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, ClassVar, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema, model_validator

from costlens_policy.documents.document import Document, FilePath, Milliseconds, ModelName, Ratio, Section, Usd

__all__ = [
    "AmountSpread", "Caching", "Contender", "CountSpread", "FineTunedContender", "GrowthSpread", "Hybrid", "Labeling",
    "Needs", "PromptTokens", "Queries", "RatioSpread", "Retraining", "Spread", "Training", "VolumeSpread",
    "WorkloadDocument",
]  # fmt: skip

_MOST = 10**12


def _decimal(value: object) -> object:
    return Decimal(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _number(kind: str, least: int, most: int) -> tuple[object, ...]:
    bounds = {"type": kind, "minimum": least, "maximum": most}
    return BeforeValidator(_decimal), Field(ge=least, le=most), WithJsonSchema(bounds)


_Amount = Annotated[Decimal, *_number("number", 0, _MOST)]
_Count = Annotated[Decimal, *_number("integer", 0, _MOST)]
_Volume = Annotated[Decimal, *_number("integer", 1, _MOST)]
_Growth = Annotated[Decimal, *_number("number", -1, 10)]
_Tokens = Annotated[int, Field(ge=0, le=100_000_000)]


class Spread(Section):
    """An uncertain number."""

    low: Decimal
    """Lowest plausible value."""
    base: Decimal
    """Most likely value."""
    high: Decimal
    """Highest plausible value."""

    @model_validator(mode="after")
    def _in_order(self) -> Spread:
        if self.low > self.base:
            raise ValueError("`low` must be at most `base`")
        if self.high < self.base:
            raise ValueError("`high` must be at least `base`")
        return self


class AmountSpread(Spread):
    """An uncertain amount."""

    low: _Amount
    """Lowest plausible value."""
    base: _Amount
    """Most likely value."""
    high: _Amount
    """Highest plausible value."""


class CountSpread(Spread):
    """An uncertain integer."""

    low: _Count
    """Lowest plausible value."""
    base: _Count
    """Most likely value."""
    high: _Count
    """Highest plausible value."""


class VolumeSpread(Spread):
    """An uncertain volume, at least 1."""

    low: _Volume
    """Lowest plausible value."""
    base: _Volume
    """Most likely value."""
    high: _Volume
    """Highest plausible value."""


class RatioSpread(Spread):
    """An uncertain share from 0 to 1."""

    low: Ratio
    """Lowest plausible value."""
    base: Ratio
    """Most likely value."""
    high: Ratio
    """Highest plausible value."""


class GrowthSpread(Spread):
    """Uncertain growth."""

    low: _Growth
    """Lowest plausible value."""
    base: _Growth
    """Most likely value."""
    high: _Growth
    """Highest plausible value."""


class Queries(Section):
    """Volume of the task."""

    per_month: Annotated[_Volume | VolumeSpread, Field(examples=[120_000])]
    """Queries in the first month."""
    growth_per_month: Annotated[_Growth | GrowthSpread, Field(examples=[0.03, -0.1])] = Decimal(0)
    """Growth from month to month: 0.03 is 3% more each month, -0.1 is 10% less."""


class PromptTokens(Section):
    """What the average prompt consists of."""

    tokens: Annotated[int, Field(ge=1, le=100_000_000, examples=[2600])]
    """Tokens of the whole prompt."""
    examples: Annotated[_Count | CountSpread, Field(examples=[1500])] = Decimal(0)
    """Tokens of examples among them that a trained model would not need."""
    instructions: Annotated[_Count | CountSpread, Field(examples=[600])] = Decimal(0)
    """Tokens of instructions among them that a trained model would not need."""

    @model_validator(mode="after")
    def _parts_fit(self) -> PromptTokens:
        parts = sum(item.high if isinstance(item, Spread) else item for item in (self.examples, self.instructions))
        if parts > self.tokens:
            raise ValueError(f"`examples` and `instructions` must fit into `tokens`, got up to {parts} tokens")
        return self


class Caching(Section):
    """How much the provider's prompt cache helps, for models that have cache prices."""

    share: Annotated[Ratio, Field(examples=[0.8])]
    """Share of the prompt that is the same in every query, at its start."""
    hit_ratio: Annotated[Ratio | RatioSpread, Field(examples=[0.85])]
    """Share of the queries that find it in the cache; the others write it."""
    shortest_tokens: Annotated[_Tokens, Field(examples=[1024])] = 0
    """Minimum length that the provider caches."""


class Contender(Section):
    """A model that could serve the task, and how well it is known to do so."""

    model: ModelName
    """Name in the catalogue."""
    accuracy: Annotated[Ratio, Field(examples=[0.91])] | None = None
    """Measured share of correct answers; the catalogue's quality for ``task`` when left out."""
    latency_ms: Milliseconds | None = None
    """Median time to the answer; the catalogue's when left out."""


class Training(Section):
    """What one training costs: exactly one of ``usd`` and ``tokens_per_example`` with its price."""

    exactly_one: ClassVar = ("usd", "tokens_per_example")

    usd: Annotated[_Amount | AmountSpread, Field(examples=[8000])] | None = None
    """US dollars for one training run, without labeling."""
    tokens_per_example: Annotated[int, Field(ge=1, le=10_000_000, examples=[900])] | None = None
    """Tokens of one labeled example; the training reads each in every epoch."""
    epochs: Annotated[int, Field(ge=1, le=1000, examples=[3])] = 1
    """Number of passes over the examples."""
    usd_per_million_tokens: Annotated[Usd, Field(examples=[25])] | None = None
    """US dollars for a million training tokens."""

    @model_validator(mode="after")
    def _has_a_price(self) -> Training:
        if self.tokens_per_example is not None and self.usd_per_million_tokens is None:
            raise ValueError("`tokens_per_example` needs `usd_per_million_tokens`")
        if self.usd is not None and {"epochs", "usd_per_million_tokens"} & self.model_fields_set:
            raise ValueError("`usd` is the whole cost; remove `epochs` and `usd_per_million_tokens`")
        return self


class Labeling(Section):
    """The examples to train on."""

    examples: Annotated[_Count | CountSpread, Field(examples=[4000])] | None = None
    """Examples that the training needs; the rule of thumb when left out."""
    at_hand: Annotated[int, Field(ge=0, le=10**12, examples=[1500])] = 0
    """Examples that are already labeled."""
    usd_each: Annotated[_Amount | AmountSpread, Field(examples=[0.35])]
    """US dollars to label one more."""


class Retraining(Section):
    """Retraining, since the task drifts."""

    every_months: Annotated[int, Field(ge=1, le=120, examples=[6])]
    """Months between two trainings."""
    relabeled_share: Annotated[Ratio, Field(examples=[0.2])] = Decimal(0)
    """Share of the examples that is relabeled each time."""


class FineTunedContender(Contender):
    """The trained model, and what it takes to have it."""

    training: Training | None = None
    """Cost of one training; the rule of thumb when left out."""
    labeling: Labeling
    """What it is trained on, and what that costs."""
    retraining: Retraining | None = None
    """Retraining; absent means never."""
    hosting_usd_per_hour: Annotated[_Amount | AmountSpread, Field(examples=[2.5])] = Decimal(0)
    """US dollars per hour for hosting, beside the price of its tokens in the catalogue."""
    lead_weeks: Annotated[_Amount | AmountSpread, Field(examples=[4])] | None = None
    """Weeks until it is in use; the rule of thumb when left out. Until then, prompting is used."""


class Hybrid(Section):
    """The trained model for a part of the queries, the prompt for the rest."""

    routed_share: Annotated[Ratio | RatioSpread, Field(examples=[0.8])]
    """Share of the queries that go to the trained model."""


class Needs(Section):
    """What the task needs, as the policies of the advice read it."""

    scope: Literal["narrow", "multi-domain"]
    """Whether the task is one kind of work, or many."""
    early_stage: bool = False
    """The task is still being explored; its requirements may change next month."""
    rapid_iteration: bool = False
    """The instructions change every few days."""
    structured_output: bool = False
    """Answers must follow a fixed format."""
    retrieval: bool = False
    """Answers depend on retrieved facts that change."""
    data_stays_inside: bool = False
    """Prompts may not leave the company."""
    may_train_on_data: bool = True
    """The data may be used for training."""
    accuracy: Ratio | None = None
    """Minimum acceptable share of correct answers."""
    latency_ms: Milliseconds | None = None
    """Maximum acceptable median time to the answer."""


class WorkloadDocument(Document):
    """One task: its volume, its prompt, the models that could do it, and their requirements."""

    kind: Literal["Workload"]
    """This document describes a workload to be advised on."""
    catalogue: FilePath
    """Catalogue file with the models, relative to this file."""
    policy_set: Annotated[FilePath, Field(examples=["advice/policy-set.yaml"])] | None = None
    """Policy set that recommends, relative to this file; the one that comes with the program when left out."""
    task: Annotated[str, Field(min_length=1, examples=["classification"])] | None = None
    """The task, as the quality in the catalogue calls it."""
    queries: Queries
    """Volume of the task, and how fast it grows."""
    prompt: PromptTokens
    """What the prompt consists of."""
    output_tokens: Annotated[_Count | CountSpread, Field(examples=[80])]
    """Tokens of an answer, on average."""
    current: Contender
    """The model that is prompted today."""
    caching: Caching | None = None
    """How much a prompt cache helps; if absent, prompting with caching is not considered."""
    small: Contender | None = None
    """A smaller model with the same prompt; if absent, none is considered."""
    fine_tuned: FineTunedContender | None = None
    """A model fine-tuned for the task; if absent, none is considered."""
    hybrid: Hybrid | None = None
    """The trained model for some of the queries; if absent, this is not considered."""
    needs: Needs
    """What the task needs."""

    @model_validator(mode="after")
    def _hybrid_has_a_trained_model(self) -> WorkloadDocument:
        if self.hybrid is not None and self.fine_tuned is None:
            raise ValueError("`hybrid` needs `fine_tuned`")
        return self
