"""From rows of numbers back to the plan. ``encoding`` says what the rows are."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

from costlens_policy.saving.classes import class_named, constructor, fields_of
from costlens_policy.saving.errors import ForeignPlan, UnusablePlan
from costlens_policy.saving.leaves import reader

__all__ = ["decode"]


def decode(encoded: Any) -> Any:
    """Return what was encoded. Raises ``UnusablePlan`` for anything that ``encode`` does not give."""
    try:
        objects: list[Any] = list(encoded["leaves"])
        makers = [_maker(kind) for kind in encoded["kinds"]]
        get, add = objects.__getitem__, objects.append
        for row in encoded["rows"]:
            add(makers[row[0]](*map(get, row[1:])))
        return objects[-1]
    except UnusablePlan:
        raise
    except Exception as error:  # whatever a constructor says of parts that nobody but `encode` may give
        raise UnusablePlan("it is damaged") from error


def _maker(kind: Any) -> Callable[..., Any]:
    if isinstance(kind, str):
        return _WORDS.get(kind) or reader(kind)
    name, names = kind
    found = class_named(name)
    if fields_of(found) != (None if names is None else tuple(names)):
        raise ForeignPlan(f"`{name[:80]}` has other fields in this version")
    return constructor(found)


def _dict(*flat: Any) -> dict[Any, Any]:
    return dict(zip(flat[::2], flat[1::2], strict=True))


_WORDS: Final[Mapping[str, Callable[..., Any]]] = {
    "tuple": lambda *parts: parts,
    "list": lambda *parts: list(parts),
    "frozenset": lambda *parts: frozenset(parts),
    "dict": _dict,
    "proxy": lambda *flat: MappingProxyType(_dict(*flat)),
}
