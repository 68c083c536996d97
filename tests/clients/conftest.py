"""Node.js, and a service of the reference policies for it to ask."""

from __future__ import annotations

import importlib.util
import json
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ROOT

_NEEDED = ("msgspec", "prometheus_client", "uvicorn", "httptools", "uvloop")
collect_ignore_glob = [] if all(map(importlib.util.find_spec, _NEEDED)) else ["test_*.py"]

PACKAGE = ROOT / "clients" / "node"


@pytest.fixture(scope="session")
def node() -> str:
    """Return the program of Node.js 18 or later, or skip."""
    program = shutil.which("node")
    if program is None:
        pytest.skip("Node.js is not installed")
    version = subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout
    if int(version.lstrip("v").partition(".")[0]) < 18:
        pytest.skip(f"Node.js 18 is needed, this is {version.strip()}")
    return program


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Run a service of the reference policies."""
    from tests.service.asking import running

    folder: Path = tmp_path_factory.mktemp("reference")
    with running(str(ROOT / "policies"), folder=folder) as service:
        yield service


@pytest.fixture
def run_script(node: str, tmp_path: Path) -> Callable[..., Any]:
    """Return a function that runs a module of JavaScript beside the package, and returns what it prints as JSON."""
    modules = tmp_path / "node_modules"
    modules.mkdir()
    (modules / "costlens-policy").symlink_to(PACKAGE)

    def run(text: str, **environment: str) -> Any:
        script = tmp_path / "script.mjs"
        script.write_text(text)
        import os

        ran = subprocess.run(
            [node, str(script)], cwd=tmp_path, env=os.environ | environment, capture_output=True, text=True, timeout=120
        )
        assert ran.returncode == 0, ran.stderr
        return json.loads(ran.stdout)

    return run
