"""RE2 patterns: compiled once, matched in linear time, and by plain string search where that is the same."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any, Final

import re2

from costlens_policy.expressions.runtime.errors import BAD_REGEX, CelError
from costlens_policy.expressions.runtime.implementations import implements
from costlens_policy.expressions.runtime.text import utf8

__all__ = ["compile_pattern", "matcher", "matches", "plain_pattern"]

_LONGEST: Final = 10_000
_PLAIN: Final = re.compile(r"(\^?)((?:[^\\.+*?()|\[\]{}^$]|\\[.+*?()|\[\]{}^$\\/-])*)(\$?)")
_ESCAPED: Final = re.compile(r"\\(.)", re.DOTALL)
_ANYWHERE: Final = re2._re2.RE2.Anchor.UNANCHORED
_NOWHERE: Final = (-1, -1)


@lru_cache(maxsize=512)
def compile_pattern(pattern: str) -> Any:
    """Return the compiled pattern of ``re2``. Raises CelError when the pattern is not RE2's syntax."""
    options = re2.Options()
    options.log_errors = False
    if len(pattern) <= _LONGEST:
        try:
            return re2.compile(utf8(pattern), options)
        except re2.error:
            pass  # its message repeats the pattern, which may come from a request
    raise CelError(BAD_REGEX, "the pattern is not a valid RE2 regular expression")


@lru_cache(maxsize=512)
def matcher(pattern: str) -> Callable[[str], bool]:
    """Return a function that says whether the pattern is found anywhere in a text. Raises CelError."""
    compiled = compile_pattern(pattern)
    plain = plain_pattern(pattern)
    if plain is not None:
        return _plain_matcher(*plain)
    # `compiled.search` builds a match object in Python, six times slower than asking the engine itself.
    find = compiled._regexp.Match

    def found(text: str) -> bool:
        encoded = utf8(text)
        return bool(find(_ANYWHERE, encoded, 0, len(encoded))[0] != _NOWHERE)

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
def matches(text: str, pattern: str) -> bool:
    return matcher(pattern)(text)
