"""What every test may ask for: golden files and the real data that is not part of the repository."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest
from hypothesis import HealthCheck, settings

# What CI runs must not fail by chance: it tries the same examples each time. `make soak` tries new ones, and more.
settings.register_profile(
    "suite", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True
)
settings.register_profile("soak", settings.get_profile("suite"), derandomize=False, max_examples=1000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "suite"))

# Tests find what they load, not what another run has left behind. Those of the cache bring a folder of their own.
os.environ["COSTLENS_POLICY_CACHE"] = "off"

ROOT = Path(__file__).resolve().parent.parent

# What installs heavy packages or starts foreign servers runs in `make integration` only.
collect_ignore = [] if os.environ.get("COSTLENS_INTEGRATION") else ["integration"]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="write golden files instead of comparing with them")


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Callable[[Path, str], None]:
    """Return a function that compares a text with a golden file, or writes it under ``--update-golden``."""
    update = request.config.getoption("--update-golden")

    def compare(path: Path, text: str) -> None:
        if update:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
            return
        assert path.exists(), f"{path} is missing; run pytest with --update-golden and review it"
        assert text == path.read_text(encoding="utf-8"), f"{path} differs; --update-golden rewrites it"

    return compare


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Return the folder of real traffic and configurations, or skip where it is absent."""
    folder = ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("the real data (../shared/data) is not present")
    return folder


_IN_CHECKOUTS: Final = frozenset({"assurance", "checker", "cli", "corpus", "testing"})
"""Where tests check folders: outside a checkout, those of all other tests would be searched for policy sets, too."""


@pytest.fixture
def tmp_path(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    if request.path.relative_to(ROOT / "tests").parts[0] in _IN_CHECKOUTS:
        (tmp_path / ".git").mkdir()
    return tmp_path


@pytest.fixture
def outside_git(tmp_path: Path) -> Path:
    """Return the folder of a test that is about what happens where there is no checkout."""
    (tmp_path / ".git").rmdir()
    return tmp_path
