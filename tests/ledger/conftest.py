"""One store of each kind, so that one suite holds for all of them."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from costlens_policy.ledger import Store, open_ledger
from tests.ledger.servers import Server, postgresql_server, redis_server

KINDS = ("memory", "sqlite", "redis", "postgresql")
SHARED_KINDS = KINDS[1:]

_numbers = count()


@pytest.fixture(scope="session")
def redis() -> Iterator[Server]:
    with redis_server() as server:
        yield server


@pytest.fixture(scope="session")
def postgresql() -> Iterator[Server]:
    with postgresql_server() as server:
        yield server


@pytest.fixture(scope="session")
def quick_folder() -> Iterator[Path]:
    """A folder in memory where there is one: it is written as fast as processes can be killed."""
    parent = Path("/dev/shm")
    folder = Path(tempfile.mkdtemp(prefix="costlens-ledger-", dir=parent if parent.is_dir() else None))
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def ledger_url(request: pytest.FixtureRequest, quick_folder: Path) -> str:
    """URL of a ledger that nobody has used; parametrize indirectly with a kind of store."""
    kind, number = request.param, next(_numbers)
    if kind == "memory":
        return "memory:"
    if kind == "sqlite":
        return f"sqlite:///{quick_folder}/ledger-{number}.db"
    server: Server = request.getfixturevalue(kind)
    return server.url(f"test_{number}")


@pytest.fixture
def store(ledger_url: str) -> Iterator[Store]:
    """A ledger that nobody has used, of each kind."""
    opened = open_ledger(ledger_url)
    yield opened
    opened.close()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "ledger_url" in metafunc.fixturenames and not any(
        "ledger_url" in str(mark.args[0]) for mark in metafunc.definition.iter_markers("parametrize")
    ):
        metafunc.parametrize("ledger_url", KINDS, indirect=True, scope="function")
