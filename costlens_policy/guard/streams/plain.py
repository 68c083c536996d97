"""The fields of a chunk, whatever it is made of, without copying what need not be copied."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, Final, cast

from costlens_policy.usage import usage_fields

__all__ = ["fields_of"]

_NOTHING: Final[Mapping[str, Any]] = {}


def fields_of(value: Any) -> Mapping[str, Any]:
    """Return the fields of a mapping, or of an object of an SDK. Raises ``UsageError`` for what has none."""
    kind: Any = type(value)
    return cast("Mapping[str, Any]", value) if kind is dict else _reader(kind)(value)


@lru_cache(maxsize=1024)
def _reader(kind: Any) -> Callable[[Any], Mapping[str, Any]]:
    if issubclass(kind, Mapping):
        return lambda value: cast("Mapping[str, Any]", value)
    if kind is type(None):
        return lambda _: _NOTHING
    if hasattr(kind, "__pydantic_fields__") or hasattr(kind, "model_fields"):
        return _of_pydantic
    if hasattr(kind, "_asdict"):
        return lambda value: cast("Mapping[str, Any]", value._asdict())
    if hasattr(kind, "__struct_fields__"):  # msgspec
        return lambda value: {name: getattr(value, name) for name in value.__struct_fields__}
    if hasattr(kind, "__dataclass_fields__"):
        return lambda value: {name: getattr(value, name, None) for name in value.__dataclass_fields__}
    if isinstance(getattr(kind, "data", None), property) and hasattr(kind, "event"):  # an event of the wire
        return lambda value: {"data": value.data}
    return usage_fields


def _of_pydantic(value: Any) -> Mapping[str, Any]:
    """Return the fields as they stand in the object, and those that its class does not know."""
    more = getattr(value, "__pydantic_extra__", None)
    fields: Mapping[str, Any] = value.__dict__
    return {**fields, **more} if more else fields
