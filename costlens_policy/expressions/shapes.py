"""How large a value can be at most, as far as that is known before any value is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

__all__ = ["SCALAR", "Shape"]


@dataclass(frozen=True, slots=True)
class Shape:
    """The greatest size that a value can have, part by part.

    ``text``: characters of a string, or bytes. ``elements``: elements of a list, or entries of a map; each is an
    ``inner``, and a map's keys are ``key``. Both are None where nothing is known of them, as in ``dyn``.
    ``number``: what an int can be at most, None where that is not known.
    """

    text: int = 0
    elements: int = 0
    inner: Shape | None = None
    key: Shape | None = None
    number: int | None = None


SCALAR: Final = Shape()
"""A number, a bool, a time: whatever has no size."""
