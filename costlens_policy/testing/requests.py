"""Merge the parts of a request: defaults, fixtures and the case's own attributes."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

__all__ = ["merged"]


def merged(parts: list[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the parts merged in order: maps key by key, anything else replaced, null takes a key out.

    Numbers with a fraction become floats, as a caller would pass them.
    """
    result: dict[str, Any] = {}
    for part in parts:
        result = _merge(result, part)
    return result


def _merge(target: Mapping[str, Any], patch: Mapping[str, Any]) -> dict[str, Any]:
    result = dict(target)
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        elif isinstance(value, Mapping):
            under = result.get(key)
            result[key] = _merge(under if isinstance(under, Mapping) else {}, value)
        else:
            result[key] = _as_passed(value)
    return result


def _as_passed(value: Any) -> Any:
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, list | tuple):
        return [_as_passed(item) for item in value]
    return {key: _as_passed(item) for key, item in value.items()} if isinstance(value, Mapping) else value
