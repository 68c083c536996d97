"""A company whose decisions are logged."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from costlens_policy import Engine
from tests.guard.company import Clock, write_company


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def company(tmp_path: Path) -> Callable[..., Engine]:
    """Return a function that loads a policy text; see ``write_company``."""
    return lambda *texts, **more: write_company(tmp_path / "policies", *texts, **more)


class Entries(list[dict[str, Any]]):
    """A sink in memory."""

    def __call__(self, entries: Any) -> None:
        self.extend(entries)


@pytest.fixture
def entries() -> Entries:
    return Entries()
