"""What the prompt caches of providers hold of sessions, as far as this process has seen it.

A cache holds the prompt of the session's last call on a model until its lifetime has passed since.
``catalogue.read_from`` says what the next call reads of that: ``replay`` goes by the same two rules.
"""

from __future__ import annotations

from collections import OrderedDict
from datetime import datetime
from threading import Lock
from typing import Final, NamedTuple

from costlens_policy.catalogue import LONG_LIFETIME, Model, Usage

__all__ = ["WarmPrompts"]

_MOST_SESSIONS: Final = 10_000


class _Held(NamedTuple):
    tokens: int
    ends: float
    is_long: bool


class WarmPrompts:
    """The prompts that are warm, by session and model. Safe for threads.

    Of more than ``most`` sessions the one that was longest without a call is forgotten, and so counts as cold.
    """

    __slots__ = ("_lock", "_most", "_sessions")

    def __init__(self, most: int = _MOST_SESSIONS) -> None:
        self._lock: Final = Lock()
        self._most: Final = most
        self._sessions: Final[OrderedDict[str, dict[str, _Held]]] = OrderedDict()

    def of(self, session: str, now: datetime) -> dict[str, int]:
        """Return how many tokens each model holds of a session, without those that hold nothing any more."""
        found, time = self._sessions.get(session), now.timestamp()
        if found is None:
            return {}
        with self._lock:
            return {name: held.tokens for name, held in found.items() if time < held.ends}

    def learn(self, session: str, model: Model, usage: Usage, at: datetime) -> None:
        """Take over what a call left behind that was made at a time and used so many tokens.

        What was read or written is in the cache, and of an automatic one the whole prompt. A call that used no cache
        leaves what there was. Of a prompt that is written in part for an hour, all of it lasts as long as the rest. An
        empty session is none.
        """
        cache = model.cache
        if cache is None or not session:
            return
        tokens = usage.cache_read + usage.cache_write + usage.cache_write_1h
        if cache.automatic:
            tokens = max(tokens, cache.kept(tokens + usage.input))
        if not tokens:
            return
        time = at.timestamp()
        with self._lock:
            held = self._sessions.setdefault(session, {})
            self._sessions.move_to_end(session)
            before = held.get(model.name)
            is_long = not usage.cache_write and (
                usage.cache_write_1h > 0 or (before is not None and before.is_long and time < before.ends)
            )
            ends = time + (max(LONG_LIFETIME, cache.lifetime) if is_long else cache.lifetime)
            if before is None or ends >= before.ends or is_long:  # calls may be settled in another order than made
                held[model.name] = _Held(tokens, ends, is_long)
            while len(self._sessions) > self._most:
                self._sessions.popitem(last=False)

    def __len__(self) -> int:
        return len(self._sessions)
