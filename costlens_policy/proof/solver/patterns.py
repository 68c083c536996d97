"""Regular expressions of RE2 for the solver, as far as both mean the same; what is not read is left to chance.

A pattern is read by Python's parser, whose syntax RE2 mostly shares. Where the two differ, nothing is translated.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator, Sequence
from re import _constants as codes
from re import _parser as parser
from typing import Any, Final

__all__ = ["UntranslatableError", "pattern_for"]

_MOST_REPEATS: Final = 64
_LARGEST: Final = 0x2FFFF
"""The last character that the solver knows."""
_CLASSES: Final = {
    codes.CATEGORY_DIGIT: (("0", "9"),),
    codes.CATEGORY_SPACE: (("\t", "\n"), ("\f", "\r"), (" ", " ")),
    codes.CATEGORY_WORD: (("0", "9"), ("A", "Z"), ("_", "_"), ("a", "z")),
}
_DIFFERENT: Final = re.compile(r"\[\[|\(\?[^:P]|\\[QEpPCzZAhHvVRXbBxuUN0-9]|[*+?}]\+|\{,|\(\?P[^<]")
"""What one of the two does not know, or reads in another way: named classes, flags, possessive repeats."""


class UntranslatableError(Exception):
    """The pattern has what is not read here."""


def pattern_for(solver: Any, pattern: str) -> Any:
    """Return the texts in which a pattern matches somewhere, as a regular expression of the solver's module.

    Raises ``UntranslatableError``.
    """
    if _DIFFERENT.search(pattern) or max(map(ord, pattern), default=0) > _LARGEST:
        raise UntranslatableError
    try:
        with warnings.catch_warnings(action="error"):
            parsed = parser.parse(pattern, re.ASCII)
    except (re.error, RecursionError, OverflowError, FutureWarning, DeprecationWarning):
        raise UntranslatableError from None
    return _Reader(solver).searched(list(parsed))


class _Reader:
    def __init__(self, solver: Any) -> None:
        self._z3 = solver
        self._sort = solver.ReSort(solver.StringSort())
        self._all = solver.Star(solver.AllChar(self._sort))

    def searched(self, items: list[tuple[Any, Any]]) -> Any:
        """Return the texts that have a match anywhere, unless it is anchored."""
        begins = bool(items) and items[0] in ((codes.AT, codes.AT_BEGINNING), (codes.AT, codes.AT_BEGINNING_STRING))
        items = items[1:] if begins else items
        ends = bool(items) and items[-1] in ((codes.AT, codes.AT_END), (codes.AT, codes.AT_END_STRING))
        inner = self._sequence(items[:-1] if ends else items)
        return self._joined([*([] if begins else [self._all]), inner, *([] if ends else [self._all])])

    def _joined(self, parts: Sequence[Any]) -> Any:
        if not parts:
            return self._z3.Re("")
        return parts[0] if len(parts) == 1 else self._z3.Concat(*parts)

    def _either(self, parts: Sequence[Any]) -> Any:
        return parts[0] if len(parts) == 1 else self._z3.Union(*parts)

    def _sequence(self, items: Any) -> Any:
        return self._joined([self._item(code, value) for code, value in items])

    def _item(self, code: Any, value: Any) -> Any:
        match code:
            case codes.LITERAL:
                return self._range(chr(value), chr(value))
            case codes.NOT_LITERAL:
                return self._other_than([self._range(chr(value), chr(value))])
            case codes.ANY:
                return self._other_than([self._range("\n", "\n")])
            case codes.IN:
                return self._members(value)
            case codes.BRANCH:
                return self._either([self._sequence(items) for items in value[1]])
            case codes.SUBPATTERN if not value[1] and not value[2]:
                return self._sequence(value[3])
            case codes.MAX_REPEAT | codes.MIN_REPEAT:
                return self._repeated(*value)
        raise UntranslatableError

    def _repeated(self, low: Any, high: Any, items: Any) -> Any:
        inner = self._sequence(items)
        if high is codes.MAXREPEAT:
            least = [inner] * int(low)
            if len(least) > _MOST_REPEATS:
                raise UntranslatableError
            return self._joined([*least, self._z3.Star(inner)])
        if int(high) > _MOST_REPEATS:
            raise UntranslatableError
        return self._z3.Loop(inner, int(low), int(high)) if high else self._z3.Re("")

    def _members(self, items: Any) -> Any:
        negated = items[0][0] is codes.NEGATE
        found = [part for code, value in items[negated:] for part in self._of_class(code, value)]
        return self._other_than(found) if negated else self._either(found)

    def _of_class(self, code: Any, value: Any) -> Iterator[Any]:
        if code is codes.LITERAL:
            yield self._range(chr(value), chr(value))
        elif code is codes.RANGE and value[1] <= _LARGEST:
            yield self._range(chr(value[0]), chr(value[1]))
        elif code is codes.CATEGORY and value in _CLASSES:
            yield from (self._range(low, high) for low, high in _CLASSES[value])
        else:
            raise UntranslatableError

    def _other_than(self, parts: Sequence[Any]) -> Any:
        any_one = self._z3.AllChar(self._sort)
        return self._z3.Intersect(any_one, self._z3.Complement(self._either(parts)))

    def _range(self, low: str, high: str) -> Any:
        return self._z3.Range(_text(low), _text(high))


def _text(character: str) -> str:
    return f"\\u{{{ord(character):x}}}"
