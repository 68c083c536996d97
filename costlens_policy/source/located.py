"""YAML values that know where they stand. Everything later points at text through these."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import TypeAlias

from costlens_policy.diagnostics.model import Span

__all__ = ["Entry", "LocatedDocument", "LocatedValue", "Path", "Plain", "SourceText"]

Scalar: TypeAlias = str | int | Decimal | bool | date | datetime | None
Plain: TypeAlias = "Scalar | list[Plain] | dict[str, Plain]"
Path: TypeAlias = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class SourceText:
    """The text of one file. ``name`` is the path as the user named it, ``line_starts`` are offsets."""

    name: str
    text: str
    line_starts: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Entry:
    """One key of a mapping and its value."""

    key: str
    key_span: Span
    value: LocatedValue


@dataclass(frozen=True, slots=True)
class LocatedValue:
    """One YAML value.

    ``content`` is a scalar, a tuple of values (sequence) or a tuple of entries in file order (mapping).
    Numbers with a fraction or exponent are ``Decimal``, so prices keep every digit. ``offsets`` exists for
    strings: ``offsets[i]`` is the file offset of character ``i`` of the string, with one more entry for its
    end, so a column inside an expression maps to the file whatever the scalar's style.
    """

    content: Scalar | tuple[LocatedValue, ...] | tuple[Entry, ...]
    span: Span
    kind: str  # "scalar" | "sequence" | "mapping"
    offsets: tuple[int, ...] | None = None

    def entries(self) -> Iterator[Entry]:
        """Iterate over the keys of a mapping; over nothing for any other kind."""
        if self.kind == "mapping":
            for item in self.content:  # type: ignore[union-attr]  # a mapping holds entries
                assert isinstance(item, Entry)
                yield item

    def items(self) -> Iterator[LocatedValue]:
        """Iterate over a sequence; over nothing for any other kind."""
        if self.kind == "sequence":
            for item in self.content:  # type: ignore[union-attr]  # a sequence holds values
                assert isinstance(item, LocatedValue)
                yield item
