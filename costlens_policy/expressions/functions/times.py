"""Parts of timestamps and durations; in UTC unless a time zone is given."""

from __future__ import annotations

from costlens_policy.expressions.functions import costs
from costlens_policy.expressions.functions.rows import function

__all__ = ["FUNCTIONS"]

FUNCTIONS = (
    function(
        "getFullYear",
        "year; UTC unless a zone is named",
        cost=costs.constant,
        constant_time=True,
        bounds=(0, 10_000),
        timestamp_to_year="timestamp.() -> int",
        timestamp_to_year_with_tz="timestamp.(string) -> int",
    ),
    function(
        "getMonth",
        "month from 0; UTC unless a zone is named",
        cost=costs.constant,
        constant_time=True,
        bounds=(0, 11),
        timestamp_to_month="timestamp.() -> int",
        timestamp_to_month_with_tz="timestamp.(string) -> int",
    ),
    function(
        "getDayOfYear",
        "day of the year from 0; UTC unless a zone is named",
        cost=costs.constant,
        constant_time=True,
        bounds=(0, 365),
        timestamp_to_day_of_year="timestamp.() -> int",
        timestamp_to_day_of_year_with_tz="timestamp.(string) -> int",
    ),
    function(
        "getDayOfMonth",
        "day of the month from 0; UTC unless a zone is named",
        cost=costs.constant,
        constant_time=True,
        bounds=(0, 30),
        timestamp_to_day_of_month="timestamp.() -> int",
        timestamp_to_day_of_month_with_tz="timestamp.(string) -> int",
    ),
    function(
        "getDate",
        "day of the month from 1; UTC unless a zone is named",
        cost=costs.constant,
        constant_time=True,
        bounds=(1, 31),
        timestamp_to_day_of_month_1_based="timestamp.() -> int",
        timestamp_to_day_of_month_1_based_with_tz="timestamp.(string) -> int",
    ),
    function(
        "getDayOfWeek",
        "day of the week, Sunday is 0; UTC unless a zone is named",
        cost=costs.constant,
        constant_time=True,
        bounds=(0, 6),
        timestamp_to_day_of_week="timestamp.() -> int",
        timestamp_to_day_of_week_with_tz="timestamp.(string) -> int",
    ),
    function(
        "getHours",
        "hour of the day, or whole hours of a duration",
        cost=costs.constant,
        constant_time=True,
        timestamp_to_hours="timestamp.() -> int",
        timestamp_to_hours_with_tz="timestamp.(string) -> int",
        duration_to_hours="duration.() -> int",
    ),
    function(
        "getMinutes",
        "minute of the hour, or whole minutes of a duration",
        cost=costs.constant,
        constant_time=True,
        timestamp_to_minutes="timestamp.() -> int",
        timestamp_to_minutes_with_tz="timestamp.(string) -> int",
        duration_to_minutes="duration.() -> int",
    ),
    function(
        "getSeconds",
        "second of the minute, or whole seconds of a duration",
        cost=costs.constant,
        constant_time=True,
        timestamp_to_seconds="timestamp.() -> int",
        timestamp_to_seconds_tz="timestamp.(string) -> int",
        duration_to_seconds="duration.() -> int",
    ),
    function(
        "getMilliseconds",
        "millisecond of the second",
        cost=costs.constant,
        constant_time=True,
        timestamp_to_milliseconds="timestamp.() -> int",
        timestamp_to_milliseconds_with_tz="timestamp.(string) -> int",
        duration_to_milliseconds="duration.() -> int",
    ),
)
