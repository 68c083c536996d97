"""The ledger in PostgreSQL, for any number of machines."""

from __future__ import annotations

from costlens_policy.ledger.postgresql.store import PostgreSQLStore

__all__ = ["PostgreSQLStore"]
