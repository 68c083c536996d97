"""A catalogue: the models there are, what they cost and what they can do."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from costlens_policy.documents.document import Document, Section
from costlens_policy.documents.routes import Capability
from costlens_policy.documents.scalars import Date, ModelName, Number, Ratio, Usd

__all__ = [
    "CatalogueDocument",
    "CatalogueModel",
    "FineTuning",
    "ImportedModels",
    "Latency",
    "LongContext",
    "ModelFacts",
    "PricePeriod",
]

Bucket = Literal[
    "input", "cache_read", "cache_write", "cache_write_1h", "output", "reasoning", "input_audio", "cache_read_audio",
    "output_audio", "input_image", "output_image",
]  # fmt: skip


class LongContext(Section):
    """Prices of a call whose prompt is longer than so many tokens. They apply to the whole call."""

    above_input_tokens: Annotated[int, Field(ge=1)]
    usd_per_million_tokens: Annotated[dict[Bucket, Usd], Field(min_length=1)]


class PricePeriod(Section):
    """Prices from a day on."""

    effective: Date | None = None
    """First day (UTC) of these prices; absent means from the beginning."""
    usd_per_million_tokens: Annotated[dict[Bucket, Usd], Field(min_length=1)]
    """US dollars for a million tokens of each kind. Where absent, ``reasoning`` costs as ``output``, cache kinds as
    ``input``."""
    usd_per_request: Usd | None = None
    long_context: tuple[LongContext, ...] = ()


class Latency(Section):
    """Time to the complete answer, in milliseconds."""

    p50: Annotated[Number, Field(ge=0)]
    p95: Annotated[Number, Field(ge=0)] | None = None


class FineTuning(Section):
    """Where a fine-tuned model comes from."""

    base: ModelName
    """The model it was trained from; facts that are not given here are the base's, except prices."""
    tasks: tuple[str, ...] = ()
    """Tasks it was trained for."""


class ModelFacts(Section):
    """What is known of a model beside its price. A fact that is absent is unknown, never assumed."""

    provider: Annotated[str, Field(min_length=1, max_length=60)] | None = None
    family: Annotated[str, Field(min_length=1, max_length=60)] | None = None
    context_window: Annotated[int, Field(ge=1)] | None = None
    """Tokens of prompt and output together."""
    max_output_tokens: Annotated[int, Field(ge=1)] | None = None
    capabilities: tuple[Capability, ...] | None = None
    latency_ms: Latency | None = None
    quality: dict[str, Ratio] | None = None
    """Measured quality by task, from 0 to 1."""
    regions: tuple[str, ...] | None = None
    """Where the data is processed."""
    external: bool | None = None
    """Whether prompts leave the company; self-hosted models say ``false``. Unknown counts as true."""
    deprecated: Date | None = None
    """Day (UTC) from which the provider no longer recommends it."""
    retired: Date | None = None
    """Day (UTC) from which it no longer answers."""
    labels: dict[str, str] | None = None


class CatalogueModel(ModelFacts):
    """A model of your own, or an override of an imported one: what is given here wins, the rest stays."""

    aliases: tuple[ModelName, ...] = ()
    fine_tuned: FineTuning | None = None
    price_as: ModelName | None = None
    """Takes the prices of another model of the catalogue."""
    prices: tuple[PricePeriod, ...] | None = None


class ImportedModels(Section):
    """Models taken from a price list that is installed with this package."""

    source: Literal["genai-prices"]
    models: Annotated[tuple[Annotated[str, Field(examples=["openai/gpt-5*"])], ...], Field(min_length=1)]
    """``provider/name`` with ``*`` for any text. A pattern that matches nothing is an error."""
    facts: ModelFacts = ModelFacts()
    """Facts that the price list does not know, for all of these models."""


class CatalogueDocument(Document):
    """Models with their prices, abilities and measured quality."""

    kind: Literal["Catalogue"]
    imports: tuple[ImportedModels, ...] = ()
    models: dict[ModelName, CatalogueModel] = Field(default_factory=dict)
