"""Guards over every store that needs no server."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from costlens_policy import Engine, Guard
from costlens_policy.guard import Event
from costlens_policy.ledger import MemoryStore, Store
from tests.guard.company import Clock, write_company


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(params=["memory", "sqlite"])
def ledger(request: pytest.FixtureRequest, tmp_path: Path) -> str | Store:
    """Return a new ledger that several guards can share."""
    return MemoryStore() if request.param == "memory" else f"sqlite:///{tmp_path / 'spend.db'}"


@pytest.fixture
def company(tmp_path: Path) -> Callable[..., Engine]:
    """Return a function that loads a policy text; see ``write_company``."""
    return lambda *texts, **more: write_company(tmp_path / "policies", *texts, **more)


@pytest.fixture
def guard_of(company: Callable[..., Engine], ledger: str | Store, clock: Clock) -> Iterator[Callable[..., Guard]]:
    """Return a function from a policy text to a guard with its ``events``."""
    guards: list[Guard] = []

    def make(policy: str, models: str = "nano", more: str = "", **options: Any) -> Guard:
        events: list[Event] = []
        options = {"ledger": ledger, "clock": clock, "alert_sinks": [events.append]} | options
        guard = Guard(company(policy, models=models, more=more), **options)
        guard.events = events  # type: ignore[attr-defined]  # for tests only
        guards.append(guard)
        return guard

    yield make
    for guard in guards:
        guard.close()
