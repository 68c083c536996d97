"""Every number of a usage object by its path, out of mappings and out of the objects of SDKs.

Nothing that an object holds is passed over in silence: a number is returned, or reading fails.
"""

from __future__ import annotations

import math
import re
from collections.abc import Container, Iterable, Mapping
from contextlib import suppress
from decimal import Decimal
from typing import Any, Final, TypeAlias

from costlens_policy.usage.reported import UsageError

__all__ = ["MOST_TOKENS", "Fields", "count", "fields_of", "has_fields", "items_of", "numbers", "shown", "snake"]

Fields: TypeAlias = Mapping[str, Any]

MOST_TOKENS: Final = 10**10
"""More than any call has, and any session of an agent."""
_DEEPEST: Final = 12
_MOST_NUMBERS: Final = 2_000
_HUMP: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_DIGITS: Final = re.compile(r"[+-]?[0-9]+(\.[0-9]+)?")
_KEYS: Final = ("modality", "ttl")
"""What distinguishes the items of a list of objects."""
_MOST_KNOWN: Final = 4_096
_MOST_NAMES: Final = 200
_LONGEST_PATH: Final = 120
_SNAKE: Final[dict[str, str]] = {}
_INNER: Final[dict[str, dict[str, str]]] = {}
"""The paths of fields by the path of their object: most calls of a service have the same."""


def snake(name: str) -> str:
    """Return a name in snake case: ``inputTokens``, ``input-tokens`` and ``input_tokens`` are one."""
    known = _SNAKE.get(name)
    if known is None:
        known = _HUMP.sub("_", name).lower().replace("-", "_")
        if len(_SNAKE) < _MOST_KNOWN and len(name) < 100:
            _SNAKE[name] = known
    return known


def shown(name: str) -> str:
    """Return a name as a message can hold it: plain characters, and not many."""
    text = "".join(sign if sign.isprintable() and sign != "`" else "?" for sign in name[:60])
    return text if len(name) <= 60 else f"{text}…"


def fields_of(value: Any) -> Fields:
    """Return the fields of a mapping, or of an SDK's object. Raises ``UsageError`` for what has none."""
    if type(value) is dict or isinstance(value, Mapping):
        return value
    for method in ("model_dump", "to_dict", "dict"):
        dump = getattr(value, method, None)
        if callable(dump):
            with suppress(TypeError):  # what has to be called otherwise is no dump
                dumped = dump()
                if isinstance(dumped, Mapping):
                    return dumped
    message = getattr(value, "_pb", value)  # a message of protobuf, as Google's and xAI's SDKs have them
    described = getattr(getattr(message, "DESCRIPTOR", None), "fields", None)
    if isinstance(described, Iterable):
        return {field.name: getattr(message, field.name, None) for field in described}
    if callable(named := getattr(value, "_asdict", None)):  # a named tuple
        return dict(named())
    if hasattr(value, "__dict__"):
        public = {name: item for name, item in vars(value).items() if not name.startswith("_")}
        return public or _properties(value)
    slots = getattr(type(value), "__slots__", ())
    if slots:
        names = [slots] if isinstance(slots, str) else list(slots)
        return {name: getattr(value, name, None) for name in names if not name.startswith("_")}
    raise UsageError(f"a value of type `{type(value).__name__}` is neither a usage nor a response with one")


def _properties(value: Any) -> Fields:
    """Return the properties of an object that keeps its fields to itself."""
    found = {name: item for base in type(value).__mro__ for name, item in vars(base).items()}
    return {name: getattr(value, name) for name, item in found.items() if isinstance(item, property) and name[0] != "_"}


def items_of(value: Any, name: str) -> list[Fields]:
    """Return the objects of a list; none for null. Raises ``UsageError`` for what is no list of objects."""
    if value is None:
        return []
    if not isinstance(value, list | tuple) or not all(map(has_fields, value)):
        raise UsageError(f"`{name}` is not a list of objects")
    return [fields_of(item) for item in value]


def numbers(fields: Fields, leave_out: Container[str] = ()) -> tuple[dict[str, Any], list[str]]:
    """Return what is a number, or written as one, by its path; and the paths that hold nothing.

    Numbers that share a path, as those of one modality do, are added. ``leave_out`` are keys that are read elsewhere.
    """
    walk = _Walk()
    walk.fields(fields, "", 0, leave_out)
    return walk.found, walk.empty


def _sum(one: Any, other: Any) -> Any:
    if type(one) is int and type(other) is int:
        return one + other
    return f"{one} and {other}"  # no number, whoever needs one


def count(path: str, value: Any) -> int:
    """Return a number of tokens. Raises ``UsageError`` for what is none, or more than any call has."""
    if type(value) is int:
        number = value
    elif isinstance(value, bool | str) or not _is_whole(value):
        raise UsageError(f"`{shown(path)}` is not a number of tokens")
    else:
        number = int(value)
    if number < 0:
        raise UsageError(f"`{shown(path)}` is not a number of tokens")
    if number > MOST_TOKENS:
        raise UsageError(f"`{shown(path)}` is more tokens than any call has")
    return number


def _is_whole(value: Any) -> bool:
    try:
        return math.isfinite(value) and value == int(value)
    except (TypeError, ValueError, OverflowError):
        return False


def _is_number(item: Any) -> bool:
    """Return whether something counts: numbers of Python, decimals, and those of numpy."""
    return isinstance(item, int | float | Decimal) or (hasattr(item, "__index__") and not isinstance(item, type))


class _Walk:
    """A walk over an object, to every number that it holds."""

    __slots__ = ("empty", "found")

    def __init__(self) -> None:
        self.found: dict[str, Any] = {}
        self.empty: list[str] = []

    def fields(self, value: Fields, path: str, depth: int, leave_out: Container[str] = ()) -> None:
        if depth > _DEEPEST:
            raise UsageError(f"it is nested deeper than {_DEEPEST} levels")
        found, inner_paths = self.found, _INNER.get(path)
        if inner_paths is None:
            inner_paths = _INNER.setdefault(path, {}) if len(_INNER) < _MOST_NAMES else {}
        for name, item in value.items():
            if name in leave_out:
                continue
            inner = inner_paths.get(name) or _inner(inner_paths, path, name)
            kind = type(item)
            if kind is int and inner not in found:
                found[inner] = item
            elif kind is dict:
                self.fields(item, inner, depth + 1)
            elif item is None:
                self.empty.append(inner)
            else:
                self._other(item, inner, depth)
        if len(found) > _MOST_NUMBERS:
            raise UsageError(f"it holds more than {_MOST_NUMBERS:,} numbers")

    def _other(self, item: Any, path: str, depth: int) -> None:
        if isinstance(item, str):
            if _DIGITS.fullmatch(item):
                self._add(path, item)
        elif isinstance(item, list | tuple):
            self._items(item, path, depth + 1)
        elif _is_number(item):
            self._add(path, item)
        elif has_fields(item):
            self.fields(fields_of(item), path, depth + 1)

    def _items(self, items: Any, path: str, depth: int) -> None:
        if depth > _DEEPEST:
            raise UsageError(f"it is nested deeper than {_DEEPEST} levels")
        for item in items:
            fields = fields_of(item) if has_fields(item) and not isinstance(item, list | tuple) else {}
            key = next((found for name in _KEYS if _is_word(found := fields.get(name))), None)
            if key is None:
                self._other(item, path, depth)
                continue
            inner = f"{path}.{_word(key)}"
            for name, value in fields.items():
                if value is not key:  # the one count of a modality stands for itself
                    spelled = snake(str(name))
                    self._other(value, inner if spelled in ("token_count", "tokens") else f"{inner}.{spelled}", depth)

    def _add(self, path: str, item: Any) -> None:
        self.found[path] = _sum(self.found[path], item) if path in self.found else item


def _inner(known: dict[str, str], path: str, name: Any) -> str:
    """Return the path of a field, and remember it beside those of its siblings."""
    inner = f"{path}.{snake(str(name))}" if path else snake(str(name))
    if len(known) < _MOST_NAMES and len(inner) < _LONGEST_PATH and type(name) is str:
        known[name] = inner
    return inner


def _is_word(key: Any) -> bool:
    return isinstance(key, str) or isinstance(getattr(key, "name", None), str)


def _word(key: Any) -> str:
    """Return a modality in one word, whether it is a text or an enumeration of an SDK."""
    return snake(str(getattr(key, "value", key)) if isinstance(key, str) else key.name)


def has_fields(item: Any) -> bool:
    """Return whether something is a mapping, or an object with fields."""
    if item is None:
        return False
    return isinstance(item, Mapping) or (
        not isinstance(item, str | bytes | type)
        and (
            hasattr(item, "__dict__")
            or hasattr(item, "DESCRIPTOR")
            or bool(getattr(item, "__slots__", ()))
            or hasattr(item, "_asdict")
        )
    )
