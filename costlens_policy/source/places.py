"""From offsets in a text to positions and spans."""

from __future__ import annotations

import re
from bisect import bisect_right

from costlens_policy.diagnostics.model import Position, Span
from costlens_policy.source.located import LocatedValue, SourceText

__all__ = ["line_starts", "part_span", "position_at", "span_between"]

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
