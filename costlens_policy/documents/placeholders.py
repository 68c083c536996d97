"""Texts with placeholders, such as ``{{ prompt }}``: read once, filled in often.

What is filled in is never read as a template again. Braces that are not closed are text.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

__all__ = ["ParsedTemplate", "Placeholder", "parse_template", "placeholders"]

_PLACEHOLDER: Final = re.compile(r"\{\{([^{}]*)\}\}")


class Placeholder(NamedTuple):
    """A placeholder and where it stands. ``name`` is what is between the braces, without the spaces around it."""

    name: str
    start: int
    end: int


def placeholders(text: str) -> list[Placeholder]:
    """Return every placeholder of a text in order. Whether its name is a known one is for the caller to say."""
    return [Placeholder(match[1].strip(), match.start(), match.end()) for match in _PLACEHOLDER.finditer(text)]


@dataclass(frozen=True, slots=True)
class ParsedTemplate:
    """A template: ``literals[0]``, the value of ``names[0]``, ``literals[1]`` and so on."""

    literals: tuple[str, ...]
    names: tuple[str, ...]

    def only(self, names: Collection[str]) -> ParsedTemplate:
        """Return the template itself. Raises ``ValueError`` for a placeholder that is not among the names."""
        unknown = [name for name in self.names if name not in names]
        if unknown:
            raise ValueError(f"unknown placeholder `{unknown[0]}`")
        return self

    def render(self, values: Mapping[str, str]) -> str:
        """Return the text with every placeholder filled in. Raises ``KeyError`` for a name without a value."""
        pieces = [self.literals[0]]
        for name, literal in zip(self.names, self.literals[1:], strict=True):
            pieces += (values[name], literal)
        return "".join(pieces)


def parse_template(text: str) -> ParsedTemplate:
    """Return the text split at its placeholders."""
    found = placeholders(text)
    starts = [0, *(item.end for item in found)]
    ends = [*(item.start for item in found), len(text)]
    literals = tuple(text[start:end] for start, end in zip(starts, ends, strict=True))
    return ParsedTemplate(literals, tuple(item.name for item in found))
