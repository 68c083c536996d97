"""What a caller sets: what replay assumes, all of it printed with the result, and who is shown how far it is."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Final, Protocol

from costlens_policy.frozen import frozen

if TYPE_CHECKING:
    from costlens_policy.compiler.plan import Plan

__all__ = ["START", "Progress", "Settings", "Silent", "assumptions", "reads_caches"]

START: Final = datetime(2026, 1, 1, tzinfo=UTC)
_SHORT: Final = timedelta(minutes=5)


@frozen
class Settings:
    """The assumptions of a replay, all printed with the result.

    ``cache_lifetime`` restarts with each use; above five minutes, writes cost the one-hour price.

    A prompt of fewer than ``cache_min_tokens`` is not cached. ``output_range`` is the share by which the length of
    answers can vary with the model. ``start`` is what relative times are relative to.
    """

    cache: bool = True
    cache_lifetime: timedelta = _SHORT
    cache_min_tokens: int = 1024
    output_range: Decimal = Decimal("0.2")
    start: datetime = START

    @property
    def long_lived(self) -> bool:
        return self.cache_lifetime > _SHORT


def reads_caches(plan: Plan, settings: Settings) -> bool:
    """Return whether decisions depend on what prompt caches hold: then each call of a session is decided by itself."""
    return settings.cache and plan.reads_warmth


def assumptions(settings: Settings) -> Iterator[str]:
    """Yield the assumptions of a result, each as a sentence."""
    if settings.cache:
        yield (
            f"prompt caches: each model has its own for each session, which lives for "
            f"{settings.cache_lifetime.total_seconds():g} s after its last use; a turn reads the part of the session "
            f"that the model has seen and writes the rest at the "
            f"{'one-hour' if settings.long_lived else 'five-minute'} price; a prompt that got shorter was compacted "
            f"and is written again; prompts below {settings.cache_min_tokens} tokens are not cached; rules that read "
            "`warm_tokens` or the likely cost see these caches"
        )
        yield (
            "rows without a session keep their recorded cached tokens on the recorded model, and have none on another"
        )
    else:
        yield "prompt caches: ignored, every prompt token counts as uncached"
    yield "answers are as long as recorded, whichever model gives them; the range shows all of them shorter and longer"
    yield (
        "prices are those of the catalogue at the time of the row (UTC), at the service tier in the log if the model "
        "has prices for it, otherwise at the standard one; what a call used on further models is part of its cost, "
        "whichever model serves it"
    )
    yield "rewrites change token counts by what they change in recorded texts; rows with counts alone keep their length"
    yield "budgets: each call is charged immediately, in time order; calls in progress hold nothing"
    yield "requests that no model can serve count as denied, without a price; fallbacks after failures are not modeled"


class Progress(Protocol):
    """Receives the progress of a replay."""

    def start(self, what: str, total: int | None, unit: str, done: int = 0) -> None:
        """Start a phase with a total number of units, or an unknown one; ``done`` of them are complete."""

    def advance(self, units: int) -> None:
        """Advance by a number of units."""


class Silent:
    """Shows nothing."""

    def start(self, what: str, total: int | None, unit: str, done: int = 0) -> None:
        pass

    def advance(self, units: int) -> None:
        pass
