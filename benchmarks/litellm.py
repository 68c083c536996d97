"""What the callback adds to a real LiteLLM proxy, and what budgets let through under load: ours, and LiteLLM's own.

``python -m benchmarks.litellm [--quick] [--json] [latency | budgets]``. Installs the newest LiteLLM that is tested into
``build/`` first, and starts proxies, an upstream and a Redis server on this machine. Wall-clock time, as a client sees
it; the client, the proxy and the upstream share the machine.
"""

from __future__ import annotations

import http.client
import json
import os
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any, Final

from benchmarks.section import Cell, Section, show
from tests.integration.litellm.proxies import (
    ROOT,
    VERSIONS,
    Proxy,
    ask,
    installed,
    model_list,
    running_proxy,
    running_upstream,
    write_policies,
)
from tests.ledger.servers import redis_server

__all__ = ["budgets", "latency", "section"]

_CHAT: Final = "/v1/chat/completions"
_BODY: Final = {"model": "fast", "messages": [{"role": "user", "content": "hello"}]}
_SLOW: Final = {"model": "fast", "messages": [{"role": "user", "content": "hello, wait 5"}]}
_WARM_UP: Final = 50
_AT_ONCE: Final = 200
_COST: Final = 30e-6
"""Of a call, in dollars: 20 tokens of a prompt and 5 of an answer."""
_LIMIT: Final = 1200e-6
"""Of both budgets: 40 calls."""
_LITELLM: Final = VERSIONS[-1]


def section(*, quick: bool) -> Section:
    """Measure what the callback adds, where LiteLLM has been installed: nothing else here takes minutes to install."""
    if not (ROOT / "build" / f"litellm-{_LITELLM}" / ".installed").exists():
        said = "LiteLLM is not installed; `python -m benchmarks.litellm` installs it into `build/`, and measures it"
        return Section("litellm", "LiteLLM's proxy with the callback", ("proxy",), (), (said,))
    return latency(quick=quick)


def latency(*, quick: bool) -> Section:
    """Measure requests through four proxies in turn, so that a machine that is busy is so for all of them alike."""
    rounds = 300 if quick else 2000
    with TemporaryDirectory() as folder, running_upstream() as upstream, redis_server() as redis, ExitStack() as stack:
        policies = write_policies(Path(folder) / "policies", limit="1000")
        ledgers = {
            "without the callback": None,
            "ledger in memory": "memory:",
            "ledger in SQLite": f"sqlite:///{folder}/spend.db",
            "ledger in Redis": redis.url("latency"),
        }
        running = []
        for number, ledger in enumerate(ledgers.values()):
            settings = {"policies": [str(policies)], "ledger": ledger}
            more = {"plain": True} if ledger is None else {}
            opening = running_proxy(installed(_LITELLM), Path(folder) / str(number), upstream, settings, more=more)
            running.append(stack.enter_context(opening))
        taken, worked = _timed(running, rounds)
    rows: list[tuple[Cell, ...]] = []
    for name, times, work in zip(ledgers, taken, worked, strict=True):
        added = [mine - bare for mine, bare in zip(times, taken[0], strict=True)]
        most = sorted(times)[int(len(times) * 0.99)]
        is_bare = times is taken[0]
        more_work = None if is_bare else work - worked[0]
        rows.append((name, median(times), most, None if is_bare else median(added), work, more_work))
    return Section(
        "litellm-latency",
        f"LiteLLM {_LITELLM}: one request at a time through the proxy, in milliseconds",
        ("proxy", "median", "p99", "added", "CPU", "added CPU"),
        tuple(rows),
        (
            "`added` is the median of the differences to the request just before, without the callback; `CPU` is what"
            " the proxy's process worked for a request.",
        ),
    )


def _timed(running: Sequence[Proxy], rounds: int) -> tuple[list[list[float]], list[float]]:
    """Return for each proxy how long requests over one connection take, and the CPU time of one, in milliseconds."""
    connections = [http.client.HTTPConnection(proxy.url.removeprefix("http://"), timeout=60) for proxy in running]
    headers = {"content-type": "application/json", "authorization": "Bearer sk-bench/ann"}
    body, taken = json.dumps(_BODY), [list[float]() for _ in running]
    before: list[float] = []
    for number in range(_WARM_UP + rounds):
        if number == _WARM_UP:
            before = [_worked(proxy) for proxy in running]
        for proxy, connection, times in zip(running, connections, taken, strict=True):
            start = time.perf_counter()
            connection.request("POST", _CHAT, body, headers)
            response = connection.getresponse()
            response.read()
            if response.status != 200:
                raise RuntimeError(f"the proxy answered {response.status}: {proxy.log.read_text('utf-8')[-2000:]}")
            if number >= _WARM_UP:
                times.append((time.perf_counter() - start) * 1000)
    for connection in connections:
        connection.close()
    return taken, [(_worked(proxy) - start) / rounds for proxy, start in zip(running, before, strict=True)]


def _worked(proxy: Proxy) -> float:
    """Return the CPU time of a process so far, in milliseconds."""
    fields = Path(f"/proc/{proxy.process.pid}/stat").read_text("utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * 1000 / os.sysconf("SC_CLK_TCK")


def budgets(*, quick: bool) -> Section:
    """Send many requests at once against a budget of 40 calls, three times."""
    rows: list[tuple[Cell, ...]] = []
    with TemporaryDirectory() as folder, running_upstream() as upstream, redis_server() as redis:
        policies = write_policies(Path(folder) / "policies", limit=f"{_LIMIT:f}")
        settings = {"policies": [str(policies)], "ledger": redis.url("budgets")}
        for proxies in (1, 2):
            for name, options in (("costlens-policy", {}), ("LiteLLM, provider budget", _own_budget(redis.port))):
                before = len(_served(upstream))
                place = Path(folder) / f"{name}-{proxies}"
                models = _priced(upstream) if options else None
                with _several(proxies, place, upstream, settings, options, models) as running:
                    _crowd(running, f"team-{proxies}")
                spent = (len(_served(upstream)) - before) * _COST
                rows.append((name, proxies, spent / _LIMIT))
            _flush(redis.port)
    return Section(
        "litellm-budgets",
        f"LiteLLM {_LITELLM}: {_AT_ONCE} requests at once, three times, against a budget of 40 calls",
        ("budget", "proxies", "spent, as a multiple of the limit"),
        tuple(rows),
        ("LiteLLM's budgets of keys and teams need its database, and were not run.",),
    )


def _own_budget(redis_port: int) -> dict[str, Any]:
    """Return settings of a proxy with LiteLLM's own budget, kept in the same Redis server, and without the callback."""
    router = {
        "provider_budget_config": {"openai": {"budget_limit": _LIMIT, "time_period": "1d"}},
        "redis_host": "127.0.0.1",
        "redis_port": redis_port,
        "redis_password": "",
    }
    return {"plain": True, "router_settings": router}


def _priced(upstream: str) -> list[dict[str, Any]]:
    """Return the model list with the prices of the catalogue, as LiteLLM reads them."""
    rows = model_list(upstream)
    for row in rows:
        row["litellm_params"] |= {"input_cost_per_token": 1e-6, "output_cost_per_token": 2e-6}
    return rows


@contextmanager
def _several(
    count: int,
    folder: Path,
    upstream: str,
    settings: Mapping[str, Any],
    more: Mapping[str, Any],
    models: list[dict[str, Any]] | None,
) -> Iterator[list[Proxy]]:
    python = installed(_LITELLM)
    if count == 0:
        yield []
        return
    with (
        running_proxy(python, folder / str(count), upstream, settings, more=more, models=models) as proxy,
        _several(count - 1, folder, upstream, settings, more, models) as others,
    ):
        yield [proxy, *others]


def _crowd(running: list[Proxy], who: str) -> None:
    """Send the requests three times, each time at once and in turn to each proxy."""

    def send(number: int) -> int:
        return ask(running[number % len(running)].url, _CHAT, _SLOW, f"sk-{who}").status

    with ThreadPoolExecutor(_AT_ONCE) as threads:
        for _ in range(3):
            list(threads.map(send, range(_AT_ONCE)))
            time.sleep(2)  # LiteLLM writes what was spent a little later


def _served(upstream: str) -> list[Any]:
    return [entry for entry in ask(upstream, "/served", None).body["served"] if entry["status"] == 200]


def _flush(port: int) -> None:
    import redis

    with redis.Redis(port=port) as client:
        client.flushall()


def main(arguments: list[str]) -> int:
    names = [name for name in arguments if not name.startswith("-")]
    known = {"latency": latency, "budgets": budgets}
    if not set(names) <= known.keys() or not set(arguments) - set(names) <= {"--quick", "--json"}:
        print("usage: python -m benchmarks.litellm [--quick] [--json] [latency | budgets]", file=sys.stderr)  # noqa: T201 (a command)
        return 2
    for name in names or known:
        show(known[name](quick="--quick" in arguments), as_json="--json" in arguments)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
