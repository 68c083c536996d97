"""From a plan to rows of numbers: each object once, after the objects that it is made of.

``leaves`` are values as JSON has them. A row is the index of a kind, then those of the object's parts: leaves come
first, rows are counted on from there. The last row is the whole. ``kinds`` are either a word (``tuple``, ``dict``,
``decimal`` …) or the name of a class with the fields that make it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, is_dataclass
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


@dataclass(frozen=True, slots=True, eq=False)
class _Form:
    """How the objects of one class are written: the ``kind`` that the file knows, and how to get at their parts.

    ``shared`` says that nothing tells equal objects of this class apart, so that one row will do.
    """

    kind: Any
    parts_of: Callable[[Any], Sequence[Any]]
    shared: bool


class _Open:
    """An object whose parts have to be written before itself, and which of them are ``waiting``."""

    __slots__ = ("form", "parts", "value", "waiting")

    def __init__(self, value: Any) -> None:
        self.value = value
        kind: type = type(value)
        self.form = _form(kind)
        self.parts = self.form.parts_of(value)
        self.waiting = iter(self.parts)


class _Encoder:
    """A leaf is referred to as ``~index`` until all are known."""

    def __init__(self) -> None:
        self._kinds: dict[_Form, int] = {}
        self._leaves: dict[tuple[type, Any], int] = {}
        self._rows: list[tuple[int, ...]] = []
        self._places: dict[int, int] = {}
        self._equal: dict[tuple[int, ...], int] = {}
        self._alive: list[Any] = []

    def encoded(self) -> Encoded:
        first = len(self._leaves)
        rows = [[row[0], *[part + first if part >= 0 else ~part for part in row[1:]]] for row in self._rows]
        leaves = [float(value) if kind is float else value for kind, value in self._leaves]
        return {"kinds": [form.kind for form in self._kinds], "leaves": leaves, "rows": rows}

    def add(self, value: Any) -> None:
        """Write a value and everything in it. Expressions nest deeper than Python's stack, so no call nests here."""
        stack = [_Open(value)]
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
            stack.append(_Open(part))

    def _close(self, item: _Open) -> None:
        form = item.form
        row = (self._kinds.setdefault(form, len(self._kinds)), *[self._reference(part) for part in item.parts])
        place = self._equal.get(row) if form.shared else None
        if place is None:
            place = len(self._rows)
            self._rows.append(row)
            if form.shared:
                self._equal[row] = place
        self._places[id(item.value)] = place
        self._alive += (item.value, item.parts)  # so that no other object gets the id of one of these

    def _reference(self, part: Any) -> int:
        kind = type(part)
        if kind not in JSON:
            return self._places[id(part)]
        key = (kind, repr(part) if kind is float else part)  # 0.0 and -0.0 are equal, and two leaves
        return ~self._leaves.setdefault(key, len(self._leaves))


@cache
def _form(kind: type) -> _Form:
    if (leaf := writer(kind)) is not None:
        word, write = leaf
        return _Form(word, lambda value: (write(value),), shared=True)
    if kind in (tuple, list):
        return _Form(_WORDS[kind], lambda value: value, shared=kind is tuple)
    if kind in _WORDS:
        return _Form(_WORDS[kind], _flat, shared=kind is frozenset)
    shared = is_dataclass(kind) and bool(kind.__dataclass_params__.eq)  # type: ignore[attr-defined]  # each has them
    return _Form((name_of(kind), fields_of(kind)), parts_of(kind), shared)


def _flat(value: Any) -> Sequence[Any]:
    if isinstance(value, frozenset):
        return sorted(value, key=lambda item: (type(item).__name__, str(item)))
    return [part for entry in value.items() for part in entry]
