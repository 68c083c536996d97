"""The ledger in Redis, for any number of machines."""

from __future__ import annotations

from costlens_policy.ledger.redis.store import RedisStore

__all__ = ["RedisStore"]
