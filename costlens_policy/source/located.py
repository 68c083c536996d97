"""Values that know their place, and places: spans of keys, values and parts of scalars."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import TypeAlias

from costlens_policy.diagnostics.model import Position, Span
from costlens_policy.frozen import frozen

__all__ = [
    "Entry", "LocatedDocument", "LocatedValue", "Path", "Plain", "Scalar", "SourceText", "line_starts", "part_span",
    "position_at", "span_between",
]  # fmt: skip

Scalar: TypeAlias = str | int | Decimal | bool | date | datetime | None
Plain: TypeAlias = "Scalar | list[Plain] | dict[str, Plain]"
Path: TypeAlias = tuple[str | int, ...]


@frozen
class SourceText:
    """The text of one file. ``name`` is the path as the user named it, ``line_starts`` are offsets.

    ``text`` has no byte order mark and keeps its line ends as they are in the file.
    """

    name: str
    text: str
    line_starts: tuple[int, ...]

    def lines(self) -> tuple[str, ...]:
        """Return the lines without their line ends; the last one is empty when the text ends in a line end."""
        ends = (*self.line_starts[1:], len(self.text))
        return tuple(self.text[a:b].rstrip("\r\n") for a, b in zip(self.line_starts, ends, strict=True))


@frozen
class Entry:
    """One key of a mapping and its value."""

    key: str
    key_span: Span
    value: LocatedValue


@frozen
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
    offsets: Sequence[int] | None = None

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

    def find(self, path: Path) -> LocatedValue | None:
        """Return the value at a path, or None where the path leads nowhere."""
        value: LocatedValue | None = self
        for step in path:
            if value is None:
                return None
            value = value._child(step)
        return value

    def key_span(self, path: Path) -> Span | None:
        """Return where the last key of a path is written; None for an item, the root, or a missing path."""
        if not path or isinstance(path[-1], int):
            return None
        parent = self.find(path[:-1])
        entry = parent._entry(path[-1]) if parent is not None else None
        return entry.key_span if entry is not None else None

    def span_of(self, path: Path) -> Span:
        """Return the place of the value at a path.

        A path without a value gives the nearest existing parent: its key, or the item itself where it is in a sequence.
        So a missing key is reported at the name of what it is missing from.
        """
        found = self.find(path)
        if found is not None:
            return found.span
        parent = path[:-1]
        while parent and self.find(parent) is None:
            parent = parent[:-1]
        return self.key_span(parent) or self._at(parent)

    def to_plain(self) -> Plain:
        """Return plain Python: dict, list, str, int, Decimal, bool, date, datetime, None."""
        if self.kind == "mapping":
            return {entry.key: entry.value.to_plain() for entry in self.entries()}
        if self.kind == "sequence":
            return [item.to_plain() for item in self.items()]
        assert not isinstance(self.content, tuple)
        return self.content

    def _at(self, path: Path) -> Span:
        """Narrow the span of an item or root to its first key, so that a caret stays on one line."""
        value = self.find(path)
        assert value is not None
        first = next(value.entries(), None)
        return first.key_span if first is not None else value.span

    def _entry(self, key: str | int) -> Entry | None:
        return next((entry for entry in self.entries() if entry.key == key), None)

    def _child(self, step: str | int) -> LocatedValue | None:
        if isinstance(step, str):
            entry = self._entry(step)
            return entry.value if entry is not None else None
        items = self.content if self.kind == "sequence" else ()
        assert isinstance(items, tuple)
        item = items[step] if 0 <= step < len(items) else None
        return item if isinstance(item, LocatedValue) else None


@frozen
class LocatedDocument:
    """One document of a file, and the text that it was read from."""

    source: SourceText
    root: LocatedValue


_LINE_END = re.compile(r"\r\n|\r|\n")


def line_starts(text: str) -> tuple[int, ...]:
    """Return the offset of each line's first character; a final line end starts one more, empty line."""
    return (0, *(match.end() for match in _LINE_END.finditer(text)))


def position_at(source: SourceText, offset: int) -> Position:
    """Return the position of an offset; one outside the text is moved to its nearest end."""
    offset = min(max(offset, 0), len(source.text))
    line = bisect_right(source.line_starts, offset)
    return Position(offset, line, offset - source.line_starts[line - 1] + 1)


def span_between(source: SourceText, start: int, end: int) -> Span:
    """Return the half-open stretch between two offsets."""
    return Span(source.name, position_at(source, start), position_at(source, max(start, end)))


def part_span(source: SourceText, value: LocatedValue, start: int, end: int) -> Span:
    """Return where the characters ``[start, end)`` of a string are written, such as a name in an expression.

    A value without ``offsets`` gives its own span.
    """
    if value.offsets is None or not isinstance(value.content, str):
        return value.span
    last = len(value.content)
    start, end = min(max(start, 0), last), min(max(end, 0), last)
    first, after = value.offsets[start], value.offsets[end]
    if end > start and not value.content[end - 1].isspace():
        # The next character may stand on another line, behind a fold or an indentation.
        after = first + len(source.text[first:after].rstrip())
    return span_between(source, first, after)
