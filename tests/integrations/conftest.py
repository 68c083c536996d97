"""The guards of `tests/guard`, for what is built on them."""

from __future__ import annotations

from tests.guard.conftest import clock, company, guard_of, ledger

__all__ = ["clock", "company", "guard_of", "ledger"]
