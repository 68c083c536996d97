"""A service in this process, asked without sockets, and one in a process of its own."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from pathlib import Path

import pytest

_NEEDED = ("msgspec", "prometheus_client", "uvicorn", "httptools", "uvloop")
collect_ignore_glob = [] if all(map(importlib.util.find_spec, _NEEDED)) else ["test_*.py"]


@pytest.fixture
def asked(tmp_path: Path) -> Iterator[object]:
    """Return a service of the company's policies that answers everything without a key."""
    from tests.guard.company import TEAM, write_company
    from tests.service.asking import Asked

    write_company(tmp_path / "policies", TEAM)
    with Asked(tmp_path / "policies") as service:
        yield service
