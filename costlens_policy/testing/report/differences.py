"""Differences as lines that a person can read."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from typing import Final

from costlens_policy.testing.difference import Difference
from costlens_policy.testing.report.values import shown

__all__ = ["difference_lines", "difference_sentence"]

_LONGEST: Final = 72


def difference_sentence(item: Difference) -> str:
    """Return a difference as one line, for formats that have no room for more."""
    return f"expected: {item.path} {item.relation or 'is'} {shown(item.expected)}; got {shown(item.actual)}"


def difference_lines(item: Difference) -> Iterator[tuple[str, str]]:
    """Yield lines with their sign: ``-`` for what is expected, ``+`` for what is there, a blank for what is the same.

    Long texts and lists are compared line by line; the first line names the place and has the sign ``=``.
    """
    yield "=", f"{item.path} {item.relation}".rstrip()
    pieces = None if item.relation else _pieces(item)
    if pieces is None:
        yield "-", shown(item.expected)
        yield from (("+", text) for text in _each(item))
        return
    expected, actual = pieces
    yield from _aligned(expected, actual)


def _each(item: Difference) -> list[str]:
    """Return the actual value, item by item where the relation is about any of several."""
    if item.relation and isinstance(item.actual, list) and item.actual:
        return [shown(entry) for entry in item.actual]
    return [shown(item.actual)]


def _pieces(item: Difference) -> tuple[list[str], list[str]] | None:
    expected, actual = item.expected, item.actual
    if isinstance(expected, list) and isinstance(actual, list):
        return [shown(entry) for entry in expected], [shown(entry) for entry in actual]
    if isinstance(expected, str) and isinstance(actual, str) and (_is_long(expected) or _is_long(actual)):
        return _lines(expected), _lines(actual)
    return None


def _is_long(text: str) -> bool:
    return "\n" in text or len(text) > _LONGEST


def _lines(text: str) -> list[str]:
    """Return the lines of a text, quoted so that blanks at their ends and a missing last line end are seen."""
    return [shown(line) for line in text.splitlines(keepends=True)] or [shown("")]


def _aligned(expected: list[str], actual: list[str]) -> Iterator[tuple[str, str]]:
    matcher = difflib.SequenceMatcher(a=expected, b=actual, autojunk=False)
    for tag, start, end, other_start, other_end in matcher.get_opcodes():
        if tag == "equal":
            yield from ((" ", text) for text in expected[start:end])
        else:
            yield from (("-", text) for text in expected[start:end])
            yield from (("+", text) for text in actual[other_start:other_end])
