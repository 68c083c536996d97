"""The JSON Schemas: checked in, valid, and of use in an editor."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from costlens_policy.documents import KINDS
from costlens_policy.schema import file_name, json_schema, schema_texts

SCHEMAS = Path(__file__).parents[2] / "schemas"


def _sections(schema: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield schema
    yield from schema.get("$defs", {}).values()


@pytest.mark.parametrize("name", sorted(schema_texts()))
def test_checked_in_schema_is_the_generated_one(name: str) -> None:
    message = f"schemas/{name} is stale; `costlens-policy schema --write schemas` makes it anew"
    assert (SCHEMAS / name).read_text(encoding="utf-8") == schema_texts()[name], message


def test_files_are_named_by_kind_and_version() -> None:
    assert sorted(map(file_name, KINDS)) == [
        "catalogue.v1.json",
        "data.v1.json",
        "invariants.v1.json",
        "policy-set.v1.json",
        "policy.v1.json",
        "signals.v1.json",
        "suite.v1.json",
        "workload.v1.json",
    ]


@pytest.mark.parametrize("kind", KINDS)
def test_schema_is_valid(kind: str) -> None:
    schema = json_schema(kind)
    Draft202012Validator.check_schema(schema)
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert schema["$id"].startswith("urn:costlens-policy:")
    json.dumps(schema)


@pytest.mark.parametrize("kind", KINDS)
def test_every_key_is_described(kind: str) -> None:
    for section in _sections(json_schema(kind)):
        for key, value in section.get("properties", {}).items():
            assert value.get("description"), f"`{key}` of {section['title']} has no description"
            assert "``" not in value["description"]


@pytest.mark.parametrize("kind", KINDS)
def test_sections_are_closed(kind: str) -> None:
    for section in _sections(json_schema(kind)):
        if "properties" in section:
            assert section["additionalProperties"] is False, section["title"]
            assert section["description"]


@pytest.mark.parametrize("kind", KINDS)
def test_null_is_no_value(kind: str) -> None:
    text = json.dumps(json_schema(kind))
    assert '"type": "null"' not in text
    assert '"default": null' not in text


def test_examples_fit_their_schema() -> None:
    for kind in KINDS:
        for section in _sections(json_schema(kind)):
            for key, value in section.get("properties", {}).items():
                bare = {**value, "$defs": json_schema(kind).get("$defs", {})}
                for example in value.get("examples", ()):
                    assert Draft202012Validator(bare).is_valid(example), (kind, section["title"], key, example)


def test_alternatives_are_part_of_the_schema() -> None:
    route = json_schema("Policy")["$defs"]["Route"]
    assert {"required": ["model_from"]} in route["oneOf"]
    assert len(route["oneOf"]) == 5
    assert json_schema("Policy")["$defs"]["Threshold"]["anyOf"][0] == {"required": ["alert"]}
