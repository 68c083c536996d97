"""What a provider says of one call, normalized."""

from __future__ import annotations

from collections.abc import Mapping
from operator import add
from typing import Final, NamedTuple

from costlens_policy.catalogue import Usage
from costlens_policy.errors import CostlensPolicyError

__all__ = ["USUAL_TERMS", "Reported", "ServiceTerms", "UsageError", "added"]

_USUAL_WORDS: Final = frozenset({"geo global", "geo not_available", "speed standard"})


class UsageError(CostlensPolicyError):
    """A usage object cannot be understood, or reports no tokens. Nothing is guessed from it."""


class ServiceTerms(NamedTuple):
    """On what terms a call was served, in the provider's words; None where it reported none.

    ``tier`` is the service tier, ``geo`` where Anthropic ran the call (``us`` costs more), ``speed`` how fast.
    """

    tier: str | None = None
    geo: str | None = None
    speed: str | None = None

    @property
    def text(self) -> str | None:
        """The terms in one line, such as ``priority`` or ``standard, geo us, speed fast``; None where there are none.

        What says nothing but the usual is left out, so that most calls have equal terms.
        """
        more = [f"{name} {word}" for name, word in (("geo", self.geo), ("speed", self.speed)) if word]
        more = [item for item in more if item not in _USUAL_WORDS]
        return ", ".join([self.tier or "standard", *more]) if more else self.tier

    @classmethod
    def of(cls, text: str | None) -> ServiceTerms:
        """Return the terms that ``text`` wrote, or that a tier's name alone is."""
        if text is None:
            return USUAL_TERMS
        tier, *more = text.split(", ")
        words = dict(item.split(" ", 1) for item in more if " " in item)
        return cls(tier, words.get("geo"), words.get("speed"))


USUAL_TERMS: Final = ServiceTerms()


class ToolUses(NamedTuple):
    """How often the tools of a provider were used, by name; None for a count that cannot be read.

    ``is_all`` says that what is not in ``counts`` was not used.
    """

    counts: Mapping[str, int | None]
    is_all: bool

    def of(self, name: str) -> int | None:
        """Return how often a tool was used; None where that is not known."""
        return self.counts.get(name, 0 if self.is_all else None)


class Reported(NamedTuple):
    """Usage of one call. ``shape`` says how it was read.

    ``unknown`` are tokens of a kind that nobody knows, which are not in ``usage`` and are charged at the highest rate.
    ``other_models`` holds what the call used on further models (an advisor that the provider asked on its own), by
    name; ``answered`` is the name of the model that the response says it is from. ``web_searches`` and the like are
    not tokens and not part of ``usage``. ``tells_reasoning`` says that tokens of reasoning are counted apart from other
    output, so that ``output`` holds none. ``notes`` name what was not understood, what contradicts itself, and what has
    no price by tokens.
    """

    usage: Usage
    shape: str
    terms: ServiceTerms = USUAL_TERMS
    web_searches: int = 0
    web_fetches: int = 0
    other_models: tuple[tuple[str, Usage], ...] = ()
    unknown: int = 0
    answered: str | None = None
    notes: tuple[str, ...] = ()
    tells_reasoning: bool = True
    tool_uses: ToolUses | None = None
    """How often each tool of the provider was used; None where the response does not tell."""

    @property
    def is_nothing(self) -> bool:
        """Whether it reports no token at all, which no call has: zeros do not say what a call cost."""
        return not (any(self.usage) or self.unknown or self.other_models)

    @property
    def service_tier(self) -> str | None:
        """The provider's word for the service tier that served the call."""
        return self.terms.tier


def added(one: Usage, other: Usage) -> Usage:
    """Return the tokens of two usages together."""
    return Usage(*map(add, one, other))
