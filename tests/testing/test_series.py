from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from costlens_policy.testing.series import SeriesError, series_values, value_at

MINUTE = timedelta(minutes=1)


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("7", "7"),
        ("0+2x3", "0 2 4 6"),
        ("10-5x2", "10 5 0"),
        ("1.5x2", "1.5 1.5 1.5"),
        ("1+1x1 5 0x1", "1 2 5 0 0"),
        ("3+1x0", "3"),
    ],
)
def test_a_series_is_written_as_prometheus_writes_it(text: str, values: str) -> None:
    assert series_values(text) == tuple(map(Decimal, values.split()))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1+2", "does not say how many steps follow"),
        ("1-2x3", "falls below zero"),
        ("1+0x99999 2x99999", "more than 100,000 values"),
        ("_x3", "neither a number nor a series"),
    ],
)
def test_what_cannot_be_read_is_an_error(text: str, message: str) -> None:
    with pytest.raises(SeriesError, match=message):
        series_values(text)


def test_the_last_value_at_or_before_the_time_is_in_force() -> None:
    read = [value_at("0+2x20", timedelta(seconds=seconds), MINUTE) for seconds in (0, 59, 60, 720, 1200, 1259)]
    assert read == [0, 0, 2, 24, 40, 40]


def test_values_lie_some_time_apart() -> None:
    with pytest.raises(SeriesError, match="no time apart"):
        value_at("0+2x20", MINUTE, timedelta())


def test_outside_of_the_series_there_is_no_value() -> None:
    with pytest.raises(SeriesError, match="ends 20m after its start, and the case lies 21m after it"):
        value_at("0+2x20", 21 * MINUTE, MINUTE)
    with pytest.raises(SeriesError, match="before the start"):
        value_at("0+2x20", -MINUTE, MINUTE)


@given(st.integers(0, 1000), st.integers(0, 50), st.integers(0, 200))
def test_a_rising_series_is_start_and_steps(start: int, step: int, steps: int) -> None:
    assert series_values(f"{start}+{step}x{steps}") == tuple(start + step * index for index in range(steps + 1))
