"""From a URL to a store."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Final
from urllib.parse import unquote, urlsplit

from costlens_policy.ledger.errors import LedgerError
from costlens_policy.ledger.memory import MemoryStore
from costlens_policy.ledger.options import seconds_of, take_options
from costlens_policy.ledger.protocol import Store
from costlens_policy.ledger.sqlite import SQLiteStore

__all__ = ["open_ledger"]

_FORMS: Final = "`memory:`, `sqlite:///spend.db`, `redis://host:6379/0` or `postgresql://user@host/database`"


def open_ledger(url: str, *, read_only: bool = False) -> Store:
    """Open a ledger, making it where it is not there yet; with ``read_only`` it must be there.

    What is only looked at need not be writable: a file or a disk without that right, a replica, a user that may only
    read. Writes to it are then refused, one by one.

    ``memory:``, ``sqlite:///relative.db``, ``sqlite:////absolute.db``, ``redis://``, ``rediss://`` and
    ``postgresql://``. Options follow ``?``: ``timeout`` in seconds for all of them, ``ledger`` for several ledgers in
    one Redis or PostgreSQL. Raises ``LedgerError`` for a URL of another form, ``LedgerUnavailableError`` where the
    store cannot be used.
    """
    scheme, separator, _ = url.partition(":")
    if not separator:
        raise LedgerError(f"`{url}` is not the URL of a ledger; write {_FORMS}")
    match scheme:
        case "memory":
            return MemoryStore()
        case "sqlite":
            return _sqlite(url, read_only)
        case "redis" | "rediss":
            return _extra("redis", "RedisStore")(url, read_only=read_only)
        case "postgresql" | "postgres":
            return _extra("postgresql", "PostgreSQLStore")(url, read_only=read_only)
    raise LedgerError(f"no ledger has URLs that begin with `{scheme}:`; write {_FORMS}")


def _extra(kind: str, store: str) -> Callable[..., Store]:
    """Return the class of a store whose driver is an extra, needed for its kind of URL only."""
    try:
        found: Callable[..., Store] = getattr(import_module(f"costlens_policy.ledger.{kind}"), store)
    except ModuleNotFoundError as error:
        if str(error.name).startswith("costlens_policy"):
            raise
        raise LedgerError(f"`{error.name}` is not installed: pip install 'costlens-policy[{kind}]'") from None
    return found


def _sqlite(url: str, read_only: bool) -> SQLiteStore:
    parts = urlsplit(url)
    path = unquote(parts.path.removeprefix("/"))
    if parts.netloc or not path:
        raise LedgerError(
            f"`{url}` names no file; write `sqlite:///spend.db`, or `sqlite:////var/lib/spend.db` for an absolute path"
        )
    if path.startswith(":"):
        raise LedgerError(f"`{url}` names no file; write `memory:` for a ledger in memory")
    rest, options = take_options(url, {"timeout"})
    unknown = urlsplit(rest).query
    if unknown:
        raise LedgerError(f"a SQLite ledger has the option `timeout` only, not `{unknown}`")
    return SQLiteStore(path, seconds_of(options.get("timeout", "10")), read_only=read_only)
