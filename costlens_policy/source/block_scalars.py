"""Read literal (``|``) and folded (``>``) block scalars, noting where each character came from."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from costlens_policy.source.trail import Trail

__all__ = ["read_block"]

_HEADER = re.compile(r"[|>]([-+0-9]*)[^\r\n]*(?:\r\n?|\n|\Z)")
_DEEPEST_GUESS = 40
_LINE = re.compile(r"([^\r\n]*)(\r\n?|\n|\Z)")


@dataclass(frozen=True, slots=True)
class _Line:
    start: int  # offset of its first character
    text: str
    line_end: int  # length of its line end; 0 where the file ends

    @property
    def spaces(self) -> int:
        return len(self.text) - len(self.text.lstrip(" "))


def read_block(text: str, start: int, end: int, value: str, *, folded: bool) -> Trail | None:
    """Return the scalar between two offsets with its trail, or None where it cannot be read as ``value``."""
    header = _HEADER.match(text, start)
    assert header is not None
    lines = _lines(text, header.end(), end)
    for indent in _indents(lines, value):
        trail = _Block(text, lines, indent, header.group(1), folded).read()
        if trail.value() == value:
            trail.finish(max(trail.last, header.end() if not value else 0))
            return trail
    return None


def _lines(text: str, start: int, end: int) -> list[_Line]:
    lines = []
    while start < end:
        match = _LINE.match(text, start, end)
        assert match is not None
        lines.append(_Line(start, match.group(1), len(match.group(2))))
        start = match.end()
    return lines


def _indents(lines: list[_Line], value: str) -> Iterator[int]:
    """Yield likely indentations: first the one at which the first words of text and value agree."""
    first = next((line for line in lines if line.text.strip(" ")), None)
    if first is not None:
        word = next((line for line in value.split("\n") if line.strip(" ")), "")
        yield first.spaces - (len(word) - len(word.lstrip(" ")))
    deepest = max((line.spaces for line in lines), default=0)
    yield deepest
    yield from range(min(deepest, _DEEPEST_GUESS))


class _Block:
    """One reading of a block scalar at a supposed indentation."""

    def __init__(self, text: str, lines: list[_Line], indent: int, indicators: str, folded: bool) -> None:
        self._lines, self._indent, self._indicators, self._folded = lines, indent, indicators, folded
        self._trail = Trail(text)
        self._at = 0

    def read(self) -> Trail:
        held: int | None = None  # the line end of the line before, until it is known what becomes of it
        blanks = self._blank_lines()
        was_indented = False
        while self._at < len(self._lines):
            line = self._lines[self._at]
            is_indented = line.text[self._indent : self._indent + 1] in (" ", "\t")
            self._join(held, blanks, kept=not self._folded or was_indented or is_indented)
            self._trail.copy(line.start + self._indent, line.start + len(line.text))
            held = line.start + len(line.text) if line.line_end else None
            was_indented = is_indented
            self._at += 1
            blanks = self._blank_lines()
        self._chomp(held, blanks)
        return self._trail

    def _join(self, held: int | None, blanks: list[int], *, kept: bool) -> None:
        if held is not None and kept:
            self._trail.write("\n", held)
        elif held is not None and not blanks:
            self._trail.write(" ", held)
        for blank in blanks:
            self._trail.write("\n", blank)

    def _chomp(self, held: int | None, blanks: list[int]) -> None:
        if held is not None and "-" not in self._indicators:
            self._trail.write("\n", held)
        if "+" in self._indicators:
            for blank in blanks:
                self._trail.write("\n", blank)

    def _blank_lines(self) -> list[int]:
        """Pass over lines that hold nothing beyond the indentation; return where their line ends are."""
        found = []
        while self._at < len(self._lines):
            line = self._lines[self._at]
            if line.spaces < len(line.text) or len(line.text) > self._indent:
                break
            if line.line_end:
                found.append(line.start + len(line.text))
            self._at += 1
        return found
