"""The connection to a server: commands and scripts, answers that are late or missing, and what its faults mean.

Connections are redis-py's, but commands are packed and sent here: a script with its arguments then takes less of the
client's time than a bare command does through its client class. They are counted by the pool of the ledger: redis-py's
counts those that it makes for others, and never learns that they were closed.
"""

from __future__ import annotations

import hashlib
import secrets
import time
from collections.abc import Callable, Iterable, Sequence
from importlib.resources import files
from struct import pack
from typing import Any, Final
from urllib.parse import urlsplit

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from costlens_policy.ledger.errors import LedgerBusyError, LedgerUnavailableError
from costlens_policy.ledger.pool import Pool

__all__ = ["OPEN", "SCRIPTS", "Server", "is_full", "may_be_elsewhere", "unavailable"]


VERSION: Final = 1
"""Version of the keys. Only scripts know what is in them, so a new version comes with a script that upgrades."""

_PAUSES: Final = (0.0, 0.02, 0.1)
"""Seconds to wait before each further attempt on a connection that was cut."""


class _Link:
    """One connection. It is connected when it is made."""

    __slots__ = ("_connection",)

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        connection.connect()

    def ask(self, packed: bytes, answers: int) -> list[Any]:
        self._connection.send_packed_command([packed])
        return [self._connection.read_response() for _ in range(answers)]

    def close(self) -> None:
        self._connection.disconnect()


class Server:
    """One ledger on a server. All its keys begin with ``prefix``, whose braces put them into one slot of a cluster.

    Everything may be sent twice: where a connection is cut before the answer has come, the client asks again.
    """

    def __init__(self, url: str, ledger: str, timeout: float, connections: int, *, read_only: bool) -> None:
        self.prefix = f"{{{ledger}}}:"
        self._clock = f"{self.prefix}clock"
        self._where = urlsplit(url).hostname or "localhost"
        self._pool = Pool(_connections(url, timeout), connections, timeout, is_full)
        self._id = self._open(read_only)

    def run(self, script: str, keys: tuple[str, ...], texts: Iterable[str], numbers: Sequence[int], *more: str) -> Any:
        """Run a script;

        ``keys`` are without the prefix. One round trip, and another where the server has not seen it yet.
        """
        names = [self._clock, *[self.prefix + key for key in keys]]
        about = "\0".join((self._id, *texts, "")), pack(f">{len(numbers)}d", *numbers)
        source, digest = SCRIPTS[script]
        try:
            return self._ask(_packed("EVALSHA", digest, len(names), *names, *about, *more), 1)[0]
        except redis.exceptions.NoScriptError:
            return self.command("EVAL", source, len(names), *names, *about, *more)
        except redis.exceptions.RedisError as error:
            raise unavailable(self._where, error) from error

    def command(self, *parts: Any) -> Any:
        return self.commands([parts])[0]

    def commands(self, commands: Sequence[Sequence[Any]]) -> list[Any]:
        """Run commands in one round trip."""
        try:
            return self._ask(b"".join([_packed(*parts) for parts in commands]), len(commands))
        except redis.exceptions.RedisError as error:
            raise unavailable(self._where, error) from error

    def close(self) -> None:
        self._pool.close()

    def _ask(self, packed: bytes, answers: int) -> list[Any]:
        """Send and wait; where the connection was cut or leads to a replica by now, again on another one."""
        for pause in _PAUSES:
            try:
                with self._pool.connection() as link:
                    return link.ask(packed, answers)
            except redis.exceptions.RedisError as error:
                if not may_be_elsewhere(error):
                    raise
                self._pool.clear()  # a restart of the server has cut all of them, a failover has made all of them wrong
                time.sleep(pause)
        with self._pool.connection() as link:
            return link.ask(packed, answers)

    def _open(self, read_only: bool) -> str:
        """Make sure that the server keeps what it is given; return the id of the ledger."""
        memory = dict(line.split(":", 1) for line in self.command("INFO", "memory").splitlines() if ":" in line)
        policy = memory.get("maxmemory_policy", "noeviction")
        if int(memory.get("maxmemory", 0)) and policy != "noeviction":
            raise LedgerUnavailableError(
                f"the Redis at {self._where} may evict what was spent, since its `maxmemory-policy` is `{policy}`;"
                " set `noeviction`"
            )
        keys = self._clock, f"{self.prefix}version"
        if read_only and not self.command("EXISTS", self._clock):
            raise LedgerUnavailableError(
                f"there is no ledger `{self.prefix[1:-2]}` in the Redis at {self._where}; a guard makes it when it is"
                " first used"
            )
        known = self.command("EVAL", OPEN, 2, *keys, VERSION, secrets.token_hex(8))
        if known is None:
            raise LedgerUnavailableError(
                f"the Redis at {self._where} is a 32-bit build, which cannot hold exact amounts; use a 64-bit one"
            )
        version, ledger = known
        if int(version) != VERSION:
            raise LedgerUnavailableError(
                f"the ledger in the Redis at {self._where} was made by another version of costlens-policy"
                f" (keys {version}, this one knows {VERSION}); use that version, or name another ledger"
            )
        return str(ledger)


def _connections(url: str, timeout: float) -> Callable[[], _Link]:
    """Return what makes a connection to the server of a URL."""
    try:
        connections: Any = redis.ConnectionPool.from_url(
            url,
            decode_responses=True,
            protocol=2,
            socket_timeout=timeout,
            socket_connect_timeout=timeout,
            socket_keepalive=True,
            retry=Retry(NoBackoff(), 0),
        )
    except ValueError as error:
        raise LedgerUnavailableError(f"the URL of the ledger cannot be used: {error}") from error
    return lambda: _Link(connections.connection_class(**connections.connection_kwargs))


def _packed(*parts: str | bytes | int) -> bytes:
    """Return a command as the server reads it."""
    encoded = [part if part.__class__ is bytes else str(part).encode() for part in parts]
    return b"*%d\r\n" % len(encoded) + b"".join([b"$%d\r\n%b\r\n" % (len(part), part) for part in encoded])


_KINDS: Final[tuple[tuple[type[Exception], str], ...]] = (
    (
        redis.exceptions.OutOfMemoryError,
        "is out of memory; raise its `maxmemory`, or keep less by `history` in the URL",
    ),
    (redis.exceptions.MovedError, "is a cluster; name the node that serves the ledger's slot in the URL"),
    (redis.exceptions.ClusterDownError, "is a cluster that is down"),
    (redis.exceptions.ReadOnlyError, "is a replica; name the primary in the URL"),
    (redis.exceptions.BusyLoadingError, "is still loading its data; try again shortly"),
    (redis.exceptions.NoPermissionError, "does not let this user run scripts on the keys of the ledger"),
    (redis.exceptions.AuthenticationError, "rejects the user or password in the URL"),
    (redis.exceptions.TimeoutError, "did not answer in time"),
)
_WORDS: Final = (
    (
        "LEDGERGONE",
        "was emptied since it was opened, by a restart without persistence or by a flush, so what was spent is unknown;"
        " restore it, or open the ledger again to begin a new one",
    ),
    (
        "LEDGERLOST",
        "has lost accounts of the ledger, by eviction or deletion, so what was spent is unknown; set its"
        " `maxmemory-policy` to `noeviction`, and restore it",
    ),
    ("can't run this command", "does not let this user write the ledger"),
    ("MISCONF", "cannot write to its disk; check its log"),
    ("NOREPLICAS", "has too few replicas to accept writes; check its `min-replicas-to-write`"),
    ("MASTERDOWN", "is a replica that has lost its primary; name the primary in the URL"),
    ("max number of clients", "has no connections left; raise its `maxclients`, or lower `connections` in the URLs"),
)
_BUSY: Final = "BUSY"
"""Begins the answer of a server that has run another client's script for too long. It answers, and nothing was done."""


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
        return LedgerBusyError(
            f"the Redis at {where} has been running another client's script for too long; see `SCRIPT KILL`"
        )
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


_FOLDER: Final = files("costlens_policy.ledger.redis") / "lua"
_NAMES: Final = (
    "adjust", "balances", "calls", "claim_alert", "extend", "finish_alert", "next_end", "release", "reservation",
    "reserve", "settle", "spans", "take_alerts",
)  # fmt: skip


def _text(name: str) -> str:
    return (_FOLDER / f"{name}.lua").read_text(encoding="utf-8")


def _script(name: str) -> tuple[str, str]:
    source = _text("prelude") + (_text("carry") if name == "reserve" else "") + _text(name)
    return source, hashlib.sha1(source.encode(), usedforsecurity=False).hexdigest()


OPEN: Final = _text("open")
"""Makes the ledger or finds it."""
SCRIPTS: Final = {name: _script(name) for name in _NAMES}
"""Source and digest of each script."""
