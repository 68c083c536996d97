"""The one table from the id of a declared overload to the Python function that does its work."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeVar

from costlens_policy.expressions.values import Value

__all__ = ["IMPLEMENTATIONS", "Implementation", "implements"]

Implementation = Callable[..., Value]
_F = TypeVar("_F", bound=Implementation)

IMPLEMENTATIONS: Final[dict[str, Implementation]] = {}
"""Filled as the modules of the run time are imported; ``runtime.functions`` imports them all when it is asked.

A function may count on the kinds of its arguments (string, list …), not on the types of a list's elements.
"""


def implements(*overloads: str) -> Callable[[_F], _F]:
    """Register a function for overloads of the declarations."""

    def register(function: _F) -> _F:
        IMPLEMENTATIONS.update(dict.fromkeys(overloads, function))
        return function

    return register
