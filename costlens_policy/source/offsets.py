"""Where each character of a YAML string is written in the file, for all five styles of scalars.

A scalar is read a second time, by the rules that its style has for escapes, folding and indentation, while
noting where each character came from. What comes out must equal the string that the YAML parser found.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
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
    """File offsets of a string's characters and of its end, kept as stretches that advance in step."""

    __slots__ = ("_files", "_length", "_values")

    def __init__(self, values: Sequence[int], files: Sequence[int], length: int) -> None:
        """Character ``values[k] + i`` stands at ``files[k] + i``; there are ``length`` offsets in all."""
        self._values, self._files, self._length = values, files, length

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
        stretch = bisect_right(self._values, index) - 1
        return self._files[stretch] + index - self._values[stretch]

    def __iter__(self) -> Iterator[int]:
        return (self[i] for i in range(self._length))

    def __repr__(self) -> str:
        return f"Offsets({list(self)})"


def offsets_of(text: str, start: int, end: int, value: str, style: str) -> Sequence[int]:
    """Return the file offset of each character of ``value``, then of its end.

    ``start`` and ``end`` enclose the scalar in ``text``, quotes and block header included. ``style`` is the
    character that opens it: ``'``, ``"``, ``|``, ``>``, or anything else for a plain scalar.
    """
    inner = start + 1 if style in ("'", '"') else start
    if text.startswith(value, inner) and inner + len(value) + (inner - start) == end:
        return range(inner, inner + len(value) + 1)
    if style in ("|", ">"):
        trail = read_block(text, start, end, value, folded=style == ">")
    else:
        trail = _read_flow(text, inner, end - (inner - start), style)
    if trail is None or trail.value() != value:
        return Offsets((0,), (start,), 1) if not value else _all_at(start, end, len(value))
    return Offsets(*trail.stretches())


def _all_at(start: int, end: int, length: int) -> Sequence[int]:
    """Point at the whole scalar: never wrong, though not exact."""
    return (start,) * length + (end,)


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
