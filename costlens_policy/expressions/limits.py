"""How large an expression may be, and how much it may take to evaluate at worst."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sized
from typing import Final, TypeVar

from costlens_policy.expressions.errors import TOO_DEEP, TOO_LARGE, TOO_MANY_ITERATIONS, LimitError
from costlens_policy.expressions.values import Value
from costlens_policy.frozen import frozen

__all__ = [
    "DEFAULT_LIMITS", "DEFAULT_RUN_LIMITS", "ITERATIONS", "SIZE", "Limits", "RunLimits", "Work", "check_size",
    "held_to", "too_deep", "too_large", "within",
]  # fmt: skip


@frozen
class Limits:
    """Limits of one expression.

    ``source``: code points of the whole text. ``nesting``: levels of brackets, and of the tree below one node; beyond
    about 200 Python's own recursion limit comes near. ``literal``: code points of one string or bytes literal;
    ``elements``: entries of one list or map, and arguments of one call. These four are reported as CL305.

    ``cost``: steps that one evaluation may take at worst, reported as CL319. A value whose greatest size nobody
    declared counts as a list of ``assumed_list`` elements, a map of ``assumed_map`` entries, or a text of
    ``assumed_text`` characters.
    """

    source: int = 16_384
    nesting: int = 100
    literal: int = 8_192
    elements: int = 1_024
    cost: int = 1_000_000
    assumed_list: int = 200
    assumed_map: int = 200
    assumed_text: int = 10_000


DEFAULT_LIMITS = Limits()


ITERATIONS: Final = 100_000
"""Elements that all comprehensions of one evaluation may visit together, unless set otherwise."""

SIZE: Final = 10_000_000
"""Code points, bytes or elements of a value that an expression makes, unless set lower."""


@frozen
class RunLimits:
    """What one evaluation may do, whatever its values are.

    ``iterations``: elements that all its comprehensions visit together. ``size``: code points, bytes or elements of
    a value that a call makes, at most ``SIZE``.
    """

    iterations: int = ITERATIONS
    size: int = SIZE


DEFAULT_RUN_LIMITS: Final = RunLimits()

_CHARACTERS: Final = 4_096
_ELEMENTS: Final = 8
"""How much of a text, and of a list, is read in the time that a comprehension takes to visit one element."""

_SEARCHED: Final = 400
"""How many bytes a pattern of size 1 may take, at worst, in the time that a comprehension takes to visit an element."""

_SizedT = TypeVar("_SizedT", bound=Sized)


class Work:
    """What one evaluation may still do, in elements visited. A comprehension pays for its range before it starts."""

    __slots__ = ("_left", "_limit")

    def __init__(self, limit: int = ITERATIONS) -> None:
        self._limit = limit
        self._left = limit

    def visit(self, elements: _SizedT) -> _SizedT:
        """Pay for all elements and return them. Raises LimitError."""
        self._left -= len(elements)
        if self._left < 0:
            raise _too_many(self._limit)
        return elements

    def read(self, value: Value) -> Value:
        """Pay for reading a value to its end, and return it. Raises LimitError."""
        self._left -= _weight(value)
        if self._left < 0:
            raise _too_many(self._limit)
        return value

    def search(self, size: int, length: int) -> None:
        """Pay for a search by a pattern of some size through so many bytes. Raises LimitError."""
        self._left -= size * length // _SEARCHED
        if self._left < 0:
            raise LimitError(
                TOO_MANY_ITERATIONS,
                f"searching {length:,} bytes by a pattern of {size:,} steps is more than one evaluation may do",
            )

    def found(self) -> None:
        """Pay for one match. Raises LimitError."""
        self._left -= 1
        if self._left < 0:
            raise LimitError(TOO_MANY_ITERATIONS, f"the patterns are found more than {self._limit:,} times")


def _weight(value: Value) -> int:
    if isinstance(value, str | bytes):
        return len(value) // _CHARACTERS
    if isinstance(value, list | tuple | dict):
        return _elements(value) // _ELEMENTS
    return 0


def _elements(value: Collection[Value]) -> int:
    """Count the elements of a list or the values of a map, at all levels; a long text counts as several."""
    total = len(value)
    for element in value.values() if isinstance(value, dict) else value:
        if isinstance(element, str | bytes):
            total += len(element) * _ELEMENTS // _CHARACTERS
        elif isinstance(element, list | tuple | dict):
            total += _elements(element)
    return total


def within(elements: _SizedT, limit: int = ITERATIONS) -> _SizedT:
    """Return the elements of an expression's only comprehension, which needs no count. Raises LimitError."""
    if len(elements) > limit:
        raise _too_many(limit)
    return elements


def check_size(size: int) -> None:
    """Raise LimitError when a value of this size may not be made; called before it is."""
    if size > SIZE:
        raise too_large()


def held_to(size: int, function: Callable[..., Value]) -> Callable[..., Value]:
    """Return the function, with results that are not larger. None makes one beyond ``SIZE``."""
    if size >= SIZE:
        return function

    def held(*arguments: Value) -> Value:
        result = function(*arguments)
        if isinstance(result, str | bytes | list | tuple | dict) and len(result) > size:
            raise too_large(size)
        return result

    return held


def too_large(size: int = SIZE) -> LimitError:
    return LimitError(TOO_LARGE, f"the result would have more than {size:,} characters, bytes or elements")


def too_deep() -> LimitError:
    return LimitError(TOO_DEEP, "the expression and the program around it nest too deeply for Python")


def _too_many(limit: int) -> LimitError:
    return LimitError(TOO_MANY_ITERATIONS, f"the comprehensions visit more than {limit:,} elements")
