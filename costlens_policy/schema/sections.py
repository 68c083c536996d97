"""Which sections of a kind of document know a key."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

from costlens_policy.schema.generate import json_schema

__all__ = ["homes_of"]


def homes_of(kind: str, key: str) -> tuple[str, ...]:
    """Return the titles of all sections that know a key, in order of the alphabet; ``document`` is the top level."""
    return _homes(kind).get(key, ())


@cache
def _homes(kind: str) -> dict[str, tuple[str, ...]]:
    homes: dict[str, set[str]] = {}
    for title, properties in _sections(kind):
        for key in properties:
            homes.setdefault(key, set()).add(title)
    return {key: tuple(sorted(titles)) for key, titles in homes.items()}


def _sections(kind: str) -> Iterator[tuple[str, dict[str, Any]]]:
    schema = json_schema(kind)
    yield "the document's top level", schema["properties"]
    for section in schema.get("$defs", {}).values():
        yield f"`{section['title']}`", section.get("properties", {})
