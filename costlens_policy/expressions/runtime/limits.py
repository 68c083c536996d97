"""How much one evaluation may do. The limits hold whatever the values are, so that no request can stall a service."""

from __future__ import annotations

from collections.abc import Sized
from typing import Final, TypeVar

from costlens_policy.expressions.runtime.errors import TOO_LARGE, TOO_MANY_ITERATIONS, LimitError

__all__ = ["ITERATIONS", "SIZE", "Work", "check_size", "too_large", "within"]

ITERATIONS: Final = 100_000
"""Elements that all comprehensions of one evaluation may visit together, unless set otherwise."""

SIZE: Final = 10_000_000
"""Code points, bytes or elements of a value that an expression makes."""

_SizedT = TypeVar("_SizedT", bound=Sized)


class Work:
    """What one evaluation may still visit. A comprehension pays for its whole range before it starts."""

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


def within(elements: _SizedT, limit: int = ITERATIONS) -> _SizedT:
    """Return the elements of an expression's only comprehension, which needs no count. Raises LimitError."""
    if len(elements) > limit:
        raise _too_many(limit)
    return elements


def check_size(size: int) -> None:
    """Raise LimitError when a value of this size may not be made; called before it is."""
    if size > SIZE:
        raise too_large()


def too_large() -> LimitError:
    return LimitError(TOO_LARGE, f"the result would be larger than {SIZE:,} characters, bytes or elements")


def _too_many(limit: int) -> LimitError:
    return LimitError(TOO_MANY_ITERATIONS, f"the comprehensions visit more than {limit:,} elements")
