"""The time in which the limit of a budget holds."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from costlens_policy.documents.document import DurationText, Instant, Section

__all__ = ["CalendarWindow", "CallWindow", "FixedWindow", "LifetimeWindow", "RollingWindow", "Window"]

Weekday = Literal["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]


class CalendarWindow(Section):
    """A period of the calendar in a time zone."""

    calendar: Literal["day", "week", "month", "quarter", "year"]
    """Period after which the budget starts anew."""
    zone: Annotated[str, Field(examples=["UTC", "Europe/Berlin", "America/New_York"])] = "UTC"
    """IANA time zone, such as ``Europe/Berlin``."""
    week_start: Weekday = "monday"
    """First day of a ``week``."""
    month_start_day: Annotated[int, Field(ge=1, le=28)] = 1
    """First day of a ``month``, ``quarter`` or ``year``."""
    year_start_month: Annotated[int, Field(ge=1, le=12)] = 1
    """First month of the fiscal year, for a ``quarter`` or ``year``."""


class RollingWindow(Section):
    """The time that ends now."""

    rolling: DurationText
    """Length of the time that ends now, such as ``24h``."""


class FixedWindow(Section):
    """One span of time."""

    starts_at: Instant
    """First moment that counts."""
    ends_at: Instant
    """First moment that no longer counts."""


class LifetimeWindow(Section):
    """Without end."""

    lifetime: Literal[True]
    """Always ``true``: what was spent is never forgotten."""


class CallWindow(Section):
    """One call: the limit is on each call by itself, and nothing adds up."""

    per_call: Literal[True]
    """Always ``true``."""


Window = CalendarWindow | RollingWindow | FixedWindow | LifetimeWindow | CallWindow
