"""Routes: which models may serve a request, in which order."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from costlens_policy.documents.document import Section
from costlens_policy.documents.scalars import (
    Expression,
    Identifier,
    IsExpression,
    ModelName,
    Number,
    Ratio,
    Usd,
)  # fmt: skip

__all__ = ["Capability", "Choice", "Limits", "Route", "Split", "SplitTarget", "Target"]

Capability = Literal[
    "tools", "parallel_tools", "vision", "audio_input", "audio_output", "file_input", "json_mode", "json_schema",
    "reasoning", "prompt_caching", "web_search",
]  # fmt: skip


class Limits(Section):
    """What a candidate of a choice has to keep to; one that does not falls out, with its reason."""

    max_cost_usd: Usd | None = None
    """Highest estimated cost of the call."""
    max_latency_ms: Number | None = None
    """Highest median latency in the catalogue, in milliseconds."""
    min_quality: Ratio | None = None
    """Lowest quality for the request's task in the catalogue, from 0 to 1."""
    requires: tuple[Capability, ...] = ()
    """Capabilities the model must have, beyond those that the request itself needs."""


class Choice(Section):
    """The best of several models by an expression."""

    among: Annotated[Expression, IsExpression("bool", "request", "variables", "model", "now")] | None = None
    """Filter over ``model``; absent means every model of the catalogue that is not retired."""
    models: tuple[ModelName, ...] = ()
    """The models to choose among by name; together with ``among``, both must hold."""
    minimize: (
        Annotated[Expression, IsExpression("number", "request", "variables", "model", "estimate", "now")] | None
    ) = None
    """The candidate with the lowest value comes first; equal values keep the order of the names."""
    maximize: (
        Annotated[Expression, IsExpression("number", "request", "variables", "model", "estimate", "now")] | None
    ) = None
    """The candidate with the highest value comes first."""
    limits: Limits = Limits()

    @model_validator(mode="after")
    def _one_direction(self) -> Choice:
        if (self.minimize is None) == (self.maximize is None):
            raise ValueError("a choice needs exactly one of `minimize` and `maximize`")
        return self


class SplitTarget(Section):
    """One share of a split."""

    model: ModelName
    weight: Annotated[int, Field(ge=0, le=1_000_000)]
    """Share of the keys, in proportion to the sum of all weights."""


class Split(Section):
    """A sticky split: the same key always gets the same model while the weights stay."""

    key: Annotated[Expression, IsExpression("string", "request", "variables", "now")]
    """What sticks, such as ``request.user``."""
    salt: str = ""
    """Changes who falls into which share; the route's id when left out."""
    targets: Annotated[tuple[SplitTarget, ...], Field(min_length=2)]


class Target(Section):
    """Where requests go: exactly one of ``model``, ``models``, ``model_from``, ``choose`` and ``split``."""

    model: ModelName | None = None
    """The model that serves."""
    models: tuple[ModelName, ...] = ()
    """Models in the order in which they are tried."""
    model_from: Annotated[Expression, IsExpression("string", "request", "variables", "now")] | None = None
    """Expression that gives the model's name, such as ``request.model``."""
    choose: Choice | None = None
    """The best of several models by an expression, under limits."""
    split: Split | None = None
    """Shares of the traffic, sticky by a key."""
    fallbacks: tuple[ModelName, ...] = ()
    """Models to try after those, in order."""

    @model_validator(mode="after")
    def _one_target(self) -> Target:
        named = [self.model, self.models or None, self.model_from, self.choose, self.split]
        if sum(item is not None for item in named) != 1:
            raise ValueError("name exactly one of `model`, `models`, `model_from`, `choose` and `split`")
        return self


class Route(Target):
    """A rule of the routes stage. The first whose condition holds decides where the request goes."""

    id: Identifier
    """Name of the rule, unique within the policy."""
    description: str = ""
    when: Annotated[Expression, IsExpression("bool", "request", "variables", "budgets", "now")] | None = None
    """Condition; absent means always."""
    reason: str = ""
    """Shown in the decision."""
