"""The tables, as steps from each version of them to the next, and the functions.

A step that was released never changes.
"""

from __future__ import annotations

from importlib.resources import files
from typing import Any, Final

import psycopg

from costlens_policy.ledger.errors import LedgerUnavailableError

__all__ = ["MIGRATIONS", "migrate", "statements"]

MIGRATIONS: Final = (
    "001_accounts_and_calls",
    "002_adjustments",
    "003_alerts",
    "004_history",
    "005_clocks",
    "006_thresholds",
)

_FUNCTIONS: Final = (
    "functions_1_accounts", "functions_2_reserve", "functions_3_settle", "functions_4_leases", "functions_5_history",
)  # fmt: skip
_SCRIPTS: Final = files("costlens_policy.ledger.postgresql") / "scripts"


def migrate(connection: psycopg.Connection[Any], schema: str, *, read_only: bool = False) -> None:
    """Make the ledger, or bring one of an older version up to date; with ``read_only`` it must be there.

    Raises ``LedgerUnavailableError`` for a newer one.
    """
    version = _version(connection, schema)
    if version == len(MIGRATIONS):
        return
    if read_only and version == 0:
        raise LedgerUnavailableError(
            f"there is no ledger `{schema}` in the database; a guard makes it when it is first used"
        )
    with connection.transaction():
        connection.execute("SELECT pg_advisory_xact_lock(hashtext(%s))", (f"costlens-policy {schema}",))
        version = _version(connection, schema)
        if version == len(MIGRATIONS):
            return
        if version == 0:
            connection.execute(_sql("CREATE SCHEMA IF NOT EXISTS @ledger", schema))
            connection.execute(_sql("CREATE TABLE @ledger.version (version integer NOT NULL)", schema))
            connection.execute(_sql("INSERT INTO @ledger.version VALUES (0)", schema))
        for name in (*MIGRATIONS[version:], *_FUNCTIONS):
            connection.execute(statements(name, schema))
        connection.execute(_sql(f"UPDATE @ledger.version SET version = {len(MIGRATIONS)}", schema))


def statements(name: str, schema: str) -> bytes:
    """Return a script for the schema."""
    return _sql((_SCRIPTS / f"{name}.sql").read_text(encoding="utf-8"), schema)


def _sql(text: str, schema: str) -> bytes:
    return text.replace("@ledger", f'"{schema}"').encode()


def _version(connection: psycopg.Connection[Any], schema: str) -> int:
    """Return the version of the tables, 0 where there are none."""
    tables = "SELECT 1 FROM pg_catalog.pg_tables WHERE schemaname = %s AND tablename = 'version'"
    if connection.execute(tables, (schema,)).fetchone() is None:
        return 0
    row = connection.execute(_sql("SELECT version FROM @ledger.version", schema)).fetchone()
    version = 0 if row is None else int(row[0])
    if version > len(MIGRATIONS):
        raise LedgerUnavailableError(
            f"the ledger in the schema `{schema}` was made by a newer version of costlens-policy (tables {version},"
            f" this one knows {len(MIGRATIONS)}); upgrade costlens-policy here"
        )
    return version
