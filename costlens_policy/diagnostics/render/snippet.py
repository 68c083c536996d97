"""The lines of one file with marks under them, as a compiler would show them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from costlens_policy.diagnostics.model import Span
from costlens_policy.diagnostics.render.characters import piece, printable, width
from costlens_policy.diagnostics.render.colours import FRAME, Painter

__all__ = ["LinesOf", "Mark", "last_line", "snippet"]

LinesOf: TypeAlias = Callable[[str], Sequence[str] | None]

_WIDEST: Final = 160  # code points of a line that are shown at most
_BEFORE: Final = 60  # of these, how many stand before the mark
_MOST_LINES: Final = 6  # of one mark; further lines in its middle are left out


@dataclass(frozen=True, slots=True)
class Mark:
    """A place to be underlined. ``sign`` is ``^`` for the main place and ``-`` for others."""

    span: Span
    label: str
    sign: str
    colour: str


@dataclass(frozen=True, slots=True)
class _Row:
    number: int | None  # None for a row of marks
    text: str
    colour: str = ""
    gap: bool = False


def last_line(marks: Sequence[Mark]) -> int:
    """Return the greatest line number that a snippet of these marks shows."""
    return max(_end_line(mark.span) for mark in marks)


def snippet(marks: Sequence[Mark], lines: Sequence[str], gutter: int, paint: Painter) -> Iterator[str]:
    """Yield the rows of text for marks in one file; ``gutter`` is the width of the line numbers."""
    bar = paint("|", FRAME)
    yield f"{' ' * gutter} {bar}"
    for row in _with_gaps(_rows(marks, lines)):
        if row.gap:
            yield paint("...", FRAME)
            continue
        number = paint(f"{row.number or '':>{gutter}}", FRAME)
        text = paint(row.text, row.colour) if row.colour else row.text
        yield f"{number} {bar} {text}".rstrip()


def _rows(marks: Sequence[Mark], lines: Sequence[str]) -> Iterator[_Row]:
    """Yield each line once with all marks on it; a mark over several lines gets a margin of its own."""
    long = next((mark for mark in marks if mark.sign == "^" and _end_line(mark.span) > mark.span.start.line), None)
    short = [mark for mark in marks if mark is not long]
    numbers = {mark.span.start.line for mark in short} | (set(_shown_lines(long.span)) if long else set())
    numbers |= {number + 1 for number in numbers if number + 2 in numbers}  # one line is no gap
    for number in sorted(numbers):
        on_line = sorted((mark for mark in short if mark.span.start.line == number), key=lambda mark: mark.span)
        yield from _line_rows(number, lines, on_line, long)


def _line_rows(number: int, lines: Sequence[str], marks: Sequence[Mark], long: Mark | None) -> Iterator[_Row]:
    text = lines[number - 1] if number <= len(lines) else ""
    inside = long is not None and long.span.start.line < number <= _end_line(long.span)
    opens = long is not None and number == long.span.start.line
    focus = marks[0].span.start.column if marks else (long.span.start.column if long and opens else 1)
    window = _Window(text, focus)
    first_word = not long or not text[: long.span.start.column - 1].strip()
    margin = "" if long is None else "| " if inside else "/ " if opens and first_word else "  "
    yield _Row(number, margin + window.shown())
    below = "" if long is None else "| " if inside or (opens and first_word) else "  "
    for mark in marks:
        yield _Row(None, below + _underline(mark, number, window), mark.colour)
    if long is not None and opens and not first_word:
        yield _Row(None, " " + "_" * (window.column(long.span.start.column) + 1) + long.sign, long.colour)
    if long is not None and number == _end_line(long.span):
        reach = window.column(_end_column(long.span, len(text)))
        yield _Row(None, _labelled("|" + "_" * (reach + 1) + long.sign, long), long.colour)


def _underline(mark: Mark, number: int, window: _Window) -> str:
    start = window.column(mark.span.start.column)
    end = window.column(mark.span.end.column) if mark.span.end.line == number else window.column(None)
    return _labelled(" " * start + mark.sign * max(end - start, 1), mark)


def _labelled(text: str, mark: Mark) -> str:
    return f"{text} {printable(mark.label)}" if mark.label else text


def _with_gaps(rows: Iterator[_Row]) -> Iterator[_Row]:
    previous = 0
    for row in rows:
        if row.number is not None:
            if previous and row.number > previous + 1:
                yield _Row(None, "", gap=True)
            previous = row.number
        yield row


def _shown_lines(span: Span) -> Sequence[int]:
    first, last = span.start.line, _end_line(span)
    if last - first < _MOST_LINES:
        return range(first, last + 1)
    half = _MOST_LINES // 2
    return (*range(first, first + half), *range(last - half + 1, last + 1))


def _end_line(span: Span) -> int:
    """Return the line of the last character; a span that ends where a line starts ends on the line before."""
    if span.end.column == 1 and span.end.line > span.start.line:
        return span.end.line - 1
    return span.end.line


def _end_column(span: Span, length: int) -> int:
    """Return the column of the last character of a span over several lines."""
    return max(span.end.column - 1, 1) if _end_line(span) == span.end.line else max(length, 1)


class _Window:
    """The part of a line that is shown, around a column."""

    def __init__(self, text: str, focus: int) -> None:
        self._start = max(0, focus - 1 - _BEFORE) if len(text) > _WIDEST else 0
        self._pieces = [piece(character) for character in text[self._start : self._start + _WIDEST]]
        self._head = "…" if self._start else ""
        self._tail = "…" if len(text) > self._start + _WIDEST else ""

    def shown(self) -> str:
        return self._head + "".join(self._pieces) + self._tail

    def column(self, column: int | None) -> int:
        """Return how many terminal columns stand before a column of the line; None means its end."""
        count = len(self._pieces) if column is None else min(max(column - 1 - self._start, 0), len(self._pieces))
        return width(self._head + "".join(self._pieces[:count]))
