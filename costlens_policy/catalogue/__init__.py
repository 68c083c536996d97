"""The catalogue: models, prices and abilities. ``catalogue.resolve`` reads them from documents."""

from __future__ import annotations

from costlens_policy.catalogue.catalogue import LONG_AGO, USUAL_LEVEL, Catalogue, Evidence, Model
from costlens_policy.catalogue.prompt_cache import LONG_LIFETIME, PromptCache, read_from
from costlens_policy.catalogue.rates import BUCKETS, Period, Rates, Tariff, Usage

__all__ = [
    "BUCKETS", "LONG_AGO", "LONG_LIFETIME", "USUAL_LEVEL", "Catalogue", "Evidence", "Model", "Period", "PromptCache",
    "Rates", "Tariff", "Usage", "read_from",
]  # fmt: skip
