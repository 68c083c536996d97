"""Periods tile time: each moment lies in one, and each ends where the next begins, whatever the clocks do."""

from __future__ import annotations

from calendar import monthrange
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from costlens_policy.documents.budget import (
    CalendarWindow,
    CallWindow,
    FirstUseWindow,
    FixedWindow,
    LifetimeWindow,
    RollingWindow,
    Window,
)
from costlens_policy.periods import Forecast, Period, PeriodError, Schedule, forecast, schedule_of, start_of_day

ZONES = sorted(available_timezones() - {"localtime", "Factory"})
WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
INSTANTS = st.datetimes(datetime(1902, 1, 1), datetime(2200, 1, 1)).map(lambda naive: naive.replace(tzinfo=UTC))
WINDOWS = st.builds(
    CalendarWindow,
    calendar=st.sampled_from(["day", "week", "month", "quarter", "year"]),
    zone=st.sampled_from(ZONES),
    week_start=st.sampled_from(WEEKDAYS),
    month_start_day=st.integers(1, 31),
    year_start_month=st.integers(1, 12),
)
MICROSECOND = timedelta(microseconds=1)
LONGEST = {"day": 2.1, "week": 8.1, "month": 32.1, "quarter": 93.1, "year": 367.1}


def calendar(kind: Any, zone: str = "UTC", **more: Any) -> CalendarWindow:
    return CalendarWindow(calendar=kind, zone=zone, **more)


def periods_of(window: Window) -> Schedule:
    return schedule_of(window.model_dump())


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


@example(calendar("day", "America/St_Johns"), at("2008-11-02T02:31:00+00:00"))
@example(calendar("day", "Pacific/Apia"), at("2011-12-30T10:00:00+00:00"))
@example(calendar("day", "Pacific/Kwajalein"), at("1993-08-21T12:00:00+00:00"))
@example(calendar("day", "Asia/Beirut"), at("2022-03-26T22:00:00+00:00"))
@example(calendar("day", "America/Sao_Paulo"), at("2018-02-18T02:00:00+00:00"))
@example(calendar("day", "America/Havana"), at("2026-11-01T05:00:00+00:00"))
@example(calendar("day", "Africa/Monrovia"), at("1972-01-07T00:44:30+00:00"))
@given(WINDOWS, INSTANTS)
@settings(max_examples=400, deadline=None)
def test_calendar_periods_tile_time(window: CalendarWindow, now: datetime) -> None:
    schedule = periods_of(window)
    period = schedule.at(now)
    assert period is not None
    assert period.starts_at is not None
    assert period.resets_at is not None
    assert period.starts_at <= now < period.resets_at
    assert period.resets_at - period.starts_at <= timedelta(days=LONGEST[window.calendar])
    for moment in (period.starts_at, period.resets_at - MICROSECOND, now):
        assert periods_of(window).at(moment) == period
    following = periods_of(window).at(period.resets_at)
    before = periods_of(window).at(period.starts_at - MICROSECOND)
    assert following is not None
    assert before is not None
    assert following.starts_at == period.resets_at
    assert before.resets_at == period.starts_at
    assert len({before.id, period.id, following.id}) == 3


@given(st.sampled_from(ZONES), INSTANTS)
@settings(max_examples=400, deadline=None)
def test_a_day_begins_at_the_first_moment_whose_local_date_it_is(zone: str, now: datetime) -> None:
    info = ZoneInfo(zone)
    day = now.astimezone(info).date()
    start = start_of_day(day, info)
    assert start.astimezone(info).date() >= day
    assert (start - MICROSECOND).astimezone(info).date() < day
    assert start_of_day(day + timedelta(days=1), info) >= start


def test_every_change_of_the_clocks_near_midnight() -> None:
    """Go through all zones and days around changes in this century's first decades, hour by hour."""
    for zone in ("America/St_Johns", "Asia/Gaza", "Africa/Cairo", "America/Asuncion", "Asia/Tehran", "Atlantic/Azores"):
        schedule = periods_of(calendar("day", zone))
        now, end = at("2006-01-01T00:00:00+00:00"), at("2011-01-01T00:00:00+00:00")
        last = schedule.at(now)
        assert last is not None
        while now < end:
            assert last.resets_at is not None
            now = last.resets_at
            period = schedule.at(now)
            assert period is not None
            assert period.starts_at == now
            days = [date.fromisoformat(each.id.split(":")[1]) for each in (last, period)]
            assert days[1] - days[0] == timedelta(days=1)
            last = period


@pytest.mark.parametrize(
    ("window", "now", "id", "starts_at", "resets_at"),
    [
        (calendar("day"), "2026-11-24T12:00:00Z", "day:2026-11-24:UTC", "2026-11-24T00:00Z", "2026-11-25T00:00Z"),
        (
            calendar("day", "Europe/Berlin"),
            "2026-10-25T12:00:00Z",
            "day:2026-10-25:Europe/Berlin",
            "2026-10-24T22:00Z",
            "2026-10-25T23:00Z",
        ),
        (calendar("week"), "2026-11-24T12:00:00Z", "week:2026-11-23:UTC", "2026-11-23T00:00Z", "2026-11-30T00:00Z"),
        (
            calendar("week", week_start="sunday"),
            "2026-11-24T12:00:00Z",
            "week:2026-11-22:UTC",
            "2026-11-22T00:00Z",
            "2026-11-29T00:00Z",
        ),
        (
            calendar("month", month_start_day=15),
            "2026-11-14T23:00:00Z",
            "month:2026-10-15:UTC",
            "2026-10-15T00:00Z",
            "2026-11-15T00:00Z",
        ),
        (
            calendar("month", "America/New_York"),
            "2026-12-01T04:59:59Z",
            "month:2026-11-01:America/New_York",
            "2026-11-01T04:00Z",
            "2026-12-01T05:00Z",
        ),
        (
            calendar("quarter", year_start_month=2),
            "2026-01-31T00:00:00Z",
            "quarter:2025-11-01:UTC",
            "2025-11-01T00:00Z",
            "2026-02-01T00:00Z",
        ),
        (
            calendar("year", year_start_month=4, month_start_day=6, zone="Europe/London"),
            "2026-04-05T22:59:59Z",
            "year:2025-04-06:Europe/London",
            "2025-04-05T23:00Z",
            "2026-04-05T23:00Z",
        ),
        (
            calendar("month", month_start_day=31),
            "2028-03-30T23:59:59Z",
            "month:2028-02-29/31:UTC",
            "2028-02-29T00:00Z",
            "2028-03-31T00:00Z",
        ),
        (
            calendar("month", "Europe/Berlin", month_start_day=30),
            "2026-02-27T22:59:59Z",
            "month:2026-01-30:Europe/Berlin",
            "2026-01-29T23:00Z",
            "2026-02-27T23:00Z",
        ),
        (
            calendar("quarter", month_start_day=31, year_start_month=2),
            "2026-02-28T00:00:00Z",
            "quarter:2026-02-28/31:UTC",
            "2026-02-28T00:00Z",
            "2026-05-31T00:00Z",
        ),
        (
            calendar("year", month_start_day=29, year_start_month=2),
            "2028-02-28T23:59:59Z",
            "year:2027-02-28/29:UTC",
            "2027-02-28T00:00Z",
            "2028-02-29T00:00Z",
        ),
        (
            FixedWindow(starts_at=at("2026-11-01T00:00:00+01:00"), ends_at=at("2026-12-01T00:00:00+01:00")),
            "2026-11-24T12:00:00Z",
            "fixed:2026-10-31T23:00:00Z:2026-11-30T23:00:00Z",
            "2026-10-31T23:00Z",
            "2026-11-30T23:00Z",
        ),
    ],
)
def test_periods_by_example(window: Any, now: str, id: str, starts_at: str, resets_at: str) -> None:
    assert periods_of(window).at(at(now)) == Period(id, at(starts_at), at(resets_at))


@given(st.integers(1, 31), INSTANTS)
def test_a_month_starts_on_its_last_day_where_it_has_no_other(first: int, now: datetime) -> None:
    period = periods_of(calendar("month", month_start_day=first)).at(now)
    assert period is not None
    assert period.starts_at is not None
    assert period.resets_at is not None
    for start in (period.starts_at, period.resets_at):
        assert start.day == min(first, monthrange(start.year, start.month)[1])
    months = [start.year * 12 + start.month for start in (period.starts_at, period.resets_at)]
    assert months[1] - months[0] == 1


def test_windows_of_other_days_never_share_an_account() -> None:
    """On the last day of February four of them start at once, and each ends on its own day."""
    now = at("2026-03-01T00:00:00Z")
    found = [periods_of(calendar("month", month_start_day=day)).at(now) for day in range(28, 32)]
    assert len({period.id for period in found if period is not None}) == 4


def test_a_fixed_span_has_no_effect_outside_of_it() -> None:
    start, end = at("2026-11-01T00:00:00Z"), at("2026-12-01T00:00:00Z")
    schedule = periods_of(FixedWindow(starts_at=start, ends_at=end))
    assert schedule.at(start - MICROSECOND) is None
    assert schedule.at(end) is None
    assert schedule.at(start) == schedule.at(end - MICROSECOND)


def test_windows_without_a_beginning() -> None:
    now = at("2026-11-24T12:00:00Z")
    assert periods_of(LifetimeWindow(lifetime=True)).at(now) == Period("lifetime")
    assert periods_of(CallWindow(per_call=True)).at(now) is None
    day = Period("rolling:86400s", rolling=timedelta(days=1))
    assert periods_of(RollingWindow(rolling="24h")).at(now) == day
    assert periods_of(RollingWindow(rolling="1d")).at(now) == day
    assert periods_of(RollingWindow(rolling="1.5s")).at(now) == Period("rolling:1.5s", rolling=timedelta(seconds=1.5))


def test_windows_from_first_use_have_times_once_somebody_knows_them() -> None:
    now, length = at("2026-11-24T12:00:00Z"), timedelta(hours=5)
    period = periods_of(FirstUseWindow(from_first_use="5h")).at(now)
    assert period == Period("first_use:18000s", first_use=length)
    assert (period.starts_at, period.resets_at, period.since(now)) == (None, None, None)
    begun = period.seen(now, now + timedelta(hours=1))
    assert (begun.starts_at, begun.resets_at, begun.id) == (now, now + length, period.id)
    assert period.seen(now, now + length) == period.seen(None, now) == period
    assert period.seen(now, now - timedelta(hours=1)) == begun, "a clock that is behind counts in it"
    assert begun.alert_id(now) == begun.alert_id(now + timedelta(hours=4)) != period.begun(now + length).alert_id(now)


def test_alerts_of_a_rolling_window_are_raised_once_for_each_of_its_lengths() -> None:
    now = at("2026-11-24T12:00:00Z")
    period = Period("rolling:3600s", rolling=timedelta(hours=1))
    assert period.alert_id(now) == period.alert_id(now + timedelta(minutes=59))
    assert period.alert_id(now) != period.alert_id(now + timedelta(minutes=60))
    assert Period("lifetime").alert_id(now) == "lifetime"


@pytest.mark.parametrize(
    ("window", "words"),
    [
        (calendar("day", "Europe/Atlantis"), "unknown time zone `Europe/Atlantis`"),
        (calendar("day", "../../etc/passwd"), "unknown time zone"),
        (calendar("day", ""), "unknown time zone"),
        (RollingWindow(rolling="0s"), "too short to hold anything"),
        (FirstUseWindow(from_first_use="0s"), "too short to hold anything"),
        (
            FixedWindow(starts_at=at("2026-11-02T00:00:00Z"), ends_at=at("2026-11-01T00:00:00Z")),
            "is empty",
        ),
    ],
)
def test_windows_that_do_not_exist_are_refused(window: Any, words: str) -> None:
    with pytest.raises(PeriodError, match=words):
        periods_of(window)


def test_the_end_of_the_calendar_is_an_error_and_no_traceback() -> None:
    with pytest.raises(PeriodError, match="the calendar ends"):
        periods_of(calendar("year")).at(at("9999-06-01T00:00:00Z"))


START = datetime(2026, 5, 1, tzinfo=UTC)
END = START + timedelta(days=30)
TENTH = START + timedelta(days=10)


def test_by_hand() -> None:
    found = forecast(Decimal(50), Decimal(50), Decimal(100), START, END, TENTH)
    assert found == Forecast(Decimal(5), Decimal("1.5"), timedelta(days=10))


def test_what_cannot_be_told_is_not_there() -> None:
    assert forecast(Decimal(5), Decimal(5), Decimal(10), None, None, TENTH) == Forecast()
    assert forecast(Decimal(5), Decimal(5), Decimal(10), START, END, START) == Forecast()
    assert forecast(Decimal(5), None, None, START, END, TENTH) == Forecast(Decimal("0.5"))
    assert forecast(Decimal(5), Decimal(5), Decimal(10), START, None, TENTH) == Forecast(Decimal("0.5"))
    assert forecast(Decimal(0), Decimal(10), Decimal(10), START, END, TENTH) == Forecast(Decimal(0), Decimal(0))
    assert forecast(Decimal(1), Decimal(0), Decimal(0), START, END, TENTH) == Forecast(
        Decimal("0.1"), None, timedelta()
    )


def test_what_lasts_for_ever_lasts_ten_years() -> None:
    found = forecast(Decimal("0.000000000000001"), Decimal(10**9), Decimal(10**9), START, END, TENTH)
    assert found.exhausted_in == timedelta(days=3650)


@given(st.integers(1, 10**12), st.integers(1, 10**12), st.timedeltas(timedelta(minutes=1), timedelta(days=29)))
def test_a_limit_is_passed_before_the_end_where_the_ratio_says_so(used: int, limit: int, elapsed: timedelta) -> None:
    now = START + elapsed
    found = forecast(Decimal(used), Decimal(max(limit - used, 0)), Decimal(limit), START, END, now)
    assert found.projected_ratio is not None
    assert found.exhausted_in is not None
    if abs(found.projected_ratio - 1) > Decimal("0.000001"):
        assert (found.projected_ratio > 1) == (now + found.exhausted_in < END)
