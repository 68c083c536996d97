"""Whatever object is thrown at the reader: not a number of tokens is lost, or the object is refused."""

from __future__ import annotations

from contextlib import suppress

from hypothesis import given
from hypothesis import strategies as st

from costlens_policy.usage import UsageError, read_usage
from tests.fuzz.usages import WORDS, examine_object

NUMBERS = st.one_of(
    st.integers(0, 10**6), st.sampled_from([None, True, 0.5, -1, 2.0, 2**40, 10**30, "7", float("nan")])
)
WHOLES = st.sampled_from([("prompt_tokens", "completion_tokens"), ("input_tokens", "output_tokens")])
VALUES = st.recursive(
    NUMBERS,
    lambda inner: st.one_of(
        st.dictionaries(st.sampled_from(WORDS), inner, max_size=4),
        st.lists(
            st.builds(lambda kind, n: {"modality": kind, "tokenCount": n}, st.sampled_from("AT"), inner), max_size=2
        ),
    ),
    max_leaves=12,
)
OBJECTS = st.builds(
    lambda names, wholes, more: {**dict(zip(names, wholes, strict=True)), **more},
    WHOLES,
    st.tuples(st.integers(1, 10**6), st.integers(0, 10**6)),
    st.dictionaries(st.sampled_from(WORDS), VALUES, max_size=6),
)


@given(OBJECTS)
def test_no_number_of_tokens_is_lost(value):
    examine_object(value)


@given(
    WHOLES,
    st.integers(1, 10**6),
    st.integers(0, 10**6),
    st.dictionaries(st.text("abcxyz_", min_size=3), st.integers(1, 10**6), max_size=3),
)
def test_numbers_that_nobody_knows_are_told_in_full_where_no_total_says_otherwise(names, prompt, answer, more):
    strange = {f"q{name}": number for name, number in more.items()}
    reported = read_usage({names[0]: prompt, names[1]: answer, **strange})
    assert reported.usage.tokens == prompt + answer
    assert reported.unknown == sum(strange.values())
    assert bool(reported.notes) == bool(strange)
    whole = {names[0]: prompt, names[1]: answer, "total_tokens": prompt + answer}
    inside = {name: number for name, number in strange.items() if number <= prompt + answer}
    assert read_usage({**whole, **inside}).unknown == 0


@given(
    st.recursive(
        st.one_of(st.none(), st.text(), NUMBERS),
        lambda inner: st.one_of(st.lists(inner), st.dictionaries(st.text(), inner)),
        max_leaves=12,
    )
)
def test_nothing_but_a_usage_error_is_raised(value):
    with suppress(UsageError):
        read_usage(value)
