"""The row of a function: its signatures, what it costs, and what the checker and the compiler know of it.

Types and signatures are written as the specification writes them: ``map(string, list(int))``,
``string.(int, int) -> string``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import field
from typing import Final, Literal, NamedTuple, TypeAlias

from costlens_policy.expressions.functions.costs import Rule
from costlens_policy.expressions.types import DYN, Function, Overload, Type
from costlens_policy.frozen import frozen

__all__ = ["ReadLiteral", "StandardFunction", "function", "parse_signature", "parse_type"]

_TOKEN: Final = re.compile(r"\s*(->|[(),]|\.(?=\()|<\w+>|\w+(?:\.\w+)*|$)")
_DEEPEST: Final = 32

Pattern: TypeAlias = Literal["", "regex", "glob"]


class ReadLiteral(NamedTuple):
    """A signature whose argument is a text or number to be read: what it must be, and how that is written.

    The checker tries it when the argument is a literal.
    """

    signature: str
    kind: str
    advice: str


@frozen(kw_only=True)
class StandardFunction(Function):
    """A function of the language, its extensions or our own; ``function`` makes it.

    ``cost`` measures a call. ``constant_time`` says that it takes as long for large arguments as for small ones.
    ``pattern`` is the syntax of the second argument where that is a pattern: such a function is given the account of
    the evaluation's work after its arguments, and pays from it. ``bounds`` are those of an int that it returns.
    ``literals`` are the overloads that read their argument, by id.
    """

    cost: Rule
    constant_time: bool = False
    pattern: Pattern = ""
    bounds: tuple[int, int] | None = None
    literals: Mapping[str, ReadLiteral] = field(default_factory=dict, hash=False)


def function(
    name: str,
    description: str,
    /,
    *,
    cost: Rule,
    constant_time: bool = False,
    pattern: Pattern = "",
    bounds: tuple[int, int] | None = None,
    **overloads: str | ReadLiteral,
) -> StandardFunction:
    """Make the row of a function: each further keyword is the id of an overload, its value the signature.

    What does the work of an overload is registered under the same id: ``@implements("overload_id")``.
    """
    literals = {identifier: given for identifier, given in overloads.items() if isinstance(given, ReadLiteral)}
    signatures = {
        identifier: given if isinstance(given, str) else given.signature for identifier, given in overloads.items()
    }
    return StandardFunction(
        name,
        tuple(parse_signature(*item) for item in signatures.items()),
        description,
        cost=cost,
        constant_time=constant_time,
        pattern=pattern,
        bounds=bounds,
        literals=literals,
    )


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
