"""The server: connections to it, and the scripts that run there.

Connections are redis-py's, but commands are packed and sent here: a script with its arguments then takes less of the
client's time than a bare command does through its client class. They are counted by the pool of the ledger: redis-py's
counts those that it makes for others, and never learns that they were closed.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterable, Sequence
from struct import pack
from typing import Any, Final
from urllib.parse import urlsplit

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from costlens_policy.ledger.errors import LedgerUnavailableError
from costlens_policy.ledger.pool import Pool
from costlens_policy.ledger.redis.faults import is_full, may_be_elsewhere, unavailable
from costlens_policy.ledger.redis.scripts import OPEN, SCRIPTS

__all__ = ["Server"]

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
                f"the Redis at {self._where} may drop what was spent, since its `maxmemory-policy` is `{policy}`;"
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
            raise LedgerUnavailableError(f"the Redis at {self._where} is built for 32 bits, too few for exact amounts")
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
