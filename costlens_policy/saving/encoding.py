"""From a plan to rows of numbers: each object once, after the objects that it is made of.

``leaves`` are values as JSON has them. A row is the index of a kind, then those of the object's parts: leaves come
first, rows are counted on from there. The last row is the whole. ``kinds`` are either a word (``tuple``, ``dict``,
``decimal`` …) or the name of a class with the fields that make it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import is_dataclass
from functools import cache
from types import MappingProxyType
from typing import Any, Final, TypeAlias

from costlens_policy.saving.classes import fields_of, name_of, parts_of
from costlens_policy.saving.errors import NotSavable
from costlens_policy.saving.leaves import JSON, writer

__all__ = ["Encoded", "encode"]

Encoded: TypeAlias = dict[str, list[Any]]

_WORDS: Final[Mapping[type, str]] = {
    tuple: "tuple", list: "list", frozenset: "frozenset", dict: "dict", MappingProxyType: "proxy"
}  # fmt: skip


def encode(value: Any) -> Encoded:
    """Return ``kinds``, ``leaves`` and ``rows`` of a plan. Raises ``NotSavable``."""
    encoder = _Encoder()
    encoder.add(value)
    return encoder.encoded()


class _Open:
    """An object whose parts have to be written before itself, and which of them are ``waiting``.

    ``shared`` says that nothing tells equal objects of this kind apart, so that one row will do.
    """

    __slots__ = ("kind", "parts", "shared", "value", "waiting")

    def __init__(self, value: Any, kind: Any, parts: Sequence[Any], *, shared: bool) -> None:
        self.value = value
        self.kind = kind
        self.parts = parts
        self.shared = shared
        self.waiting = iter(parts)


class _Encoder:
    """A leaf is referred to as ``~index`` until all are known."""

    def __init__(self) -> None:
        self._kinds: dict[Any, int] = {}
        self._leaves: dict[tuple[type, Any], int] = {}
        self._rows: list[tuple[int, ...]] = []
        self._places: dict[int, int] = {}
        self._equal: dict[tuple[int, ...], int] = {}
        self._alive: list[Any] = []

    def encoded(self) -> Encoded:
        first = len(self._leaves)
        rows = [[row[0], *[part + first if part >= 0 else ~part for part in row[1:]]] for row in self._rows]
        leaves = [float(value) if kind is float else value for kind, value in self._leaves]
        return {"kinds": list(self._kinds), "leaves": leaves, "rows": rows}

    def add(self, value: Any) -> None:
        """Write a value and everything in it. Expressions nest deeper than Python's stack, so no call nests here."""
        stack = [_opened(value)]
        begun = {id(value)}
        while stack:
            item = stack[-1]
            for part in item.waiting:
                if type(part) not in JSON and id(part) not in self._places:
                    break
            else:
                self._close(stack.pop())
                continue
            if id(part) in begun:
                raise NotSavable("the plan holds an object that holds itself")
            begun.add(id(part))
            stack.append(_opened(part))

    def _close(self, item: _Open) -> None:
        row = (self._kinds.setdefault(item.kind, len(self._kinds)), *[self._reference(part) for part in item.parts])
        place = self._equal.get(row) if item.shared else None
        if place is None:
            place = len(self._rows)
            self._rows.append(row)
            if item.shared:
                self._equal[row] = place
        self._places[id(item.value)] = place
        self._alive += (item.value, item.parts)  # so that no other object gets the id of one of these

    def _reference(self, part: Any) -> int:
        kind = type(part)
        if kind not in JSON:
            return self._places[id(part)]
        key = (kind, repr(part) if kind is float else part)  # 0.0 and -0.0 are equal, and two leaves
        return ~self._leaves.setdefault(key, len(self._leaves))


def _opened(value: Any) -> _Open:
    kind: type = type(value)
    if (leaf := writer(kind)) is not None:
        word, write = leaf
        return _Open(value, word, (write(value),), shared=True)
    word_ = _WORDS.get(kind)
    if word_ is None:
        return _Open(value, (name_of(kind), fields_of(kind)), parts_of(value), shared=_is_compared(kind))
    parts = value if kind in (tuple, list) else _flat(value)
    return _Open(value, word_, parts, shared=kind in (tuple, frozenset))


def _flat(value: Any) -> Sequence[Any]:
    if isinstance(value, frozenset):
        return sorted(value, key=lambda item: (type(item).__name__, str(item)))
    return [part for entry in value.items() for part in entry]


@cache
def _is_compared(kind: type) -> bool:
    return is_dataclass(kind) and bool(kind.__dataclass_params__.eq)  # type: ignore[attr-defined]  # each has them
