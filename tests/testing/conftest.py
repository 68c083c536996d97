"""A small company with its policies, in a folder of its own for each test."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from itertools import count
from pathlib import Path

import pytest

from costlens_policy.testing import Run, run_suites

COMPANY = Path(__file__).parent / "company"

HEAD = """\
apiVersion: costlens-policy/v1
kind: Suite
metadata: {name: trial, version: "1"}
policy_set: policy-set.yaml
now: 2026-11-01T12:00:00Z
"""


@pytest.fixture
def company(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder with the company's policies, without suites; it is the working folder."""
    folder = tmp_path / "company"
    shutil.copytree(COMPANY, folder, ignore=shutil.ignore_patterns("*_test.yaml"))
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def run_text(company: Path) -> Callable[..., Run]:
    """Return a function that runs one suite, given what follows its head, with a clock that ticks once a call."""

    def run(body: str, *, head: str = HEAD, **options: object) -> Run:
        (company / "trial_test.yaml").write_text(head + body, encoding="utf-8")
        ticks = count()
        return run_suites(["."], timer=lambda: next(ticks) / 1000, **options)  # type: ignore[arg-type]  # passed on

    return run
