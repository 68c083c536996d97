"""Move scalars over several lines without changing what they say."""

from __future__ import annotations

import re
from typing import Final

from costlens_policy.source.formatting.lines import INDENT, Level, Line

__all__ = ["fix_block", "fix_flow"]

_HEADER: Final = re.compile(r"[|>](?:([-+]?)([1-9]?)|([1-9])([-+]))(?=[ \t]|$)")


def fix_flow(lines: list[Line], first: int, last: int, shift: int, *, least: int, is_double: bool) -> None:
    """Move the further lines of a plain or quoted scalar; blanks at their ends are no part of it."""
    lines[first].keeps_end = is_double and _ends_in_escaped_blank(lines[first].text)
    for line in lines[first + 1 : last]:
        line.text = _moved(line, shift, least, is_double=is_double)
        line.is_fixed = line.is_content = True
    lines[last].indent, lines[last].is_content = max(lines[last].old_indent + shift, least), True


def fix_block(lines: list[Line], first: int, last: int, column: int, parent: Level, *, is_unended: bool) -> int:
    """Give the text of a block scalar the indentation of its place; return the number of its last line.

    Its header stands on the ``first`` line in a column that counts from 0.
    ``is_unended`` says that its last line has no line end; what it gets must not become part of the text.
    """
    header = _HEADER.match(lines[first].text, column)
    assert header is not None
    digit, chomping = header[2] or header[3], header[1] or header[4] or ""
    indent = parent.old + int(digit) if digit else _indent(lines[first + 1 : last + 1])
    if is_unended and last > first and lines[last].text[indent:]:
        chomping = "-"
    else:
        while last > first and _is_outside(lines[last], indent, chomping, is_unended=is_unended):
            last, is_unended = last - 1, False
    for line in lines[first + 1 : last + 1]:
        rest = line.text[indent:]
        line.text, line.is_fixed, line.is_content = " " * parent.inner + rest if rest else "", True, True
    written = header[0][0] + (str(INDENT) if digit else "") + chomping
    lines[first].edits.append((header.start(), header.end(), written))
    lines[last].keeps_blanks = chomping == "+"
    return last


def _is_outside(line: Line, indent: int, chomping: str, *, is_unended: bool) -> bool:
    """Tell whether a last line adds nothing to the text; kept line ends and blanks after the indentation do."""
    return not line.text[indent:] and not line.text.strip() and (chomping != "+" or is_unended)


def _indent(lines: list[Line]) -> int:
    first = next((line for line in lines if line.text.strip(" ")), None)
    if first is None:
        return max((len(line.text) for line in lines), default=0)
    return len(first.text) - len(first.text.lstrip(" "))


def _moved(line: Line, shift: int, least: int, *, is_double: bool) -> str:
    text = line.text.lstrip(" \t")
    text = text if is_double and _ends_in_escaped_blank(text) else text.rstrip(" \t")
    return " " * max(line.old_indent + shift, least) + text if text else ""


def _ends_in_escaped_blank(text: str) -> bool:
    stripped = text.rstrip(" \t")
    backslashes = len(stripped) - len(stripped.rstrip("\\"))
    return len(stripped) < len(text) and backslashes % 2 == 1
