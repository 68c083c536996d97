"""JSON in whatever way it was written is the same objects, and what is damaged is told."""

from __future__ import annotations

import io
import json
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from costlens_policy.replay.traffic import json_text
from costlens_policy.replay.traffic.json_text import json_objects

_KEYS = st.text(max_size=4).filter(lambda key: key not in json_text.AROUND)
_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_KEYS, inner, max_size=3),
    max_leaves=6,
)
_ROWS = st.lists(st.dictionaries(_KEYS, _VALUES, max_size=4), min_size=1, max_size=5)
WAYS = {
    "lines": lambda rows: "".join(json.dumps(row) + "\n" for row in rows),
    "lines without escapes": lambda rows: "\n\n".join(json.dumps(row, ensure_ascii=False) for row in rows),
    "one after the other": lambda rows: "".join(map(json.dumps, rows)),
    "array": json.dumps,
    "pretty array": lambda rows: json.dumps(rows, indent=2),
    "pretty, one after the other": lambda rows: "\n".join(json.dumps({"x": 1, **row}, indent=1) for row in rows),
    "array of a line": lambda rows: "[" + ",\n".join(map(json.dumps, rows)) + "]\n",
    "wrapped": lambda rows: json.dumps({"object": "list", "data": rows, "has_more": False}),
    "wrapped and pretty": lambda rows: json.dumps({"logs": rows}, indent=4),
    "wrapped beside more": lambda rows: json.dumps({"status": 200, "message": "ok", "items": rows, "total": 5}),
    "pages": lambda rows: json.dumps([{"data": [row], "page": 1} for row in rows]),
    "a mark at the beginning": lambda rows: "\ufeff" + json.dumps(rows),
}


def read(text, piece=1 << 20):
    """Return the objects of a text, the problems, and what is said of it."""
    notes = []
    kept = json_text._PIECE
    json_text._PIECE = piece
    try:
        found = list(json_objects("f", io.StringIO(text, newline=""), notes.append))
    finally:
        json_text._PIECE = kept
    return (
        [dict(item.fields) for item in found if not item.problem],
        [item.problem for item in found if item.problem],
        notes,
    )


@given(_ROWS, st.sampled_from(sorted(WAYS)), st.sampled_from([1, 5, 64, 1 << 20]))
def test_every_way_of_writing_gives_the_same_rows(rows, way, piece):
    if piece == 1 and way.startswith("lines"):
        piece = 64
    got, problems, notes = read(WAYS[way](rows), piece)
    expected = [{"x": 1, **row} for row in rows] if way.startswith("pretty,") else rows
    assert (got, problems, notes) == (expected, [], [])


@given(_ROWS, st.sampled_from(sorted(WAYS)), st.data())
def test_what_is_cut_is_told(rows, way, data):
    """A file that ends too early holds rows that were there before, and a problem unless it ends between two."""
    rows = [{"n": place, **row} for place, row in enumerate(rows)]
    text = WAYS[way](rows).rstrip("\n")
    cut = text[: data.draw(st.integers(1, len(text) - 1))]
    got, problems, _ = read(cut)
    assert got == ([{"x": 1, **row} for row in rows] if way.startswith("pretty,") else rows)[: len(got)]
    whole = way.startswith(("lines", "one", "pretty, one"))
    assert problems or (whole and len(got) < len(rows)) or not cut.strip("\ufeff ")


def test_numbers_keep_their_digits():
    (row,), _, _ = read('{"cost": 0.12345678901234567890, "tokens": 9007199254740993, "big": 1e400}')
    assert row == {"cost": Decimal("0.12345678901234567890"), "tokens": 9007199254740993, "big": Decimal("1e400")}


@pytest.mark.parametrize(
    ("text", "rows", "problem"),
    [
        ('{"a": 1, "a": 2}\n{"b": 1}\n', [{"b": 1}], "the key `a` appears twice"),
        ("{'a': 1}\n{\"b\": 1}\n", [{"b": 1}], "expecting property name"),
        ('[{"a": 1}, 5, "x", null, {"b": 1}]', [{"a": 1}, {"b": 1}], "each row must be a JSON object"),
        ('[{"a": 1}, {\'b\': 1}, {"c": 1}]', [{"a": 1}, {"c": 1}], "expecting property name"),
        ('{"a": 1}\n{"a": ', [{"a": 1}], "ends in the middle of the line"),
        ('{"data": [{"a": 1}, {"a": ', [{"a": 1}], "ends in the middle of an object"),
        ('{"data": [{"a": 1}]', [{"a": 1}], "ends in the middle of an object"),
        ('{"a": 1,\n{"b": 2}\n{"c": 3}\n', [{"b": 2}, {"c": 3}], "not readable as JSON"),
        ('{"a": 1e99999999999999999999}\n{"b": 1}\n', [{"b": 1}], "is out of range"),
        ("[" * 5000, [], "ends in the middle of an array"),
    ],
)
def test_damage_costs_no_more_than_its_row(text, rows, problem):
    got, problems, _ = read(text)
    assert got == rows
    assert problem in problems[0]


def test_sums_of_an_hour_have_what_stands_beside_them():
    page = {
        "object": "page",
        "data": [
            {"object": "bucket", "start_time": 5, "results": [{"model": "a"}, {"model": "b"}]},
            {"object": "bucket", "start_time": 6, "results": []},
        ],
        "has_more": True,
    }
    rows, _, notes = read(json.dumps(page, indent=2))
    *rows, empty = rows
    assert [(row["start_time"], row["model"]) for row in rows] == [(5, "a"), (5, "b")]
    assert empty == {"object": "bucket", "start_time": 6}
    assert "further pages" in notes[0]


def test_line_ends_of_unicode_inside_texts_end_no_line():
    rows = [{"a": "x\u2028y\x85z\u2029"}, {"b": "\u2028"}, {"c": "\x85"}]
    assert read("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)) == (rows, [], [])


@pytest.mark.parametrize("text", ["", " \n\n", "[]", '{"data": []}', '{"logs":\n []}\n'])
def test_nothing_is_nothing(text):
    assert read(text) == ([], [], [])


def test_a_row_with_arrays_stays_a_row():
    for row in (
        {"model": "m", "data": [{"object": "embedding"}], "usage": {}},
        {"object": "list", "data": [{"object": "embedding"}]},
        {"id": "1", "response": {}, "items": [{}]},
        {"attributes": {}, "events": [{}]},
    ):
        for text in (json.dumps(row) + "\n", json.dumps([row]), json.dumps(row, indent=1)):
            assert read(text)[0] == [row]
