"""The cost of calls without a recorded cost, and the cost at another model."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from importlib.metadata import version

from costlens_policy.catalogue import Catalogue, Model, Usage
from costlens_policy.catalogue.price_list import listed_model, meant_by, nearest_pattern
from costlens_policy.usage import USUAL_TERMS, Portion, Priced, ServiceTerms, price_call, price_usage

__all__ = ["Prices"]


class Prices:
    """Prices of a catalogue or, without one, of the installed price list, by any name of a model.

    ``source`` names them.
    """

    __slots__ = ("_catalogue", "_known", "source")

    def __init__(self, catalogue: Catalogue | None = None, name: str = "") -> None:
        self._catalogue = catalogue
        self._known: dict[tuple[str, str | None], Model | None] = {}
        self.source = name or f"the price list genai-prices {version('genai-prices')}"

    def model(self, name: str, provider: str | None = None) -> Model | None:
        """Return a model by the name that a log has for it; None for one without any price."""
        key = (name, provider)
        if key not in self._known:
            self._known[key] = self._find(name, provider)
        return self._known[key]

    @property
    def measured(self) -> Catalogue | None:
        """The catalogue, if it knows the quality of any model."""
        catalogue = self._catalogue
        return catalogue if catalogue is not None and any(model.quality for model in catalogue) else None

    def suggest(self, name: str) -> str | None:
        """Return the name that an unknown one probably means."""
        return nearest_pattern(name) if self._catalogue is None else self._catalogue.suggest(name)

    def provider(self, name: str) -> str | None:
        """Return the provider of a model, if the prices or the name show it."""
        model = self.model(name)
        if model is not None and model.provider:
            return model.provider
        before, slash, _ = name.partition("/")
        return before if slash else None

    def cost(
        self,
        model: str | None,
        usage: Usage,
        at: datetime,
        provider: str | None = None,
        *,
        terms: ServiceTerms = USUAL_TERMS,
        other_models: Sequence[tuple[str, Usage]] = (),
    ) -> Priced:
        """Price a call at a timestamp, on the terms that it was served on, with what it used on other models."""
        found = None if model is None else self.model(model, provider)
        if not other_models:
            return price_usage(found, usage, at, terms=terms)
        portions = [Portion(model or "", usage, terms), *(Portion(name, more, terms) for name, more in other_models)]
        return price_call(lambda name: found if name == (model or "") else self.model(name, provider), portions, at)

    def fits(self, model: Model, usage: Usage, output: int) -> bool:
        """Return whether a model could have served a call, as far as its context window is known."""
        return model.context_window is None or usage.prompt_tokens + output <= model.context_window

    def baseline(
        self, model: Model, usage: Usage, at: datetime, *, terms: ServiceTerms = USUAL_TERMS
    ) -> Decimal | None:
        """Return what the same tokens would have cost at a model; None where it could not serve them, or has no price.

        The cached part of the prompt counts as cached there, too.
        """
        output = usage.output + usage.reasoning + usage.output_audio + usage.output_image
        return price_usage(model, usage, at, terms=terms).cost if self.fits(model, usage, output) else None

    def _find(self, name: str, provider: str | None) -> Model | None:
        if self._catalogue is not None:
            return self._catalogue.find(name) or (self._catalogue.find(f"{provider}/{name}") if provider else None)
        meant = meant_by(name, provider)
        return None if meant is None else listed_model(meant)
