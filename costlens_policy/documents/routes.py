"""Routes: which models may serve a request, in which order."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from costlens_policy.documents.document import Section
from costlens_policy.documents.scalars import (
    Expression,
    Identifier,
    IsExpression,
    Milliseconds,
    ModelName,
    Ratio,
    Usd,
)  # fmt: skip

__all__ = ["Capability", "Choice", "Limits", "Route", "Split", "SplitTarget", "Target", "Waived"]

Waived = Literal["fallbacks", "downgrades"]

Capability = Literal[
    "tools", "parallel_tools", "vision", "audio_input", "audio_output", "file_input", "json_mode", "json_schema",
    "reasoning", "prompt_caching", "web_search",
]  # fmt: skip


_WHEN = Field(
    examples=[
        'has(request.task) && request.task == "summarization"',
        "has(request.prompt_tokens) && request.prompt_tokens > 20000",
    ]
)
_AMONG = Field(examples=['"tools" in model.capabilities', 'model.provider == "openai"'])
_KEY = Field(examples=['request.?user.orValue("")'])
_MODEL = Field(examples=['request.?model.orValue("gpt-5-nano")'])
_VALUE = Field(examples=["estimate.cost_usd", "model.latency_p50_ms"])


class Limits(Section):
    """What a candidate of a choice has to keep to; one that does not is excluded, with its reason."""

    max_cost_usd: Annotated[Usd, Field(examples=[0.01])] | None = None
    """Highest estimated cost of the call."""
    max_latency_ms: Milliseconds | None = None
    """Highest median latency in the catalogue, in milliseconds."""
    min_quality: Annotated[Ratio, Field(examples=[0.8])] | None = None
    """Lowest quality for the request's task in the catalogue, from 0 to 1."""
    requires: tuple[Capability, ...] = ()
    """Capabilities the model must have, beyond those that the request itself needs."""


_Value = Annotated[Expression, IsExpression("number", "request", "variables", "model", "estimate", "now"), _VALUE]


class Choice(Section):
    """The best of several models by an expression."""

    exactly_one: ClassVar = ("minimize", "maximize")

    among: Annotated[Expression, IsExpression("bool", "request", "variables", "model", "now"), _AMONG] | None = None
    """Filter over ``model``; absent means every model of the catalogue that is not retired."""
    models: tuple[ModelName, ...] = ()
    """The models to choose among by name; together with ``among``, both must hold."""
    minimize: _Value | None = None
    """The candidate with the lowest value comes first; equal values keep the order of the names."""
    maximize: _Value | None = None
    """The candidate with the highest value comes first."""
    limits: Limits = Limits()
    """What each candidate has to keep to."""


class SplitTarget(Section):
    """One share of a split."""

    model: ModelName
    """The model of this share."""
    weight: Annotated[int, Field(ge=0, le=1_000_000, examples=[95])]
    """Share of the keys, in proportion to the sum of all weights."""


class Split(Section):
    """A sticky split: the same key always gets the same model while the weights stay."""

    key: Annotated[Expression, IsExpression("string", "request", "variables", "now"), _KEY]
    """What sticks, such as ``request.user``."""
    salt: Annotated[str, Field(examples=["2026-q4"])] = ""
    """Changes who falls into which share; the route's id when left out."""
    targets: Annotated[tuple[SplitTarget, ...], Field(min_length=2)]
    """The shares; at least two."""


class Target(Section):
    """Where requests go: exactly one of ``model``, ``models``, ``model_from``, ``choose`` and ``split``."""

    exactly_one: ClassVar = ("model", "models", "model_from", "choose", "split")

    model: ModelName | None = None
    """The model that serves."""
    models: Annotated[tuple[ModelName, ...], Field(min_length=1)] = ()
    """Models in the order in which they are tried."""
    model_from: Annotated[Expression, IsExpression("string", "request", "variables", "now"), _MODEL] | None = None
    """Expression that gives the model's name, such as ``request.model``."""
    choose: Choice | None = None
    """The best of several models by an expression, under limits."""
    split: Split | None = None
    """Shares of the traffic, sticky by a key."""
    fallbacks: tuple[ModelName, ...] = ()
    """Models to try after those, in order. Those of a choice keep to its ``among`` and ``limits``, too."""
    waive_terms_for: tuple[Waived, ...] = ()
    """Which models need not meet the terms of this route: its own ``fallbacks``, or those that ``downgrades`` of
    budgets add. Terms are the models that the route names or, of a choice, its ``models``, ``among`` and ``limits``."""


class Route(Target):
    """A rule of the routes stage. The first whose condition holds decides where the request goes."""

    id: Identifier
    """Name of the rule, unique within the policy."""
    description: str = ""
    """What the route is for."""
    when: Annotated[Expression, IsExpression("bool", "request", "variables", "budgets", "now"), _WHEN] | None = None
    """Condition; absent means always."""
    reason: Annotated[str, Field(examples=["the fine-tuned model was trained for this task"])] = ""
    """Shown in the decision."""
