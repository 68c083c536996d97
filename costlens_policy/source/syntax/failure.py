"""What the YAML parser said about a text, and what is said about it instead."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from costlens_policy.diagnostics.model import Related, Span
from costlens_policy.source.located import SourceText
from costlens_policy.source.places import position_at, span_between

__all__ = ["QUOTE_IT", "Failure", "Words"]

QUOTE_IT: Final = "put the whole value in quotes, or on lines of its own after `|`"


@dataclass(frozen=True, slots=True)
class Failure:
    """What the parser said. Both parsers of PyYAML, in C and in Python, come down to this."""

    source: SourceText
    problem: str
    context: str
    at: int  # offset of the problem
    since: int  # offset of what was being read

    def word(self, offset: int) -> str:
        found = re.compile(r"[^\s,\[\]{}]+|.").match(self.source.text, offset)
        return found.group() if found else ""

    def line_before(self, offset: int) -> str:
        return self.source.text[self._line_start(offset) : offset]

    def line_after(self, offset: int) -> str:
        found = re.compile(r"[^\r\n]*").match(self.source.text, offset)
        return found.group().rstrip() if found else ""

    def previous_line(self, offset: int) -> tuple[int, str]:
        """Return the nearest line above that is not blank, with its offset; an empty one where none is."""
        number = position_at(self.source, offset).line - 1
        while number > 0:
            start = self.source.line_starts[number - 1]
            if self.line_after(start).strip():
                return start, self.line_after(start)
            number -= 1
        return 0, ""

    def column(self, offset: int) -> int:
        return position_at(self.source, offset).column

    def same_line(self) -> bool:
        return self._line_start(self.at) == self._line_start(self.since)

    def span(self, start: int, length: int) -> Span:
        return span_between(self.source, start, start + length)

    def _line_start(self, offset: int) -> int:
        return self.source.line_starts[position_at(self.source, offset).line - 1]


@dataclass(frozen=True, slots=True)
class Words:
    """The parts of a diagnostic, with its place as offset and length."""

    message: str
    start: int
    length: int
    label: str = ""
    help: str = ""
    related: tuple[Related, ...] = ()
    code: str = "CL005"
