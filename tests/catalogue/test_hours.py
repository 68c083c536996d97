"""Prices by the time of day: what is written, what holds at a time, and what an estimate takes."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from costlens_policy.catalogue import Model, Usage
from costlens_policy.catalogue.comparison import compare
from costlens_policy.catalogue.resolve import resolve
from costlens_policy.catalogue.writing import lock
from tests.catalogue.reading import read, resolved

ONE = Usage(input=1_000_000)
DAY = date(2026, 5, 4)

times = st.builds("{:02}:{:02}".format, st.integers(0, 23), st.integers(0, 59))
hours = st.lists(st.tuples(times, times, st.integers(0, 9)), max_size=4)


def body(entries: list[tuple[str, str, int]], usual: int = 5) -> str:
    varied = ", ".join(
        f'{{start: "{start}", end: "{end}", usd_per_million_tokens: {{input: {price}}}}}'
        for start, end, price in entries
    )
    prices = f"{{usd_per_million_tokens: {{input: {usual}, output: 7}}, hours: [{varied}]}}"
    return f"models:\n  m: {{provider: acme, prices: [{prices}]}}\n"


def model(entries: list[tuple[str, str, int]], usual: int = 5) -> Model:
    result = resolved(body(entries, usual))
    assert not [item for item in result.diagnostics if item.is_error]
    return result.catalogue.models["m"]


def price_at(found: Model, time: str) -> Decimal:
    period = found.period_at(datetime.fromisoformat(f"{DAY}T{time}:00Z"))
    assert period is not None
    return period.rates_for(0).cost(ONE)


def longhand(entries: list[tuple[str, str, int]], usual: int, time: str) -> int:
    """Read the entries one by one; texts of times compare as times do."""
    price = usual
    for start, end, own in entries:
        inside = start <= time < end if start < end else time >= start or time < end
        if inside:
            price = own
    return price


@given(hours, st.integers(0, 9), times)
def test_the_price_at_a_time_is_that_of_the_last_entry_which_holds_then(
    entries: list[tuple[str, str, int]], usual: int, time: str
) -> None:
    found = model(entries, usual)
    assert price_at(found, time) == longhand(entries, usual, time)
    of_the_day = found.period_on(DAY)
    assert of_the_day is not None
    limits = {"00:00", *(start for start, _, _ in entries), *(end for _, end, _ in entries)}
    assert of_the_day.rates_for(0).cost(ONE) == max(longhand(entries, usual, limit) for limit in limits)


@given(hours)
def test_a_lock_keeps_every_hour(entries: list[tuple[str, str, int]]) -> None:
    catalogue = resolved(body(entries)).catalogue
    again = resolve([read(lock(catalogue))])
    assert not [item for item in again.diagnostics if item.is_error]
    assert again.catalogue.digest == catalogue.digest


def test_the_day_is_one_of_utc_whatever_the_zone() -> None:
    found = model([("16:30", "00:30", 1)])
    for text, price in (
        ("2026-05-04T16:29:59+00:00", 5),
        ("2026-05-04T18:30:00+02:00", 1),
        ("2026-05-05T08:29:59+08:00", 1),
        ("2026-05-05T08:30:00+08:00", 5),
    ):
        period = found.period_at(datetime.fromisoformat(text))
        assert period is not None
        assert period.rates_for(0).cost(ONE) == price, text


def test_hours_that_change_are_told_of_two_catalogues() -> None:
    old = resolved(body([("16:30", "00:30", 1)])).catalogue
    new = resolved(body([("16:30", "00:30", 2)])).catalogue
    (change,) = compare(old, new)
    told = [(price.kind, price.service_tier, price.old, price.new) for price in change.prices]
    assert told == [("input", "from 00:00", 1, 2), ("input", "from 16:30", 1, 2)]
    assert compare(old, old) == ()


@pytest.mark.parametrize("time", ["24:00", "1:00", "16.30", "1630", "16:60"])
def test_a_time_is_written_in_hours_and_minutes(time: str) -> None:
    with pytest.raises(ValueError, match="start"):
        resolved(body([(time, "00:00", 1)]))


def test_minutes_of_a_day_are_covered_once() -> None:
    found = model([("01:00", "04:00", 2), ("03:00", "06:00", 3)])
    (period,) = found.periods
    starts = [minute for minute, _ in period.hours]
    assert starts[0] == 0
    assert all(before < after for before, after in pairwise(starts))
    assert [price_at(found, time) for time in ("00:59", "01:00", "03:00", "05:59", "06:00")] == [5, 2, 3, 3, 5]
    assert found.period_at(datetime(2026, 5, 4, 5, tzinfo=UTC)) is not None
