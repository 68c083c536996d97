"""The format for people: message, place, the lines themselves with marks, and what to do."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from costlens_policy.diagnostics.model import Diagnostic
from costlens_policy.diagnostics.render.characters import printable
from costlens_policy.diagnostics.render.colours import BOLD, FRAME, Painter, of_severity
from costlens_policy.diagnostics.render.snippet import LinesOf, Mark, last_line, snippet

__all__ = ["full"]


def full(diagnostics: Sequence[Diagnostic], lines_of: LinesOf, *, colour: bool) -> str:
    """Return one block of lines for each diagnostic, with an empty line between."""
    paint = Painter(on=colour)
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
