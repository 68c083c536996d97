"""Diagnostics for people: source lines with carets, a line per diagnostic, and a summary."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final, TypeAlias

from costlens_policy.diagnostics.model import Diagnostic, Severity, Span, in_order
from costlens_policy.frozen import frozen

__all__ = [
    "BOLD", "FRAME", "LinesOf", "Mark", "Painter", "concise", "escaped", "full", "last_line", "of_severity", "piece",
    "printable", "safe", "snippet", "summary", "width",
]  # fmt: skip


def full(diagnostics: Sequence[Diagnostic], lines_of: LinesOf, *, color: bool) -> str:
    """Return one block of lines for each diagnostic, with an empty line between."""
    paint = Painter(on=color)
    blocks = ("\n".join(_block(item, lines_of, paint)) + "\n" for item in diagnostics)
    return "\n".join(blocks)


def _block(item: Diagnostic, lines_of: LinesOf, paint: Painter) -> Iterator[str]:
    head = paint(f"{item.severity}[{item.code}]", of_severity(item.severity))
    yield head + paint(f": {printable(item.message)}", BOLD)
    files = _marks_by_file(item)
    gutter = len(str(max((last_line(marks) for marks in files.values()), default=1)))
    for name, marks in files.items():
        start = marks[0].span.start
        main = item.span is not None and name == item.span.file
        arrow = paint("-->" if main else ":::", FRAME)
        yield f"{' ' * gutter}{arrow} {printable(name)}:{start.line}:{start.column}"
        if (lines := lines_of(name)) is not None:
            yield from snippet(marks, lines, gutter, paint)
        else:
            yield from _without_lines(marks, gutter, paint)
    for witness in item.witnesses:
        if witness.text not in item.message:
            yield from _note("shown by", witness.text, gutter, paint)
    if item.proved:
        yield from _note("proved", "decided for everything that the conditions distinguish", gutter, paint)
    if item.help:
        yield from _note("help", item.help, gutter, paint)


def _marks_by_file(item: Diagnostic) -> dict[str, list[Mark]]:
    """Group the places by file: the file of the diagnostic first, its own place first in it."""
    files: dict[str, list[Mark]] = {}
    if item.span is not None:
        files[item.span.file] = [Mark(item.span, item.label, "^", of_severity(item.severity))]
    for place in item.related:
        files.setdefault(place.span.file, []).append(Mark(place.span, place.label, "-", FRAME))
    return files


def _without_lines(marks: Sequence[Mark], gutter: int, paint: Painter) -> Iterator[str]:
    for mark in marks:
        start = mark.span.start
        if mark.label:
            where = "" if mark is marks[0] else f"line {start.line}, column {start.column}: "
            yield from _note("note", where + mark.label, gutter, paint)


def _note(word: str, text: str, gutter: int, paint: Painter) -> Iterator[str]:
    sign = paint("=", FRAME)
    first, *more = text.splitlines()
    yield f"{' ' * gutter} {sign} {paint(word, BOLD)}: {printable(first)}"
    for line in more:
        yield f"{' ' * gutter}   {' ' * len(word)}  {printable(line)}".rstrip()


def concise(diagnostics: Sequence[Diagnostic], *, color: bool) -> str:
    """Return lines such as ``policies/a.yaml:14:19: error[CL302]: unknown variable `modle```."""
    paint = Painter(on=color)
    return "".join(_line(item, paint) for item in diagnostics)


def _line(item: Diagnostic, paint: Painter) -> str:
    where = f"{printable(item.span.file)}:{item.span.start.line}:{item.span.start.column}: " if item.span else ""
    head = paint(f"{item.severity}[{item.code}]", of_severity(item.severity))
    advice = f" ({printable(item.help)})" if item.help else ""
    return f"{where}{head}: {printable(item.message)}{advice}\n"


def summary(diagnostics: Iterable[Diagnostic], files: int) -> str:
    """Return a line such as ``2 errors, 1 warning in 3 files, 1 suppressed``, or ``no problems in 1 file``."""
    items = in_order(diagnostics)
    counts = Counter(item.severity for item in items if not item.suppressed)
    found = ", ".join(_counted(counts[severity], severity.value) for severity in Severity if counts[severity])
    hidden = sum(bool(item.suppressed) for item in items)
    return f"{found or 'no problems'} in {_counted(files, 'file')}" + (f", {hidden} suppressed" if hidden else "")


def _counted(number: int, word: str) -> str:
    return f"{number} {word}" if number == 1 else f"{number} {word}s"


LinesOf: TypeAlias = Callable[[str], Sequence[str] | None]

_WIDEST: Final = 160  # code points of a line that are shown at most
_BEFORE: Final = 60  # of these, how many stand before the mark
_MOST_LINES: Final = 6  # of one mark; further lines in its middle are left out


@frozen
class Mark:
    """A place to be underlined. ``sign`` is ``^`` for the main place and ``-`` for others."""

    span: Span
    label: str
    sign: str
    color: str


@frozen
class _Row:
    number: int | None  # None for a row of marks
    text: str
    color: str = ""
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
        text = paint(row.text, row.color) if row.color else row.text
        yield f"{number} {bar} {text}".rstrip()


def _rows(marks: Sequence[Mark], lines: Sequence[str]) -> Iterator[_Row]:
    """Yield each line once with all marks on it; a mark over several lines gets a separate margin."""
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
        yield _Row(None, below + _underline(mark, number, window), mark.color)
    if long is not None and opens and not first_word:
        yield _Row(None, " " + "_" * (window.column(long.span.start.column) + 1) + long.sign, long.color)
    if long is not None and number == _end_line(long.span):
        reach = window.column(_end_column(long.span, len(text)))
        yield _Row(None, _labeled("|" + "_" * (reach + 1) + long.sign, long), long.color)


def _underline(mark: Mark, number: int, window: _Window) -> str:
    start = window.column(mark.span.start.column)
    end = window.column(mark.span.end.column) if mark.span.end.line == number else window.column(None)
    return _labeled(" " * start + mark.sign * max(end - start, 1), mark)


def _labeled(text: str, mark: Mark) -> str:
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
        """Return how many terminal columns precede a column of the line; None means its end."""
        count = len(self._pieces) if column is None else min(max(column - 1 - self._start, 0), len(self._pieces))
        return width(self._head + "".join(self._pieces[:count]))


_TAB = "    "
_JOINERS = "\u200c\u200d"
_UNSAFE: Final = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u206f\ufeff\ufff9-\ufffb\ud800-\udfff"
    "\U000e0000-\U000e007f]"
)
"""Characters that command a terminal, turn the direction of a text, end a line, hide, or cannot be written."""


def piece(character: str) -> str:
    """Return what is shown for one character: itself, spaces for a tab, a visible name for a control."""
    if character.isprintable() or character in _JOINERS:
        return character
    if character == "\t":
        return _TAB
    number = ord(character)
    if number < 0x20:
        return chr(0x2400 + number)
    if number == 0x7F:
        return "\u2421"
    return " " if unicodedata.category(character) == "Zs" else f"<U+{number:04X}>"


def printable(text: str) -> str:
    """Return a text that stays on one line and cannot command a terminal."""
    return text if text.isprintable() else "".join(map(piece, text))


def safe(text: str) -> str:
    """Return a text of lines that cannot command a terminal, nor seem to be another text."""
    return _UNSAFE.sub(lambda found: piece(found[0]), text)


def escaped(text: str) -> str:
    """Return JSON whose texts are the same, with such characters as escapes."""
    return _UNSAFE.sub(lambda found: _escape(found[0]), text)


def _escape(character: str) -> str:
    data = character.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{data[at]:02x}{data[at + 1]:02x}" for at in range(0, len(data), 2))


def width(shown: str) -> int:
    """Return the number of terminal columns of a text made of pieces."""
    return len(shown) if shown.isascii() else sum(map(_columns, shown))


def _columns(character: str) -> int:
    if character in _JOINERS or unicodedata.category(character) in ("Mn", "Me"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in ("W", "F") else 1


BOLD: Final = "1"
FRAME: Final = "1;34"
_SEVERITIES: Final = {Severity.ERROR: "1;31", Severity.WARNING: "1;33", Severity.NOTE: "1;36"}


def of_severity(severity: Severity) -> str:
    """Return the color in which a diagnostic and its carets are shown."""
    return _SEVERITIES[severity]


class Painter:
    """Colors texts when switched on, else leaves them as they are."""

    def __init__(self, *, on: bool) -> None:
        self._on = on

    def __call__(self, text: str, color: str) -> str:
        return f"\x1b[{color}m{text}\x1b[0m" if self._on and text.strip() else text
