"""Two ways to run the program: in this process through click's runner, and as a process of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from costlens_policy.cli.app import app
from costlens_policy.cli.commands.init import write_starter

PROGRAM = [sys.executable, "-m", "costlens_policy"]


def hear_ctrl_c() -> None:
    """Make a child take SIGINT, which it ignores by inheritance where a shell runs the tests in the background."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """Return a function that runs the program in this process and gives click's result."""
    for name in ("NO_COLOR", "FORCE_COLOR", "COSTLENS_DEBUG"):
        monkeypatch.delenv(name, raising=False)

    def invoke(*arguments: str | Path, input: str | bytes | None = None) -> Result:
        return CliRunner().invoke(app, [str(item) for item in arguments], input=input)

    return invoke


@pytest.fixture
def process() -> Callable[..., subprocess.CompletedProcess[bytes]]:
    """Return a function that runs the program as a process, without colors unless ``env`` says so."""

    def start(
        *arguments: str | Path, env: dict[str, str] | None = None, **keywords: Any
    ) -> subprocess.CompletedProcess[bytes]:
        clean = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "FORCE_COLOR")}
        keywords.setdefault("stdin", subprocess.DEVNULL)
        if "input" in keywords:
            del keywords["stdin"]
        return subprocess.run(
            [*PROGRAM, *map(str, arguments)],
            capture_output="stdout" not in keywords, env=clean | (env or {}), timeout=120, check=False, **keywords,
        )  # fmt: skip

    return start


@pytest.fixture
def starter(tmp_path: Path) -> Path:
    """Return a folder with a fresh starter repository, a checkout: nobody searches those of other tests."""
    write_starter(tmp_path / "starter", force=False)
    (tmp_path / "starter" / ".git").mkdir()
    return tmp_path / "starter"
