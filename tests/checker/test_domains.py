"""The sets of values behind conditions, against the values themselves."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from costlens_policy.checker.condition import Domain, Finite, Range

VALUES = st.integers(0, 6) | st.sampled_from(["a", "b", ("bool", True)])
SAMPLE = [*range(-2, 9), 0.5, 3.5, 6.5, "a", "b", "c", ("bool", True), ("bool", False)]


@st.composite
def domains(draw: st.DrawFn) -> Domain:
    if draw(st.booleans()):
        return Finite(frozenset(draw(st.sets(VALUES, max_size=4))))
    low, high = draw(st.none() | st.integers(0, 6)), draw(st.none() | st.integers(0, 6))
    return Range(
        low=float("-inf") if low is None else low,
        low_open=low is not None and draw(st.booleans()),
        high=float("inf") if high is None else high,
        high_open=high is not None and draw(st.booleans()),
        excluded=frozenset(draw(st.sets(VALUES, max_size=3))),
    )


@given(domains(), domains())
def test_meeting_keeps_what_is_in_both(one: Domain, other: Domain) -> None:
    both = one.meet(other)
    for value in SAMPLE:
        assert (value in both) == (value in one and value in other), value


@given(domains(), domains())
def test_what_is_within_has_no_value_outside(one: Domain, other: Domain) -> None:
    if one.within(other):
        assert all(value in other for value in SAMPLE if value in one)


@given(domains())
def test_what_is_empty_has_no_value(domain: Domain) -> None:
    if domain.is_empty:
        assert not [value for value in SAMPLE if value in domain]


@given(domains())
def test_every_domain_is_within_itself(domain: Domain) -> None:
    assert domain.within(domain)
