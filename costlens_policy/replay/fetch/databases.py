"""Rows of a query: ``postgresql://…#QUERY`` and ``duckdb:FILE#QUERY``, read only and as of one time."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from datetime import date, datetime, time
from decimal import Decimal
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from costlens_policy.replay.settings import Progress
from costlens_policy.replay.traffic.copies import add_copy, new_place
from costlens_policy.replay.traffic.row import TrafficError

__all__ = ["fetch_duckdb", "fetch_postgresql"]

_ROWS: Final = 5_000
_TABLE: Final = re.compile(r"[A-Za-z_][\w$]*(?:\.[A-Za-z_][\w$]*)*")
_HOST: Final = re.compile(r"(?:[^:\[\]]*|\[[^\[\]]*\])(?::\d*)?")
_SECRETS: Final = frozenset({"password", "sslpassword"})
_SECONDS: Final = 10
"""After which a server that does not answer counts as absent."""


def fetch_postgresql(address: str, progress: Progress) -> str:
    """Copy the rows of a query, in one transaction that reads only; return its name, without a password.

    The query is what follows ``#``: SQL, the name of a table, or the path of a file that ends in ``.sql``. Takes the
    extra ``postgresql``. Raises ``TrafficError``.
    """
    _check_url(address)
    url, query = _parted(address)
    shown = f"{_without_secrets(url)}#{query}"
    try:
        import psycopg
    except ImportError:
        raise TrafficError("`psycopg` is not installed: pip install 'costlens-policy[postgresql]'") from None
    try:
        psycopg.conninfo.conninfo_to_dict(url)
    except psycopg.Error as error:
        quotes_no_secret = _without_secrets(url) == url
        raise _unreadable(shown, error if quotes_no_secret else ValueError("it is not a valid URL")) from None
    try:
        with psycopg.connect(url, connect_timeout=_SECONDS) as connection:
            connection.read_only = True
            connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
            with connection.cursor(name="costlens_policy") as cursor:
                cursor.itersize = _ROWS
                cursor.execute(_sql(query))
                names = [column.name for column in cursor.description or ()]
                return _copied(shown, names, cursor, progress)
    except psycopg.Error as error:
        raise _unreadable(shown, error) from error


def fetch_duckdb(address: str, progress: Progress) -> str:
    """Copy the rows of a query on a file of DuckDB; return its name.

    The query is as for PostgreSQL. Takes the extra ``duckdb``. Raises ``TrafficError``.
    """
    url, query = _parted(address)
    try:
        import duckdb
    except ImportError:
        raise TrafficError("`duckdb` is not installed: pip install 'costlens-policy[duckdb]'") from None
    try:
        with closing(duckdb.connect(url.partition(":")[2], read_only=True)) as connection:
            found = connection.execute(_sql(query))
            names = [column[0] for column in found.description or ()]
            return _copied(address, names, _fetched(found), progress)
    except duckdb.Error as error:
        raise _unreadable(address, error) from error


def _fetched(found: Any) -> Iterator[Sequence[Any]]:
    while rows := found.fetchmany(_ROWS):
        yield from rows


def _check_url(address: str) -> None:
    """Refuse a URL in which a password may stand where none is looked for. Nothing of it is shown."""
    url, _, query = address.partition("#")
    try:
        parts = urlsplit(url)
    except ValueError:
        parts = urlsplit("")
    hosts = parts.netloc.rpartition("@")[2]
    is_cut = "@" in parts.path or (":" in hosts and not parts.path and "@" in query.partition(" ")[0])
    if is_cut or not parts.scheme or not url.startswith(f"{parts.scheme}://") or not all(
        map(_HOST.fullmatch, hosts.split(","))
    ):  # fmt: skip
        raise TrafficError(
            "the address of a database must be a URL such as `postgresql://ann@host:5432/db#TABLE`; in names and "
            "passwords, `/`, `#`, `?`, `@`, `:` and `%` must be percent-encoded, such as `%2F`"
        )


def _parted(address: str) -> tuple[str, str]:
    """Return the place of a database and the query. Raises ``TrafficError``."""
    url, _, query = address.partition("#")
    if not query.strip():
        raise TrafficError(
            f"`{_without_secrets(url)}` names no rows; add a table or a query, such as "
            f"'{_without_secrets(url)}#SELECT * FROM calls'"
        )
    return url, query


def _sql(query: str) -> str:
    """Return the statement of a query: SQL, all rows of a table, or what a file says. Raises ``TrafficError``."""
    if query.endswith(".sql"):
        try:
            return Path(query).read_text(encoding="utf-8")
        except (OSError, UnicodeError) as error:
            raise TrafficError(f"`{query}` cannot be read: {getattr(error, 'strerror', None) or error}") from error
    if _TABLE.fullmatch(query):
        return "SELECT * FROM " + ".".join(f'"{part}"' for part in query.split("."))
    return query


def _without_secrets(url: str) -> str:
    parts = urlsplit(url)
    whose, sign, where = parts.netloc.rpartition("@")
    options = [(name, value) for name, value in parse_qsl(parts.query) if name.lower() not in _SECRETS]
    netloc = f"{whose.partition(':')[0]}{sign}{where}"
    return urlunsplit(parts._replace(netloc=netloc, query=urlencode(options)))


def _copied(name: str, columns: Sequence[str], rows: Iterable[Sequence[Any]], progress: Progress) -> str:
    """Write rows as lines of JSON, each value as its reader takes it."""
    twice = sorted({column for column in columns if columns.count(column) > 1})
    if twice:
        raise TrafficError(f"`{name}` has two columns `{twice[0]}`; rename one of them with AS")
    place = new_place(".jsonl")
    progress.start("fetching", None, "rows")
    with open(place, "w", encoding="utf-8") as copy:
        for row in rows:
            known = {column: value for column, value in zip(columns, row, strict=True) if value is not None}
            copy.write(json.dumps(known, default=_plain) + "\n")
            progress.advance(1)
    add_copy(name, place, "")  # its rows are all that identifies it
    return name


def _plain(value: Any) -> Any:
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, bytes | memoryview):
        return bytes(value).decode("utf-8", "replace")
    return str(value)


def _unreadable(name: str, error: Exception) -> TrafficError:
    text = " ".join(str(error).split()) or type(error).__name__
    return TrafficError(f"`{name}` cannot be read: {text[:300]}")
