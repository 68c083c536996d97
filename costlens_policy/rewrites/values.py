"""Texts inside JSON: the arguments of tool calls, and whatever a part of a message holds."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from costlens_policy.rewrites.shapes import is_list

__all__ = ["Transform", "free_key", "map_json", "map_value"]

Transform: TypeAlias = Callable[[str], str]


def map_value(value: Any, transform: Transform, numbers: bool) -> Any:
    """Return a JSON value with every text in it changed, keys too; the same object where nothing changed.

    With ``numbers``, a whole number counts as the text of its digits, and becomes one if that changes. Raises
    ``RecursionError`` for a value nested without end.
    """
    if isinstance(value, str):
        text = transform(value)
        return value if text == value else text
    if isinstance(value, Mapping):
        return _map_entries(value, transform, numbers)
    if is_list(value):
        items = [map_value(item, transform, numbers) for item in value]
        return value if all(new is old for new, old in zip(items, value, strict=True)) else items
    if isinstance(value, bytes | bytearray):
        return _map_bytes(value, transform)
    if numbers and isinstance(value, int) and not isinstance(value, bool) and value.bit_length() < 128:
        digits = str(value)
        text = transform(digits)
        return value if text == digits else text
    return value


def _map_bytes(value: bytes | bytearray, transform: Transform) -> bytes | bytearray:
    """Change bytes that are text; others are a file."""
    try:
        text = value.decode("utf-8")
    except UnicodeDecodeError:
        return value
    new = transform(text)
    return value if new == text else new.encode("utf-8", "surrogatepass")


def _map_entries(value: Mapping[Any, Any], transform: Transform, numbers: bool) -> Mapping[Any, Any]:
    entries: dict[Any, Any] = {}
    changed = False
    for key, item in value.items():
        new_key = transform(key) if isinstance(key, str) else key
        new_item = map_value(item, transform, numbers)
        changed = changed or new_key != key or new_item is not item
        entries[free_key(entries, new_key)] = new_item
    return entries if changed else value


def free_key(entries: Mapping[Any, Any], key: Any) -> Any:
    """Return the key, or a numbered one where two keys have become the same: no entry gets lost."""
    if key not in entries:
        return key
    number = 2
    while f"{key} {number}" in entries:
        number += 1
    return f"{key} {number}"


def map_json(text: str, transform: Transform, numbers: bool) -> str:
    """Change the texts inside a JSON text; one that is not JSON, or hides an entry behind another, as a whole."""
    try:
        value = json.loads(text, object_pairs_hook=_without_repeats)
    except (ValueError, RecursionError):
        return transform(text)
    changed = map_value(value, transform, numbers)
    return text if changed is value else json.dumps(changed, ensure_ascii=False)


def _without_repeats(entries: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(entries)
    if len(found) < len(entries):
        raise ValueError("two entries of one name: the first would be sent unseen")
    return found
