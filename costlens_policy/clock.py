"""Where the present time comes from; everything below the facade takes it as an argument."""

from __future__ import annotations

from datetime import UTC, datetime

__all__ = ["system_now"]


def system_now() -> datetime:
    """Return the present time, aware, in UTC."""
    return datetime.now(UTC)
