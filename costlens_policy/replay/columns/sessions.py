"""The prompt caches of sessions in columns: what each turn reads of what its model saw of the session before."""

from __future__ import annotations

from typing import Final

import polars as pl

from costlens_policy.replay.settings import Settings

__all__ = ["SessionCaches", "cached", "lifetime_of"]

_SCHEMA: Final = {"session": pl.String, "model": pl.String, "prompt": pl.Int64, "time": pl.Int64}
_KEY: Final = ("session", "model")


def lifetime_of(settings: Settings) -> int:
    """Return for how many microseconds a prompt stays in a cache."""
    return settings.cache_lifetime // settings.cache_lifetime.resolution


def cached(settings: Settings, session: pl.Expr, prompt: pl.Expr) -> pl.Expr:
    """Say which calls go by the cache of their session."""
    if not settings.cache:
        return pl.lit(False)
    return session.is_not_null() & (prompt >= settings.cache_min_tokens)


class SessionCaches:
    """What each model has seen of each session last: ``held`` has one row for each of them that is still alive.

    Batches come in the order of time.
    """

    __slots__ = ("_lifetime", "held")

    def __init__(self, settings: Settings, held: pl.DataFrame | None = None) -> None:
        self._lifetime = lifetime_of(settings)
        self.held = pl.DataFrame(schema=_SCHEMA) if held is None else held

    def read(self, calls: pl.DataFrame, now: int) -> pl.Series:
        """Return how many tokens each call reads from a cache, and remember what the caches hold afterwards.

        ``calls`` have ``session``, ``model``, ``prompt`` and ``time``, and nothing but calls that are cached. ``now``
        is the time of the batch's last row.
        """
        calls = calls.select(*_SCHEMA)
        every = pl.concat([self.held, calls])
        before, last = (pl.col(name).shift(1).over(_KEY) for name in ("prompt", "time"))
        alive = (before <= pl.col("prompt")) & (pl.col("time") < last + self._lifetime)
        read = every.select(pl.when(alive).then(before).otherwise(0).alias("read"))["read"]
        kept = every.group_by(_KEY, maintain_order=True).last()
        self.held = kept.filter(pl.col("time") + self._lifetime > now)
        return read.slice(every.height - calls.height)
