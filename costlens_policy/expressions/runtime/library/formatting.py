"""``"%s costs %.2f".format([…])``: the strings extension's format, as cel-spec's doc/extensions/strings.md has it."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any, Final

from costlens_policy.expressions.runtime.collections import value_of_key
from costlens_policy.expressions.runtime.durations import duration_text
from costlens_policy.expressions.runtime.errors import BAD_ARGUMENT, CelError
from costlens_policy.expressions.runtime.implementations import implements
from costlens_policy.expressions.runtime.kinds import kind_of, type_name
from costlens_policy.expressions.runtime.limits import SIZE, too_large
from costlens_policy.expressions.runtime.numerals import fixed_text, special_text
from costlens_policy.expressions.runtime.text import utf8
from costlens_policy.expressions.runtime.timestamps import timestamp_text
from costlens_policy.expressions.values import Value

__all__: list[str] = []

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
        raise CelError(BAD_ARGUMENT, "the format has a clause that is none of %s %d %f %e %b %x %X %o")
    if used >= len(arguments):
        raise CelError(BAD_ARGUMENT, "the format has more clauses than arguments")
    precision = _DEFAULT_PRECISION if clause[1] is None else int(clause[1])
    if precision > _MOST_PRECISION:
        raise CelError(BAD_ARGUMENT, f"a precision is at most {_MOST_PRECISION}")
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
