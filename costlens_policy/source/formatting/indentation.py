"""Find the new indentation of each line from the tokens on it."""

from __future__ import annotations

from typing import Final

import yaml

from costlens_policy.source.formatting.lines import Level, Line
from costlens_policy.source.formatting.scalars import fix_block, fix_flow
from costlens_policy.source.located import SourceText
from costlens_policy.source.places import position_at

__all__ = ["indented_lines"]

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
        """Take a token that stands in the text."""
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
        """Tell whether the file ends within a block scalar, whose last line then lacks its line end."""
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
