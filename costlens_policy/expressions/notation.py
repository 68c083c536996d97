"""Types and signatures as text: ``map(string, list(int))``, ``string.(int, int) -> string``."""

from __future__ import annotations

import re

from costlens_policy.expressions.types import DYN, Function, Overload, Type

__all__ = ["function", "parse_signature", "parse_type"]

_TOKEN = re.compile(r"\s*(->|[(),]|\.(?=\()|<\w+>|\w+(?:\.\w+)*|$)")
_DEEPEST = 32


def parse_type(text: str) -> Type:
    """Read a type as the specification writes it. Raises ValueError.

    A type parameter is ``<T>``, ``any`` is ``dyn``.
    """
    reader = _Reader(text)
    result = reader.type()
    reader.expect("")
    return result


def parse_signature(identifier: str, text: str) -> Overload:
    """Read ``(int) -> bool``, or ``string.(int) -> bool`` for a method of string. Raises ValueError."""
    reader = _Reader(text)
    target = () if reader.next == "(" else (reader.type(),)
    if target:
        reader.expect(".")
    parameters = target + reader.types()
    reader.expect("->")
    result = reader.type()
    reader.expect("")
    return Overload(identifier, parameters, result, member=bool(target))


def function(name: str, description: str, /, **overloads: str) -> Function:
    """Declare a function: each keyword is the id of an overload, its value the signature."""
    return Function(name, tuple(parse_signature(*item) for item in overloads.items()), description)


class _Reader:
    """Recursive descent over the tokens of one type or signature; ``next`` is ``""`` at the end."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._position = 0
        self._depth = 0
        self.next = ""
        self._advance()

    def type(self) -> Type:
        name = self.next
        if not name or name in "().,->":
            raise self._error()
        self._advance()
        return DYN if name == "any" else Type(name, self.types() if self.next == "(" else ())

    def types(self) -> tuple[Type, ...]:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise self._error()
        self.expect("(")
        found: list[Type] = []
        while self.next != ")":
            if found:
                self.expect(",")
            found.append(self.type())
        self._advance()
        self._depth -= 1
        return tuple(found)

    def expect(self, token: str) -> None:
        if self.next != token:
            raise self._error()
        if token:
            self._advance()

    def _advance(self) -> None:
        match = _TOKEN.match(self._text, self._position)
        if match is None:
            raise self._error()
        self.next = match[1]
        self._position = match.end()

    def _error(self) -> ValueError:
        return ValueError(f"`{self._text}` is not a type")
