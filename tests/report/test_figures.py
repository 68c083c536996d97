"""Figures are exact, and say what is not known."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal, localcontext
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from costlens_policy.catalogue import Usage
from costlens_policy.report import CallQuery, Settings, summarize
from costlens_policy.report.calls import Columns, ReportedCall
from costlens_policy.report.figures import grouping_of, totals_of
from tests.report.conftest import call

NOW = datetime(2026, 11, 2, tzinfo=UTC)
COSTS = st.decimals(min_value=0, max_value=10**9, allow_nan=False, allow_infinity=False, places=30)


def frame_of(calls, dimensions=("team",)):
    columns = Columns(dimensions)
    for item in calls:
        columns.add(item)
    return columns.close()


@given(st.lists(COSTS, min_size=1, max_size=40))
def test_sums_of_money_are_exact(costs):
    total = totals_of(frame_of([ReportedCall(NOW, {}, Usage(input=1), cost=cost) for cost in costs]))
    with localcontext(prec=200):
        assert Fraction(total.cost) == sum(map(Fraction, costs))
    assert total.priced == len(costs)


@given(st.lists(st.integers(0, 10**7), min_size=1, max_size=60))
def test_percentiles_are_the_nearest_rank(latencies):
    latency = totals_of(frame_of([ReportedCall(NOW, {}, latency=value) for value in latencies])).latency
    ordered = sorted(latencies)
    for percent in (50, 95, 99):
        found = int(getattr(latency, f"p{percent}") * 1000)
        keep_to_it = sum(value <= found for value in ordered)
        assert found in ordered
        assert keep_to_it * 100 >= percent * len(ordered)
        below = [value for value in ordered if value < found]
        assert len(below) * 100 < percent * len(ordered)


def test_what_is_not_known_is_none():
    figures = totals_of(frame_of([ReportedCall(NOW, {}, Usage(input=10, output=2))]))
    assert (figures.priced, figures.unpriced, figures.latency) == (0, 1, None)
    assert figures.cache_hit_rate is None
    assert figures.savings is None


def test_the_cache_hit_rate_is_over_calls_that_tell_it():
    known = ReportedCall(NOW, {}, Usage(input=600, cache_read=400), cache_known=True)
    unknown = ReportedCall(NOW, {}, Usage(input=5000))
    figures = totals_of(frame_of([known, unknown]))
    assert figures.cache_hit_rate == Decimal("0.4")
    assert figures.input_tokens == 6000


def test_savings_are_over_calls_with_both_costs():
    calls = [
        ReportedCall(NOW, {}, Usage(input=1), cost=Decimal(1), baseline=Decimal(3)),
        ReportedCall(NOW, {}, Usage(input=1), cost=Decimal(100)),
        ReportedCall(NOW, {}, Usage(input=1), baseline=Decimal(100)),
    ]
    figures = totals_of(frame_of(calls))
    assert (figures.compared, figures.savings) == (1, Decimal(2))
    assert round(figures.savings_share, 4) == Decimal("0.6667")


def test_groups_and_others_add_up_to_the_total():
    calls = [
        ReportedCall(
            NOW, {"team": f"t{number % 7}"} if number % 5 else {}, Usage(input=number), cost=Decimal(number) / 7**3
        )
        for number in range(1, 60)
    ]
    frame = frame_of(calls)
    for top in (1, 3, 8, 50):
        grouping = grouping_of(frame, "team", top)
        parts = [group.figures for group in grouping.groups] + ([grouping.others] if grouping.others else [])
        total = totals_of(frame)
        assert sum(part.requests for part in parts) == total.requests
        assert sum(part.input_tokens for part in parts) == total.input_tokens
        with localcontext(prec=200):
            assert sum(part.cost for part in parts) == total.cost
        spends = [group.figures.cost for group in grouping.groups]
        assert spends == sorted(spends, reverse=True)
        assert len(grouping.groups) + grouping.left == 8


def test_a_log_priced_by_hand(read_log):
    """Gpt-5: 1.25, 0.125 and 10 US dollars for a million tokens of input, cached input and output."""
    read = read_log([call(number, prompt_tokens=1000 + number) for number in range(10)], baseline="gpt-5-mini")
    totals = summarize(read, Settings()).totals
    by_hand = sum(
        Decimal(800 + number) * Decimal("1.25") + 200 * Decimal("0.125") + 100 * Decimal(10) for number in range(10)
    )
    mini = sum(
        Decimal(800 + number) * Decimal("0.25") + 200 * Decimal("0.025") + 100 * Decimal(2) for number in range(10)
    )
    assert totals.cost == by_hand / 10**6
    assert totals.baseline_cost == mini / 10**6
    assert totals.savings == (mini - by_hand) / 10**6


def test_the_cost_that_a_log_states_goes_first(read_log):
    rows = [call(1, cost="0.1234567890123"), call(2)]
    computed = Decimal("0.002025")
    for costs, expected in (
        ("either", Decimal("0.1234567890123") + computed),
        ("recorded", Decimal("0.1234567890123")),
        ("computed", 2 * computed),
    ):
        totals = summarize(read_log(rows, costs=costs), Settings()).totals
        assert totals.cost == expected
        assert totals.unpriced == (costs == "recorded")


def test_calls_outside_of_the_time_are_counted(read_log):
    asked = CallQuery(since=datetime(2026, 11, 2, 2, tzinfo=UTC), until=datetime(2026, 11, 2, 5, tzinfo=UTC))
    read = read_log([call(number) for number in range(10)], asked=asked)
    assert read.frame.height == 3
    assert read.left_out == {"outside the requested time range": 7}
    assert "the cost of 3 calls" in read.assumptions[0]


@pytest.mark.parametrize("word", ["true", "DENIED", 1, True])
def test_denials(read_log, word):
    rows = [call(1), {"time": "2026-11-02T09:00:00Z", "id": "x", "team": "search", "denied": word}]
    report = summarize(read_log(rows), Settings(by=("team",)))
    assert (report.totals.requests, report.totals.denied, report.totals.unpriced) == (2, 1, 0)
    assert report.groupings[0].groups[0].figures.denied == 1
