"""The server: one client, and the scripts that run there."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from importlib.resources import files
from typing import Any, Final
from urllib.parse import urlsplit

import redis
from redis.backoff import ExponentialBackoff
from redis.commands.core import Script
from redis.retry import Retry

from costlens_policy.ledger.errors import LedgerUnavailableError
from costlens_policy.ledger.json_text import json_text
from costlens_policy.ledger.redis.faults import faults_of

__all__ = ["Server"]

VERSION: Final = 1
"""Version of the keys. Only scripts know what is in them, so a new version comes with a script that upgrades."""

_SCRIPTS: Final = files("costlens_policy.ledger.redis") / "scripts"
_STARTED: Final = (
    "adjust", "balances", "calls", "claim_alert", "extend", "finish_alert", "release", "reserve", "settle",
    "spans", "take_alerts",
)  # fmt: skip


class Server:
    """One ledger on a server. All its keys begin with ``prefix``, whose braces put them into one slot of a cluster."""

    def __init__(self, url: str, ledger: str, timeout: float) -> None:
        self.prefix = f"{{{ledger}}}:"
        self._meta = f"{self.prefix}meta"
        self._where = urlsplit(url).hostname or "localhost"
        retry = Retry(ExponentialBackoff(cap=0.2, base=0.02), 2)
        with faults_of(self._where):
            try:
                self.client: Any = redis.Redis.from_url(
                    url, decode_responses=True, socket_timeout=timeout, socket_connect_timeout=timeout, retry=retry
                )
            except ValueError as error:
                raise LedgerUnavailableError(f"the URL of the ledger cannot be used: {error}") from error
        self._scripts = _load(self.client)
        self._id = self._open()

    def run(self, script: str, keys: tuple[str, ...], arguments: Sequence[Any], *texts: str) -> Any:
        """Run a script;

        ``keys`` are without the prefix. One round trip, and another where the server has not seen it yet.

        Every script may run twice: where an answer is lost, the client asks again.
        """
        names = [self._meta, *[self.prefix + key for key in keys]]
        about = json_text((self._id, self.prefix, *arguments))
        with faults_of(self._where):
            return self._scripts[script](keys=names, args=(about, *texts))

    def command(self, *parts: Any) -> Any:
        with faults_of(self._where):
            return self.client.execute_command(*parts)

    def commands(self, commands: list[tuple[Any, ...]]) -> list[Any]:
        """Run commands in one round trip."""
        with faults_of(self._where):
            pipeline = self.client.pipeline(transaction=False)
            for parts in commands:
                pipeline.execute_command(*parts)
            answers: list[Any] = pipeline.execute()
            return answers

    def close(self) -> None:
        self.client.close()

    def _open(self) -> str:
        """Make sure that the server keeps what it is given; return the id of the ledger."""
        with faults_of(self._where):
            memory = self.client.info("memory")
            policy = memory.get("maxmemory_policy", "noeviction")
            if memory.get("maxmemory", 0) and policy != "noeviction":
                raise LedgerUnavailableError(
                    f"the Redis at {self._where} may drop what was spent, since its `maxmemory-policy` is `{policy}`;"
                    " set `noeviction`"
                )
            script = self.client.register_script(_text("open"))
            version, ledger = script(keys=[self._meta], args=[VERSION, secrets.token_hex(8)])
        if int(version) != VERSION:
            raise LedgerUnavailableError(
                f"the ledger in the Redis at {self._where} was made by another version of costlens-policy"
                f" (keys {version}, this one knows {VERSION}); use that version, or name another ledger"
            )
        return str(ledger)


def _load(client: Any) -> dict[str, Script]:
    prelude = _text("prelude")
    return {name: client.register_script(prelude + _text(name)) for name in _STARTED}


def _text(name: str) -> str:
    return (_SCRIPTS / f"{name}.lua").read_text(encoding="utf-8")
