"""Guards in memory, and a provider for their calls."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from costlens_policy import Engine, Guard
from tests.guard.conftest import clock, company
from tests.integrations.clients import ROOMY
from tests.integrations.provider import FaultyProvider, faulty_provider

__all__ = ["clock", "company", "guard_of", "provider"]


@pytest.fixture
def provider() -> Iterator[FaultyProvider]:
    with faulty_provider() as running:
        yield running


@pytest.fixture
def guard_of(company: Callable[..., Engine]) -> Iterator[Callable[..., Guard]]:
    """Return a function from a policy to a guard with a ledger in memory."""
    guards: list[Guard] = []

    def make(policy: str = ROOMY, models: str = "nano", **options: Any) -> Guard:
        guards.append(Guard(company(policy, models=models), **options))
        return guards[-1]

    yield make
    for guard in guards:
        guard.close()
