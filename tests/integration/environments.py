"""Environments with packages that the one of the tests does not have, or not in that version."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.conftest import ROOT

__all__ = ["installed", "run_tests"]


def installed(name: str, *requirements: str) -> Path:
    """Return the Python of an environment with these packages and ours, which is made once."""
    folder = ROOT / "build" / name
    python, done = folder / "bin" / "python", folder / ".installed"
    if not done.exists():
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, *requirements, "pytest", "hypothesis", str(ROOT)], check=True)
        subprocess.run([python, "-m", "pip", "uninstall", "--quiet", "--yes", "costlens-policy"], check=True)
        done.touch()
    return python


def run_tests(python: Path, *files: str) -> None:
    """Run files of tests in an environment, on the code of this folder. Fails with their output."""
    done = subprocess.run(
        [python, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *files],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
