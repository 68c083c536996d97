"""What a provider says of one call, normalised, and how numbers are taken out of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from costlens_policy.catalogue import Usage
from costlens_policy.errors import CostlensPolicyError

__all__ = ["Fields", "Reported", "UsageError", "part", "remainder", "tokens"]

Fields: TypeAlias = Mapping[str, Any]


class UsageError(CostlensPolicyError):
    """A usage object cannot be understood, or contradicts itself. Nothing is guessed from it."""


@dataclass(frozen=True, slots=True)
class Reported:
    """Usage of one call. ``shape`` says how it was read.

    ``other_models`` holds what the call used on further models (an advisor that the provider asked on its own), by
    name. ``web_searches`` and the like are not tokens and not part of ``usage``; ``service_tier`` is the provider's
    word.
    """

    usage: Usage
    shape: str
    service_tier: str | None = None
    web_searches: int = 0
    web_fetches: int = 0
    other_models: tuple[tuple[str, Usage], ...] = ()


def tokens(fields: Fields, *names: str) -> int:
    """Return the first of the named counts that is there, 0 where none is.

    Raises ``UsageError`` for what is no count.
    """
    for name in names:
        value = fields.get(name)
        if value is None:
            continue
        whole = isinstance(value, int) or (isinstance(value, float) and value.is_integer())
        if isinstance(value, bool) or not whole or value < 0:
            raise UsageError(f"`{name}` is not a number of tokens")
        return int(value)
    return 0


def part(fields: Fields, name: str) -> Fields:
    """Return an inner object; an empty one where it is absent or null."""
    value = fields.get(name)
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise UsageError(f"`{name}` is not an object")
    return value


def remainder(total: int, name: str, *parts: int) -> int:
    """Return what is left of a total that includes the parts. Raises ``UsageError`` where they exceed it."""
    left = total - sum(parts)
    if left < 0:
        raise UsageError(f"the parts of `{name}` are more than the {total} tokens that it counts")
    return left
