"""Budgets: how much may be spent, by whom, in which time, and what happens on the way to the limit."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from costlens_policy.documents.document import Section
from costlens_policy.documents.rewrites import Operation
from costlens_policy.documents.scalars import (
    DurationText,
    Expression,
    Identifier,
    Instant,
    IsExpression,
    ModelName,
    Ratio,
    Usd,
)  # fmt: skip

__all__ = [
    "Budget",
    "CalendarWindow",
    "Downgrade",
    "FixedWindow",
    "LifetimeWindow",
    "RollingWindow",
    "Rung",
    "Window",
]

Weekday = Literal["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]


class CalendarWindow(Section):
    """A period of the calendar in a time zone."""

    calendar: Literal["day", "week", "month", "quarter", "year"]
    zone: str = "UTC"
    """IANA time zone, such as ``Europe/Berlin``."""
    week_start: Weekday = "monday"
    month_start_day: Annotated[int, Field(ge=1, le=28)] = 1
    year_start_month: Annotated[int, Field(ge=1, le=12)] = 1
    """First month of the fiscal year."""


class RollingWindow(Section):
    """The time that ends now."""

    rolling: DurationText


class FixedWindow(Section):
    """One span of time."""

    starts_at: Instant
    ends_at: Instant


class LifetimeWindow(Section):
    """Without end."""

    lifetime: Literal[True]


Window = CalendarWindow | RollingWindow | FixedWindow | LifetimeWindow


class Downgrade(Section):
    """Takes models out of the candidates and may add cheaper ones at the end."""

    exclude: Annotated[Expression, IsExpression("bool", "request", "variables", "model", "now")] | None = None
    """Candidates for which this holds fall out; absent means all that are not in ``models``."""
    models: tuple[ModelName, ...] = ()
    """Candidates put at the end."""


class Rung(Section):
    """A step of the ladder: active once used + held + this call reaches the ratio of the limit."""

    at_ratio: Annotated[Ratio, Field(examples=[0.8])]
    """Ratio of the hard limit, from 0 to 1."""
    alert: str | None = None
    """Text of an alert, raised once per window."""
    rewrite: tuple[Operation, ...] = ()
    """Changes made to each call while the rung is active."""
    downgrade: Downgrade | None = None

    @model_validator(mode="after")
    def _some_effect(self) -> Rung:
        if self.alert is None and not self.rewrite and self.downgrade is None:
            raise ValueError("a rung needs `alert`, `rewrite` or `downgrade`; the hard limit itself denies")
        return self


_Limit = Annotated[Expression, IsExpression("number", "request", "variables", "now")]


class Budget(Section):
    """A limit on what calls may cost, as a ladder that ends in denial. Every budget that matches must have room.

    Exactly one hard limit; its unit is part of the key. A limit is a number or an expression.
    """

    id: Identifier
    description: str = ""
    when: Annotated[Expression, IsExpression("bool", "request", "variables", "model", "now")] | None = None
    """Which calls count; absent means all."""
    scope: Annotated[Expression, IsExpression("string", "request", "variables", "model", "now")] | None = None
    """Who shares the limit, such as ``request.team``; absent means one limit for all."""
    hard_limit_usd: Usd | _Limit | None = None
    hard_limit_tokens: Annotated[int, Field(ge=0)] | _Limit | None = None
    hard_limit_requests: Annotated[int, Field(ge=0)] | _Limit | None = None
    soft_limit_usd: Usd | None = None
    """Raises an alert when it is reached; below the hard limit."""
    soft_limit_tokens: Annotated[int, Field(ge=0)] | None = None
    soft_limit_requests: Annotated[int, Field(ge=0)] | None = None
    window: Window
    rungs: tuple[Rung, ...] = ()
    shadow: bool = False
    """Count and report, but never exclude or deny."""
    reason: str = ""

    @model_validator(mode="after")
    def _one_limit(self) -> Budget:
        units = [unit for unit in ("usd", "tokens", "requests") if getattr(self, f"hard_limit_{unit}") is not None]
        if len(units) != 1:
            raise ValueError("name exactly one of `hard_limit_usd`, `hard_limit_tokens` and `hard_limit_requests`")
        stray = [
            u for u in ("usd", "tokens", "requests") if u != units[0] and getattr(self, f"soft_limit_{u}") is not None
        ]
        if stray:
            raise ValueError(f"`soft_limit_{stray[0]}` has another unit than `hard_limit_{units[0]}`")
        return self

    @property
    def unit(self) -> Literal["usd", "tokens", "requests"]:
        if self.hard_limit_usd is not None:
            return "usd"
        return "tokens" if self.hard_limit_tokens is not None else "requests"
