"""The strings extension: positions count code points from 0."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from costlens_policy.expressions.runtime.errors import BAD_ARGUMENT, NO_OVERLOAD, CelError
from costlens_policy.expressions.runtime.implementations import implements
from costlens_policy.expressions.runtime.limits import check_size

__all__: list[str] = []

_WHITE_SPACE: Final = (
    "\t\n\v\f\r \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u2028\u2029\u202f\u205f\u3000"
)
"""Unicode's White_Space, which ``str.strip`` would widen by four control characters."""

_LOWER: Final = {code: code + 32 for code in range(ord("A"), ord("Z") + 1)}
_UPPER: Final = {code: code - 32 for code in range(ord("a"), ord("z") + 1)}
_ESCAPES: Final = {
    **{ord(sign): f"\\{letter}" for sign, letter in zip('\a\b\f\n\r\t\v\\"', 'abfnrtv\\"', strict=True)},
    **dict.fromkeys(range(0xD800, 0xE000), "\ufffd"),
}


@implements("string_char_at_int")
def char_at(text: str, position: int) -> str:
    """Return the character, or nothing at the end. Raises CelError."""
    _check_position(text, position)
    return text[position : position + 1]


@implements("string_index_of_string", "string_index_of_string_int")
def index_of(text: str, part: str, start: int = 0) -> int:
    _check_position(text, start)
    return text.find(part, start)


@implements("string_last_index_of_string")
def last_index_of(text: str, part: str) -> int:
    return text.rfind(part)


@implements("string_last_index_of_string_int")
def last_index_of_before(text: str, part: str, last: int) -> int:
    """Return the last position, at most ``last``, at which the part begins. Raises CelError."""
    _check_position(text, last)
    return text.rfind(part, 0, last + len(part))


@implements("string_substring_int")
def substring_from(text: str, start: int) -> str:
    _check_position(text, start)
    return text[start:]


@implements("string_substring_int_int")
def substring(text: str, start: int, end: int) -> str:
    _check_position(text, start)
    _check_position(text, end)
    if end < start:
        raise CelError(BAD_ARGUMENT, "a substring ends before it starts")
    return text[start:end]


@implements("list_join", "list_join_string")
def join(parts: Sequence[str], separator: str = "") -> str:
    if not all(type(part) is str for part in parts):
        raise CelError(NO_OVERLOAD, "only a list of strings can be joined")
    check_size(sum(map(len, parts)) + len(separator) * len(parts))
    return separator.join(parts)


@implements("string_lower_ascii")
def lower_ascii(text: str) -> str:
    return text.lower() if text.isascii() else text.translate(_LOWER)


@implements("string_upper_ascii")
def upper_ascii(text: str) -> str:
    return text.upper() if text.isascii() else text.translate(_UPPER)


@implements("string_replace_string_string", "string_replace_string_string_int")
def replace(text: str, old: str, new: str, limit: int = -1) -> str:
    """Replace occurrences from the left; a negative limit means all."""
    occurrences = text.count(old)
    count = occurrences if limit < 0 else min(limit, occurrences)
    check_size(len(text) + count * (len(new) - len(old)))
    return text.replace(old, new, count)


@implements("string_split_string", "string_split_string_int")
def split(text: str, separator: str, limit: int = -1) -> list[str]:
    """Split into at most ``limit`` parts; a negative limit means all, an empty separator one per character."""
    if limit == 0:
        return []
    if separator:
        return text.split(separator, -1 if limit < 0 else limit - 1)
    if limit < 0 or limit >= len(text):
        return list(text)
    return [*text[: limit - 1], text[limit - 1 :]]


@implements("string_trim")
def trim(text: str) -> str:
    return text.strip(_WHITE_SPACE)


@implements("string_reverse")
def reverse(text: str) -> str:
    return text[::-1]


@implements("strings_quote")
def quote(text: str) -> str:
    check_size(2 * len(text))
    return f'"{text.translate(_ESCAPES)}"'


def _check_position(text: str, position: int) -> None:
    if not 0 <= position <= len(text):
        raise CelError(BAD_ARGUMENT, "the position lies outside the text")
