"""Texts that a regular expression fits, and near misses: examples for a search, never a proof.

A pattern of written-out texts alone is another way to test what is in a text, and taken as that.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from re import _constants as codes
from re import _parser as parser
from typing import Any, Final

__all__ = ["plain_texts", "texts_matching"]

_LONGEST: Final = 10_000
_MOST_PLAIN: Final = 16
_KINDS: Final = {
    (True, True): "literals",
    (True, False): "prefixes",
    (False, True): "suffixes",
    (False, False): "parts",
}


def plain_texts(pattern: str) -> list[tuple[str, str]]:
    """Return the tests of which a pattern is the ``||``: what a text is, begins with, ends with, or contains.

    Each is one of ``literals``, ``prefixes``, ``suffixes`` and ``parts`` with its text, as in `^(eu|us)-`. Nothing for
    a pattern that is more than that.
    """
    parsed = _parsed(pattern)
    if parsed is None or parsed.state.flags != re.UNICODE:
        return []
    found = _expanded(parsed)
    tests = [(_KINDS[text[:1] == _BEGIN, text[-1:] == _END], text.strip(_BEGIN + _END)) for text in found or ()]
    anchored = all(_BEGIN not in text and _END not in text and text for _, text in tests)
    return tests if anchored and not any(mark in pattern for mark in (_BEGIN, _END)) else []


_BEGIN: Final = "\ue000"
_END: Final = "\ue001"
"""Stand for the two ends of a text, in a range of characters that have no meaning."""


def _expanded(items: Any) -> list[str] | None:
    """Return all texts that items are, with their ends marked; None for very many, and for anything else."""
    texts = [""]
    for code, value in items:
        match code:
            case codes.LITERAL:
                ways: list[str] | None = [chr(value)]
            case codes.AT if value in (codes.AT_BEGINNING, codes.AT_END):
                ways = [_BEGIN if value is codes.AT_BEGINNING else _END]
            case codes.IN if all(kind is codes.LITERAL for kind, _ in value):
                ways = [chr(letter) for _, letter in value]
            case codes.BRANCH:
                branches = [_expanded(branch) for branch in value[1]]
                ways = None if None in branches else [text for branch in branches for text in branch or ()]
            case codes.SUBPATTERN if not value[1] and not value[2]:
                ways = _expanded(value[-1])
            case codes.MAX_REPEAT if tuple(value[:2]) == (0, 1):
                inner = _expanded(value[2])
                ways = None if inner is None else ["", *inner]
            case _:
                ways = None
        if ways is None or len(texts) * len(ways) > _MOST_PLAIN:
            return None
        texts = [text + way for text in texts for way in ways]
    return texts


def _parsed(pattern: str) -> Any:
    """Return a pattern in parts; None for what Python cannot read."""
    try:
        with warnings.catch_warnings(action="ignore"):  # of what Python may read differently one day
            return parser.parse(pattern)
    except (re.error, RecursionError, OverflowError):
        return None


def texts_matching(pattern: str) -> Iterator[str]:
    """Yield some texts that a pattern fits, each also with more around it. Nothing for what Python cannot read."""
    parsed = _parsed(pattern)
    if parsed is None:
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
