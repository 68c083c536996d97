"""Texts and lists of which conditions ask several things at once: beginnings, endings, sizes, elements."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from costlens_policy.assurance import Found, Nothing, Subject
from costlens_policy.assurance.domain import ABSENT
from tests.assurance.conftest import checked
from tests.soak import examples

NOW = datetime(2026, 1, 5, 12, tzinfo=UTC)
_TEAM: Final = 'request.?team.orValue("none")'
_TEXTS: Final = (
    f'{_TEAM}.startsWith("eu-")',
    f'{_TEAM}.startsWith("eu-o")',
    f'{_TEAM}.startsWith("o")',
    f'{_TEAM}.endsWith("-x")',
    f'{_TEAM}.endsWith("r-x")',
    f"{_TEAM}.size() > 5",
    f"{_TEAM}.size() == 3",
    f'{_TEAM} == "eu-x"',
    f'{_TEAM} in ["eu-o", "other", "r-x"]',
    "has(request.team)",
)
_GROUPS: Final = "request.?groups.orValue([])"
_LISTS: Final = (
    f'"a" in {_GROUPS}',
    f'"b" in {_GROUPS}',
    f"{_GROUPS}.size() > 1",
    f"{_GROUPS}.size() == 3",
    f'{_GROUPS}.exists(g, g == "a")',
    f'{_GROUPS}.all(g, g == "b")',
)
_BITS: Final = ("e", "eu-", "eu-o", "o", "other", "-x", "r-x", "q", "qqqq")
_ALL_TEXTS: Final = sorted({"".join(bits) for n in range(4) for bits in itertools.product(_BITS, repeat=n)})
_ALL_LISTS: Final = [list(items) for n in range(5) for items in itertools.product("abq", repeat=n)]


def _conditions(atoms: tuple[str, ...]) -> st.SearchStrategy[str]:
    return st.recursive(
        st.sampled_from(atoms),
        lambda inner: st.one_of(
            st.builds("({} && {})".format, inner, inner),
            st.builds("({} || {})".format, inner, inner),
            st.builds("!({})".format, inner),
        ),
        max_leaves=5,
    )


@pytest.mark.parametrize(("name", "atoms", "values"), [("team", _TEXTS, _ALL_TEXTS), ("groups", _LISTS, _ALL_LISTS)])
def test_the_search_agrees_with_trying_all(
    tmp_path_factory: pytest.TempPathFactory, name: str, atoms: tuple[str, ...], values: list[Any]
) -> None:
    @settings(max_examples=examples(25), deadline=None, suppress_health_check=list(HealthCheck))
    @given(_conditions(atoms))
    def agree(text: str) -> None:
        subject = Subject(checked(tmp_path_factory.mktemp("p"), routes=[f"{text} || false"]), NOW)
        goal = subject.rules["routes"][0].goal
        result = subject.find(goal)
        met = [value for value in (ABSENT, *values) if subject.domain.met(goal, {("request", name): value})]
        if isinstance(result, Found):
            assert subject.meets(goal, subject.situation(result.values))
        else:
            assert result == Nothing()
            assert not met

    agree()
