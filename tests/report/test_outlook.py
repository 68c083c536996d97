"""Forecasts and anomalies: what is computed, and when nothing is."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest

from costlens_policy.report.anomalies import find_anomalies, series_from
from costlens_policy.report.forecast import forecast_spend, window_at
from costlens_policy.report.timeline import bucket_starts

UTC_ZONE = ZoneInfo("UTC")
BERLIN = ZoneInfo("Europe/Berlin")


def days(first, amounts):
    return {first + timedelta(days=number): Decimal(amount) for number, amount in enumerate(amounts)}


class TestWindow:
    def test_month_in_a_zone(self):
        window = window_at(datetime(2026, 10, 31, 23, 30, tzinfo=UTC), "month", BERLIN)
        assert window.starts_at == datetime(2026, 10, 31, 23, 0, tzinfo=UTC)
        assert window.ends_at == datetime(2026, 11, 30, 23, 0, tzinfo=UTC)

    def test_week_begins_on_monday_and_december_ends(self):
        window = window_at(datetime(2026, 11, 8, 12, tzinfo=UTC), "week", UTC_ZONE)
        assert (window.starts_at.day, window.ends_at.day) == (2, 9)
        assert window_at(datetime(2026, 12, 8, tzinfo=UTC), "month", UTC_ZONE).ends_at.year == 2027

    def test_a_day_of_25_hours(self):
        window = window_at(datetime(2026, 10, 25, 12, tzinfo=UTC), "day", BERLIN)
        assert window.ends_at - window.starts_at == timedelta(hours=25)


class TestForecast:
    def test_even_spend_goes_on(self):
        """Six days at 10 after the first; at noon of the 8th, 23.5 days are still to come."""
        now = datetime(2026, 11, 8, 12, tzinfo=UTC)
        spend = days(date(2026, 11, 1), [10] * 7 + [5])
        found = forecast_spend(spend, Decimal(75), window_at(now, "month", UTC_ZONE), now, UTC_ZONE)
        assert found.steps == 6
        assert found.expected == 75 + 225
        assert found.low == found.high == found.expected
        assert "mean of all" in found.method

    def test_weekdays_repeat(self):
        """Weeks of 10 and weekends of 1: from Monday the 23rd at 0:00 there are 6 weekdays and 2 days of weekend."""
        first = date(2026, 11, 1)
        amounts = [10 if (first + timedelta(days=n)).weekday() < 5 else 1 for n in range(22)]
        now = datetime(2026, 11, 23, tzinfo=UTC)
        spend = days(first, amounts)
        found = forecast_spend(spend, Decimal(sum(amounts)), window_at(now, "month", UTC_ZONE), now, UTC_ZONE)
        assert "same weekday" in found.method
        assert found.expected == sum(amounts) + 6 * 10 + 2 * 1

    def test_the_range_grows_with_what_differs(self):
        now = datetime(2026, 11, 8, tzinfo=UTC)
        window = window_at(now, "month", UTC_ZONE)
        found = forecast_spend(days(date(2026, 11, 1), [0, 10, 20, 10, 20, 10, 20]), Decimal(90), window, now, UTC_ZONE)
        deviation = Decimal("5.4772")  # of three 10s and three 20s, from five degrees of freedom
        swing = Decimal("1.2816") * deviation * Decimal(23).sqrt()
        assert found.expected == 90 + 23 * 15
        assert abs(found.high - found.expected - swing) < Decimal("0.02")
        assert abs(found.expected - found.low - swing) < Decimal("0.02")

    def test_too_little_is_said(self):
        now = datetime(2026, 11, 3, 12, tzinfo=UTC)
        window = window_at(now, "month", UTC_ZONE)
        found = forecast_spend(days(date(2026, 11, 1), [10, 10, 4]), Decimal(24), window, now, UTC_ZONE)
        assert (found.expected, found.steps) == (None, 1)
        assert "it needs 3 whole days" in found.method
        assert forecast_spend({}, Decimal(0), window, now, UTC_ZONE).steps == 0

    def test_a_day_by_hours(self):
        first = datetime(2026, 11, 2, 0, tzinfo=UTC)
        now = first + timedelta(hours=6)
        spend = {first + timedelta(hours=number): Decimal(2) for number in range(6)}
        found = forecast_spend(spend, Decimal(12), window_at(now, "day", UTC_ZONE), now, UTC_ZONE)
        assert (found.steps, found.expected) == (5, Decimal(12 + 18 * 2))


class TestAnomalies:
    FIRST = date(2026, 9, 1)

    def judge(self, amounts, unit="day"):
        spend = days(self.FIRST, amounts)
        steps = bucket_starts(min(spend), max(spend), "day")
        return find_anomalies([series_from("total", "", spend, steps)], unit, UTC_ZONE)

    def test_a_peak_stands_out(self):
        amounts = [10 + number % 3 for number in range(40)]
        amounts[16] = 40
        found = self.judge(amounts).found
        assert [(item.start, item.spend, item.usual) for item in found] == [(date(2026, 9, 17), 40, 11)]
        assert round(found[0].deviations, 6) == round((40 - 11) / Decimal("1.4826"), 6)

    def test_weekends_are_compared_with_weekends(self):
        amounts = [2 if (self.FIRST + timedelta(days=n)).weekday() >= 5 else 100 for n in range(45)]
        assert self.judge(amounts).found == ()
        amounts[4] = 100  # a Saturday that cost as much as a working day
        assert [item.start.weekday() for item in self.judge(amounts).found] == [5]

    def test_steady_spend_may_differ_by_a_third(self):
        assert self.judge([10] * 10 + [13] + [10] * 10).found == ()
        assert len(self.judge([10] * 10 + [14] + [10] * 10).found) == 1

    def test_the_ends_are_left_aside(self):
        assert self.judge([500, *[10] * 20, 1]).found == ()

    @pytest.mark.parametrize("amounts", [[1, 50, 1, 1, 1, 1, 1], [0] * 30, [0] * 20 + [5] + [0] * 20])
    def test_too_little_is_not_judged(self, amounts):
        found = self.judge(amounts)
        assert (found.found, found.judged, found.skipped) == ((), 0, 1)
