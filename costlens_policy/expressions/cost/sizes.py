"""Shapes of values by their types, with the sizes that are assumed where none is declared."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from costlens_policy.expressions.limits import DEFAULT_LIMITS, Limits
from costlens_policy.expressions.shapes import SCALAR, Shape
from costlens_policy.expressions.types import DYN, Type

__all__ = ["CHARACTERS", "LARGEST", "Sizes", "capped", "joined"]

CHARACTERS: Final = 1_000
"""Characters that a step searches or changes."""

_COMPARED: Final = 10_000
"""Characters that a step compares."""

LARGEST: Final = 10_000_000
"""No value that an expression makes is larger: the run time refuses it."""

_SCALARS: Final = frozenset({
    "bool", "int", "uint", "double", "null_type", "timestamp", "duration", "type", "net.IP", "net.CIDR",
})  # fmt: skip


class Sizes:
    """What is assumed of values, and what follows from it."""

    def __init__(self, limits: Limits = DEFAULT_LIMITS) -> None:
        self._limits = limits
        self.any: Final = Shape(limits.assumed_text, max(limits.assumed_list, limits.assumed_map))

    def of(self, declared: Type, size: int | None = None) -> Shape:
        """Return the shape of any value of a type; ``size`` is its declared greatest size, if it has one."""
        if declared.name in _SCALARS:
            return SCALAR
        match declared.name:
            case "string" | "bytes":
                return Shape(text=self._limits.assumed_text if size is None else size)
            case "list" if declared.parameters:
                elements = self._limits.assumed_list if size is None else size
                return Shape(elements=elements, inner=self.of(declared.parameters[0]))
            case "map" if declared.parameters:
                entries = self._limits.assumed_map if size is None else size
                key, value = declared.parameters
                return Shape(elements=entries, inner=self.of(value), key=self.of(key))
            case "optional_type" if declared.parameters:
                return self.of(declared.parameters[0], size)
        return self.any if size is None else Shape(size, size)

    def inner(self, shape: Shape) -> Shape:
        """Return the shape of an element of a list, or of a value of a map."""
        return self.any if shape.inner is None else shape.inner

    def key(self, shape: Shape) -> Shape:
        """Return the shape of a map's keys; a list's are numbers."""
        if shape.key is not None:
            return shape.key
        return self.of(DYN) if shape.inner is None else SCALAR

    def weight(self, shape: Shape) -> int:
        """Return the steps that it takes to look at all of a value."""
        inner = 0 if shape.inner is None else self.weight(shape.inner)
        key = 0 if shape.key is None else self.weight(shape.key)
        return shape.text // _COMPARED + shape.elements * (1 + inner + key)


def joined(shapes: Iterable[Shape]) -> Shape:
    """Return the shape that covers all of some; of none, that of a scalar."""
    found = list(dict.fromkeys(shapes))
    return _cover(found) if len(found) > 1 else found[0] if found else SCALAR


def _cover(shapes: list[Shape]) -> Shape:
    numbers = [shape.number for shape in shapes]
    holding = [shape for shape in shapes if shape.elements]
    inner = [shape.inner for shape in holding if shape.inner is not None]
    is_known = len(inner) == len(holding)
    keys = [shape.key for shape in holding if shape.key is not None]
    return Shape(
        text=max(shape.text for shape in shapes),
        elements=max(shape.elements for shape in shapes),
        inner=joined(inner) if inner and is_known else None,
        key=joined(keys) if keys and is_known else None,
        number=None if None in numbers else max(number for number in numbers if number is not None),
    )


def capped(size: int) -> int:
    """Return a size that no value exceeds."""
    return min(size, LARGEST)
