"""The ledger in the memory of one process."""

from __future__ import annotations

from costlens_policy.ledger.memory.store import MemoryStore

__all__ = ["MemoryStore"]
