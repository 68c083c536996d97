"""What Redis's errors mean, and what to do about them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import redis

from costlens_policy.ledger.errors import LedgerUnavailableError

__all__ = ["faults_of"]

_MEANINGS: Final = (
    (
        "LEDGERGONE",
        "was emptied since it was opened, by a restart without persistence or by a flush; what was spent is not known"
        " any more: restore it, or open the ledger again to begin a new one",
    ),
    ("OOM", "is out of memory; raise its `maxmemory`, or keep fewer entries with `history` in the URL"),
    ("READONLY", "is a replica; name the primary in the URL"),
    ("LOADING", "is still loading its data; try again in a moment"),
    ("MISCONF", "cannot write to its disk; look into its log"),
    ("NOAUTH", "asks for a password; put it into the URL"),
    ("WRONGPASS", "refuses the user or the password of the URL"),
    ("NOPERM", "does not let this user run scripts on the ledger's keys; give it `+@all ~{ledger}*`"),
    ("MOVED", "is a cluster; name the node that serves the ledger's slot in the URL"),
    ("CLUSTERDOWN", "is a cluster that is down"),
)


@contextmanager
def faults_of(where: str) -> Iterator[None]:
    """Turn Redis's errors into ``LedgerUnavailableError`` about the server."""
    try:
        yield
    except redis.exceptions.TimeoutError as error:
        raise LedgerUnavailableError(f"the Redis at {where} did not answer in time") from error
    except redis.exceptions.AuthenticationError as error:
        raise LedgerUnavailableError(f"the Redis at {where} refuses the user or the password of the URL") from error
    except (redis.exceptions.RedisError, OSError) as error:
        raise LedgerUnavailableError(f"the Redis at {where} {_meaning(error)}") from error


def _meaning(error: Exception) -> str:
    text = str(error)
    for word, meaning in _MEANINGS:
        if text.startswith(word) or f" {word} " in text:
            return meaning
    if isinstance(error, redis.exceptions.ConnectionError | OSError):
        return f"cannot be reached ({text})"
    return f"cannot be used ({text})"
