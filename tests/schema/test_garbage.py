"""Whatever a document holds, reading it gives a document or problems, never an exception."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from costlens_policy.diagnostics.model import Position, Span
from costlens_policy.documents import KINDS
from costlens_policy.schema import json_schema, read_document
from costlens_policy.source.located import Entry, LocatedDocument, LocatedValue
from costlens_policy.source.read import source_of
from tests.soak import examples

SOURCE = source_of("x", "garbage.yaml")
SPAN = Span("garbage.yaml", Position(0, 1, 1), Position(1, 1, 2))


def _keys(schema: Any) -> set[str]:
    if isinstance(schema, Mapping):
        return {*schema.get("properties", {}), *(key for part in schema.values() for key in _keys(part))}
    return {key for part in schema for key in _keys(part)} if isinstance(schema, list) else set()


KEYS = sorted({key for kind in KINDS for key in _keys(json_schema(kind))})
WORDS = st.sampled_from([*KEYS, "deny", "gpt-5", "1.0", "month", "request.team", "2026-11-01", "+5m", "a b", ""])
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.decimals(allow_nan=False, allow_infinity=False),
    st.dates(),
    st.datetimes(),
    WORDS,
    st.text(max_size=20),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(WORDS | st.text(max_size=8), inner, max_size=6),
    max_leaves=25,
)


def located(value: Any) -> LocatedValue:
    if isinstance(value, dict):
        return LocatedValue(tuple(Entry(key, SPAN, located(item)) for key, item in value.items()), SPAN, "mapping")
    if isinstance(value, list):
        return LocatedValue(tuple(map(located, value)), SPAN, "sequence")
    assert value is None or isinstance(value, str | int | Decimal | date | datetime)
    return LocatedValue(value, SPAN, "scalar")


def read(value: Any) -> None:
    document, diagnostics = read_document(LocatedDocument(SOURCE, located(value)))
    assert (document is None) == any(item.is_error for item in diagnostics)
    assert all(item.message and item.span is not None for item in diagnostics)


@given(VALUES)
def test_any_value(value: Any) -> None:
    read(value)


@settings(max_examples=examples(100))
@given(st.sampled_from(sorted(KINDS)), st.dictionaries(st.sampled_from(KEYS), VALUES, max_size=8))
def test_any_value_under_a_right_head(kind: str, body: dict[str, Any]) -> None:
    head = {"apiVersion": "costlens-policy/v1", "kind": kind, "metadata": {"name": "a", "version": "1"}}
    read({**body, **head})


@pytest.mark.parametrize("kind", sorted(KINDS))
@settings(max_examples=examples(50))
@given(data=st.data())
def test_garbage_in_the_places_of_the_schema(kind: str, data: st.DataObject) -> None:
    value = data.draw(_fitting(json_schema(kind), json_schema(kind)))
    read({**value, "apiVersion": "costlens-policy/v1", "kind": kind} if isinstance(value, dict) else value)


def _fitting(schema: Mapping[str, Any], root: Mapping[str, Any], depth: int = 0) -> st.SearchStrategy[Any]:
    """Generate values of roughly the right shape, with some garbage between them."""
    if "$ref" in schema:
        schema = root["$defs"][schema["$ref"].rpartition("/")[2]]
    garbage = VALUES if depth > 1 else st.nothing()
    if depth > 4:
        return SCALARS
    if any("properties" in branch or "type" in branch or "$ref" in branch for branch in schema.get("anyOf", ())):
        return st.one_of(garbage, *(_fitting(branch, root, depth) for branch in schema["anyOf"]))
    if "enum" in schema:
        return st.sampled_from(schema["enum"]) | garbage
    match schema.get("type"):
        case "object" if "properties" in schema:
            properties = {key: _fitting(value, root, depth + 1) for key, value in schema["properties"].items()}
            return garbage | st.fixed_dictionaries({}, optional=properties)
        case "array":
            return garbage | st.lists(_fitting(schema.get("items", {}), root, depth + 1), max_size=3)
        case "integer" | "number":
            return st.integers(-5, 300) | st.decimals(-5, 300) | garbage
        case "boolean":
            return st.booleans() | garbage
        case "string":
            return WORDS | st.dates() | st.datetimes() | garbage
    return VALUES
