from __future__ import annotations

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from costlens_policy.testing.requests import merged

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
