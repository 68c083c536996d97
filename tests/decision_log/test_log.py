"""The decision log: everything is there, nothing waits for it, and what is lost is counted."""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from costlens_policy import DeniedError, Engine, Guard, InputError, LivePolicies
from costlens_policy.decision_log import DecisionLog, JsonLinesFile, Mask
from tests.conftest import ROOT
from tests.decision_log.conftest import Entries
from tests.guard.company import REQUEST, TEAM, Clock

Company = Callable[..., Engine]
USAGE = {"prompt_tokens": 1000, "completion_tokens": 100}


def test_a_guard_logs_decisions_and_charges(company: Company, entries: Entries, clock: Clock) -> None:
    with DecisionLog(entries) as log, Guard(company(TEAM), clock=clock, log=log) as guard:
        with guard.call(REQUEST, id="job") as call:
            clock.move(seconds=3)
            call.settle(USAGE)
        with guard.call(REQUEST):
            pass
        with pytest.raises(DeniedError):
            guard.call(REQUEST | {"max_output_tokens": 90_000})
        assert log.flush()
    assert [entry["kind"] for entry in entries] == ["hold", "charge", "hold", "release", "decision"]
    hold, charge, second, release, denial = entries
    assert release["id"] == second["id"]
    assert hold["id"] == charge["id"] == "job"
    assert charge["cost_usd"] == "0.0012"
    assert charge["tokens"] == {"prompt": 1000, "output": 100}
    assert charge["now"] == hold["now"] < charge["settled_at"]
    assert charge["request"] == {"team": "red"}
    assert hold["balances_read"] == [{"budget": "p/team", "key": "red", "used": "0", "held": "0"}]
    assert (denial["effect"], denial["denied"]) == ("deny", True)
    assert denial["excluded"][0]["by"] == "p/team"
    assert json.loads(json.dumps(list(entries))) == list(entries)


def test_an_engine_logs_decisions_and_guards_take_over_its_log(company: Company, entries: Entries) -> None:
    with DecisionLog(entries, record=True) as log:
        engine = Engine(company(TEAM).plan, log=log)
        engine.decide(REQUEST)
        with Guard(engine) as guard, guard.call(REQUEST) as call:
            call.settle(USAGE)
    assert [entry["kind"] for entry in entries] == ["decision", "hold", "charge"]
    assert entries[0]["record"]
    assert len({entry["id"] for entry in entries}) == 2


def test_live_policies_log_the_version_that_decided(company: Company, entries: Entries, tmp_path: Path) -> None:
    company("routes: []")
    with DecisionLog(entries) as log:
        live = LivePolicies(tmp_path / "policies", interval=None, log=log)
        live.decide(REQUEST)
        company("routes: []", models="mini")
        live.refresh()
        live.decide(REQUEST)
    assert [entry["model"] for entry in entries] == ["nano", "mini"]
    assert entries[0]["policy_digest"] != entries[1]["policy_digest"]


def test_a_charge_by_its_id_is_logged(company: Company, entries: Entries, clock: Clock, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'spend.db'}"
    with Guard(company(TEAM), url, clock=clock) as guard:
        guard.call(REQUEST, id="job")
    with DecisionLog(entries) as log, Guard(company(TEAM), url, clock=clock, log=log) as guard:
        guard.settle("job", USAGE)
    (charge,) = entries
    assert (charge["id"], charge["cost_usd"], charge["request"]) == ("job", "0.0012", {"team": "red"})


def test_what_does_not_fit_is_dropped_and_counted(company: Company) -> None:
    engine, stuck, seen = company("routes: []"), threading.Event(), []

    def sink(entries: Any) -> None:
        stuck.wait(30)
        seen.extend(entries)

    log = DecisionLog(sink, buffer=10)
    engine = Engine(engine.plan, log=log)
    for _ in range(300):
        engine.decide(REQUEST)  # none of these waits
    status = log.status
    assert status.full > 0
    assert status.full + status.waiting == 300
    stuck.set()
    log.close()
    assert log.status.written + log.status.dropped == 300
    assert len(seen) == log.status.written
    engine.decide(REQUEST)
    assert log.status.full == status.full + 1  # it is closed


def test_counts_are_exact_with_many_threads(company: Company, entries: Entries) -> None:
    log = DecisionLog(entries, buffer=50)
    engine = Engine(company("routes: []").plan, log=log)
    threads = [threading.Thread(target=lambda: [engine.decide(REQUEST) for _ in range(100)]) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    log.close()
    assert log.status.written + log.status.full == 800
    assert len(entries) == log.status.written


def test_a_sink_that_fails_loses_entries_and_says_so_once(
    company: Company, entries: Entries, caplog: pytest.LogCaptureFixture
) -> None:
    broken = [True]

    def sink(given: Any) -> None:
        if broken[0]:
            raise OSError(28, "no space left on device")
        entries(given)

    log = DecisionLog(sink)
    engine = Engine(company("routes: []").plan, log=log)
    with caplog.at_level(logging.ERROR, "costlens_policy.decision_log"):
        for _ in range(3):
            engine.decide(REQUEST)
            log.flush()
    assert log.status.failed == 3
    assert len(caplog.records) == 1
    broken[0] = False
    engine.decide(REQUEST)
    log.close()
    assert (log.status.written, log.status.dropped) == (1, 3)


def test_an_observer_that_fails_stops_no_decision(company: Company, caplog: pytest.LogCaptureFixture) -> None:
    class Broken:
        def decided(self, *_: Any) -> None:
            raise ZeroDivisionError

        charged = decided

    with Guard(company(TEAM), log=[Broken(), Broken()]) as guard, guard.call(REQUEST) as call:
        assert call.settle(USAGE).cost is not None
    assert caplog.text.count("an observer of") == 4
    with pytest.raises(TypeError, match="`log` must have"):
        Guard(company(TEAM), log=print)  # type: ignore[arg-type]


def test_sampling_keeps_calls_whole_and_all_denials(company: Company, entries: Entries) -> None:
    with DecisionLog(entries, sample=0.5) as log, Guard(company(TEAM.replace("0.01", "1")), log=log) as guard:
        for number in range(100):
            with guard.call(REQUEST, id=f"job-{number}") as call:
                call.settle(USAGE)
        for _ in range(20):
            with pytest.raises(DeniedError):
                guard.call(REQUEST | {"max_output_tokens": 9_000_000})
    holds = {entry["id"] for entry in entries if entry["kind"] == "hold"}
    assert holds == {entry["id"] for entry in entries if entry["kind"] == "charge"}
    assert 20 < len(holds) < 80
    assert sum(entry["denied"] for entry in entries if entry["kind"] == "decision") == 20
    assert log.status.sampled_out == 200 - 2 * len(holds)
    assert {entry.get("sample") for entry in entries if entry["kind"] != "decision"} == {0.5}
    assert {entry.get("sample") for entry in entries if entry["kind"] == "decision"} == {None}


def test_a_context_is_added_in_the_thread_that_decides(company: Company, entries: Entries) -> None:
    with DecisionLog(entries, context=lambda: {"thread": threading.current_thread().name}) as log:
        Engine(company("routes: []").plan, log=log).decide(REQUEST)
    assert entries[0]["context"] == {"thread": threading.current_thread().name}


@pytest.mark.parametrize("wrong", [{"sample": 2}, {"sample": -0.1}, {"buffer": 0}])
def test_wrong_settings_are_refused(wrong: dict[str, Any], entries: Entries) -> None:
    with pytest.raises(ValueError, match="must be"):
        DecisionLog(entries, **wrong)


def test_a_context_that_fails_costs_no_entry(
    company: Company, entries: Entries, caplog: pytest.LogCaptureFixture
) -> None:
    with DecisionLog(entries, context=lambda: 1 / 0) as log:  # type: ignore[arg-type, return-value]
        engine = Engine(company("routes: []").plan, log=log)
        assert engine.decide(REQUEST).allowed
        assert engine.decide(REQUEST).allowed
    assert [entry["context"] for entry in entries] == [None, None]
    assert log.status.written == 2
    assert len(caplog.records) == 1


def test_a_file_that_cannot_be_written_is_refused_at_once(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be written"):
        DecisionLog(tmp_path / "nowhere" / "log.jsonl")


def test_files_are_for_their_owner_and_begun_anew_when_full(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    rotated = [tmp_path / f"log.jsonl.{number}" for number in (1, 2, 3)]
    for other in rotated:
        other.write_text("of logrotate")
    file = JsonLinesFile(path, max_bytes=100, keep=2)
    for number in range(10):
        file([{"n": number, "text": "x" * 60}])
    file.close()
    assert path.stat().st_mode & 0o777 == 0o600
    old = sorted(set(tmp_path.glob("log.jsonl.*")).difference(rotated))
    assert len(old) == 2
    assert all(other.exists() for other in rotated)
    numbers = [json.loads(line)["n"] for part in (*old, path) for line in part.read_text().splitlines()]
    assert numbers == list(range(10 - len(numbers), 10))
    with pytest.raises(ValueError, match="at least 1"):
        JsonLinesFile(path, keep=0)


def test_a_file_that_was_renamed_or_removed_is_begun_anew(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    file = JsonLinesFile(path)
    file([{"n": 1}])
    path.rename(tmp_path / "old")
    file([{"n": 2}])
    path.unlink()
    file([{"n": 3}])
    assert path.read_text() == '{"n":3}\n'


def test_a_line_that_was_cut_off_spoils_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "log.jsonl"
    file = JsonLinesFile(path)
    real = os.write

    def short(handle: int, data: bytes) -> int:
        if b"first" in data:
            real(handle, data[:5])
            raise OSError(28, "no space left on device")
        return real(handle, data[:3])  # the system may take less than it is given

    monkeypatch.setattr(os, "write", short)
    with pytest.raises(OSError, match="no space"):
        file([{"n": "first"}])
    file([{"n": "second", "text": "\ud800 é"}])
    lines = path.read_text().splitlines()
    assert json.loads(lines[1]) == {"n": "second", "text": "\ud800 é"}


def test_a_line_that_another_process_has_cut_off_spoils_no_other(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    file = JsonLinesFile(path)
    file([{"n": 1}])
    with path.open("ab") as other:
        other.write(b'{"n":')  # killed, or the disk was full
    file([{"n": 2}])
    with path.open("ab") as other:
        other.write(b'{"n":')
    JsonLinesFile(path)([{"n": 3}])  # after a restart
    assert path.read_text().splitlines() == ['{"n":1}', '{"n":', '{"n":2}', '{"n":', '{"n":3}']


def test_a_batch_is_split_where_a_file_is_full(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    file = JsonLinesFile(path, max_bytes=100, keep=1000)
    file([{"n": number, "text": "x" * 20} for number in range(50)])
    file([{"n": "large", "text": "x" * 500}, {"n": "last"}])
    parts = [*tmp_path.glob("log.jsonl*")]
    lines = [part.read_text().splitlines() for part in parts]
    assert sum(map(len, lines)) == 52
    assert all(part.stat().st_size <= 100 or len(found) == 1 for part, found in zip(parts, lines, strict=True))


def test_a_clock_that_is_put_back_costs_no_newer_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "log[1].jsonl"  # no pattern
    file = JsonLinesFile(path, max_bytes=10, keep=2)
    for number in range(8):
        monkeypatch.setattr("time.time_ns", lambda number=number: 2 * 10**18 - number * 10**9)
        file([{"n": number}])
    old = sorted((part for part in tmp_path.iterdir() if part != path), key=lambda part: int(part.suffix[1:]))
    assert [part.read_text() for part in (*old, path)] == [f'{{"n":{number}}}\n' for number in (5, 6, 7)]


@pytest.mark.skipif(os.name != "posix", reason="permissions of POSIX")
def test_a_file_that_others_read_is_reported_and_keeps_its_permissions(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "log.jsonl"
    for mode, warned in ((0o644, True), (0o666, True), (0o660, True), (0o640, False), (0o600, False)):
        caplog.clear()
        path.touch()
        path.chmod(mode)
        file = JsonLinesFile(path, max_bytes=5)
        assert [f"mode {mode:o}" in record.getMessage() for record in caplog.records] == [True] * warned
        file([{"n": 1}])
        file([{"n": 2}])
        assert path.stat().st_mode & 0o777 == mode  # whoever ships the file can still read it


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="Linux has a device that is full")
def test_a_full_disk_is_counted_and_reported_once(company: Company, caplog: pytest.LogCaptureFixture) -> None:
    with DecisionLog("/dev/full") as log:
        engine = Engine(company("routes: []").plan, log=log)
        for _ in range(3):
            assert engine.decide(REQUEST).allowed
            assert log.flush()
    assert (log.status.written, log.status.failed) == (0, 3)
    assert len([record for record in caplog.records if "drops entries" in record.getMessage()]) == 1


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="pipes with names")
def test_a_pipe_that_nobody_reads_any_more_is_counted(company: Company, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    reading = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    with DecisionLog(tmp_path / "pipe") as log:
        engine = Engine(company("routes: []").plan, log=log)
        engine.decide(REQUEST)
        assert log.flush()
        assert json.loads(os.read(reading, 100_000))["model"] == "nano"
        os.close(reading)
        engine.decide(REQUEST)
    assert (log.status.written, log.status.failed) == (1, 1)


def test_a_file_that_another_process_renames_first_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "log.jsonl"
    file = JsonLinesFile(path, max_bytes=5)
    file([{"n": 1}])
    real = os.replace

    def later(source: Path, target: str) -> None:
        real(source, f"{target}0")
        real(source, target)

    monkeypatch.setattr(os, "replace", later)
    file([{"n": 2}])
    seen = [line for part in tmp_path.glob("log.jsonl*") for line in part.read_text().splitlines()]
    assert sorted(seen) == ['{"n":1}', '{"n":2}']


def test_several_processes_append_to_one_file(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    code = (
        "import sys; from costlens_policy.decision_log import JsonLinesFile\n"
        "file = JsonLinesFile(sys.argv[1], max_bytes=20_000, keep=1000)\n"
        "for n in range(200): file([{'p': sys.argv[2], 'n': n, 'x': 'y' * 200}] * 3)"
    )
    running = [subprocess.Popen([sys.executable, "-c", code, str(path), str(n)], cwd=ROOT) for n in range(3)]
    assert [process.wait(120) for process in running] == [0, 0, 0]
    seen = [json.loads(line) for part in tmp_path.glob("log.jsonl*") for line in part.read_text().splitlines()]
    assert len(seen) == 3 * 200 * 3


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such locks")
def test_half_of_a_write_is_no_line_that_was_cut_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, write = tmp_path / "log.jsonl", os.write
    first, second = JsonLinesFile(path), JsonLinesFile(path)
    other = threading.Thread(target=second, args=([{"n": 2}],))

    def half(handle: int, data: bytes) -> int:
        if other.ident is not None:
            return write(handle, data)
        written = write(handle, data[: len(data) // 2])
        other.start()
        other.join(0.3)
        return written

    monkeypatch.setattr("os.write", half)
    first([{"n": 1}])
    other.join()
    assert path.read_text() == '{"n":1}\n{"n":2}\n'


KILLED = """
import sys, time
from costlens_policy.decision_log import DecisionLog
from tests.guard.company import REQUEST
from costlens_policy import load
log = DecisionLog(sys.argv[2])
engine = load(sys.argv[1], log=log)
for n in range(40):
    engine.decide(REQUEST)
    time.sleep(0.01)
print(log.status.written, flush=True)
engine.decide(REQUEST)
time.sleep(60)
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="kills")
def test_a_killed_process_loses_what_it_had_not_written_and_no_more(company: Company, tmp_path: Path) -> None:
    company("routes: []")
    path = tmp_path / "log.jsonl"
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(tmp_path / "policies"), str(path)], cwd=ROOT, stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    written = int(process.stdout.readline())
    process.kill()
    process.wait()
    process.stdout.close()
    lines = path.read_text().splitlines()
    assert written <= len(lines) <= 41
    assert all(json.loads(line)["kind"] == "decision" for line in lines[:written])


def test_what_waits_is_written_when_a_process_ends(company: Company, tmp_path: Path) -> None:
    company("routes: []")
    code = KILLED.replace("time.sleep(60)", "").replace("time.sleep(0.01)", "pass")
    path = tmp_path / "log.jsonl"
    subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "policies"), str(path)], cwd=ROOT, check=True, capture_output=True
    )
    assert len(path.read_text().splitlines()) == 41


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks")
@pytest.mark.filterwarnings("ignore:This process")
def test_a_forked_process_logs_what_it_decides_itself(company: Company, tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    log = DecisionLog(path)
    engine = Engine(company("routes: []").plan, log=log)
    engine.decide(REQUEST)
    child = os.fork()
    if child == 0:
        engine.decide(REQUEST | {"team": "child"})
        os._exit(0 if log.flush(20) else 1)
    assert os.waitpid(child, 0)[1] == 0
    log.close()
    teams = sorted(json.loads(line)["request"]["team"] for line in path.read_text().splitlines())
    assert teams == ["child", "red"]


def test_texts_are_masked_unless_told_otherwise(company: Company, entries: Entries) -> None:
    request = {"prompt": "a secret of bob@example.com", "team": "red", "metadata": {"note": "a secret"}}
    with DecisionLog(entries) as log, DecisionLog(entries, mask=Mask("keep")) as open_log:
        Engine(company(TEAM).plan, log=[log, open_log]).decide(request)
        log.flush()
        open_log.flush()
    shown = {"secret" in json.dumps(entry): entry["masked"] for entry in entries}
    assert shown == {False: ["metadata", "prompt"], True: []}


def test_entries_come_in_the_order_of_decisions(company: Company, entries: Entries) -> None:
    with DecisionLog(entries) as log:
        engine = Engine(company("routes: []").plan, log=log)
        for number in range(600):
            engine.decide({"prompt": "x", "prompt_tokens": number + 1})
            if number % 100 == 0:
                time.sleep(0)
    assert [entry["tokens"]["prompt"] for entry in entries] == list(range(1, 601))
