"""Where each character of a YAML string is written in the file, for all five styles of scalars.

A scalar is read a second time, by the rules that its style has for escapes, folding and indentation, while
noting where each character came from. What comes out must equal the string that the YAML parser found.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Sequence
from typing import overload

from costlens_policy.source.block_scalars import read_block
from costlens_policy.source.trail import Trail

__all__ = ["Offsets", "offsets_of"]

_FOLD = r"[ \t]*(?:\r\n?|\n)[ \t\r\n]*"
_LINE_END = re.compile(r"\r\n?|\n")
_PLAIN = re.compile(_FOLD)
_SINGLE = re.compile(rf"''|{_FOLD}")
_DOUBLE = re.compile(rf"\\(?:(?:\r\n?|\n)[ \t\r\n]*|x..|u.{{4}}|U.{{8}}|.)|{_FOLD}")
_ESCAPES = {
    "0": "\0", "a": "\a", "b": "\b", "t": "\t", "\t": "\t", "n": "\n", "v": "\v", "f": "\f", "r": "\r",
    "e": "\x1b", "N": "\x85", "_": "\xa0", "L": "\u2028", "P": "\u2029",
}  # fmt: skip


class Offsets(Sequence[int]):
    """File offsets of a string's characters and of its end. Worked out when first asked for."""

    __slots__ = ("_end", "_length", "_start", "_stretches", "_style", "_text", "_value")

    def __init__(self, text: str, start: int, end: int, value: str, style: str) -> None:
        """Take what ``offsets_of`` takes."""
        self._text, self._start, self._end, self._value, self._style = text, start, end, value, style
        self._length = len(value) + 1
        self._stretches: tuple[Sequence[int], Sequence[int]] | None = None

    def __len__(self) -> int:
        return self._length

    @overload
    def __getitem__(self, index: int) -> int: ...

    @overload
    def __getitem__(self, index: slice) -> tuple[int, ...]: ...

    def __getitem__(self, index: int | slice) -> int | tuple[int, ...]:
        if isinstance(index, slice):
            return tuple(self[i] for i in range(*index.indices(self._length)))
        if index < 0:
            index += self._length
        if not 0 <= index < self._length:
            raise IndexError(index)
        if self._stretches is None:
            self._stretches = self._read()
        values, files = self._stretches
        stretch = bisect_right(values, index) - 1
        return files[stretch] + index - values[stretch]

    def __repr__(self) -> str:
        return f"Offsets({list(self)})"

    def _read(self) -> tuple[Sequence[int], Sequence[int]]:
        trail = _trail(self._text, self._start, self._end, self._value, self._style)
        if trail is None or trail.value() != self._value:
            # Point at the whole scalar: never wrong, though not exact.
            return range(self._length), (*(self._start,) * (self._length - 1), self._end)
        return trail.stretches()


def offsets_of(text: str, start: int, end: int, value: str, style: str) -> Sequence[int]:
    """Return the file offset of each character of ``value``, then of its end.

    ``start`` and ``end`` enclose the scalar in ``text``, quotes and block header included. ``style`` is the
    character that opens it: ``'``, ``"``, ``|``, ``>``, or anything else for a plain scalar.
    """
    quote = 1 if style in ("'", '"') else 0
    first = start + quote
    if first + len(value) + quote == end and text.startswith(value, first):
        return range(first, first + len(value) + 1)
    return Offsets(text, start, end, value, style)


def _trail(text: str, start: int, end: int, value: str, style: str) -> Trail | None:
    if style in ("|", ">"):
        return read_block(text, start, end, value, folded=style == ">")
    quote = 1 if style in ("'", '"') else 0
    return _read_flow(text, start + quote, end - quote, style)


def _read_flow(text: str, start: int, end: int, style: str) -> Trail:
    pattern = {"'": _SINGLE, '"': _DOUBLE}.get(style, _PLAIN)
    trail = Trail(text)
    at = start
    for match in pattern.finditer(text, start, end):
        trail.copy(at, match.start())
        _read_special(trail, match)
        at = match.end()
    trail.copy(at, end)
    trail.finish(end)
    return trail


def _read_special(trail: Trail, match: re.Match[str]) -> None:
    found, start = match.group(), match.start()
    if found == "''":
        trail.write("'", start)
    elif found[0] != "\\":
        _fold(trail, found, start)
    elif found[1] in "\r\n":
        for line_end in list(_LINE_END.finditer(found))[1:]:
            trail.write("\n", start + line_end.start())
    elif found[1] in "xuU" and len(found) > 2:
        trail.write(chr(int(found[2:], 16)), start)
    else:
        trail.write(_ESCAPES.get(found[1], found[1]), start)


def _fold(trail: Trail, found: str, start: int) -> None:
    """One line end becomes a space; of several, each after the first stays."""
    ends = [start + match.start() for match in _LINE_END.finditer(found)]
    if len(ends) == 1:
        trail.write(" ", ends[0])
    for end in ends[1:]:
        trail.write("\n", end)
