"""A running service, which the tests of a folder share."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from pathlib import Path

import pytest

_NEEDED = ("msgspec", "prometheus_client", "uvicorn", "httptools", "uvloop", "httpx")
collect_ignore_glob = [] if all(map(importlib.util.find_spec, _NEEDED)) else ["test_*.py"]


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[object]:
    """Run a service of the company's policies with a generous and an empty budget."""
    from tests.guard.company import TEAM, write_company
    from tests.service.asking import running

    folder: Path = tmp_path_factory.mktemp("service")
    rich = TEAM.replace("hard_limit_usd: 0.01", "hard_limit_usd: 'request.team == \"poor\" ? 0.0 : 1000.0'")
    write_company(folder / "policies", rich)
    with running("policies", "--listen", f"unix:{folder}/s.sock", folder=folder) as process:
        process.folder = folder
        yield process
