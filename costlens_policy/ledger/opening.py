"""From a URL to a store."""

from __future__ import annotations

from typing import Final
from urllib.parse import unquote, urlsplit

from costlens_policy.ledger.errors import LedgerError
from costlens_policy.ledger.memory import MemoryStore
from costlens_policy.ledger.options import seconds_of, take_options
from costlens_policy.ledger.protocol import Store
from costlens_policy.ledger.sqlite import SQLiteStore

__all__ = ["open_ledger"]

_FORMS: Final = "`memory:`, `sqlite:///spend.db`, `redis://host:6379/0` or `postgresql://user@host/database`"


def open_ledger(url: str) -> Store:
    """Open a ledger, making it where it is not there yet.

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
            return _sqlite(url)
        case "redis" | "rediss":
            from costlens_policy.ledger.redis import RedisStore  # an extra, needed for this kind of URL only

            return RedisStore(url)
        case "postgresql" | "postgres":
            from costlens_policy.ledger.postgresql import PostgreSQLStore  # an extra, needed for this kind of URL only

            return PostgreSQLStore(url)
    raise LedgerError(f"no ledger has URLs that begin with `{scheme}:`; write {_FORMS}")


def _sqlite(url: str) -> SQLiteStore:
    parts = urlsplit(url)
    path = unquote(parts.path.removeprefix("/"))
    if parts.netloc or not path:
        raise LedgerError(
            f"`{url}` names no file; write `sqlite:///spend.db`, or `sqlite:////var/lib/spend.db` for an absolute path"
        )
    rest, options = take_options(url, {"timeout"})
    unknown = urlsplit(rest).query
    if unknown:
        raise LedgerError(f"a SQLite ledger has the option `timeout` only, not `{unknown}`")
    return SQLiteStore(path, seconds_of(options.get("timeout", "10")))
