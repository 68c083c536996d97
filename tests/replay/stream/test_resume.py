"""A replay that ends before its time goes on where it was, to the same result."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from costlens_policy.replay import READY, Settings, TrafficError, replay_files
from costlens_policy.replay.settings import Silent
from costlens_policy.replay.stream import blocks, copy, reading, run, tables
from tests.replay.columns.traffic import facts
from tests.replay.conftest import folder_of
from tests.replay.stream.conftest import MAPPING, POLICY, some_rows

KINDS = ["sorted.parquet", "unsorted.parquet", "t.jsonl"]


class _Stopped(Exception):  # noqa: N818 - ends a replay from within, in this file only
    pass


class _Impatient(Silent):
    """Ends the replay after so many batches have been decided."""

    def __init__(self, batches: int) -> None:
        self.batches = batches
        self.deciding = False

    def start(self, what: str, total: int | None, unit: str, done: int = 0) -> None:
        self.deciding = what == "deciding"

    def advance(self, units: int) -> None:
        self.batches -= self.deciding
        if self.batches < 0:
            raise _Stopped


@pytest.fixture
def _always(monkeypatch):
    """Write the state after every one of many small batches."""
    monkeypatch.setattr(run, "_BETWEEN_CHECKPOINTS", 0)
    monkeypatch.setattr(run, "_PAUSE", 0)
    for module, name in ((tables, "BATCH"), (copy, "BATCH"), (reading, "_ROWS")):
        monkeypatch.setattr(module, name, 30)
    monkeypatch.setattr(blocks, "_SIZE", 3_000)


def _file(written, kind: str) -> str:
    rows = 1_500 if kind.endswith(".parquet") else 400  # text is copied anew after each stop
    return written(some_rows(rows, bad=True, unsorted=kind.startswith("un")), kind)


@pytest.mark.usefixtures("_always")
@pytest.mark.parametrize("kind", KINDS)
def test_wherever_it_stops(plan_of, written, tmp_path, kind):
    plan, files, state = plan_of(POLICY), [_file(written, kind)], tmp_path / "state"
    expected = facts(replay_files(plan, files, MAPPING, Settings()))
    stops = 0
    for count in range(1, 60):
        try:
            result = replay_files(plan, files, MAPPING, Settings(), _Impatient(count % 3 + 1), state)
        except _Stopped:
            stops += 1
            continue
        break
    assert stops >= 2
    assert facts(result) == expected
    assert not state.exists(), "what has come to its end leaves nothing behind"


@pytest.mark.usefixtures("_always")
def test_another_replay_does_not_go_on_from_it(plan_of, written, tmp_path):
    plan, files, state = plan_of(POLICY), [_file(written, "sorted.parquet")], tmp_path / "state"
    with pytest.raises(_Stopped):
        replay_files(plan, files, MAPPING, Settings(), _Impatient(2), state)
    kept = state.read_bytes()
    for other, settings, mapping, differs in (
        (plan_of("routes:\n  - {id: r, model: small}\n", "other"), Settings(), MAPPING, "policy set"),
        (plan, Settings(cache=False), MAPPING, "assumptions"),
        (plan, Settings(), READY["plain"], "mapping"),
    ):
        with pytest.raises(TrafficError, match=f"a replay whose {differs} differs"):
            replay_files(other, files, mapping, settings, None, state)
    assert state.read_bytes() == kept
    Path(files[0]).write_bytes(Path(files[0]).read_bytes())
    os.utime(files[0], (1, 1))
    with pytest.raises(TrafficError, match="a replay whose traffic differs"):
        replay_files(plan, files, MAPPING, Settings(), None, state)
    state.write_text("{}")
    with pytest.raises(TrafficError, match="not a saved replay"):
        replay_files(plan, files, MAPPING, Settings(), None, state)


def test_what_cannot_be_resumed_says_so(plan_of, tmp_path):
    with pytest.raises(TrafficError, match="replayed row by row and cannot be resumed"):
        replay_files(plan_of(POLICY), ["-"], MAPPING, Settings(), None, tmp_path / "state")


PROGRAM = """
import sys
from costlens_policy.replay.stream import run, tables
from costlens_policy.cli import main
run._BETWEEN_CHECKPOINTS, run._PAUSE, tables.BATCH = 0, 0, 1_000
main(sys.argv[1:])
"""


def test_a_replay_that_is_killed_goes_on(written, tmp_path):
    """The process gets no chance to tidy up; the one after it prints what an undisturbed one prints."""
    folder = folder_of(tmp_path / "set", POLICY)
    traffic = written(some_rows(20_000), "t.parquet")
    state = tmp_path / "state"
    call = [sys.executable, "-c", PROGRAM, "replay", str(folder), "--traffic", traffic, "--column", "request.team=team",
            "--format", "json"]  # fmt: skip
    expected = json.loads(subprocess.run(call, capture_output=True, check=True).stdout)
    kills = 0
    for _ in range(20):
        process = subprocess.Popen([*call, "--resume", str(state)], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        before = state.stat().st_mtime_ns if state.exists() else 0
        while process.poll() is None and kills < 2:
            if state.exists() and state.stat().st_mtime_ns != before:
                process.send_signal(signal.SIGKILL)
                kills += 1
                break
            time.sleep(0.001)
        out, _ = process.communicate()
        if process.returncode == 0:
            break
    assert kills
    got = json.loads(out)
    for said in (got, expected):
        said.pop("shared_decisions")
    assert got == expected
    assert not state.exists()
