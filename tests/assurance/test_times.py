"""What conditions make of the time is decided for all times: hours, weekdays, dates, zones, timestamps."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from costlens_policy.assurance import Found, Nothing, Subject, Undecided
from costlens_policy.expressions.runtime import from_python, to_python
from tests.assurance.conftest import checked

NOW = datetime(2026, 1, 5, 12, tzinfo=UTC)

ATOMS: Final = (
    'now.getHours("Europe/Berlin") < 8',
    'now.getHours("Europe/Berlin") >= 20',
    'now.getHours("UTC") == 3',
    "now.getHours() % 6 == 0",
    'now.getHours("Asia/Kolkata") == 3',
    'now.getDayOfWeek("Europe/Berlin") in [0, 6]',
    'now.getDayOfWeek("UTC") == 1',
    'now.getMonth("UTC") == 11',
    'now.getMonth("Europe/Berlin") >= 6',
    'now.getDate("UTC") == 31',
    'now.getDate("UTC") <= 7',
    'now < timestamp("2026-03-01T00:00:00Z")',
    'now >= timestamp("2026-06-01T12:00:00Z")',
    'now.getFullYear("UTC") == 2027',
    'now.getMinutes("UTC") >= 30',
)


def _conditions() -> st.SearchStrategy[str]:
    return st.recursive(
        st.sampled_from(ATOMS),
        lambda inner: st.one_of(
            st.builds("({} && {})".format, inner, inner),
            st.builds("({} || {})".format, inner, inner),
            st.builds("!({})".format, inner),
        ),
        max_leaves=4,
    )


def _sample(seed: int) -> list[datetime]:
    """Return times all over some years, whole hours and the seconds around them among them."""
    pick = random.Random(seed)
    hours = (datetime(2025, 12, 1, tzinfo=UTC) + timedelta(hours=pick.randrange(3 * 8766)) for _ in range(150))
    return [hour + timedelta(seconds=pick.choice((-1, 0, 1, 900, 1800, 3540))) for hour in hours]


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(_conditions(), st.integers(0, 10**6))
def test_the_search_agrees_with_trying_times(tmp_path_factory: pytest.TempPathFactory, text: str, seed: int) -> None:
    subject = Subject(checked(tmp_path_factory.mktemp("p"), routes=[f"{text} || false"]), NOW)
    goal = subject.rules["routes"][0].goal
    result = subject.find(goal)
    if isinstance(result, Found):
        assert subject.meets(goal, subject.situation(result.values))
    elif isinstance(result, Nothing):
        met = [time for time in _sample(seed) if subject.domain.met(goal, {("now",): from_python(time)})]
        assert not met
    else:
        assert isinstance(result, Undecided)


@pytest.mark.parametrize(
    ("when", "expected"),
    [
        ('now.getMonth("UTC") == 5 && now.getHours("UTC") == 3', Found),
        ('now.getMonth("UTC") == 1 && now.getDate("UTC") == 29', Found),
        ('now.getMonth("UTC") == 1 && now.getDate("UTC") == 30', Nothing),
        ('now.getHours("Europe/Berlin") == now.getHours("UTC")', Nothing),
        ('now.getHours("Europe/Berlin") == now.getHours("UTC") + 2', Found),
        ('now > timestamp("2030-01-01T00:00:00Z") && now.getDayOfWeek("UTC") == 6', Found),
        ('now.getFullYear("UTC") == 2027 && now < timestamp("2027-01-01T00:00:00Z")', Nothing),
        ('now.getMinutes("UTC") == 61', Nothing),
        ('now.getDayOfWeek("UTC") == 1 && now.getDate("UTC") == 29 && now.getMonth("UTC") == 1', Undecided),
    ],
)
def test_what_is_found_of_times(tmp_path: Path, when: str, expected: type[object]) -> None:
    subject = Subject(checked(tmp_path, routes=[f"{when} || false"]), NOW)
    assert isinstance(subject.find(subject.rules["routes"][0].goal), expected)


def test_the_nearest_time_is_shown(tmp_path: Path) -> None:
    subject = Subject(checked(tmp_path, routes=['now.getHours("UTC") == 14']), NOW)
    found = subject.find(subject.rules["routes"][0].goal)
    assert isinstance(found, Found)
    assert to_python(found.values[("now",)]) == datetime(2026, 1, 5, 14, 30, tzinfo=UTC)
