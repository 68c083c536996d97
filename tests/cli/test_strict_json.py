"""JSON is read as the standard has it."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from costlens_policy.cli.inputs import MAX_DEPTH, read_json


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "line 1, column 1: expecting value"),
        ('{"a": 1,}', "column 9"),
        ('{"a": 1, "a": 2}', "key `a` appears twice in one object"),
        ('{"a": NaN}', "`NaN` is not a JSON number"),
        ("-Infinity", "`-Infinity` is not a JSON number"),
        ('"\\ud800"', "an unpaired surrogate"),
        ('{"\\udfff": 1}', "an unpaired surrogate"),
        ("[" * 10_000 + "]" * 10_000, "more than 100 levels deep"),
        ("[" * (MAX_DEPTH + 2) + "]" * (MAX_DEPTH + 2), "more than 100 levels deep"),
        ('{"a":' * 10_000 + "1" + "}" * 10_000, "more than 100 levels deep"),
        ("1" * 5000, "at most 400 digits"),
        ("0." + "1" * 5000, "at most 400 digits"),
    ],
)
def test_refuses(text, message):
    with pytest.raises(ValueError, match=message.replace("(", r"\(")):
        read_json(text)


def test_fractions_keep_every_digit():
    assert read_json("[0.1, 1e-7, 3]") == [Decimal("0.1"), Decimal("1e-7"), 3]


def test_pairs_of_surrogates_are_one_character():
    assert read_json('"\\ud83d\\ude00"') == "\N{GRINNING FACE}"


def test_as_deep_as_allowed():
    assert read_json("[" * MAX_DEPTH + "]" * MAX_DEPTH)


_SCALARS = st.none() | st.booleans() | st.integers() | st.text(st.characters(codec="utf-8"))
_VALUES = st.recursive(
    _SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(codec="utf-8")), inner)
)


@given(_VALUES)
def test_reads_back_what_python_writes(value):
    assert read_json(json.dumps(value)) == value
