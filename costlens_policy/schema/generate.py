"""JSON Schemas (2020-12) for editors and readers: of the documents, made from their types, and of the decision."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any, Final

from costlens_policy.documents import KINDS
from costlens_policy.documents.document import described_schema

__all__ = ["bare_schema", "file_name", "json_schema", "schema_texts"]

_DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
_DECISION: Final = "decision.v1.json"
"""Handwritten: a decision is not a document, and has no type whose fields are its JSON."""
_MAPS: Final = ("properties", "$defs")
_SCHEMAS: Final = ("items", "additionalProperties", "propertyNames")
_LISTS: Final = ("anyOf", "oneOf", "prefixItems")
_ORDER: Final = ("$schema", "$id", "title", "description", "type")


def file_name(kind: str) -> str:
    """Return the file of a kind's schema, such as ``policy-set.v1.json``."""
    return f"{_words(kind).replace(' ', '-')}.v1.json"


@cache
def json_schema(kind: str) -> Mapping[str, Any]:
    """Return the schema of one kind of document, as people read it; ``KeyError`` for a word that is not a kind."""
    return _schema(kind, described_schema(KINDS[kind]))


@cache
def bare_schema(kind: str) -> Mapping[str, Any]:
    """Return the schema of one kind of document without the descriptions of its keys, which takes half the time."""
    return _schema(kind, KINDS[kind].model_json_schema())


def _schema(kind: str, of_type: dict[str, Any]) -> dict[str, Any]:
    schema = _tidy(of_type)
    schema |= {
        "$schema": _DIALECT,
        "$id": f"urn:costlens-policy:{file_name(kind).removesuffix('.json').replace('.', ':')}",
        "title": _words(kind),
    }
    return _in_order(schema)


def schema_texts() -> dict[str, str]:
    """Return the text of every schema file by its name: the documents', and that of the decision."""
    texts = {file_name(kind): json.dumps(json_schema(kind), indent=2, ensure_ascii=False) + "\n" for kind in KINDS}
    texts[_DECISION] = files("costlens_policy.schema").joinpath(_DECISION).read_text(encoding="utf-8")
    return dict(sorted(texts.items()))


def _tidy(schema: dict[str, Any]) -> dict[str, Any]:
    """Adapt a schema to the language: absent means an omitted key, and a name must match its pattern."""
    schema = dict(schema)
    for word in _MAPS:
        if word in schema:
            schema[word] = {key: _tidy(value) for key, value in schema[word].items()}
    for word in _SCHEMAS:
        if isinstance(schema.get(word), dict):
            schema[word] = _tidy(schema[word])
    for word in _LISTS:
        if word in schema:
            schema[word] = [_tidy(value) for value in schema[word]]
    return _in_order(_name(_drop_default(_close_names(_drop_null(schema)))))


def _drop_null(schema: dict[str, Any]) -> dict[str, Any]:
    if {"type": "null"} not in schema.get("anyOf", ()):
        return schema
    branches = [branch for branch in schema.pop("anyOf") if branch != {"type": "null"}]
    return branches[0] | schema if len(branches) == 1 else schema | {"anyOf": branches}


def _close_names(schema: dict[str, Any]) -> dict[str, Any]:
    """Refuse keys that do not fit the one pattern there is, instead of letting them pass unseen."""
    if "patternProperties" not in schema:
        return schema
    ((pattern, values),) = schema.pop("patternProperties").items()
    names = {"pattern": pattern, **schema.get("propertyNames", {})}
    return schema | {"propertyNames": names, "additionalProperties": _tidy(values)}


def _drop_default(schema: dict[str, Any]) -> dict[str, Any]:
    """Keep only defaults that an editor's reader would want to see."""
    if "default" in schema and (isinstance(schema["default"], dict) or schema["default"] in (None, "", [])):
        del schema["default"]
    return schema


def _name(schema: dict[str, Any]) -> dict[str, Any]:
    """Name sections in words, drop the titles that only repeat a key, and quote as Markdown does."""
    title = schema.pop("title", "")
    if "properties" in schema:
        schema["title"] = _words(title)
    if "description" in schema:
        paragraphs = schema["description"].replace("``", "`").split("\n\n")
        schema["description"] = "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)
    return schema


def _words(name: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).lower()


def _in_order(schema: dict[str, Any]) -> dict[str, Any]:
    first = {word: schema[word] for word in _ORDER if word in schema}
    definitions = {"$defs": schema["$defs"]} if "$defs" in schema else {}
    return first | {key: value for key, value in schema.items() if key != "$defs"} | definitions
