"""What a caller sets: what replay assumes, all of it printed with the result, and who is shown how far it is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Final, Protocol

__all__ = ["START", "Progress", "Settings", "Silent", "assumptions"]

START: Final = datetime(2026, 1, 1, tzinfo=UTC)
_SHORT: Final = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Settings:
    """``cache_lifetime`` starts anew with each use; one of more than five minutes is written at the one-hour price.

    A prompt of fewer than ``cache_min_tokens`` is not cached. ``output_range`` is the share by which the length of
    answers may change with the model.
    """

    cache: bool = True
    cache_lifetime: timedelta = _SHORT
    cache_min_tokens: int = 1024
    output_range: Decimal = Decimal("0.2")
    start: datetime = START

    @property
    def long_lived(self) -> bool:
        return self.cache_lifetime > _SHORT


def assumptions(settings: Settings) -> Iterator[str]:
    """Say in sentences what a result rests on."""
    if settings.cache:
        yield (
            f"prompt caches: each model has its own for each session, alive for "
            f"{settings.cache_lifetime.total_seconds():g} s after its last use; a turn reads what the model saw of the "
            f"session before and writes the rest at the {'one-hour' if settings.long_lived else 'five-minute'} price; "
            f"a prompt that got shorter was compacted and is written anew; prompts below "
            f"{settings.cache_min_tokens} tokens are not cached"
        )
        yield (
            "rows without a session keep their recorded cached tokens on the recorded model, and have none on another"
        )
    else:
        yield "prompt caches: ignored, every prompt token is an uncached one"
    yield "answers are as long as recorded, whichever model gives them; the range shows all of them shorter and longer"
    yield (
        "prices are those of the catalogue at the time of the row (UTC), at the service tier that the log names, where "
        "the model has one, else at the usual one; what a call used on further models is part of its cost, whichever "
        "model serves it"
    )
    yield "rewrites change token counts by what they change in recorded texts; rows that hold counts alone stay as long"
    yield "budgets: each call is charged at once, in the order of time; calls under way hold nothing"
    yield "what no model can serve is counted as denied and not priced; fallbacks after failures are not modelled"


class Progress(Protocol):
    """Is told what begins and how it advances."""

    def start(self, what: str, total: int | None, unit: str, done: int = 0) -> None:
        """Begin with something of so many units in all, or of an unknown number; ``done`` of them before."""

    def advance(self, units: int) -> None:
        """Go on by so many units."""


class Silent:
    """Shows nothing."""

    def start(self, what: str, total: int | None, unit: str, done: int = 0) -> None:
        pass

    def advance(self, units: int) -> None:
        pass
