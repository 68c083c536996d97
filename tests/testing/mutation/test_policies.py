"""The policies that we stand behind or show: each small change is noticed by a case, each promise proved."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from costlens_policy.proof import Holds, prove
from costlens_policy.testing.mutation.formats import render_text
from costlens_policy.testing.mutation.run import mutate

ROOT = Path(__file__).parents[3]
NOW = datetime(2026, 11, 2, 12, tzinfo=UTC)
FOLDERS = sorted(
    path.parent.relative_to(ROOT).as_posix()
    for top in ("costlens_policy/cli/starter", "examples", "policies")
    for path in (ROOT / top).rglob("policy-set.yaml")
    if any(path.parent.rglob("*_test.yaml"))
)


@pytest.fixture(autouse=True)
def _root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)


@pytest.mark.parametrize("folder", FOLDERS)
def test_each_change_is_noticed(folder: str):
    suites = Path(folder).glob("*_test.yaml") if folder == "policies" else Path(folder).rglob("*_test.yaml")
    run = mutate([f"{folder}/policy-set.yaml", *sorted(suites)], jobs=1, cache=False)
    assert not run.survivors, render_text(run)
    assert run.diagnostics == ()
    assert run.score == 100


@pytest.mark.parametrize("folder", FOLDERS)
def test_each_promise_is_proved(folder: str):
    """Every folder makes at least one."""
    promises = list(Path(folder).glob("invariants.yaml"))
    assert promises
    found = prove(promises, now=NOW)
    assert not found.broken, found.diagnostics
    assert len(found.of(Holds)) == len(found.proofs) > 0, found.proofs
