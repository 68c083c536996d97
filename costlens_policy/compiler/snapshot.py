"""The catalogue on one day: prices in force, what has been retired, and each model as expressions see it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Final

from costlens_policy.catalogue import Catalogue, Model, Period
from costlens_policy.checker.attributes import model_values
from costlens_policy.compiler.rebuilt import rebuilt
from costlens_policy.expressions import Value

__all__ = ["Admitted", "ModelOnDay", "Snapshots"]

_DAYS_KEPT: Final = 64


@dataclass(frozen=True, slots=True)
class Admitted:
    """Which models may serve although the catalogue says too little about them."""

    unknown_models: bool
    unpriced_models: bool
    deprecated_models: bool


@rebuilt
@dataclass(frozen=True, slots=True)
class ModelOnDay:
    """A model on a day.

    ``view`` is the record ``model`` of expressions; ``refusal`` says why it may not serve, or is empty. ``most_output``
    and ``window`` are the model's limits in tokens, beyond every number where they are not known.
    """

    model: Model
    period: Period | None
    view: Mapping[str, Value]
    refusal: str
    most_output: float = field(init=False)
    window: float = field(init=False)

    def __post_init__(self) -> None:
        most, window = self.model.max_output_tokens, self.model.context_window
        object.__setattr__(self, "most_output", math.inf if most is None else most)
        object.__setattr__(self, "window", math.inf if window is None else window)


class Snapshots:
    """The models by canonical name, day by day. Each day is made once and kept; safe for threads."""

    __slots__ = ("_admission", "_catalogue", "_days", "_largest_window")

    def __init__(self, catalogue: Catalogue, admission: Admitted) -> None:
        self._catalogue = catalogue
        self._admission = admission
        self._days: dict[date, Mapping[str, ModelOnDay]] = {}
        windows = [model.context_window for model in catalogue.models.values()]
        known = bool(windows) and not admission.unknown_models and None not in windows
        self._largest_window = max(window for window in windows if window is not None) if known else math.inf

    def __getnewargs__(self) -> tuple[Catalogue, Admitted]:
        """Return what makes it again when a plan is saved and loaded."""
        return self._catalogue, self._admission

    def __reduce__(self) -> tuple[type[Snapshots], tuple[Catalogue, Admitted]]:
        return Snapshots, self.__getnewargs__()

    @property
    def largest_window(self) -> float:
        """Tokens that the context window of some model has, beyond every number where one is not known."""
        return self._largest_window

    def on(self, day: date) -> Mapping[str, ModelOnDay]:
        """Return all models on a day (UTC)."""
        known = self._days.get(day)
        if known is None:
            known = {name: self.of(model, day) for name, model in self._catalogue.models.items()}
            if len(self._days) >= _DAYS_KEPT:  # a replay walks over years, and asks for no day again
                self._days.clear()
            self._days[day] = known
        return known

    def of(self, model: Model, day: date) -> ModelOnDay:
        """Return one model on a day, also one that the catalogue does not list."""
        period = model.period_on(day)
        return ModelOnDay(model, period, model_values(model, period, day), self._refusal(model, period, day))

    def _refusal(self, model: Model, period: Period | None, day: date) -> str:
        if model.name not in self._catalogue.models:
            return "" if model.name and self._admission.unknown_models else "the catalogue does not list it"
        if model.retired is not None and model.retired <= day:
            return f"retired since {model.retired}"
        if model.deprecated is not None and model.deprecated <= day and not self._admission.deprecated_models:
            return f"deprecated since {model.deprecated}, and the policy set admits no deprecated models"
        if period is None and not self._admission.unpriced_models:
            return "it has no price, and the policy set admits no unpriced models"
        return ""
