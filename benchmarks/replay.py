"""Replay at scale: decisions a second over a columnar file, beside ourselves row by row and a query of Polars.

    python -m benchmarks.replay [--quick] [--json]

The traffic is made up and written as Parquet, CSV and JSON lines; each contestant reads it from there, from Parquet
where nothing else is said, and ends with its sums, all in one run. A diff decides each row twice. Rates are by the
clock and by CPU time: Polars uses all cores, and other work on the machine counts in the former only. The memory is
that of a process of its own which replays 10 million rows (1 million with ``--quick``) with caches and two budgets.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Final

import polars as pl

from benchmarks.memory import peak_kib
from benchmarks.replay_traffic import BUDGETS, MAPPING, ROUTES, TIGHT, by_hand, write_policies, write_traffic
from benchmarks.section import Section, run_section
from costlens_policy import Engine, load
from costlens_policy.engine.decide import decide
from costlens_policy.replay import READY, Settings, diff_files, read_traffic, replay, replay_files
from costlens_policy.report import Prices, report_on
from costlens_policy.report import Settings as Summary

__all__ = ["Figures", "Rate", "measure_replay", "section"]

OURS: Final = "routes"
_ROWS: Final = {
    "many": {False: 3_000_000, True: 300_000}, "text": {False: 1_000_000, True: 100_000},
    "few": {False: 100_000, True: 20_000},
}  # fmt: skip
"""Rows of columnar files, of text, and of what goes row by row; with ``--quick``, fewer."""
_ROWS_IN_MEMORY: Final = {False: 10_000_000, True: 1_000_000}


@dataclass(frozen=True, slots=True)
class Rate:
    """Decisions a second of one contestant; ``ratio`` is to our routes over a columnar file, by CPU time."""

    key: str
    title: str
    rows: int
    by_clock: float
    by_cpu: float
    ratio: float


@dataclass(frozen=True, slots=True)
class Figures:
    """``peak_mib`` is the most memory that a process took which replayed ``peak_rows`` rows in ``peak_seconds``."""

    rates: tuple[Rate, ...]
    peak_rows: int
    peak_seconds: float
    peak_mib: float


def measure_replay(*, quick: bool) -> Figures:
    """Run every contestant once over the same traffic."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        sets = {key: load(write_policies(folder / key, text)) for key, text in _SETS.items()}
        files = {key: (folder / f"{key}.parquet", rows[quick]) for key, rows in _ROWS.items()}
        for key, (file, rows) in files.items():
            write_traffic(file, rows)
            if key != "many":
                frame = pl.read_parquet(file)
                frame.write_csv(file.with_suffix(".csv"))
                frame.write_ndjson(file.with_suffix(".jsonl"))
        measured = [
            _measure(key, title, files[which], partial(run, sets=sets), files["few"][0])
            for key, title, which, run in _CONTESTANTS
        ]
        ours = next(rate.by_cpu for rate in measured if rate.key == OURS)
        rates = tuple(replace(rate, ratio=rate.by_cpu / ours) for rate in measured)
        return Figures(rates, *_peak(folder, _ROWS_IN_MEMORY[quick]))


_Sets = dict[str, Engine]
_SETS: Final = {"routes": ROUTES, "budgets": ROUTES + BUDGETS, "tight": ROUTES + TIGHT}


def _measure(key: str, title: str, traffic: tuple[Path, int], run: Callable[[Path], Any], warm_up: Path) -> Rate:
    run(warm_up)  # whatever is made when first needed is made now
    file, rows = traffic
    clock, cpu = time.perf_counter(), time.process_time()
    run(file)
    clock, cpu = time.perf_counter() - clock, time.process_time() - cpu
    return Rate(key, title, rows, rows / clock, rows / cpu, 0.0)


def _columns(policy: str, cache: bool, suffix: str = ".parquet") -> Callable[[Path, _Sets], Any]:
    settings = Settings(cache=cache)
    return lambda file, sets: replay_files(sets[policy].plan, [str(file.with_suffix(suffix))], MAPPING, settings)


def _row_by_row(policy: str) -> Callable[[Path, _Sets], Any]:
    def run(file: Path, sets: _Sets) -> Any:
        plan, settings = sets[policy].plan, Settings()
        return replay(plan, read_traffic([str(file)], MAPPING, plan, settings.start), settings)

    return run


def _differs(policy: str, other: str) -> Callable[[Path, _Sets], Any]:
    def run(file: Path, sets: _Sets) -> Any:
        return diff_files(sets[policy].plan, sets[other].plan, [str(file)], MAPPING, Settings())

    return run


def _reports(suffix: str) -> Callable[[Path, _Sets], Any]:
    """Report on the calls as those of one model, by model, team and task."""

    def run(file: Path, sets: _Sets) -> Any:
        prices = Prices(sets["routes"].plan.catalogue, "the catalogue")
        mapping = READY["plain"].with_columns({}, {"model": "large"})
        settings = Summary(by=("model", "team", "task"))
        return report_on([str(file.with_suffix(suffix))], mapping=mapping, settings=settings, prices=prices)

    return run


def _decide_alone(file: Path, sets: _Sets) -> None:
    plan = sets["routes"].plan
    names = ("team", "task", "session", "prompt_tokens")
    for row in pl.read_parquet(file).iter_rows(named=True):
        decide(plan, {name: row[name] for name in names}, None, row["time"])


_CONTESTANTS: Final = (
    (OURS, "ours in columns: routes", "many", _columns("routes", cache=False)),
    ("routes-caches", "ours in columns: routes, caches", "many", _columns("routes", cache=True)),
    ("budgets", "ours in columns: routes, caches, two budgets", "many", _columns("budgets", cache=True)),
    ("tight", "ours in columns: the same, and the budgets run out", "many", _columns("tight", cache=True)),
    ("csv", "ours from CSV: routes, caches", "text", _columns("routes", cache=True, suffix=".csv")),
    ("json", "ours from JSON lines: routes, caches", "text", _columns("routes", cache=True, suffix=".jsonl")),
    ("diff", "ours in columns: diff of routes, caches", "many", _differs("routes", "routes")),
    ("diff-budgets", "ours in columns: diff of routes and two budgets", "few", _differs("routes", "budgets")),
    ("report", "ours in columns: report by three labels", "many", _reports(".parquet")),
    ("report-csv", "ours from CSV: report by three labels", "text", _reports(".csv")),
    ("report-json", "ours from JSON lines: report by three labels", "text", _reports(".jsonl")),
    ("decide", "ours row by row: `decide` alone", "few", _decide_alone),
    ("row-by-row", "ours row by row: routes, caches", "few", _row_by_row("routes")),
    ("row-by-row-budgets", "ours row by row: routes, caches, two budgets", "few", _row_by_row("budgets")),
    ("polars", "Polars by hand: routes and sums in doubles", "many", lambda file, sets: by_hand(file)),
)  # fmt: skip

_REPLAYS: Final = "import sys; from benchmarks.replay import replay_once; replay_once(sys.argv[1], sys.argv[2])"
_WRITES: Final = (
    "import sys; from pathlib import Path; from benchmarks.replay_traffic import write_traffic; "
    "write_traffic(Path(sys.argv[1]), int(sys.argv[2]))"
)


def _peak(folder: Path, rows: int) -> tuple[int, float, float]:
    """Replay in a process of its own. The traffic is written by another one."""
    file = str(folder / "peak.parquet")
    subprocess.run([sys.executable, "-c", _WRITES, file, str(rows)], check=True)
    policies = str(write_policies(folder / "peak", ROUTES + BUDGETS))
    said = subprocess.run([sys.executable, "-c", _REPLAYS, policies, file], check=True, capture_output=True).stdout
    told = json.loads(said)
    assert told["rows"] == rows
    return rows, told["seconds"], told["mib"]


def replay_once(policies: str, file: str) -> None:
    """Replay a file; print the rows, the seconds, and the most memory that this process took, as JSON."""
    start = time.perf_counter()
    result = replay_files(load(policies).plan, [file], MAPPING, Settings())
    seconds = time.perf_counter() - start
    mib = peak_kib() / 1024
    sys.stdout.write(json.dumps({"rows": result.rows, "seconds": seconds, "mib": mib}))


def section(*, quick: bool) -> Section:
    figures = measure_replay(quick=quick)
    rows = tuple((it.title, it.rows, round(it.by_clock), round(it.by_cpu), f"{it.ratio:.3g}") for it in figures.rates)
    peak = (
        f"{figures.peak_rows:,} rows with caches and two budgets took {figures.peak_mib:,.0f} MiB at most and "
        f"{figures.peak_seconds:.0f} s"
    )
    title = "replay: decisions a second, from a file to the sums"
    return Section("replay", title, ("", "rows", "by the clock", "by CPU time", "to ours"), rows, (peak,))


if __name__ == "__main__":
    sys.exit(run_section("replay", section, sys.argv[1:]))
