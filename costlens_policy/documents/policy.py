"""A policy: rules that belong together, with one owner and one version.

Its stages in the order in which they run: access (who may call, which models may serve), routes (where a call goes),
rewrites (in ``rewrites``), and budgets (in ``budget``).
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Final, Literal

from pydantic import Field, model_validator

from costlens_policy.documents.budget import Budget
from costlens_policy.documents.document import (
    AttributeName,
    Capability,
    Document,
    Expression,
    Identifier,
    IsExpression,
    Milliseconds,
    ModelName,
    Ratio,
    Section,
    Usd,
)  # fmt: skip
from costlens_policy.documents.rewrites import Operation, Rewrite

__all__ = [
    "FIT_DATA", "AccessRule", "Choice", "Limits", "PolicyDocument", "Route", "Split", "SplitTarget", "Target", "Waived",
    "Within",
]  # fmt: skip

FIT_DATA: Final = "costlens-policy/fit-data"
"""Label of a policy that `fit` wrote, with the digest of the outcomes that it was fitted to."""

_WHEN_ASKED = Field(
    examples=[
        'has(request.team) && request.team == "interns"',
        'request.?environment.orValue("") in ["staging", "production"]',
    ]
)


class AccessRule(Section):
    """A rule of the access stage: who may call, and which models may serve. A deny that holds wins over every allow.

    A rule whose condition reads ``model``, and one with ``only`` or ``only_models``, is asked for every candidate,
    wherever that comes from.
    """

    exactly_one: ClassVar = ("effect", "only", "only_models")

    id: Identifier
    """Name of the rule, unique within the policy."""
    description: str = ""
    """What the rule is for."""
    when: (
        Annotated[Expression, IsExpression("bool", "request", "variables", "budgets", "model", "now"), _WHEN_ASKED]
        | None
    ) = None
    """Condition; absent means always. One that reads ``model`` speaks of the candidates for which it holds."""
    effect: Literal["allow", "deny"] | None = None
    """``deny`` refuses the request, or the candidate, whatever else holds; ``allow`` lets it through unless something
    denies it."""
    only: (
        Annotated[
            Expression,
            IsExpression("bool", "request", "variables", "budgets", "model", "now"),
            Field(examples=["!model.external", 'model.name.startsWith("gpt-5") || "eu" in model.?regions.orValue([])']),
        ]
        | None
    ) = None
    """Where the rule holds, only models for which this is true may serve."""
    only_models: Annotated[tuple[ModelName, ...], Field(min_length=1)] = ()
    """Where the rule holds, only these models may serve."""
    reason: Annotated[str, Field(min_length=1, examples=["interns may not use premium models"])]
    """Shown to whoever is refused or let through."""


Waived = Literal["fallbacks", "downgrades"]

_WHEN_ROUTED = Field(
    examples=[
        'has(request.task) && request.task == "summarization"',
        "has(request.prompt_tokens) && request.prompt_tokens > 20000",
    ]
)


class Limits(Section):
    """What each candidate of a choice must satisfy; one that does not is excluded, with a reason."""

    max_cost_usd: Annotated[Usd, Field(examples=[0.01])] | None = None
    """Highest estimated cost of the call."""
    max_latency_ms: Milliseconds | None = None
    """Highest median latency in the catalogue, in milliseconds."""
    min_quality: Annotated[Ratio, Field(examples=[0.8])] | None = None
    """Lowest quality for the request's task in the catalogue, from 0 to 1."""
    requires: tuple[Capability, ...] = ()
    """Capabilities the model must have, beyond those that the request itself needs."""


class Within(Section):
    """How far a candidate of a choice may stay behind the best of those that can serve the request."""

    quality: Annotated[Ratio, Field(examples=[0.03])]
    """Largest loss of quality for the request's task: 0.03 means three points of a hundred."""


_Value = Annotated[
    Expression,
    IsExpression("number", "request", "variables", "model", "estimate", "now"),
    Field(examples=["estimate.cost_usd", "model.latency_p50_ms"]),
]


class Choice(Section):
    """The best of several models by an expression."""

    exactly_one: ClassVar = ("minimize", "maximize")

    among: (
        Annotated[
            Expression,
            IsExpression("bool", "request", "variables", "model", "now"),
            Field(examples=['"tools" in model.capabilities', 'model.provider == "openai"']),
        ]
        | None
    ) = None
    """Filter over ``model``; absent means every model of the catalogue that is not retired."""
    models: tuple[ModelName, ...] = ()
    """The models to choose among by name; together with ``among``, both must hold."""
    minimize: _Value | None = None
    """The candidate with the lowest value comes first; equal values keep the order of the names."""
    maximize: _Value | None = None
    """The candidate with the highest value comes first."""
    limits: Limits = Limits()
    """What each candidate must satisfy."""
    within: Within | None = None
    """How far a candidate may stay behind the best of those that can serve the request and keep to ``limits``."""
    quality: Annotated[Literal["value", "lower_bound"], Field(examples=["lower_bound"])] = "value"
    """What ``min_quality`` and ``within`` take for the quality of a model: the ``value`` that was measured, or the
    lower end of its interval, so that few cases count for less."""
    on_none: Annotated[Literal["refuse", "cheapest", "best", "next"] | Target, Field(examples=["cheapest"])] = "refuse"
    """What happens where no candidate of the choice is left, fallbacks included: ``refuse`` the request, let the
    ``cheapest`` serve, or the ``best`` in the order of the choice, or go on to the ``next`` route that matches. Or a
    target of its own. ``cheapest`` and ``best`` put ``max_cost_usd``, ``max_latency_ms``, ``min_quality`` and
    ``within`` aside, and nothing else: ``among``, ``requires``, access rules, budgets and what the request needs still
    hold."""

    def without_bounds(self) -> Choice:
        """Return the choice as ``on_none: cheapest`` and ``best`` leave it: of its limits only what it requires."""
        return self.model_copy(update={"limits": Limits(requires=self.limits.requires), "within": None})


_TWO_SHARES = [{"model": "gpt-5-nano", "weight": 95}, {"model": "gpt-5-mini", "weight": 5}]


class Split(Section):
    """Shares of the traffic. A key sticks: it always gets the same share as long as the weights stay the same."""

    key: (
        Annotated[
            Expression,
            IsExpression("string", "request", "variables", "now"),
            Field(examples=['request.?user.orValue("")']),
        ]
        | None
    ) = None
    """What sticks, such as ``request.user``. Absent means that each call is drawn by itself: the key is ``request.id``
    or, without that, the time. The guard fills in the id of its call."""
    salt: Annotated[str, Field(examples=["2026-q4"])] = ""
    """Changes which keys go to which share; defaults to the route's id. That of a split inside a share is put after the
    salt of the split around it and the share, so that the two draw independently."""
    targets: Annotated[tuple[SplitTarget, ...], Field(min_length=2, examples=[_TWO_SHARES])]
    """The shares, each a target; at least two. A split inside a share draws independently of this one."""


_A_SPLIT = {
    "key": 'request.?user.orValue("")',
    "targets": _TWO_SHARES,
}


class Target(Section):
    """Where requests go: exactly one of ``model``, ``models``, ``model_from``, ``choose`` and ``split``."""

    exactly_one: ClassVar = ("model", "models", "model_from", "choose", "split")

    model: ModelName | None = None
    """The model that serves."""
    models: Annotated[tuple[ModelName, ...], Field(min_length=1)] = ()
    """Models in the order in which they are tried."""
    model_from: (
        Annotated[
            Expression,
            IsExpression("string", "request", "variables", "now"),
            Field(examples=['request.?model.orValue("gpt-5-nano")']),
        ]
        | None
    ) = None
    """Expression that gives the model's name, such as ``request.model``."""
    choose: Choice | None = None
    """The best of several models by an expression, under limits."""
    split: Annotated[Split, Field(examples=[_A_SPLIT])] | None = None
    """Shares of the traffic, sticky by a key or drawn for each call."""
    fallbacks: tuple[ModelName, ...] = ()
    """Models to try after those, in order. Those of a choice keep to its ``among`` and ``limits``, too."""
    apply: tuple[Operation, ...] = ()
    """Changes to each call that goes this way, whichever model serves it; before all ``rewrites``, in order."""
    waive_terms_for: tuple[Waived, ...] = ()
    """Which models need not meet the terms of this route: its own ``fallbacks``, or those that ``downgrades`` of
    budgets add. Terms are the models that the route names or, of a choice, its ``models``, ``among`` and ``limits``."""


class SplitTarget(Target):
    """One share of a split: a whole target, and the weight of its share."""

    id: Identifier | None = None
    """Name of the share in decisions, suites and reports; defaults to its ``model``, or to its number."""
    weight: Annotated[int, Field(ge=0, le=1_000_000, examples=[95])]
    """Share of the keys, in proportion to the sum of all weights."""

    def name_at(self, index: int) -> str:
        """Return by which name the share goes at a place of its split, counted from 0."""
        return self.id or self.model or str(index + 1)


Choice.model_rebuild()
Split.model_rebuild()
Target.model_rebuild()


class Route(Target):
    """A rule of the routes stage. The first whose condition holds decides where the request goes."""

    id: Identifier
    """Name of the rule, unique within the policy."""
    description: str = ""
    """What the route is for."""
    when: Annotated[Expression, IsExpression("bool", "request", "variables", "budgets", "now"), _WHEN_ROUTED] | None = (
        None
    )
    """Condition; absent means always."""
    reason: Annotated[str, Field(examples=["the fine-tuned model was trained for this task"])] = ""
    """Shown in the decision."""


class PolicyDocument(Document):
    """Rules that belong together: who may call, where calls go, what is rewritten, what may be spent."""

    kind: Literal["Policy"]
    """This document holds rules."""
    on_error: Literal["deny", "skip"] | None = None
    """What happens when a condition of this policy fails at run time: ``deny`` the request, or ``skip`` the rule.
    Required where the policy has access rules; ``deny`` where it is left out."""
    variables: dict[AttributeName, Annotated[Expression, IsExpression("any", "request", "variables", "now")]] = Field(
        default_factory=dict, examples=[{"is_long": "request.?prompt_tokens.orValue(0) > 20000"}]
    )
    """Named expressions of this policy, read as ``variables.name``; each may read those above it."""
    access: tuple[AccessRule, ...] = ()
    """Who may call. Deny overrides allow; the policy set states the default."""
    routes: tuple[Route, ...] = ()
    """Where calls go. The first match wins; the policy set states the default."""
    rewrites: tuple[Rewrite, ...] = ()
    """What is changed before the call. All that match apply, in order."""
    budgets: tuple[Budget, ...] = ()
    """What may be spent. All that apply must have room."""

    @model_validator(mode="after")
    def _says_what_errors_do(self) -> PolicyDocument:
        if self.access and self.on_error is None:
            raise ValueError("a policy with `access` rules must set `on_error: deny` or `on_error: skip`")
        return self
