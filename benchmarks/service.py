"""The decision service over loopback, beside a bare endpoint of its server and beside Cerbos, on the same 200 rules.

``python -m benchmarks.service [--quick] [--json]``. One process serves, ``wrk`` asks from another (``apt-get install
wrk``); rounds take turns, so that what else the machine does meets all of them. CPU time is that of the server, which
other programs disturb less than requests a second. Cerbos is its own server: ``npm install --prefix build/cerbos
cerbos``. Each of its rules has the condition of one of ours and puts the model out.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import re
import shutil
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from benchmarks.policies import write_route_rules
from benchmarks.rules import Request, Rule, cel_condition, make_rules, requests_for
from benchmarks.section import Cell, Section, run_section
from benchmarks.timing import FULL, QUICK, microseconds

__all__ = ["bare", "section"]

_RULES: Final = 200
_BATCH: Final = 100
_CONNECTIONS: Final = (1, 16)
_TICKS: Final = os.sysconf("SC_CLK_TCK")
_CERBOS: Final = Path("build/cerbos/node_modules/.bin/cerbos")


async def bare(scope: Mapping[str, Any], receive: Any, send: Any) -> None:
    """Read a body of JSON, and answer with JSON: the least that an endpoint of this server does."""
    if scope["type"] == "lifespan":
        while True:
            kind = (await receive())["type"]
            await send({"type": f"{kind}.complete"})
            if kind == "lifespan.shutdown":
                return
    body = (await receive())["body"]
    answer = json.dumps({"team": json.loads(body)["request"]["team"]}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(answer)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": answer})


@dataclass(frozen=True)
class _Contestant:
    """A server under load. ``each`` is how many decisions a request asks for."""

    title: str
    process: subprocess.Popen[bytes]
    url: str
    bodies: Sequence[bytes]
    each: int = 1


@dataclass(frozen=True)
class _Round:
    """What one round of ``wrk`` came to: times in µs, CPU time of the server for a request."""

    per_second: float
    p50: float
    p99: float
    cpu: float


def section(*, quick: bool) -> Section:
    """Measure all of them in turn, and the engine alone in this process."""
    rules = make_rules(_RULES)
    requests = requests_for(rules, "uniform")
    wrk = shutil.which("wrk")
    if wrk is None:
        return Section("service", _TITLE, _COLUMNS, (), ("`wrk` is not installed: apt-get install wrk",))
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory()))
        write_route_rules(folder, rules)
        contestants = list(_contestants(stack, folder, rules, requests))
        rounds = _measured(wrk, folder, contestants, rounds=2 if quick else 5, seconds=2 if quick else 5)
        alone = _alone(folder, requests, quick=quick)
        within = {title: _without_network(folder, requests, brief=brief, quick=quick) for title, brief in _WITHIN}
    rows = [
        _row(item, connections, rounds[item.title, connections]) for item in contestants for connections in _CONNECTIONS
    ]
    notes = [f"the engine alone in one process: {1e6 / alone:,.0f} decisions a second, {alone:.2f} µs each"]
    notes += [
        f"{title}, read, decided and answered in that process: {each:.2f} µs a decision, {alone / each:.0%} of its rate"
        for title, each in within.items()
    ]
    if not _CERBOS.exists():
        notes.append("Cerbos is not installed: npm install --prefix build/cerbos cerbos")
    return Section("service", _TITLE, _COLUMNS, tuple(rows), tuple(notes))


_WITHIN: Final = (("a batch", False), ("a batch in brief", True))
_TITLE: Final = f"Decisions over loopback on {_RULES} rules, one process serving; µs"
_COLUMNS: Final = ("", "connections", "decisions/s", "p50", "p99", "CPU for a request", "CPU for a decision")


def _contestants(
    stack: ExitStack, folder: Path, rules: Sequence[Rule], requests: Sequence[Request]
) -> Iterator[_Contestant]:
    single = [json.dumps({"request": request}).encode() for request in requests]
    many = [requests[place % len(requests)] for place in range(_BATCH)]
    batch = [json.dumps({"requests": many}).encode()]
    brief = [json.dumps({"requests": many, "brief": True}).encode()]
    port = _free_port()
    uvicorn = [sys.executable, "-m", "uvicorn", "benchmarks.service:bare", "--port", str(port), "--no-access-log"]
    uvicorn += ["--log-level", "warning", "--no-server-header", "--no-date-header"]
    yield _Contestant("bare endpoint of uvicorn", _started(stack, uvicorn, port), f"http://127.0.0.1:{port}/", single)
    port = _free_port()
    keys = folder / "keys.json"
    command = [sys.executable, "-m", "costlens_policy"]
    added = [*command, "keys", "add", "bench", "--scope", "decide", "--file", str(keys)]
    key = subprocess.run(added, capture_output=True, text=True, check=True).stdout.strip()
    os.environ["COSTLENS_BENCH_KEY"] = key
    serve = [*command, "serve", str(folder), "--keys", str(keys), "--listen", f"127.0.0.1:{port}"]
    process = _started(stack, serve, port)
    yield _Contestant("service, one decision", process, f"http://127.0.0.1:{port}/v1/decide", single)
    url = f"http://127.0.0.1:{port}/v1/decide/batch"
    yield _Contestant(f"service, batch of {_BATCH}", process, url, batch, _BATCH)
    yield _Contestant("service, batch, brief", process, url, brief, _BATCH)
    if _CERBOS.exists():
        yield _cerbos(stack, folder, rules, requests)


def _cerbos(stack: ExitStack, folder: Path, rules: Sequence[Rule], requests: Sequence[Request]) -> _Contestant:
    policies = folder / "cerbos"
    policies.mkdir()
    (policies / "route.json").write_text(json.dumps(_cerbos_policy(rules)))
    port, grpc = _free_port(), _free_port()
    (folder / "cerbos.yaml").write_text(
        f"server: {{httpListenAddr: '127.0.0.1:{port}', grpcListenAddr: '127.0.0.1:{grpc}'}}\n"
        f"storage: {{driver: disk, disk: {{directory: '{policies}', watchForChanges: false}}}}\n"
        "telemetry: {disabled: true}\n"
    )
    command = [str(_CERBOS), "server", "--config", str(folder / "cerbos.yaml"), "--log-level", "ERROR"]
    process = _started(stack, command, port)
    bodies = [
        json.dumps(
            {
                "principal": {"id": "caller", "roles": ["caller"]},
                "resources": [{"actions": ["route"], "resource": {"kind": "request", "id": "1", "attr": request}}],
            }
        ).encode()
        for request in requests
    ]
    return _Contestant("Cerbos", process, f"http://127.0.0.1:{port}/api/check/resources", bodies)


def _cerbos_policy(rules: Sequence[Rule]) -> dict[str, Any]:
    made = [
        {
            "name": f"r{number}",
            "actions": ["route"],
            "effect": "EFFECT_ALLOW",
            "roles": ["caller"],
            "condition": {"match": {"expr": cel_condition(rule, of="R.attr.")}},
            "output": {"when": {"ruleActivated": json.dumps(rule.model)}},
        }
        for number, rule in enumerate(rules)
    ]
    policy = {"resource": "request", "version": "default", "rules": made}
    return {"apiVersion": "api.cerbos.dev/v1", "resourcePolicy": policy}


def _started(stack: ExitStack, command: Sequence[str], port: int) -> subprocess.Popen[bytes]:
    return stack.enter_context(_running(command, port))


@contextmanager
def _running(command: Sequence[str], port: int) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _ in range(300):
            assert process.poll() is None, f"{command} has ended"
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                time.sleep(0.1)
        yield process
    finally:
        process.terminate()
        process.wait()


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as found:
        port: int = found.getsockname()[1]
        return port


def _measured(
    wrk: str, folder: Path, contestants: Sequence[_Contestant], *, rounds: int, seconds: int
) -> dict[tuple[str, int], list[_Round]]:
    found: dict[tuple[str, int], list[_Round]] = {}
    scripts = {item.title: _script(folder, number, item) for number, item in enumerate(contestants)}
    for item in contestants:
        _round(wrk, scripts[item.title], item, _CONNECTIONS[-1], 1)  # to warm up
    for _ in range(rounds):
        for connections in _CONNECTIONS:
            for item in contestants:
                done = _round(wrk, scripts[item.title], item, connections, seconds)
                found.setdefault((item.title, connections), []).append(done)
    return found


def _script(folder: Path, number: int, item: _Contestant) -> Path:
    """Write what wrk sends: the bodies in turn."""
    path = folder / f"{number}.lua"
    bodies = ",\n".join(f"[==[{body.decode()}]==]" for body in item.bodies)
    path.write_text(
        'wrk.method = "POST"\nwrk.headers["content-type"] = "application/json"\n'
        f'wrk.headers["authorization"] = "Bearer {os.environ["COSTLENS_BENCH_KEY"]}"\n'
        f"local bodies = {{{bodies}}}\nlocal at = 0\n"
        "request = function() at = at + 1; return wrk.format(nil, nil, nil, bodies[at % #bodies + 1]) end\n"
    )
    return path


def _round(wrk: str, script: Path, item: _Contestant, connections: int, seconds: int) -> _Round:
    before = _cpu(item.process.pid)
    command = [wrk, "-t1", f"-c{connections}", f"-d{seconds}s", "--latency", "-s", str(script), item.url]
    shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    spent = _cpu(item.process.pid) - before
    assert "Non-2xx" not in shown, f"{item.title} refused: {shown}"
    total = re.search(r"(\d+) requests in", shown)
    rate = re.search(r"Requests/sec:\s+([\d.]+)", shown)
    assert total is not None, shown
    assert rate is not None, shown
    p50, p99 = (_microseconds(shown, percent) for percent in ("50%", "99%"))
    return _Round(float(rate[1]) * item.each, p50, p99, spent / int(total[1]) * 1e6)


_UNITS: Final = {"us": 1.0, "ms": 1e3, "s": 1e6}


def _microseconds(shown: str, percent: str) -> float:
    found = re.search(rf"^\s+{percent}\s+([\d.]+)(us|ms|s)\s*$", shown, re.MULTILINE)
    assert found is not None, shown
    return float(found[1]) * _UNITS[found[2]]


def _cpu(pid: int) -> float:
    """Return the seconds of CPU that a process and its children have taken (Cerbos is started by a script)."""
    own = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return (int(own[11]) + int(own[12])) / _TICKS + sum(_cpu(int(child)) for child in children)


def _row(item: _Contestant, connections: int, rounds: Sequence[_Round]) -> tuple[Cell, ...]:
    middle = {name: statistics.median(getattr(item, name) for item in rounds) for name in _Round.__dataclass_fields__}
    rate, p50, p99, cpu = middle.values()
    return (item.title, connections, round(rate), round(p50), round(p99), cpu, cpu / item.each)


def _alone(folder: Path, requests: Sequence[Request], *, quick: bool) -> float:
    from costlens_policy import load

    return microseconds(load(folder, cache=False).decide, requests, QUICK if quick else FULL)


def _without_network(folder: Path, requests: Sequence[Request], *, brief: bool, quick: bool) -> float:
    """Return the microseconds of a decision of a batch, from the bytes of its body to those of its answer."""
    from costlens_policy.service.application import Application
    from costlens_policy.service.settings import Open, Settings

    many = [requests[place % len(requests)] for place in range(_BATCH)]
    body = json.dumps({"requests": many, "brief": brief}).encode()
    loop = asyncio.new_event_loop()
    application = Application(Settings((str(folder),), "memory:", None, frozenset({Open.EVERYTHING}), cache=False))
    scope = {"type": "http", "method": "POST", "path": "/v1/decide/batch", "query_string": b"", "headers": []}

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body}

    async def send(_: Any) -> None:
        pass

    loop.run_until_complete(application.start())
    gc.freeze()  # as the service does
    try:
        taken = microseconds(
            lambda _: loop.run_until_complete(application(scope, receive, send)), [{}], QUICK if quick else FULL
        )
    finally:
        loop.run_until_complete(application.stop())
        loop.close()
        gc.unfreeze()
    return taken / _BATCH


if __name__ == "__main__":
    sys.exit(run_section("service", section, sys.argv[1:]))
