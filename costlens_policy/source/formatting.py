"""`fmt`: the layout of a document, changed line by line, so that comments and scalars stay as they were written.

Lines are read with their levels, indented by two, their scalars moved along, and the sections of a document put into
order; what comes out must mean the same, or nothing is changed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final

import yaml

from costlens_policy.diagnostics.model import Diagnostic, PolicyError, Severity
from costlens_policy.frozen import frozen
from costlens_policy.source.compose import compose
from costlens_policy.source.located import Plain, SourceText, position_at, span_between
from costlens_policy.source.read import source_of

__all__ = [
    "INDENT", "Level", "Line", "arranged_lines", "fix_block", "fix_flow", "format_source", "format_text",
    "indented_lines",
]  # fmt: skip


def format_text(text: str, name: str = "<text>") -> str:
    """Return a text as ``format_source`` lays it out; ``name`` is what its problems are reported under."""
    return format_source(source_of(text, name))


def format_source(source: SourceText) -> str:
    """Return the text laid out: two spaces for each level, lists indented below their key, one line end at the end.

    ``apiVersion``, ``kind`` and ``metadata`` come first, sections are parted by an empty line. Nothing is wrapped,
    joined or requoted, and the documents stay equal. Raises ``PolicyError`` for invalid YAML.
    """
    before = _documents(source)
    for in_order in (True, False):  # moving a key can part an alias from its anchor
        lines = arranged_lines(indented_lines(source), in_order=in_order)
        text = "".join(f"{line.shown()}\n" for line in lines)
        if _same(before, source_of(text, source.name)):
            return text
    raise PolicyError([_unsafe(source)])


def _documents(source: SourceText) -> list[Plain]:
    composed = compose(source)
    if any(item.is_error for item in composed.diagnostics):
        raise PolicyError(composed.diagnostics)
    return [document.root.to_plain() for document in composed.documents]


def _same(before: list[Plain], source: SourceText) -> bool:
    """Return whether the new text holds the same documents; the order of their keys may differ."""
    try:
        after = _documents(source)
    except PolicyError:
        return False
    return [_comparable(item) for item in before] == [_comparable(item) for item in after]


def _comparable(document: Plain) -> object:
    # `repr` distinguishes 1.10 from 1.1 and true from 1, and keeps the order of keys below the first level.
    return {key: repr(value) for key, value in document.items()} if isinstance(document, dict) else repr(document)


def _unsafe(source: SourceText) -> Diagnostic:
    return Diagnostic(
        "CL022",
        Severity.ERROR,
        "this file cannot be formatted without changing its meaning",
        span_between(source, 0, 0),
        help="leave it as it is, or simplify its unusual parts",
    )


_LOADER: Final = yaml.CSafeLoader if yaml.__with_libyaml__ else yaml.SafeLoader
_FRAME: Final = (yaml.DocumentStartToken, yaml.DocumentEndToken, yaml.DirectiveToken)
_FLOW_START: Final = (yaml.FlowSequenceStartToken, yaml.FlowMappingStartToken)
_FLOW_END: Final = (yaml.FlowSequenceEndToken, yaml.FlowMappingEndToken)
_BEFORE_ONE_SPACE: Final = (yaml.BlockEntryToken, yaml.ValueToken, yaml.KeyToken)


def indented_lines(source: SourceText) -> list[Line]:
    """Return the lines of a text that composes, each with its new indentation."""
    indenter = _Indenter(source)
    for token in yaml.scan(source.text, Loader=_LOADER):
        indenter.take(token)
    _indent_comments(indenter.lines)
    if indenter.lines[-1].is_blank:
        indenter.lines.pop()
    return indenter.lines


class _Indenter:
    """Follows the tokens, with the block collections that are open at each."""

    def __init__(self, source: SourceText) -> None:
        self.lines = [Line(text) for text in source.lines()]
        self._source = source
        self._levels: list[Level] = []
        self._flow_depth = 0
        self._flow_owner = 0  # number of the line on which the outermost flow collection starts
        self._begun = -1  # number of the last line whose indentation is known
        self._previous: tuple[yaml.Token, int] | None = None  # the last token with a width, and where it ends

    def take(self, token: yaml.Token) -> None:
        if isinstance(token, yaml.BlockMappingStartToken | yaml.BlockSequenceStartToken):
            self._push(isinstance(token, yaml.BlockSequenceStartToken), token)
        elif isinstance(token, yaml.BlockEndToken):
            self._leave_indentless()
            self._levels.pop()
        elif not isinstance(token, yaml.StreamStartToken | yaml.StreamEndToken):
            self._written(token)

    def _written(self, token: yaml.Token) -> None:
        """Take a token of the text."""
        if not self._flow_depth:
            self._enter_or_leave_indentless(token)
        number, column = self._place(token.start_mark.index)
        if isinstance(token, _FLOW_END):
            self._flow_depth -= 1
        self._begin_line(token, number)
        self._space(token, number, column)
        if isinstance(token, _FLOW_START):
            self._flow_owner = self._flow_owner if self._flow_depth else number
            self._flow_depth += 1
        if isinstance(token, yaml.ScalarToken):
            self._scalar(token, number)
        self.lines[number].levels, self.lines[number].is_content = tuple(self._levels), True
        if token.end_mark.index > token.start_mark.index:
            self._previous = token, token.end_mark.index

    def _begin_line(self, token: yaml.Token, number: int) -> None:
        if number <= self._begun:
            return
        line = self.lines[number]
        in_flow = self._flow_depth or isinstance(token, _FLOW_END)
        for between in range(self._begun + 1, number if in_flow else 0):
            self.lines[between].indent = self._shifted(between)  # comments inside brackets
        self._begun = number
        if isinstance(token, _FRAME):
            line.indent, line.is_frame = 0, True
        elif in_flow:
            line.indent = self._shifted(number)
        elif isinstance(token, yaml.KeyToken | yaml.ValueToken | yaml.BlockEntryToken):
            line.indent = self._levels[-1].new
            line.opens_entry = len(self._levels) == 1 and isinstance(token, yaml.KeyToken)
        else:
            line.indent = self._levels[-1].inner if self._levels else line.old_indent

    def _space(self, token: yaml.Token, number: int, column: int) -> None:
        """Have one space after `-`, `:` and `?`, and none between a key and its colon."""
        if self._previous is None or self._flow_depth or isinstance(token, _FLOW_END):
            return
        before, end = self._previous
        before_number, before_column = self._place(end)
        if before_number != number or column < before_column:
            return
        if isinstance(before, _BEFORE_ONE_SPACE) and token.end_mark.index > end:
            if (before_column, column, " ") not in self.lines[number].edits:
                self.lines[number].edits.append((before_column, column, " "))
        elif isinstance(token, yaml.ValueToken) and isinstance(before, yaml.ScalarToken):
            self.lines[number].edits.append((before_column, column, ""))

    def _scalar(self, token: yaml.ScalarToken, number: int) -> None:
        if token.style in ("|", ">"):
            parent = self._levels[-1] if self._levels else Level(False, 0, 0)
            last, column = self._last_line(token), token.start_mark.column
            self._begun = fix_block(self.lines, number, last, column, parent, is_unended=self._is_unended(token))
            return
        last, _ = self._place(token.end_mark.index)
        if last == number:
            return
        owner = self.lines[self._flow_owner if self._flow_depth else number]
        shift = (owner.indent or 0) - owner.old_indent
        fix_flow(self.lines, number, last, shift, least=self._inner(), is_double=token.style == '"')
        self._begun = last

    def _shifted(self, number: int) -> int:
        owner = self.lines[self._flow_owner]
        shift = (owner.indent or 0) - owner.old_indent
        least = self._levels[-1].new if self._levels else 0
        return max(self.lines[number].old_indent + shift, least)

    def _inner(self) -> int:
        return self._levels[-1].inner if self._levels else 0

    def _push(self, is_sequence: bool, token: yaml.Token) -> None:
        _, column = self._place(token.start_mark.index)
        self._levels.append(Level(is_sequence, column, self._inner()))

    def _enter_or_leave_indentless(self, token: yaml.Token) -> None:
        if isinstance(token, yaml.KeyToken):
            self._leave_indentless()
        elif isinstance(token, yaml.BlockEntryToken) and not self._levels[-1].is_sequence:
            parent = self._levels[-1]
            self._levels.append(Level(True, parent.old, parent.inner, is_indentless=True))

    def _leave_indentless(self) -> None:
        if self._levels[-1].is_indentless:
            self._levels.pop()

    def _place(self, offset: int) -> tuple[int, int]:
        """Return line and column of an offset, both from 0."""
        position = position_at(self._source, offset)
        return position.line - 1, position.column - 1

    def _last_line(self, token: yaml.ScalarToken) -> int:
        """Return the number of the last line of a block scalar, blank lines after it included."""
        number, column = self._place(token.end_mark.index)
        return number - 1 if column == 0 else number

    def _is_unended(self, token: yaml.ScalarToken) -> bool:
        """Return whether the file ends within a block scalar, whose last line then lacks its line end."""
        return token.end_mark.index >= len(self._source.text) and self._source.text[-1] not in "\r\n"


def _indent_comments(lines: list[Line]) -> None:
    """Put comments where the collection goes that they were aligned with."""
    waiting: list[tuple[Line, tuple[Level, ...]]] = []
    levels: tuple[Level, ...] = ()
    for line in lines:
        if line.is_comment and line.indent is None:
            waiting.append((line, levels))
        elif line.is_content and line.indent is not None:
            _indent_waiting(waiting, line)
            levels = line.levels if line.levels or line.is_frame else levels
    _indent_waiting(waiting, None)


def _indent_waiting(waiting: list[tuple[Line, tuple[Level, ...]]], following: Line | None) -> None:
    for line, levels in waiting:
        line.indent = _comment_indent(line.old_indent, levels, following)
    waiting.clear()


def _comment_indent(column: int, levels: tuple[Level, ...], following: Line | None) -> int:
    if following is not None and following.old_indent == column:
        return following.indent or 0
    for level in levels:
        if level.old == column:
            return level.new
    fitting = [level.new for level in levels if level.old < column]
    return fitting[-1] if fitting else 0


INDENT: Final = 2


@frozen
class Level:
    """A block collection that is open at some line: the column it had, and the one it gets."""

    is_sequence: bool
    old: int
    new: int
    is_indentless: bool = False  # a sequence whose dashes stand in the column of the key above

    @property
    def inner(self) -> int:
        """Column of its content on separate lines."""
        return self.new + INDENT


@dataclass(slots=True)
class Line:
    """One line of the file, without its line end."""

    text: str
    indent: int | None = None  # new indentation; None for blank lines and, at first, for comments
    is_fixed: bool = False  # inside a scalar over several lines; ``text`` is as it must be
    is_content: bool = False  # holds more than a comment
    keeps_end: bool = False  # the blank at its end is escaped
    keeps_blanks: bool = False  # an empty line after it would become part of a text
    is_frame: bool = False  # `---`, `...` or a directive
    opens_entry: bool = False  # starts with a key of the document's mapping
    levels: tuple[Level, ...] = ()  # collections that are open at its last token
    edits: list[tuple[int, int, str]] = field(default_factory=list)  # columns from, to, and what to write there

    @property
    def old_indent(self) -> int:
        return len(self.text) - len(self.text.lstrip(" \t"))

    @property
    def is_blank(self) -> bool:
        return not self.is_fixed and not self.text.strip()

    @property
    def is_comment(self) -> bool:
        return not self.is_content and self.text.lstrip(" \t").startswith("#")

    def shown(self) -> str:
        """Return the line as it is to be written."""
        if self.is_fixed:
            return self.text
        text = self.text
        for start, end, written in sorted(self.edits, reverse=True):
            text = text[:start] + written + text[end:]
        text = text.lstrip(" \t") if self.keeps_end else text.strip(" \t")
        return " " * (self.indent or 0) + text if text else ""


_HEADER: Final = re.compile(r"[|>](?:([-+]?)([1-9]?)|([1-9])([-+]))(?=[ \t]|$)")


def fix_flow(lines: list[Line], first: int, last: int, shift: int, *, least: int, is_double: bool) -> None:
    """Move the further lines of a plain or quoted scalar; blanks at their ends are no part of it."""
    lines[first].keeps_end = is_double and _ends_in_escaped_blank(lines[first].text)
    for line in lines[first + 1 : last]:
        line.text = _moved(line, shift, least, is_double=is_double)
        line.is_fixed = line.is_content = True
    lines[last].indent, lines[last].is_content = max(lines[last].old_indent + shift, least), True


def fix_block(lines: list[Line], first: int, last: int, column: int, parent: Level, *, is_unended: bool) -> int:
    """Indent the text of a block scalar for its place; return the number of its last line.

    Its header is on the ``first`` line, with a column from 0. ``is_unended`` means that its last line has no newline;
    an added one must not become part of the text.
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
    """Return whether a last line adds nothing to the text; kept line ends and blanks after the indentation do."""
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


_HEAD: Final = ("apiVersion", "kind", "metadata")


@dataclass(slots=True)
class _Section:
    """A key of the document with its value, and the comments above it."""

    key: str
    above: list[Line] = field(default_factory=list)
    body: list[Line] = field(default_factory=list)

    def rank(self) -> int:
        return _HEAD.index(self.key) if self.key in _HEAD else len(_HEAD)

    def lines(self) -> list[Line]:
        return [*_without_outer_blanks(self.above, only_top=True), *self.body]


def arranged_lines(lines: list[Line], *, in_order: bool) -> list[Line]:
    """Return the lines of all documents with at most one empty line in a row.

    ``in_order`` moves ``apiVersion``, ``kind`` and ``metadata`` to the start of each document.
    """
    arranged: list[Line] = []
    for part in _documents_in(lines):
        arranged += [part[0]] if part[0].is_frame else _arranged(part, in_order=in_order)
    return _without_outer_blanks(list(_single_blanks(arranged)))


def _documents_in(lines: list[Line]) -> Iterator[list[Line]]:
    """Split at `---` and similar lines; each such line is a separate part."""
    part: list[Line] = []
    for line in lines:
        if line.is_frame:
            if part:
                yield part
            yield [line]
            part = []
        else:
            part.append(line)
    if part:
        yield part


def _arranged(lines: list[Line], *, in_order: bool) -> list[Line]:
    top, sections, tail = _split(lines)
    if in_order:
        sections.sort(key=_Section.rank)
    arranged = list(top)
    for before, section in pairwise([None, *sections]):
        assert section is not None
        if before is not None:
            arranged += _gap(before, section)
        arranged += section.lines()
    return [*arranged, *tail]


def _split(lines: list[Line]) -> tuple[list[Line], list[_Section], list[Line]]:
    """Return the lines above the first key, the sections, and the lines below the last."""
    starts = [number for number, line in enumerate(lines) if line.opens_entry]
    if not starts:
        return lines, [], []
    sections = []
    cut = starts[0]
    for start, following in pairwise([*starts, len(lines)]):
        end = following
        while end > start + 1 and (lines[end - 1].is_blank or _is_top_comment(lines[end - 1])):
            end -= 1
        key = lines[start].text.strip().split(":")[0].strip("'\" ")
        sections.append(_Section(key, lines[cut:start], lines[start:end]))
        cut = end
    return lines[: starts[0]], sections, lines[cut:]


def _gap(before: _Section, section: _Section) -> list[Line]:
    """Return the empty line between two sections, or none: keys of one line stay as their author parted them."""
    if before.body[-1].keeps_blanks:
        return []
    if (before.key, section.key) == _HEAD[:2] and not any(not line.is_blank for line in section.above):
        return []
    if len(before.body) > 1 or len(section.body) > 1 or any(line.is_blank for line in section.above[:1]):
        return [Line("")]
    return []


def _is_top_comment(line: Line) -> bool:
    return line.is_comment and not line.indent


def _single_blanks(lines: list[Line]) -> Iterator[Line]:
    was_blank = False
    for line in lines:
        if not (line.is_blank and was_blank):
            yield line
        was_blank = line.is_blank


def _without_outer_blanks(lines: list[Line], *, only_top: bool = False) -> list[Line]:
    start, end = 0, len(lines)
    while start < end and lines[start].is_blank:
        start += 1
    while not only_top and end > start and lines[end - 1].is_blank:
        end -= 1
    return lines[start:end]
