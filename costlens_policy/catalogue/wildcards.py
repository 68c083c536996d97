"""Patterns with ``*`` for any text, matched in linear time: policies under review are not trusted."""

from __future__ import annotations

__all__ = ["matches"]


def matches(pattern: str, text: str) -> bool:
    """Return whether the whole text fits the pattern; ``*`` stands for any text, also none, slashes included."""
    first, *middle = pattern.split("*")
    if not middle:
        return pattern == text
    last = middle.pop()
    end = len(text) - len(last)
    if not text.startswith(first) or not text.endswith(last) or end < len(first):
        return False
    position = len(first)
    for part in middle:
        found = text.find(part, position, end)
        if found < 0:
            return False
        position = found + len(part)
    return True
