"""A policy: rules that belong together, with one owner and one version."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from costlens_policy.documents.budgets import Budget
from costlens_policy.documents.document import Document, Section
from costlens_policy.documents.rewrites import Rewrite
from costlens_policy.documents.routes import Route
from costlens_policy.documents.scalars import AttributeName, Expression, Identifier, IsExpression, ModelName

__all__ = ["AccessRule", "PolicyDocument"]


_WHEN = Field(
    examples=[
        'has(request.team) && request.team == "interns"',
        'request.?environment.orValue("") in ["staging", "production"]',
    ]
)


_ONLY = Field(examples=["!model.external", 'model.name.startsWith("gpt-5") || "eu" in model.?regions.orValue([])'])


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
        Annotated[Expression, IsExpression("bool", "request", "variables", "budgets", "model", "now"), _WHEN] | None
    ) = None
    """Condition; absent means always. One that reads ``model`` speaks of the candidates for which it holds."""
    effect: Literal["allow", "deny"] | None = None
    """``deny`` refuses the request, or the candidate, whatever else holds; ``allow`` lets it through unless something
    denies it."""
    only: (
        Annotated[Expression, IsExpression("bool", "request", "variables", "budgets", "model", "now"), _ONLY] | None
    ) = None
    """Where the rule holds, only models for which this is true may serve."""
    only_models: Annotated[tuple[ModelName, ...], Field(min_length=1)] = ()
    """Where the rule holds, only these models may serve."""
    reason: Annotated[str, Field(min_length=1, examples=["interns may not use premium models"])]
    """Shown to whoever is refused or let through."""


class PolicyDocument(Document):
    """Rules of one layer: who may call, where calls go, what is rewritten, what may be spent."""

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
    """What is changed before the call. All that match, in order."""
    budgets: tuple[Budget, ...] = ()
    """What may be spent. All that match must have room."""

    @model_validator(mode="after")
    def _says_what_errors_do(self) -> PolicyDocument:
        if self.access and self.on_error is None:
            raise ValueError("a policy with `access` rules must say `on_error: deny` or `on_error: skip`")
        return self
