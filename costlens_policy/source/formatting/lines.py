"""Lines of a text that is being laid out."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

__all__ = ["INDENT", "Level", "Line"]

INDENT: Final = 2


@dataclass(frozen=True, slots=True)
class Level:
    """A block collection that is open at some line: the column it had, and the one it gets."""

    is_sequence: bool
    old: int
    new: int
    is_indentless: bool = False  # a sequence whose dashes stand in the column of the key above

    @property
    def inner(self) -> int:
        """Column of what is written inside it on lines of its own."""
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
