"""A company whose policies are replaced while they serve."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext, suppress
from pathlib import Path

import pytest

from costlens_policy import PolicyError
from tests.guard.company import Clock, write_company


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "policies"


@pytest.fixture
def write(folder: Path) -> Callable[..., Path]:
    """Return a function that writes the policies of a company; see ``write_company``."""

    def written(policy: str = "", models: str = "nano", more: str = "", check: bool = True) -> Path:
        with nullcontext() if check else suppress(PolicyError):
            write_company(folder, policy or "routes: []", models, more)
        return folder

    return written
