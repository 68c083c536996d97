"""Budgets: how much may be spent, by whom, in which time, and what happens on the way to the limit."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from costlens_policy.documents.document import Section
from costlens_policy.documents.rewrites import Operation
from costlens_policy.documents.scalars import Expression, Identifier, IsExpression, ModelName, Ratio, Usd
from costlens_policy.documents.windows import (
    CalendarWindow,
    CallWindow,
    FixedWindow,
    LifetimeWindow,
    RollingWindow,
    Window,
)

__all__ = [
    "Budget",
    "CalendarWindow",
    "CallWindow",
    "Downgrade",
    "FixedWindow",
    "LifetimeWindow",
    "RollingWindow",
    "Threshold",
    "Window",
]

_WHEN = Field(examples=["has(request.team)", 'has(request.environment) && request.environment == "production"'])


class Downgrade(Section):
    """Takes models out of the candidates and may add cheaper ones at the end."""

    exclude: (
        Annotated[
            Expression,
            IsExpression("bool", "request", "variables", "budgets", "model", "now"),
            Field(examples=["model.?output_usd_per_million_tokens.orValue(0.0) > 2.0"]),
        ]
        | None
    ) = None
    """Candidates for which this holds are excluded; absent means all that are not in ``models``."""
    models: tuple[ModelName, ...] = ()
    """Candidates put at the end. They have to meet the terms of the route, unless it waives them for downgrades."""


class Threshold(Section):
    """A point before the limit: active once used + held + this call reaches the ratio of the limit.

    The hard limit itself denies; a threshold is for what happens before.
    """

    at_least_one: ClassVar = ("alert", "rewrite", "downgrade")

    at_ratio: Annotated[Ratio, Field(examples=[0.8])]
    """Ratio of the hard limit, from 0 to 1."""
    alert: Annotated[str, Field(min_length=1, examples=["80 % of the month's budget is spent"])] | None = None
    """Text of an alert, raised once per window."""
    rewrite: tuple[Operation, ...] = ()
    """Changes made to each call while the threshold is active."""
    downgrade: Downgrade | None = None
    """Takes models out of the candidates while the threshold is active."""


_Limit = Annotated[
    Expression,
    IsExpression("number", "request", "variables", "now"),
    Field(examples=['request.?team.orValue("") == "research" ? 500.0 : 50.0']),
]


class Budget(Section):
    """A limit on what calls may cost, with thresholds before it. Every budget that matches must have room.

    Exactly one hard limit; its unit is part of the key. A limit is a number or an expression.
    """

    exactly_one: ClassVar = ("hard_limit_usd", "hard_limit_tokens", "hard_limit_requests")

    id: Identifier
    """Name of the budget, unique within the policy."""
    description: str = ""
    """What the budget is for."""
    when: Annotated[Expression, IsExpression("bool", "request", "variables", "model", "now"), _WHEN] | None = None
    """Which calls count; absent means all."""
    scope: (
        Annotated[
            Expression,
            IsExpression("string", "request", "variables", "model", "now"),
            Field(examples=['request.?team.orValue("nobody")', 'request.?feature.orValue("") + "/" + model.name']),
        ]
        | None
    ) = None
    """Who shares the limit, such as ``request.team``; absent means one limit for all."""
    hard_limit_usd: Annotated[Usd, Field(examples=[250])] | _Limit | None = None
    """US dollars that may be spent in one window. What would go above is denied."""
    hard_limit_tokens: Annotated[int, Field(ge=0, examples=[5_000_000])] | _Limit | None = None
    """Tokens of prompt and output that may be used in one window."""
    hard_limit_requests: Annotated[int, Field(ge=0, examples=[10_000])] | _Limit | None = None
    """Calls that may be made in one window."""
    soft_limit_usd: Annotated[Usd, Field(examples=[200])] | None = None
    """Raises an alert when it is reached; below the hard limit."""
    soft_limit_tokens: Annotated[int, Field(ge=0)] | None = None
    """Raises an alert when it is reached; below the hard limit."""
    soft_limit_requests: Annotated[int, Field(ge=0)] | None = None
    """Raises an alert when it is reached; below the hard limit."""
    window: Window
    """Time in which the limit holds: by the calendar, rolling, one fixed span, or for ever."""
    thresholds: tuple[Threshold, ...] = ()
    """What happens on the way to the limit."""
    shadow: bool = False
    """Count and report, but never exclude or deny."""
    reason: Annotated[str, Field(examples=["the team's budget for this month is spent"])] = ""
    """Shown to whoever is refused because of it."""

    @model_validator(mode="after")
    def _one_unit(self) -> Budget:
        for unit in ("usd", "tokens", "requests"):
            if unit != self.unit and getattr(self, f"soft_limit_{unit}") is not None:
                raise ValueError(f"`soft_limit_{unit}` has another unit than `hard_limit_{self.unit}`")
        return self

    @property
    def unit(self) -> Literal["usd", "tokens", "requests"]:
        if self.hard_limit_usd is not None:
            return "usd"
        return "tokens" if self.hard_limit_tokens is not None else "requests"
