"""What is expected of a budget: by hand, and as a law."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from costlens_policy.periods import Forecast, forecast

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
