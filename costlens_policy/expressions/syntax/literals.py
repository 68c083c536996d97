"""The values of number, string and bytes literals, by the specification's "Lexis" and "String and Bytes Values"."""

from __future__ import annotations

import re
from typing import NamedTuple

from costlens_policy.expressions.problems import shortened
from costlens_policy.expressions.values import Uint, Value

__all__ = ["NumberLiteral", "TextLiteral", "read_number", "read_text"]

_INT_LIMIT = 2**63
_UINT_LIMIT = 2**64
_LONGEST_INTEGER = 24
_ESCAPE = re.compile(r"\\(?:[0-3][0-7]{2}|[xX][0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|.)", re.DOTALL)
_SINGLE = {
    "a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v",
    "\\": "\\", "?": "?", '"': '"', "'": "'", "`": "`",
}  # fmt: skip


class NumberLiteral(NamedTuple):
    """``wrong`` is empty when the number is fine, else says why it is not."""

    terminal: str
    value: Value
    wrong: str = ""
    help: str = ""


class TextLiteral(NamedTuple):
    """``wrong`` lists offset, length, sentence and help of each escape that is no escape."""

    value: str | bytes
    wrong: tuple[tuple[int, int, str, str], ...] = ()


def read_number(text: str) -> NumberLiteral:
    """Read a number as the lexer cut it out, with its sign if it has one."""
    unsigned = text[-1] in "uU"
    digits = text.rstrip("uU")
    hexadecimal = "x" in digits
    if not hexadecimal and any(mark in digits for mark in ".eE"):
        return _read_double(text)
    integer = _bounded(digits, 16 if hexadecimal else 10)
    if unsigned:
        return _read_uint(text, integer)
    if integer is None or not -_INT_LIMIT <= integer < _INT_LIMIT:
        wrong = f"`{shortened(text, 32)}` does not fit an int, which has 64 bits"
        return NumberLiteral("INT_LIT", 0, wrong, "a double (`1e20`) is larger, and a uint (`1u`) reaches twice as far")
    return NumberLiteral("INT_LIT", integer)


def _read_uint(text: str, integer: int | None) -> NumberLiteral:
    if integer is None or not 0 <= integer < _UINT_LIMIT:
        reason = "is negative" if text.startswith("-") else "has more than 64 bits"
        return NumberLiteral("UINT_LIT", Uint(0), f"`{shortened(text, 32)}` does not fit a uint: it {reason}")
    return NumberLiteral("UINT_LIT", Uint(integer))


def _read_double(text: str) -> NumberLiteral:
    number = float(text)
    if number in (float("inf"), float("-inf")):
        return NumberLiteral("FLOAT_LIT", 0.0, f"`{shortened(text, 32)}` does not fit a double")
    return NumberLiteral("FLOAT_LIT", number)


def _bounded(digits: str, radix: int) -> int | None:
    """Return the integer, or None where it has so many digits that it cannot fit."""
    significant = digits.removeprefix("-").removeprefix("0x").lstrip("0")
    if len(significant) > _LONGEST_INTEGER:
        return None
    return int(significant or "0", radix) * (-1 if digits.startswith("-") else 1)


def read_text(inside: str, prefix: str) -> TextLiteral:
    """Read what stands between the quotes; ``prefix`` holds ``b`` for bytes, ``r`` for raw."""
    as_bytes = "b" in prefix
    if "r" in prefix or "\\" not in inside:
        return TextLiteral(inside.encode() if as_bytes else inside)
    pieces: list[bytes] = []
    wrong: list[tuple[int, int, str, str]] = []
    last = 0
    for match in _ESCAPE.finditer(inside):
        pieces.append(_encode(inside[last : match.start()]))
        last = match.end()
        piece = _escaped(match[0][1:], as_bytes)
        if piece is None:
            wrong.append((match.start(), len(match[0]), *_complaint(match[0], as_bytes)))
        else:
            pieces.append(piece)
    pieces.append(_encode(inside[last:]))
    return _joined(b"".join(pieces), inside, as_bytes, wrong)


def _joined(content: bytes, inside: str, as_bytes: bool, wrong: list[tuple[int, int, str, str]]) -> TextLiteral:
    if as_bytes or wrong:
        return TextLiteral(content if as_bytes else "", tuple(wrong))
    # Two halves of a surrogate pair become one character here; a half that stands alone is no character.
    paired = content.decode("utf-8", "surrogatepass").encode("utf-16", "surrogatepass")
    try:
        return TextLiteral(paired.decode("utf-16"))
    except UnicodeDecodeError:
        lone = "an escape is half of a surrogate pair and no character"
        return TextLiteral("", ((0, len(inside), lone, "write the character itself, or `\\U` with eight digits"),))


def _encode(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _escaped(escape: str, as_bytes: bool) -> bytes | None:
    """Return what an escape without its backslash stands for, in UTF-8, or None when it is none."""
    if len(escape) == 1:
        return _SINGLE[escape].encode() if escape in _SINGLE else None
    kind = escape[0]
    point = int(escape, 8) if kind.isdigit() else int(escape[1:], 16)
    if as_bytes:
        return None if kind in "uU" else bytes((point,))
    return _encode(chr(point)) if point <= 0x10FFFF else None


def _complaint(escape: str, as_bytes: bool) -> tuple[str, str]:
    if len(escape) > 2 and as_bytes:
        return f"`{escape}` cannot stand in bytes", "write the character itself, or its octets as `\\xNN`"
    if len(escape) > 2:
        return f"`{escape}` is no Unicode character", ""
    if escape[1] in "xXuU01234567":
        digits = {"x": "two hexadecimal digits", "u": "four hexadecimal digits", "U": "eight hexadecimal digits"}
        needs = digits.get(escape[1] if escape[1] != "X" else "x", "three octal digits up to `\\377`")
        return f"`{escape}` must be followed by {needs}" if escape[1] in "xXuU" else f"`{escape}` begins {needs}", ""
    shown = f"`{escape}`" if escape.isprintable() else "a backslash before a line end"
    return f"{shown} is no escape", 'write `\\\\` for a backslash, or put `r` before the quotes: r"\\d+"'
