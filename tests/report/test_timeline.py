"""Time: buckets without gaps, in a zone, whatever its clocks do."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest

from costlens_policy.catalogue import Usage
from costlens_policy.report import ReportError
from costlens_policy.report.calls import Columns, ReportedCall
from costlens_policy.report.timeline import bucket_starts, shown_start, timeline_of, unit_for

BERLIN = ZoneInfo("Europe/Berlin")


def frame_at(*instants):
    columns = Columns(())
    for instant in instants:
        columns.add(ReportedCall(instant, {}, Usage(input=1), cost=Decimal(1)))
    return columns.close()


def test_days_of_a_zone_without_gaps():
    frame = frame_at(datetime(2026, 10, 24, 22, 30, tzinfo=UTC), datetime(2026, 10, 26, 23, 30, tzinfo=UTC))
    buckets = timeline_of(frame, "day", BERLIN)
    assert [(item.start, item.figures.requests) for item in buckets] == [
        (date(2026, 10, 25), 1),
        (date(2026, 10, 26), 0),
        (date(2026, 10, 27), 1),
    ]


def test_the_hour_that_comes_twice_is_two_hours():
    first = datetime(2026, 10, 25, 0, 30, tzinfo=UTC)
    buckets = timeline_of(frame_at(first, first + timedelta(hours=1), first + timedelta(hours=2)), "hour", BERLIN)
    assert [item.figures.requests for item in buckets] == [1, 1, 1]
    assert [shown_start(item.start, "hour", BERLIN)[-5:] for item in buckets] == ["02:00", "02:00", "03:00"]


def test_weeks_and_months():
    assert bucket_starts(date(2026, 11, 1), date(2027, 2, 1), "month") == (
        date(2026, 11, 1),
        date(2026, 12, 1),
        date(2027, 1, 1),
        date(2027, 2, 1),
    )
    frame = frame_at(datetime(2026, 11, 8, 12, tzinfo=UTC))
    assert timeline_of(frame, "week", BERLIN)[0].start == date(2026, 11, 2)
    assert shown_start(timeline_of(frame, "month", BERLIN)[0].start, "month", BERLIN) == "2026-11"


def test_too_many_steps_are_refused():
    frame = frame_at(datetime(1970, 1, 2, tzinfo=UTC), datetime(2026, 1, 1, tzinfo=UTC))
    with pytest.raises(ReportError, match="use a longer `--time`"):
        timeline_of(frame, "day", BERLIN)


def test_the_unit_suits_the_span():
    start = datetime(2026, 1, 1, tzinfo=UTC)
    spans = (timedelta(hours=1), timedelta(days=30), timedelta(days=400), timedelta(days=2000))
    assert [unit_for(start, start + span) for span in spans] == ["hour", "day", "week", "month"]
