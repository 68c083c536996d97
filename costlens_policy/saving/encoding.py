"""From a plan to rows of numbers: each object once, after the objects that it is made of.

``leaves`` are values as JSON has them. A row is the index of a kind, then those of the object's parts: leaves come
first, rows are counted on from there. The last row is the whole. ``kinds`` are either a word (``tuple``, ``dict``,
``decimal`` …) or the name of a class with the fields that make it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import is_dataclass
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
    try:
        encoder.row(value)
    except RecursionError:
        raise NotSavable("the plan is nested too deeply to be saved") from None
    return encoder.encoded()


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
        rows = [[row[0], *(part + first if part >= 0 else ~part for part in row[1:])] for row in self._rows]
        return {"kinds": list(self._kinds), "leaves": [value for _, value in self._values()], "rows": rows}

    def row(self, value: Any) -> int:
        """Return the reference of a value, which is written when it is first met."""
        kind = type(value)
        if kind in JSON:
            return self._leaf(kind, value)
        known = self._places.get(id(value))
        if known is None:
            known = self._places[id(value)] = self._written(kind, value)
            self._alive.append(value)  # so that no other object gets its id
        return known

    def _leaf(self, kind: type, value: Any) -> int:
        key = (kind, repr(value) if kind is float else value)  # 0.0 and -0.0 are equal, and two leaves
        return ~self._leaves.setdefault(key, len(self._leaves))

    def _values(self) -> Iterable[tuple[type, Any]]:
        return ((kind, float(value) if kind is float else value) for kind, value in self._leaves)

    def _written(self, kind: type, value: Any) -> int:
        if (leaf := writer(kind)) is not None:
            word, write = leaf
            return self._add(word, [self.row(write(value))], equal=True)
        word_ = _WORDS.get(kind)
        if word_ is None:
            name = name_of(kind)
            return self._add((name, fields_of(kind)), map(self.row, parts_of(value)), equal=_has_no_identity(kind))
        parts = value if kind in (tuple, list) else _flat(value)
        return self._add(word_, map(self.row, parts), equal=kind in (tuple, frozenset))

    def _add(self, kind: Any, parts: Iterable[int], *, equal: bool) -> int:
        """Add a row, unless there is an equal one and nothing tells equal objects of this kind apart."""
        row = (self._kinds.setdefault(kind, len(self._kinds)), *parts)
        place = self._equal.get(row) if equal else None
        if place is None:
            place = len(self._rows)
            self._rows.append(row)
            if equal:
                self._equal[row] = place
        return place


def _flat(value: Any) -> Iterable[Any]:
    if isinstance(value, frozenset):
        return sorted(value, key=lambda item: (type(item).__name__, str(item)))
    return (part for entry in value.items() for part in entry)


def _has_no_identity(kind: type) -> bool:
    return is_dataclass(kind) and bool(kind.__dataclass_params__.eq)  # type: ignore[attr-defined]  # dataclasses have it
