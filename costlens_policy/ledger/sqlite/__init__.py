"""The ledger in a SQLite file, for several processes of one machine."""

from __future__ import annotations

from costlens_policy.ledger.sqlite.store import SQLiteStore

__all__ = ["SQLiteStore"]
