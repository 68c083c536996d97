"""What a guarded call adds to the provider's: deciding, holding, settling; with the parts of it beside it.

``python -m benchmarks.guard [--quick] [--json]``. All in memory, CPU time of one call; the store alone is asked for
what the guard asks it for.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextvars import copy_context
from datetime import timedelta
from functools import partial
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from benchmarks.section import Cell, Section, run_section
from benchmarks.timing import FULL, QUICK, by_turns, microseconds
from costlens_policy import Engine, Guard, load, run
from costlens_policy.clock import system_now
from costlens_policy.ledger import Account, Charge, Hold, HoldLine, MemoryStore, Period, Settlement

__all__ = ["company", "section"]

_BUDGETS: Final = (0, 1, 4)
_REQUEST: Final = {"task": "chat", "team": "support", "prompt": "Where is my parcel?", "prompt_tokens": 1000}
_USAGE: Final = {
    "prompt_tokens": 1000,
    "completion_tokens": 80,
    "prompt_tokens_details": {"cached_tokens": 400},
    "completion_tokens_details": {"reasoning_tokens": 0},
}
_HEAD: Final = 'apiVersion: costlens-policy/v1\nmetadata: {name: bench, version: "1"}\n'
_CATALOGUE: Final = """kind: Catalogue
models:
  small: {provider: acme, prices: [{usd_per_million_tokens: {input: 0.25, cache_read: 0.025, output: 2}}]}
  large: {provider: acme, prices: [{usd_per_million_tokens: {input: 1.25, cache_read: 0.125, output: 10}}]}
"""
_POLICY_SET: Final = """kind: PolicySet
policies: [policy.yaml]
catalogues: [catalogue.yaml]
defaults: {access: allow, route: {models: [small, large]}, max_output_tokens: 200}
"""
_BUDGET: Final = """
  - id: budget-%d
    scope: %s
    hard_limit_usd: 1000000000
    hold: %s
    window: {calendar: day, zone: UTC}
    thresholds: [{at_ratio: 0.8, alert: most of it is gone}]
"""
_LEASE: Final = timedelta(minutes=10)


def section(*, quick: bool) -> Section:
    """Measure a guarded call by the number of its budgets: by itself, in a run, and where budgets hold quantiles."""
    effort = QUICK if quick else FULL
    rows: list[tuple[Cell, ...]] = []
    for budgets in _BUDGETS:
        with TemporaryDirectory() as folder:
            engine = company(Path(folder), budgets)
        with TemporaryDirectory() as folder:
            of_runs = company(Path(folder), budgets, "runAt(request.run, 1)")
        with TemporaryDirectory() as folder:
            quantiles = company(Path(folder), budgets, hold="{quantile: 0.95, cases: 20}")
        alone = [microseconds(step, (None,), effort) for step in (_decide(engine), _store(budgets))]
        ways = (partial(_guarded(engine), None), _in_run(_guarded(of_runs)), partial(_guarded(quantiles, 30), None))
        settled, inside, measured = by_turns(ways, effort)
        given_back = microseconds(_given_back(engine), (None,), effort)
        rows.append((
            f"{budgets} budgets", *alone, settled, given_back, inside, measured, settled / alone[0], inside / settled,
            measured / settled,
        ))  # fmt: skip
    columns = (
        "a call that counts against", "decide", "store", "call + settle", "call + release", "in a run of depth 3",
        "of a quantile", "settled / decide", "in a run / settled", "of a quantile / settled",
    )  # fmt: skip
    return Section("guard", "Guarded calls in memory, µs of CPU each", columns, tuple(rows))


def company(folder: Path, budgets: int, scope: str = "request.team", hold: str = "worst_case") -> Engine:
    rules = "".join(_BUDGET % (number, scope, hold) for number in range(budgets))
    policy = "kind: Policy\n" + (f"budgets:{rules}" if budgets else "")
    texts = {"policy-set": _POLICY_SET, "policy": policy, "catalogue": _CATALOGUE}
    for name, text in texts.items():
        (folder / f"{name}.yaml").write_text(_HEAD + text, encoding="utf-8")
    return load(folder)


def _decide(engine: Engine) -> Callable[[None], Any]:
    return lambda _: engine.decide(_REQUEST, now=system_now())


def _store(budgets: int) -> Callable[[None], Any]:
    """Reserve and settle as the guard does, without it."""
    store, numbers, now = MemoryStore(), count(), system_now()
    accounts = [Account(f"bench/budget-{number}", "support", "usd", Period("lifetime")) for number in range(budgets)]
    lines = tuple(HoldLine(account, 10**12, 10**24) for account in accounts)
    charges = tuple(Charge(account, 10**11) for account in accounts)

    def pair(_: None) -> None:
        if accounts:
            name = str(next(numbers))
            store.reserve(Hold(name, lines, now, _LEASE))
            store.settle(Settlement(name, charges, now))

    return pair


def _guarded(engine: Engine, measured: int = 0) -> Callable[[None], Any]:
    """Hold and settle a call; what so many calls have come to is known before."""
    guard = Guard(engine, alert_sinks=[])

    def call(_: None) -> None:
        with guard.call(_REQUEST) as held:
            assert held.model
            held.settle(_USAGE)

    for _ in range(measured):
        call(None)
    guard.measure()
    return call


def _in_run(guarded: Callable[[None], Any]) -> Callable[[], Any]:
    """Return a call in a run of depth 3, whose blocks are never left."""
    context = copy_context()
    for name in ("nightly", "search", "rank"):
        context.run(lambda name=name: run(name).__enter__())
    return partial(context.run, guarded, None)


def _given_back(engine: Engine) -> Callable[[None], Any]:
    guard = Guard(engine, alert_sinks=[])

    def call(_: None) -> None:
        with guard.call(_REQUEST):
            pass

    return call


if __name__ == "__main__":
    sys.exit(run_section("guard", section, sys.argv[1:]))
