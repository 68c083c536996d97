"""Patterns: compiled once, matched in linear time, and by plain string search where that is the same."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Final

from costlens_policy.expressions.runtime.errors import BAD_REGEX, CelError
from costlens_policy.expressions.runtime.implementations import implements
from costlens_policy.expressions.runtime.limits import Work
from costlens_policy.expressions.runtime.text import utf8
from costlens_policy.patterns import Pattern, PatternError
from costlens_policy.patterns import compile_pattern as compiled_by_engine

__all__ = ["compile_pattern", "matcher", "matches", "plain_pattern"]

_LONGEST: Final = 10_000
_PLAIN: Final = re.compile(r"(\^?)((?:[^\\.+*?()|\[\]{}^$]|\\[.+*?()|\[\]{}^$\\/-])*)(\$?)")
_ESCAPED: Final = re.compile(r"\\(.)", re.DOTALL)


def compile_pattern(pattern: str) -> Pattern:
    """Return the compiled pattern. Raises CelError for one that is not RE2's syntax, or is too large."""
    if len(pattern) > _LONGEST:
        raise CelError(BAD_REGEX, f"the pattern has more than {_LONGEST:,} characters")
    try:
        return compiled_by_engine(pattern)
    except PatternError as error:
        raise CelError(BAD_REGEX, str(error)) from None


@lru_cache(maxsize=512)
def matcher(pattern: str) -> Callable[[str, Work | None], bool]:
    """Return a function that says whether the pattern is found anywhere in a text. Raises CelError.

    What it costs to look is paid from the evaluation's account, where there is one; the search itself raises
    LimitError then.
    """
    compiled = compile_pattern(pattern)
    plain = plain_pattern(pattern)
    if plain is not None:
        find = _plain_matcher(*plain)
        return lambda text, work: find(text)

    def found(text: str, work: Work | None) -> bool:
        data = utf8(text)
        if work is not None:
            work.search(compiled.size, len(data))
        return compiled.found(data)

    return found


def plain_pattern(pattern: str) -> tuple[bool, str, bool] | None:
    """Return the literal text of a pattern without operators, and whether it is anchored before and after.

    RE2's ``$`` is the end of the text only, never before a last newline.
    """
    plain = _PLAIN.fullmatch(pattern)
    return None if plain is None else (bool(plain[1]), _ESCAPED.sub(r"\1", plain[2]), bool(plain[3]))


def _plain_matcher(start: bool, literal: str, end: bool) -> Callable[[str], bool]:
    if start and end:
        return lambda text: text == literal
    if start:
        return lambda text: text.startswith(literal)
    if end:
        return lambda text: text.endswith(literal)
    return lambda text: literal in text


@implements("matches", "matches_string")
def matches(text: str, pattern: str, work: Work | None = None) -> bool:
    return matcher(pattern)(text, work)
