"""What Redis's errors mean, and what to do about them."""

from __future__ import annotations

from typing import Final

import redis

from costlens_policy.ledger.errors import LedgerBusyError, LedgerUnavailableError

__all__ = ["is_full", "may_be_elsewhere", "unavailable"]

_KINDS: Final[tuple[tuple[type[Exception], str], ...]] = (
    (
        redis.exceptions.OutOfMemoryError,
        "is out of memory; raise its `maxmemory`, or keep less by `history` in the URL",
    ),
    (redis.exceptions.MovedError, "is a cluster; name the node that serves the ledger's slot in the URL"),
    (redis.exceptions.ClusterDownError, "is a cluster that is down"),
    (redis.exceptions.ReadOnlyError, "is a replica; name the primary in the URL"),
    (redis.exceptions.BusyLoadingError, "is still loading its data; try again in a moment"),
    (redis.exceptions.NoPermissionError, "does not let this user run scripts on the keys of the ledger"),
    (redis.exceptions.AuthenticationError, "refuses the user or the password of the URL"),
    (redis.exceptions.TimeoutError, "did not answer in time"),
)
_WORDS: Final = (
    (
        "LEDGERGONE",
        "was emptied since it was opened, by a restart without persistence or by a flush; what was spent is not known"
        " any more: restore it, or open the ledger again to begin a new one",
    ),
    (
        "LEDGERLOST",
        "has dropped accounts of the ledger, by eviction or by hand, so what was spent is not known any more; set its"
        " `maxmemory-policy` to `noeviction`, and restore it",
    ),
    ("can't run this command", "does not let this user write the ledger"),
    ("MISCONF", "cannot write to its disk; look into its log"),
    ("NOREPLICAS", "has too few replicas to write; look into its `min-replicas-to-write`"),
    ("MASTERDOWN", "is a replica that has lost its primary; name the primary in the URL"),
    ("max number of clients", "has no connection left; raise its `maxclients`, or lower `connections` in the URLs"),
)
_BUSY: Final = "BUSY"
"""Begins the answer of a server on which somebody's script runs for too long. It answers, and nothing was done."""


def is_full(error: Exception) -> bool:
    """Whether the server refuses a connection because it has too many."""
    return "max number of clients" in str(error)


def may_be_elsewhere(error: redis.exceptions.RedisError) -> bool:
    """Whether another connection may do better: this one was cut, or leads to what was the primary once."""
    if isinstance(error, redis.exceptions.AuthenticationError):
        return False
    return isinstance(error, redis.exceptions.ConnectionError | redis.exceptions.ReadOnlyError)


def unavailable(where: str, error: Exception) -> LedgerUnavailableError:
    """Return what to raise instead of an error of the client."""
    if str(error).startswith(_BUSY):
        return LedgerBusyError(f"the Redis at {where} runs a script of somebody's for too long; see `SCRIPT KILL`")
    return LedgerUnavailableError(f"the Redis at {where} {_meaning(error)}")


def _meaning(error: Exception) -> str:
    for kind, meaning in _KINDS:
        if isinstance(error, kind):
            return meaning
    text = str(error)
    for word, meaning in _WORDS:
        if word in text:
            return meaning
    if isinstance(error, redis.exceptions.ConnectionError | OSError):
        return f"cannot be reached ({text.rstrip('.')})"
    return f"cannot be used ({text})"
