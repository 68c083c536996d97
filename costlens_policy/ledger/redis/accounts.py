"""Accounts on the server, by name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from costlens_policy.ledger.account import Account
from costlens_policy.ledger.redis.server import Server
from costlens_policy.ledger.redis.wire import account_named

__all__ = ["Accounts"]

_MOST: Final = 10_000


class Accounts:
    """From names to accounts. A name never stands for another one, so what was read once is kept, up to a number."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._known: dict[str, Account] = {}

    def named(self, names: Iterable[str], given: Iterable[Account] = ()) -> Mapping[str, Account]:
        """Return the accounts of these names; those that are ``given`` need not be asked for."""
        found = {account.name: account for account in given}
        missing = []
        for name in dict.fromkeys(names):
            if name in found:
                continue
            known = self._known.get(name)
            if known is None:
                missing.append(name)
            else:
                found[name] = known
        if missing:
            found |= self._read(missing)
        return found

    def _read(self, names: list[str]) -> dict[str, Account]:
        answer = self._server.run("spans", (), names, ())
        read = {name: account_named(name, span) for name, span in zip(names, answer, strict=True)}
        if len(self._known) + len(read) > _MOST:
            self._known = {}  # a new one, since other threads may be reading the old one
        self._known.update(read)
        return read
