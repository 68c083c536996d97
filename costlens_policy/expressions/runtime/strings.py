"""Strings and bytes: what the specification has, the strings extension with its ``format``, and base64.

Positions count code points from 0. ``format`` is as cel-spec's doc/extensions/strings.md has it.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any, Final

from costlens_policy.expressions.errors import BAD_ARGUMENT, BAD_CONVERSION, NO_OVERLOAD, CelError
from costlens_policy.expressions.limits import SIZE, check_size, too_large
from costlens_policy.expressions.runtime.collections import value_of_key
from costlens_policy.expressions.runtime.conversions import fixed_text, special_text
from costlens_policy.expressions.runtime.equality import kind_of, type_name
from costlens_policy.expressions.runtime.functions import implements
from costlens_policy.expressions.runtime.times import duration_text, timestamp_text
from costlens_policy.expressions.values import Value

__all__ = ["format_text", "utf8"]


@implements("string_to_bytes")
def utf8(text: str) -> bytes:
    """Return a string as UTF-8. Raises CelError for half of a surrogate pair, which JSON can bring in."""
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise CelError(BAD_CONVERSION, "the text holds half of a surrogate pair") from None


@implements("contains_string")
def contains(text: str, part: str) -> bool:
    return part in text


@implements("starts_with_string")
def starts_with(text: str, prefix: str) -> bool:
    return text.startswith(prefix)


@implements("ends_with_string")
def ends_with(text: str, suffix: str) -> bool:
    return text.endswith(suffix)


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
        raise CelError(BAD_ARGUMENT, "the position is outside of the text")


_CLAUSE: Final = re.compile(r"%(?:%|(?:\.(\d{1,9}))?([a-zA-Z])|.?)", re.DOTALL)
_DEFAULT_PRECISION: Final = 6
_MOST_PRECISION: Final = 1_000
_DEEPEST: Final = 64


@implements("string_format")
def format_text(template: str, arguments: Sequence[Value]) -> str:
    """Fill the clauses in. Arguments that no clause uses are ignored. Raises CelError."""
    parts: list[str] = []
    size, used, position = 0, 0, 0
    for clause in _CLAUSE.finditer(template):
        text = "%"
        if clause[0] != "%%":
            text = _formatted(clause, arguments, used)
            used += 1
        parts += (template[position : clause.start()], text)
        position = clause.end()
        size += len(text)
        if size > SIZE:
            raise too_large()
    return "".join((*parts, template[position:]))


def _formatted(clause: re.Match[str], arguments: Sequence[Value], used: int) -> str:
    formatter = _FORMATTERS.get(clause[2])
    if formatter is None:
        raise CelError(BAD_ARGUMENT, "a clause of the format must be one of %s %d %f %e %b %x %X %o")
    if used >= len(arguments):
        raise CelError(BAD_ARGUMENT, "the format has more clauses than arguments")
    precision = _DEFAULT_PRECISION if clause[1] is None else int(clause[1])
    if precision > _MOST_PRECISION:
        raise CelError(BAD_ARGUMENT, f"a precision must be at most {_MOST_PRECISION:,}")
    return formatter(arguments[used], precision)


def _string(value: Value, _: int) -> str:
    return _text(value, 0)


def _text(value: Value, depth: int) -> str:
    kind = kind_of(value)
    if kind in _TEXTS:
        return _TEXTS[kind](value)
    if depth > _DEEPEST or kind not in ("list", "map"):
        raise _not_for(value, "s")
    if kind == "list":
        return f"[{', '.join(_text(element, depth + 1) for element in value)}]"
    entries = sorted((_text(value_of_key(key), depth), _text(entry, depth + 1)) for key, entry in value.items())
    return f"{{{', '.join(f'{key}: {entry}' for key, entry in entries)}}}"


_TEXTS: Final[dict[str, Callable[[Any], str]]] = {
    "bool": lambda value: "true" if value else "false",
    "int": str,
    "uint": lambda value: str(int(value)),
    "double": fixed_text,
    "string": str,
    "bytes": lambda value: re.sub("\ufffd+", "\ufffd", value.decode("utf-8", "replace")),
    "null_type": lambda value: "null",
    "timestamp": timestamp_text,
    "duration": duration_text,
    "type": type_name,
}


def _decimal(value: Value, _: int) -> str:
    if type(value) is float:
        return fixed_text(value)
    return str(_integer(value, "d"))


def _fixed(value: Value, precision: int) -> str:
    number = _number(value, "f")
    return number if isinstance(number, str) else f"{number:.{precision}f}"


def _scientific(value: Value, precision: int) -> str:
    number = _number(value, "e")
    return number if isinstance(number, str) else f"{float(number):.{precision}e}"


def _binary(value: Value, _: int) -> str:
    return f"{value if type(value) is bool else _integer(value, 'b'):b}"


def _octal(value: Value, _: int) -> str:
    return f"{_integer(value, 'o'):o}"


def _hexadecimal(value: Value, _: int) -> str:
    if type(value) is str:
        return utf8(value).hex()
    if type(value) is bytes:
        return value.hex()
    return f"{_integer(value, 'x'):x}"


_FORMATTERS: Final[dict[str, Callable[[Value, int], str]]] = {
    "s": _string,
    "d": _decimal,
    "f": _fixed,
    "e": _scientific,
    "b": _binary,
    "o": _octal,
    "x": _hexadecimal,
    "X": lambda value, precision: _hexadecimal(value, precision).upper(),
}


def _integer(value: Value, clause: str) -> int:
    if kind_of(value) not in ("int", "uint"):
        raise _not_for(value, clause)
    return int(value)


def _number(value: Value, clause: str) -> Decimal | float | str:
    """Return a number to round half to even, or the name of one that has no digits."""
    if type(value) is float:
        return special_text(value) or value
    return Decimal(_integer(value, clause))


def _not_for(value: Value, clause: str) -> CelError:
    return CelError(BAD_ARGUMENT, f"%{clause} cannot format a {kind_of(value)}")


_BASE64: Final = re.compile(r"[A-Za-z0-9+/]*={0,2}", re.ASCII)


@implements("base64_decode_string")
def decode(text: str) -> bytes:
    """Read base64 of the standard alphabet, with or without its padding. Raises CelError."""
    bare = text.rstrip("=")
    if _BASE64.fullmatch(text) and (bare == text or len(text) % 4 == 0):
        try:
            return base64.b64decode(f"{bare}{'=' * (-len(bare) % 4)}")
        except binascii.Error:
            pass  # a lone last digit
    raise CelError(BAD_CONVERSION, "the text is not base64")


@implements("base64_encode_bytes")
def encode(value: bytes) -> str:
    check_size(len(value) * 4 // 3)
    return base64.b64encode(value).decode("ascii")
