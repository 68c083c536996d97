"""Edits of YAML at the place of a value: parts of texts, numbers, items of lists, entries of maps.

What is written keeps its style and its comments. What the document then means is seen when it is read again.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from costlens_policy.source.located import LocatedDocument, LocatedValue, Path, part_span
from costlens_policy.testing.mutation.mutant import Edit, edited

__all__ = ["Pen"]

_NOT_PLAIN: Final = re.compile(r"^[^A-Za-z0-9_(./]|: |:$| #|[\[\]{},\n]|^(true|false|null|yes|no|on|off)$")


class Pen:
    """Makes the edits of one document."""

    def __init__(self, located: LocatedDocument) -> None:
        self._root = located.root
        self._source = located.source
        self._text = located.source.text

    def number(self, path: Path, new: str) -> tuple[Edit, ...]:
        """Return the edit that puts another plain scalar in place of one."""
        span = self._value(path).span
        return (Edit(span.start.offset, span.end.offset, new),)

    def text(self, path: Path, parts: Iterable[Edit]) -> tuple[Edit, ...]:
        """Return the edits that change parts of a string; their places are characters of it."""
        value = self._value(path)
        parts = tuple(parts)
        old = str(value.content)
        new = edited(old, parts)
        first = self._text[value.span.start.offset]
        if first not in "'\"|>" and _NOT_PLAIN.search(new):
            return (Edit(value.span.start.offset, value.span.end.offset, f"'{_in_single(' '.join(new.split()))}'"),)
        return tuple(self._part(value, part, first) for part in parts)

    def dropped(self, path: Path) -> tuple[Edit, ...]:
        """Return the edit that takes out an item of a list or an entry of a map, and with the last one all of it."""
        parent = self._value(path[:-1])
        places = _parts(parent)
        if len(places) < 2 and len(path) > 1:
            return self.dropped(path[:-1])
        at = self._place_in(parent, path[-1])
        start, end = places[at]
        if not self._is_flow(parent):
            return (self._lines(parent, start, end, places[at + 1][0] if at + 1 < len(places) else None),)
        if at + 1 < len(places):
            return (Edit(start, places[at + 1][0], ""),)
        return (Edit(places[at - 1][1], end, ""),)

    def swapped(self, one: Path, other: Path) -> tuple[Edit, ...]:
        """Return the edits that put two values of one list in each other's place."""
        spans = [self._value(path).span for path in (one, other)]
        places = [(span.start.offset, span.end.offset) for span in spans]
        texts = [self._text[start:end] for start, end in reversed(places)]
        return tuple(Edit(start, end, text) for (start, end), text in zip(places, texts, strict=True))

    def renamed(self, path: Path, key: str) -> tuple[Edit, ...]:
        """Return the edit that gives an entry another key."""
        span = self._root.key_span(path)
        assert span is not None
        return (Edit(span.start.offset, span.end.offset, key),)

    def has(self, path: Path) -> bool:
        return self._root.find(path) is not None

    def written(self, path: Path) -> str:
        """Return a scalar as it is written."""
        span = self._value(path).span
        return self._text[span.start.offset : span.end.offset]

    def _value(self, path: Path) -> LocatedValue:
        value = self._root.find(path)
        assert value is not None, f"there is nothing at {path}"
        return value

    def _place_in(self, parent: LocatedValue, step: str | int) -> int:
        if isinstance(step, int):
            return step
        return next(at for at, entry in enumerate(parent.entries()) if entry.key == step)

    def _is_flow(self, value: LocatedValue) -> bool:
        return self._text[value.span.start.offset] in "[{"

    def _lines(self, parent: LocatedValue, start: int, end: int, next_start: int | None) -> Edit:
        """Return the edit that takes out the lines of a part of a block, or less where another part shares a line."""
        begin = self._text.rfind("\n", 0, start) + 1
        before = self._text[begin:start]
        lead = "-" if parent.kind == "sequence" else ""
        if before.strip() != lead:  # the first key of an item, beside its dash
            return Edit(start, end if next_start is None else next_start, "")
        stop = self._text.find("\n", end)
        return Edit(begin, len(self._text) if stop < 0 else stop + 1, "")

    def _part(self, value: LocatedValue, part: Edit, style: str) -> Edit:
        new = part.text
        if style == "'":
            new = _in_single(new)
        elif style == '"':
            new = new.replace("\\", "\\\\").replace('"', '\\"')
        if part.start == part.end:
            assert value.offsets is not None
            offset = value.offsets[part.start]
            if part.start:  # behind the character before, which may be followed by a fold
                span = part_span(self._source, value, part.start - 1, part.start)
                offset = span.end.offset
            return Edit(offset, offset, new)
        span = part_span(self._source, value, part.start, part.end)
        return Edit(span.start.offset, span.end.offset, new)


def _in_single(text: str) -> str:
    return text.replace("'", "''")


def _parts(value: LocatedValue) -> list[tuple[int, int]]:
    """Return where each part of a list or map starts, with its key, and ends."""
    if value.kind == "mapping":
        return [(entry.key_span.start.offset, entry.value.span.end.offset) for entry in value.entries()]
    return [(item.span.start.offset, item.span.end.offset) for item in value.items()]
