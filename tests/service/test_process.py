"""A real service: several workers on one ledger, signals, sockets, and what is refused before anything is served."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
from decimal import Decimal
from pathlib import Path

import pytest
from click.testing import CliRunner

from costlens_policy import Guard, load
from costlens_policy.cli.app import app
from tests.guard.company import REQUEST, TEAM, write_company
from tests.service.asking import running

USAGE = {"prompt_tokens": 1000, "completion_tokens": 100}
ROOT = Path(__file__).parents[2]
ROOMY = TEAM.replace("0.01", "1000")


@pytest.fixture
def folder(tmp_path):
    write_company(tmp_path / "policies", ROOMY)
    return tmp_path


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--workers", "2", "--without-key", "everything"], "several workers cannot share a ledger in memory"),
        ([], "there is no file of keys"),
        (["--listen", "0.0.0.0:0", "--without-key", "everything"], "--beyond-loopback"),
        (["--listen", "example.org:80", "--without-key", "everything"], "--beyond-loopback"),
        (["--listen", "nonsense", "--without-key", "everything"], "HOST:PORT"),
        (["--listen", "unix:/none/there.sock", "--without-key", "everything"], "cannot be listened on"),
        (["--ledger", "sqlite:///none/spend.db", "--without-key", "everything"], "cannot be opened"),
        (["--ledger", "mysql://x", "--without-key", "everything"], "unsupported ledger URL scheme"),
        (["--tls-key", "x.pem", "--without-key", "everything"], "--tls-certificate"),
        (["--tls-key", "x.pem", "--tls-certificate", "y.pem", "--without-key", "everything"], "cannot be used"),
        (["--decision-log", "none/log.jsonl", "--without-key", "everything"], "cannot be written"),
        (["--lease", "soon", "--without-key", "everything"], "not a length of time"),
        (["--lease", "100d", "--without-key", "everything"], "a lease must be positive and at most"),
        (["--lease", "0s", "--without-key", "everything"], "must be positive"),
        (["--listen", "localhost:70000", "--without-key", "everything"], "HOST:PORT"),
    ],
)
def test_what_must_not_be_served_is_refused(folder, arguments, said, monkeypatch):
    monkeypatch.chdir(folder)
    result = CliRunner().invoke(app, ["serve", "policies", *arguments])
    outside = ("no file of keys", "be listened on", "be opened", "be used", "be written", "ledger URL scheme")
    assert result.exit_code == (6 if any(part in said for part in outside) else 2), result.output
    assert said in result.stderr
    assert "listening" not in result.stderr


def test_a_path_that_is_none_ends_it_as_documented(folder, monkeypatch):
    monkeypatch.chdir(folder)
    (folder / "empty").mkdir()
    ends = [CliRunner().invoke(app, ["serve", place, "--without-key", "everything"]) for place in ("nopol", "empty")]
    assert [(end.exit_code, "listening" in end.stderr) for end in ends] == [(6, False), (3, False)]


def test_policies_that_are_wrong_end_it_at_once(folder, monkeypatch):
    monkeypatch.chdir(folder)
    (folder / "policies" / "p.yaml").write_text("kind: Policy")
    result = CliRunner().invoke(app, ["serve", "policies", "--without-key", "everything", "--listen", "127.0.0.1:0"])
    assert result.exit_code == 1
    assert "error[" in result.stderr


def test_workers_that_cannot_start_end_it_as_a_failure(folder):
    command = [sys.executable, "-m", "tests.service.failing", str(folder / "policies")]
    ended = subprocess.run(
        command, cwd=folder, env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, check=False
    )
    assert ended.returncode == 6, ended.stderr
    assert b"the policies are gone" in ended.stderr
    assert b"listening" not in ended.stderr


def test_two_workers_share_a_ledger_and_a_call(folder):
    with running("policies", "--workers", "2", "--ledger", "sqlite:///spend.db", folder=folder) as service:
        for number in range(20):
            assert service.post("/v1/reserve", {"request": REQUEST, "id": f"job-{number}"}).status == 200
        for number in range(20):
            charge = service.post("/v1/settle", {"id": f"job-{number}", "usage": USAGE})
            assert (charge.status, charge.json["repeated"]) == (200, False), charge.body
        (line,) = service.get("/v1/spend").json["budgets"]
        assert (line["used"], line["held"]) == ("0.024", "0")
        assert service.end() == 0, service.errors.read_text()


def test_metrics_are_those_of_all_workers(folder):
    with running("policies", "--workers", "2", "--ledger", "sqlite:///spend.db", folder=folder) as service:
        for _ in range(30):
            service.post("/v1/decide", {"request": REQUEST})
        _until(lambda: _count(service.get("/metrics").body) == 30)
        assert service.end() == 0


def _count(metrics):
    name = 'costlens_policy_decisions_total{outcome="allow",rule="default"} '
    lines = [line for line in metrics.decode().splitlines() if line.startswith(name)]
    return float(lines[0].removeprefix(name)) if lines else 0


def _until(holds):
    import time

    deadline = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.1)


@pytest.mark.parametrize("workers", ["1", "2"])
def test_sigterm_under_load_answers_what_it_took_and_loses_nothing(folder, workers):
    with running("policies", "--ledger", "sqlite:///spend.db", "--workers", workers, folder=folder) as service:
        settled, broken, begun = [], [], threading.Event()

        def load_it(worker):
            connection = http.client.HTTPConnection("127.0.0.1", service.port, timeout=30)
            for number in range(100_000):
                id, closes = f"{worker}-{number}", False
                for path, body in (
                    ("reserve", {"request": REQUEST, "id": id}),
                    ("settle", {"id": id, "usage": USAGE}),
                ):
                    try:
                        connection.request("POST", f"/v1/{path}", json.dumps(body))
                        answer = connection.getresponse()
                        assert (answer.status, answer.read()[:1]) == (200, b"{")
                    except ConnectionRefusedError:
                        assert closes  # it was told, and came back
                        return
                    except (OSError, http.client.HTTPException) as error:
                        if not closes:  # a new connection may have come a moment too late
                            broken.append((path, error))
                        return
                    closes = answer.getheader("connection") == "close"
                settled.append(id)
                if len(settled) > 40:
                    begun.set()
                if closes:
                    return
                time.sleep(0.02 * (worker % 3))  # some connections are idle when the end comes

        workers = [threading.Thread(target=load_it, args=(number,)) for number in range(6)]
        for worker in workers:
            worker.start()
        assert begun.wait(60)
        assert service.end() == 0, service.errors.read_text()
        for worker in workers:
            worker.join(60)
    assert broken == []
    with Guard(load(folder / "policies", cache=False), f"sqlite:///{folder}/spend.db") as guard:
        (spend,) = guard.spend()
        charged = len(settled) * Decimal("0.0012")
        assert charged <= spend.used <= charged + 6 * Decimal("0.0012")  # those whose answer was not read any more


def test_sigkill_loses_no_charge(folder):
    with running("policies", "--ledger", "sqlite:///spend.db", folder=folder) as service:
        for number in range(5):
            service.post("/v1/reserve", {"request": REQUEST, "id": f"job-{number}"})
        for number in range(3):
            assert service.post("/v1/settle", {"id": f"job-{number}", "usage": USAGE}).status == 200
        service.end(signal.SIGKILL)
    with running("policies", "--ledger", "sqlite:///spend.db", folder=folder) as service:
        (line,) = service.get("/v1/spend").json["budgets"]
        assert (line["used"], line["held"]) == ("0.0036", "0.0024")
        assert service.post("/v1/settle", {"id": "job-4", "usage": USAGE}).json["cost_usd"] == "0.0012"


def test_a_unix_socket_is_for_its_owner_and_goes_with_the_service(folder):
    path = folder / "s.sock"
    with running("policies", "--listen", f"unix:{path}", folder=folder) as service:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(str(path))
            connection.sendall(b"GET /health HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
            assert connection.recv(100).startswith(b"HTTP/1.1 200")
        assert service.end(signal.SIGINT) == 0
    assert not path.exists()


def test_changed_policies_serve_soon_and_wrong_ones_never(folder):
    with running("policies", "--reload-every", "100ms", folder=folder) as service:
        policy = folder / "policies" / "p.yaml"
        before = service.get("/ready").json["policy_digest"]
        good = policy.read_text()
        policy.write_text(good.replace("1000", "0"))
        _until(lambda: service.get("/ready").json["policy_digest"] != before)
        _until(lambda: service.post("/v1/decide", {"request": REQUEST}).json["allow"] is False)
        policy.write_text("kind: Policy")
        _until(lambda: service.get("/ready").json["problems"] != [])
        assert service.post("/v1/decide", {"request": REQUEST}).json["allow"] is False
        policy.write_text(good)
        _until(lambda: service.post("/v1/decide", {"request": REQUEST}).json["allow"] is True)
        assert service.get("/ready").json["problems"] == []


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="needs /proc")
def test_a_worker_that_dies_while_the_policies_are_wrong_is_replaced(folder):
    """The new one begins with the version that the others still serve, and reports what is wrong as they do."""
    arguments = ["--workers", "2", "--ledger", "sqlite:///spend.db", "--reload-every", "100ms"]
    with running("policies", *arguments, folder=folder) as service:
        policy = folder / "policies" / "p.yaml"
        before = service.get("/ready").json["policy_digest"]
        policy.write_text("kind: Policy")
        _until(lambda: service.get("/ready").json["problems"] != [])
        workers = _children(service.process.pid)
        for worker in workers:
            os.kill(worker, signal.SIGKILL)
        _until(lambda: len(_children(service.process.pid) - workers) == 2)
        _until(lambda: _answers(service))
        for _ in range(8):
            ready = service.get("/ready")
            assert (ready.status, ready.json["policy_digest"]) == (200, before)
        _until(lambda: service.get("/ready").json["problems"] != [])
        assert service.post("/v1/decide", {"request": REQUEST}).json["allow"] is True
        assert service.end() == 0
        errors = service.errors.read_text()
        assert "the last good version serves" in errors
        assert "refused; last good version goes on serving" in errors
        assert all(f"worker {worker} died (exit code -9); " in errors for worker in workers)


def _children(pid):
    """Return the workers of a process, by what they were started as."""
    found = set()
    for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        with contextlib.suppress(OSError):
            if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes():
                found.add(int(child))
    return found


def _answers(service):
    with contextlib.suppress(OSError, http.client.HTTPException):
        return service.get("/health").status == 200
    return False


def test_a_bundle_is_served_and_decisions_are_logged(folder):
    assert (
        CliRunner().invoke(app, ["build", str(folder / "policies"), "--write", str(folder / "p.bundle")]).exit_code == 0
    )
    with running("p.bundle", "--decision-log", "decisions.jsonl", folder=folder) as service:
        service.post("/v1/reserve", {"request": REQUEST | {"prompt": "a secret"}, "id": "job-1"})
        service.post("/v1/settle", {"id": "job-1", "usage": USAGE})
        service.post("/v1/decide", {"request": REQUEST})
        assert service.end() == 0
    entries = [json.loads(line) for line in (folder / "decisions.jsonl").read_text().splitlines()]
    assert [(entry["kind"], entry["id"]) for entry in entries[:2]] == [("hold", "job-1"), ("charge", "job-1")]
    assert [entry["kind"] for entry in entries[2:]] == ["decision"]
    assert "a secret" not in (folder / "decisions.jsonl").read_text()


def test_an_id_cannot_forge_a_line_of_the_log(folder):
    with running("policies", folder=folder) as service:
        service.post("/v1/reserve", {"request": REQUEST, "id": "a\n2026-01-01 ERROR forged"})
        assert service.post("/v1/settle", {"id": "a\n2026-01-01 ERROR forged"}).json["basis"] == "assumed"
        assert service.end() == 0
        assert not any(line.startswith("2026-01-01") for line in service.errors.read_text().splitlines())
