"""Parts of a plan as values that travel: pickled and copied by what they were made from.

What such a part works out from its fields when it is made, compiled functions above all, is worked out again where it
arrives: no code is in a pickle of a plan.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, TypeVar

__all__ = ["rebuilt"]

C = TypeVar("C", bound=type)


def rebuilt(cls: C) -> C:
    """Make a data class whose instances are pickled and copied by the arguments that make them."""
    names = [item.name for item in fields(cls) if item.init]

    def reduced(self: object) -> tuple[Any, ...]:
        return _made, (cls, {name: getattr(self, name) for name in names})

    cls.__reduce__ = reduced  # type: ignore[method-assign, assignment] # one for all these classes
    return cls


def _made(cls: type, given: Mapping[str, Any]) -> object:
    return cls(**given)
