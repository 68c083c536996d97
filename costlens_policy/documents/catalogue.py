"""A catalogue: the models there are, what they cost and what they can do."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Final, Literal

from pydantic import Field, WithJsonSchema, model_validator

from costlens_policy.clock import duration_of
from costlens_policy.documents.document import (
    Capability,
    Date,
    Document,
    DurationText,
    Milliseconds,
    ModelName,
    Ratio,
    Section,
    ServiceTier,
    TimeOfDay,
    Usd,
)

__all__ = [
    "CatalogueDocument", "CatalogueModel", "FineTuning", "HourPrices", "ImportedModels", "Latency", "LongContext",
    "MeasuredQuality", "ModelFacts", "PricePeriod", "PromptCacheFacts", "Quality", "ServiceTierPrices",
]  # fmt: skip

Bucket = Literal[
    "input", "cache_read", "cache_write", "cache_write_1h", "output", "reasoning", "input_audio", "cache_read_audio",
    "output_audio", "input_image", "output_image",
]  # fmt: skip


_LONGEST_LIFETIME: Final = timedelta(days=30)


class LongContext(Section):
    """Prices of calls whose prompt exceeds a length. They apply to the whole call.

    Kinds that are left out cost the same as in the previous step.
    """

    above_input_tokens: Annotated[int, Field(ge=1, examples=[200_000])]
    """Prompt length, cached part included, above which these prices apply."""
    usd_per_million_tokens: Annotated[dict[Bucket, Usd], Field(min_length=1)]
    """US dollars for a million tokens of each kind."""


class ServiceTierPrices(Section):
    """Prices of calls at one service tier. Kinds of tokens that are left out keep the usual price."""

    usd_per_million_tokens: Annotated[
        dict[Bucket, Usd], Field(min_length=1, examples=[{"input": 0.025, "cache_read": 0.0025, "output": 0.2}])
    ]
    """US dollars for a million tokens of each kind."""
    usd_per_request: Usd | None = None
    """US dollars for each call, beside its tokens; absent means as usual."""
    long_context: tuple[LongContext, ...] = ()
    """Prices of calls with long prompts at this tier. Where only the usual prices have such a step, the more expensive
    of the two counts beyond it."""


class HourPrices(ServiceTierPrices):
    """Prices at certain times of the day, such as off-peak. Kinds of tokens that are left out keep the usual price."""

    start: TimeOfDay
    """Time of day (UTC) at which these prices start."""
    end: TimeOfDay
    """Time of day (UTC) at which they end; a time at or before ``start`` is on the next day."""


class PricePeriod(Section):
    """Prices from a day on."""

    effective: Date | None = None
    """First day (UTC) of these prices; absent means from the beginning."""
    usd_per_million_tokens: Annotated[
        dict[Bucket, Usd], Field(min_length=1, examples=[{"input": 0.05, "cache_read": 0.005, "output": 0.4}])
    ]
    """US dollars for a million tokens of each kind. ``input`` and ``output`` are needed; a kind that is left out costs
    as the narrowest given kind that it belongs to: ``reasoning`` as ``output``, ``cache_write_1h`` as ``cache_write``,
    the other cache kinds as ``input``."""
    usd_per_request: Usd | None = None
    """US dollars for each call, beside its tokens."""
    long_context: tuple[LongContext, ...] = ()
    """Prices of calls with long prompts, if they differ."""
    service_tiers: dict[ServiceTier, ServiceTierPrices] = Field(default_factory=dict)
    """Prices of service tiers that differ from the usual ones, by the tier's name."""
    hours: tuple[HourPrices, ...] = ()
    """Prices that differ by the time of day; of two that overlap, the later entry counts. Calls that were made cost
    what held at their time; estimates and holds take the highest of the day."""


class Latency(Section):
    """Time to the complete answer, in milliseconds."""

    p50: Milliseconds
    """Median."""
    p95: Milliseconds | None = None
    """95th percentile."""


class PromptCacheFacts(Section):
    """The prompt cache of a model, from which turns of a session are read. Given as a whole."""

    lifetime: DurationText
    """How long it keeps a prompt after its last use, at most 30 days."""
    min_tokens: Annotated[int, Field(ge=0, le=10_000_000, examples=[1024])] = 0
    """Prompts with fewer tokens are not kept."""
    step_tokens: Annotated[int, Field(ge=1, le=10_000_000, examples=[128])] = 1
    """It keeps whole steps of so many tokens."""
    automatic: bool = True
    """Whether it keeps every such prompt; ``false`` where a request has to ask for it, as with Anthropic's
    ``cache_control``."""

    @model_validator(mode="after")
    def _ends(self) -> PromptCacheFacts:
        try:
            ends = duration_of(self.lifetime) <= _LONGEST_LIFETIME
        except ValueError:
            ends = False
        if not ends:
            raise ValueError(f"the lifetime of a cache must be at most 30 days, got `{self.lifetime}`")
        return self


class MeasuredQuality(Section):
    """The quality of a model in one task, with the evidence for it. What is left out is unknown."""

    value: Annotated[Ratio, Field(examples=[0.772])]
    """Measured quality, from 0 to 1."""
    low: Annotated[Ratio, Field(examples=[0.733])] | None = None
    """Lower end of the interval in which the quality lies; an interval needs ``low`` and ``high``."""
    high: Annotated[Ratio, Field(examples=[0.807])] | None = None
    """Upper end of the interval."""
    level: (
        Annotated[
            Ratio,
            Field(ge=0.5, le=0.9999, examples=[0.9]),
            WithJsonSchema({"type": "number", "minimum": 0.5, "maximum": 0.9999}),
        ]
        | None
    ) = None
    """How sure the interval is; absent means 0.95."""
    cases: Annotated[int, Field(ge=1, le=2**53, examples=[479])] | None = None
    """How many cases were scored."""
    measured: Date | None = None
    """Day (UTC) of the measurement."""
    source: Annotated[str, Field(min_length=1, max_length=500, examples=["evals/code.csv"])] | None = None
    """Where the scores come from, such as a file."""
    data: (
        Annotated[str, Field(pattern=r"^sha256:[0-9a-f]{64}$", examples=[f"sha256:{'0123456789abcdef' * 4}"])] | None
    ) = None
    """Digest of the scores: ``sha256:`` and 64 hexadecimal digits."""


Quality = Annotated[Ratio, Field(examples=[0.86])] | MeasuredQuality


class FineTuning(Section):
    """Where a fine-tuned model comes from."""

    base: ModelName
    """The model it was trained from; facts that are not given here are the base's, except prices and quality."""
    tasks: tuple[Annotated[str, Field(examples=["ticket_triage"])], ...] = ()
    """Tasks it was trained for."""


class ModelFacts(Section):
    """What is known of a model beside its price. A fact that is absent is unknown, never assumed."""

    provider: Annotated[str, Field(min_length=1, max_length=60, examples=["openai", "self-hosted"])] | None = None
    """Who serves the model."""
    family: Annotated[str, Field(min_length=1, max_length=60, examples=["gpt-5"])] | None = None
    """Family of models, whatever their size."""
    context_window: Annotated[int, Field(ge=1, examples=[400_000])] | None = None
    """Tokens of prompt and output together."""
    max_output_tokens: Annotated[int, Field(ge=1, examples=[128_000])] | None = None
    """Longest output, in tokens."""
    capabilities: tuple[Capability, ...] | None = None
    """What the model can do; absent means unknown, an empty list means none of these."""
    latency_ms: Latency | None = None
    """Time to the complete answer."""
    quality: (
        Annotated[dict[str, Quality], Field(examples=[{"chat": 0.86, "code": {"value": 0.772, "cases": 479}}])] | None
    ) = None
    """Measured quality by task: a number from 0 to 1, or one with the evidence for it."""
    regions: Annotated[tuple[str, ...], Field(examples=[["eu", "us"]])] | None = None
    """Where the data is processed."""
    external: bool | None = None
    """Whether prompts leave the company; self-hosted models say ``false``. Unknown counts as true."""
    deprecated: Date | None = None
    """Day (UTC) from which the provider no longer recommends it."""
    retired: Date | None = None
    """Day (UTC) from which it no longer answers."""
    prompt_cache: PromptCacheFacts | None = None
    """The prompt cache; absent means what the provider documents, and no cache where it is not known to have one."""
    usd_per_tool_use: (
        Annotated[dict[Annotated[str, Field(min_length=1, max_length=60)], Usd], Field(examples=[{"web_search": 0.01}])]
        | None
    ) = None
    """US dollars for each use of a tool that the provider runs, by its type without the date of a version
    (``web_search``, ``web_search_preview``, ``file_search``, ``code_interpreter``), or its key in Gemini's shape
    (``google_search``, ``google_maps``), which nothing bounds. Where a model has such fees, a request with one of its
    provider's tools is held at the most that the uses may cost (``max_uses`` of Anthropic's tools, ``max_tool_calls``
    for OpenAI's; ``web_search_options`` is one ``web_search``), and a limit in US dollars refuses what nothing bounds,
    or has no fee: write 0 for what is free. Without any, no fee is counted."""
    labels: dict[str, str] | None = None
    """Custom keys and values, read as ``model.labels``."""


class CatalogueModel(ModelFacts):
    """A custom model, or an override of an imported one: what is set here wins, the rest stays."""

    aliases: tuple[ModelName, ...] = ()
    """Further names of the model."""
    other_versions: Annotated[tuple[ModelName, ...], Field(examples=[["gpt-4o-2024-05-13"]])] | None = None
    """Dated names that are separate models, not versions of this one. All other dated names mean this model."""
    fine_tuned: FineTuning | None = None
    """The model that this one was fine-tuned from."""
    price_as: ModelName | None = None
    """Another model of the catalogue whose prices apply."""
    prices: tuple[PricePeriod, ...] | None = None
    """What the model costs, the earliest period first. An empty list means that it has no prices, on purpose."""


class ImportedModels(Section):
    """Models taken from a price list that is installed with this package."""

    source: Literal["genai-prices"]
    """The installed price list."""
    models: Annotated[tuple[Annotated[str, Field(examples=["openai/gpt-5*"])], ...], Field(min_length=1)]
    """``provider/name`` with ``*`` for any text. A pattern that matches nothing is an error."""
    facts: ModelFacts = ModelFacts()
    """Facts for all of these models. They win over what the price list knows."""


class CatalogueDocument(Document):
    """Models with their prices, abilities and measured quality."""

    kind: Literal["Catalogue"]
    """This document lists models."""
    imports: tuple[ImportedModels, ...] = ()
    """Models taken from an installed price list."""
    models: dict[ModelName, CatalogueModel] = Field(default_factory=dict)
    """Custom models and overrides, by name."""
