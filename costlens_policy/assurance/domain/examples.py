"""Texts that a regular expression fits, and near misses: examples for a search, never a proof."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from re import _constants as codes
from re import _parser as parser
from typing import Any, Final

__all__ = ["texts_matching"]

_LONGEST: Final = 10_000


def texts_matching(pattern: str) -> Iterator[str]:
    """Yield some texts that a pattern fits, each also with more around it. Nothing for what Python cannot read."""
    try:
        with warnings.catch_warnings(action="ignore"):  # of what Python may read differently one day
            parsed = parser.parse(pattern)
    except (re.error, RecursionError, OverflowError):
        return
    for least in (True, False):
        text = _text(parsed, least)
        yield text
        yield f"x{text}"
        yield f"{text}x"
    yield from (_text(branch, least=True) for branch in _alternatives(parsed))


def _text(parsed: Any, least: bool) -> str:
    return "".join(_part(code, value, least) for code, value in parsed)[:_LONGEST]


def _part(code: Any, value: Any, least: bool) -> str:
    if code is codes.IN:
        return _member(value)
    match code:
        case codes.LITERAL:
            return chr(value)
        case codes.NOT_LITERAL:
            return "b" if chr(value) == "a" else "a"
        case codes.ANY:
            return "a"
        case codes.BRANCH:
            return _text(value[1][0 if least else -1], least)
        case codes.SUBPATTERN:
            return _text(value[-1], least)
        case codes.MAX_REPEAT | codes.MIN_REPEAT | codes.POSSESSIVE_REPEAT:
            low, high, inner = value
            times = min(int(low) if least else min(int(high), int(low) + 2), _LONGEST)
            return (_text(inner, least) * times)[:_LONGEST]
        case _:
            return ""


def _member(items: Any) -> str:
    """Return a character of a class."""
    negated = items[0][0] is codes.NEGATE
    if not negated:
        code, value = items[0]
        if code is codes.LITERAL:
            return chr(value)
        if code is codes.RANGE:
            return chr(value[0])
        return "7" if value is codes.CATEGORY_DIGIT else " " if value is codes.CATEGORY_SPACE else "a"
    excluded = {chr(value) for code, value in items[1:] if code is codes.LITERAL}
    return next(character for character in "a7 -#Zé漢" if character not in excluded)


def _alternatives(parsed: Any) -> Iterator[Any]:
    for code, value in parsed:
        if code is codes.BRANCH:
            yield from value[1]
        elif code is codes.SUBPATTERN:
            yield from _alternatives(value[-1])
