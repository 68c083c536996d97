"""Balances of cases: what people allowed for a while, and what follows from a series over time."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from costlens_policy import Balance
from costlens_policy.testing import Run
from costlens_policy.testing.prepare import SeriesError, merged, series_values, value_at
from tests.testing.conftest import HEAD

RunText = Callable[..., Run]

PLACE = ("spend/team-monthly", "core")


def balances_of(run: Run) -> list[Balance]:
    assert not run.diagnostics, run.diagnostics
    return [result.case.balances[PLACE] for result in run.results]


def test_an_override_and_a_topup_change_the_limit(run_text: RunText) -> None:
    body = """
defaults: {request: {team: core, prompt: hello}}
cases:
  - name: nothing is left
    balances: [{budget: team-monthly, key: core, used: 10}]
    expect: {effect: deny, reasons: [0 held of $10]}
  - name: more is allowed
    balances: [{budget: team-monthly, key: core, used: 10, override: 25.5}]
    expect: {effect: allow, alerts: []}
  - name: a little more is allowed
    balances: [{budget: team-monthly, key: core, used: 10, topup: 0.5}]
    expect: {effect: allow, alerts: [spend/team-monthly]}
  - name: both
    balances: [{budget: team-monthly, key: core, used: 10, override: 4, topup: 5}]
    expect: {effect: deny, reasons: [0 held of $9]}
"""
    run = run_text(body)
    assert run.exit_code == 0, [(item.case.name, item.differences) for item in run.results]
    assert balances_of(run)[3] == Balance(Decimal(10), Decimal(0), Decimal(4), Decimal(5))


def test_what_was_allowed_for_a_while_expires(run_text: RunText) -> None:
    body = """
defaults:
  request: {team: core, prompt: hello}
  balances:
    - budget: team-monthly
      key: core
      used: 10
      override: {amount: 20, expires_at: +3d}
      topup: {amount: 5, expires_at: 2026-11-02T12:00:00Z}
cases:
  - {name: today, expect: {effect: allow}}
  - {name: a moment before the first end, now: 2026-11-02T11:59:59Z, expect: {effect: allow}}
  - {name: at the first end, now: +1d, expect: {effect: allow}}
  - {name: at the second end, now: +72h, expect: {effect: deny}}
"""
    run = run_text(body)
    assert run.exit_code == 0, [(item.case.name, item.differences) for item in run.results]
    overrides, topups = zip(*((item.override, item.topup) for item in balances_of(run)), strict=True)
    assert overrides == (20, 20, 20, None)
    assert topups == (5, 5, 0, 0)


def test_a_matrix_fills_them_in(run_text: RunText) -> None:
    body = """
matrix:
  - name: "with ${more} more, until ${end}"
    axes: {more: [0, 1], end: [+1h, +2h]}
    now: +1h
    request: {team: core, prompt: hello}
    balances: [{budget: team-monthly, key: core, used: 1, topup: {amount: "${more}", expires_at: "${end}"}}]
    expect: {effect: allow}
"""
    assert [item.topup for item in balances_of(run_text(body))] == [0, 0, 0, 1]


@pytest.mark.parametrize(
    ("grant", "code", "word"),
    [
        ("{amount: 20, expires_at: +3x}", "CL610", "+3x"),
        ("{amount: 20, expires_at: +999999999d}", "CL610", "+999999999d"),
        ("{amount: 20}", "CL104", "override"),
        ("{amount: -1, expires_at: +3d}", "CL108", "-1"),
        ("-1", "CL108", "-1"),
        ("{amount: 20, expires: +3d}", "CL103", "expires"),
    ],
)
def test_what_cannot_be_read_is_pointed_at(grant: str, code: str, word: str, run_text: RunText) -> None:
    body = f"""
cases:
  - name: a
    request: {{team: core, prompt: hello}}
    balances: [{{budget: team-monthly, key: core, used: 1, override: {grant}}}]
    expect: {{effect: allow}}
"""
    run = run_text(body)
    diagnostic = run.diagnostics[0]
    assert diagnostic.code == code, diagnostic
    assert diagnostic.span is not None
    text = run.sources["trial_test.yaml"].text[diagnostic.span.start.offset : diagnostic.span.end.offset]
    assert text == word
    assert run.exit_code == 1


def test_an_end_needs_something_to_count_from(run_text: RunText) -> None:
    head = HEAD.replace("now: 2026-11-01T12:00:00Z\n", "")
    body = """
cases:
  - name: a
    now: 2026-11-01T12:00:00Z
    request: {team: core, prompt: hello}
    balances: [{budget: team-monthly, key: core, used: 1, topup: {amount: 1, expires_at: +1h}}]
    expect: {effect: allow}
"""
    (diagnostic,) = run_text(body, head=head).diagnostics
    assert diagnostic.code == "CL610"
    assert "which is not set" in diagnostic.message


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
        ("1+2", "needs a number of steps"),
        ("1-2x3", "goes below zero"),
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
    with pytest.raises(SeriesError, match="must be positive"):
        value_at("0+2x20", MINUTE, timedelta())


def test_outside_of_the_series_there_is_no_value() -> None:
    with pytest.raises(SeriesError, match="ends 20m after its start, and the case is 21m after it"):
        value_at("0+2x20", 21 * MINUTE, MINUTE)
    with pytest.raises(SeriesError, match="before the start"):
        value_at("0+2x20", -MINUTE, MINUTE)


@given(st.integers(0, 1000), st.integers(0, 50), st.integers(0, 200))
def test_a_rising_series_is_start_and_steps(start: int, step: int, steps: int) -> None:
    assert series_values(f"{start}+{step}x{steps}") == tuple(start + step * index for index in range(steps + 1))


_VALUES = st.recursive(
    st.none() | st.integers() | st.text(max_size=3), lambda inner: st.dictionaries(st.sampled_from("abc"), inner)
)
_REQUESTS = st.dictionaries(st.sampled_from("abc"), _VALUES)


def test_later_parts_win_and_maps_merge() -> None:
    parts = [{"team": "core", "metadata": {"a": 1, "b": 2}}, {"metadata": {"b": 3, "c": {"d": 4}}}, {"tags": ["x"]}]
    assert merged(parts) == {"team": "core", "metadata": {"a": 1, "b": 3, "c": {"d": 4}}, "tags": ["x"]}


def test_null_takes_a_key_out() -> None:
    assert merged([{"team": "core", "metadata": {"a": 1, "b": 2}}, {"team": None, "metadata": {"a": None}}]) == {
        "metadata": {"b": 2}
    }


def test_fractions_are_passed_as_a_caller_would() -> None:
    result = merged([{"cost_budget": Decimal("0.01"), "metadata": {"x": [Decimal("1.5"), {"y": Decimal("2.5")}]}}])
    assert result == {"cost_budget": 0.01, "metadata": {"x": [1.5, {"y": 2.5}]}}
    assert isinstance(result["cost_budget"], float)


@given(_REQUESTS)
def test_merging_is_idempotent(request: dict[str, object]) -> None:
    once = merged([request])
    assert merged([request, request]) == merged([once, once]) == once


@given(_REQUESTS, _REQUESTS)
def test_the_parts_are_left_alone(one: dict[str, object], other: dict[str, object]) -> None:
    before = repr((one, other))
    merged([one, other])
    assert repr((one, other)) == before
