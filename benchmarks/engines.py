"""Replay and reports on Spark and Ray beside one process, over the same 2 million calls in one run.

    python -m benchmarks.engines [--quick] [--json]

Each contestant is a process of its own, in the environment that the integration tests of engines make if it is there
(``build/engines``), else in this one. It reads the same Parquet file with two workers, after a small one for which
whatever starts has started; how long that took is a column of its own. Memory is the peak of the resident set, of the
largest worker and of all processes that the contestant has started, Spark's JVM included; what they share, as Ray's
workers do, counts in each of them. Without us, an engine hands all rows to Python and takes them back.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from benchmarks.replay_traffic import MAPPING, ROUTES, write_policies, write_traffic
from benchmarks.section import Cell, Section, run_section
from costlens_policy import load
from costlens_policy.compiler.plan import Plan
from costlens_policy.replay import READY, Result, replay_arrow, replay_files, replay_ray, replay_spark
from costlens_policy.replay import Settings as ReplaySettings
from costlens_policy.report import Prices, Report, Settings, report_arrow, report_on, report_ray, report_spark
from costlens_policy.report.export import export_report

__all__ = ["section"]

_ROWS: Final = {False: 2_000_000, True: 200_000}
_FEW: Final = 20_000
_BILLION: Final = 10**9
_CLUSTER: Final = 64
"""Cores of the cluster that docs/engines.md plans with."""
_WORKERS: Final = 2
_PYTHON: Final = Path(__file__).parent.parent / "build" / "engines" / "bin" / "python"
_CALLS: Final = READY["plain"].with_columns({}, {"model": "large"})
_BY: Final = Settings(by=("model", "team", "task"))
_SAMPLE_S: Final = 0.1
_MOST_S: Final = 1800

_Frames = Callable[[str], Any]


@dataclass(frozen=True, slots=True)
class _Contestant:
    """``start`` returns what opens a file; the others take what was opened.

    ``through`` hands all rows to Python and takes them back: what the engine costs without us.
    """

    start: Callable[[], _Frames]
    replay: Callable[[Any, Plan], Result]
    report: Callable[[Any, Prices], Report]
    through: Callable[[Any], Any] | None = None


def _spark() -> _Frames:
    from pyspark.sql import SparkSession

    spark = (
        SparkSession.builder.master(f"local[{_WORKERS}]").config("spark.ui.enabled", "false")
        .config("spark.log.level", "ERROR").getOrCreate()
    )  # fmt: skip
    return spark.read.parquet


def _ray() -> _Frames:
    import ray

    ray.init(num_cpus=_WORKERS, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    ray.data.DataContext.get_current().enable_progress_bars = False
    return ray.data.read_parquet


def _batches() -> _Frames:
    import pyarrow.parquet

    return lambda file: pyarrow.parquet.ParquetFile(file).iter_batches(100_000)


def _files() -> _Frames:
    return lambda file: [file]


def _same(batches: Any) -> Any:
    return batches


_ONE: Final = "files"
_CONTESTANTS: Final = {
    _ONE: _Contestant(
        _files, lambda files, plan: replay_files(plan, files, MAPPING, ReplaySettings()),
        lambda files, prices: report_on(files, mapping=_CALLS, settings=_BY, prices=prices),
    ),
    "arrow": _Contestant(
        _batches, lambda batches, plan: replay_arrow(batches, plan, MAPPING),
        lambda batches, prices: report_arrow(batches, _CALLS, _BY, prices=prices),
    ),
    "spark": _Contestant(
        _spark, lambda frame, plan: replay_spark(frame, plan, MAPPING, parts=_WORKERS),
        lambda frame, prices: report_spark(frame, _CALLS, _BY, prices=prices),
        lambda frame: frame.mapInArrow(_same, frame.schema).write.format("noop").mode("overwrite").save(),
    ),
    "ray": _Contestant(
        _ray, lambda dataset, plan: replay_ray(dataset, plan, MAPPING, parts=_WORKERS),
        lambda dataset, prices: report_ray(dataset, _CALLS, _BY, prices=prices),
        lambda dataset: dataset.map_batches(_same, batch_format="pyarrow").materialize(),
    ),
}  # fmt: skip
_TITLES: Final = {
    _ONE: "one process, the file", "arrow": "one process, Arrow batches", "spark": f"Spark, local[{_WORKERS}]",
    "ray": f"Ray, {_WORKERS} CPUs",
}  # fmt: skip


@dataclass(slots=True)
class _Watch:
    """Looks at the processes below this one, and keeps the most memory that each has taken, in KiB."""

    peaks: dict[int, tuple[str, int]] = field(default_factory=dict)
    _ended: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def start(self) -> None:
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def end(self) -> None:
        self._ended.set()
        assert self._thread is not None
        self._thread.join()

    def _run(self) -> None:
        while not self._ended.wait(_SAMPLE_S):
            self.look()

    def look(self) -> None:
        for process in _below(os.getpid()):
            status = _status(process)
            if "VmHWM" in status:
                name, before = self.peaks.get(process, (status["Name"], 0))
                self.peaks[process] = name, max(before, int(status["VmHWM"].split()[0]))


def _status(process: int) -> dict[str, str]:
    try:
        lines = Path(f"/proc/{process}/status").read_text(encoding="utf-8").splitlines()
    except OSError:
        return {}  # it has ended
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


def _below(top: int) -> Iterator[int]:
    """Yield a process and all that it has started."""
    parents = {int(item.name): _status(int(item.name)).get("PPid") for item in Path("/proc").glob("[0-9]*")}
    open_ = [top]
    while open_:
        process = open_.pop()
        yield process
        open_ += [child for child, parent in parents.items() if parent == str(process)]


def _measure(name: str, folder: Path) -> dict[str, Any]:
    """Run a contestant over the traffic in a folder."""
    contestant, plan = _CONTESTANTS[name], load(folder / "routes").plan
    prices = Prices(plan.catalogue, "the catalogue")
    watch, begun = _Watch(), time.perf_counter()
    open_file = contestant.start()
    contestant.replay(open_file(str(folder / "few.parquet")), plan)
    contestant.report(open_file(str(folder / "few.parquet")), prices)
    found: dict[str, Any] = {"start": time.perf_counter() - begun}
    watch.start()
    begun = time.perf_counter()
    replayed = contestant.replay(open_file(str(folder / "many.parquet")), plan)
    between = time.perf_counter()
    reported = contestant.report(open_file(str(folder / "many.parquet")), prices)
    found |= {"replay": between - begun, "report": time.perf_counter() - between}
    if contestant.through is not None:
        between = time.perf_counter()
        contestant.through(open_file(str(folder / "many.parquet")))
        found["through"] = time.perf_counter() - between
    watch.look()
    watch.end()
    own, peaks = watch.peaks.pop(os.getpid(), ("", 0))[1], watch.peaks.values()
    workers = [peak for process, peak in peaks if process.startswith(("python", "ray::"))]
    return found | {
        "worker": max(workers, default=own), "all": own + sum(peak for _, peak in peaks), "workers": len(workers),
        "replayed": _digest(replayed.to_dict()),
        "reported": _digest(export_report(reported)),
    }  # fmt: skip


def _digest(found: dict[str, Any]) -> str:
    """Return what tells figures from others; notes and names differ by who has read the calls."""
    beside = ("files", "notes", "rejects", "shared_decisions", "by_rows", "source")
    figures = {name: value for name, value in found.items() if name not in beside}
    return hashlib.sha256(json.dumps(figures, sort_keys=True, default=str).encode()).hexdigest()


def section(*, quick: bool) -> Section:
    """Measure all contestants whose packages are installed."""
    rows, notes, table = _ROWS[quick], list[str](), list[tuple[Cell, ...]]()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_policies(folder / "routes", ROUTES)
        write_traffic(folder / "few.parquet", _FEW)
        write_traffic(folder / "many.parquet", rows)
        found = {key: _run(key, folder) for key in _CONTESTANTS}
    ours = found[_ONE]
    for key, measured in found.items():
        if isinstance(measured, str):
            notes.append(f"{_TITLES[key]}: not measured, {measured}")
            continue
        assert not isinstance(ours, str), ours
        memory = measured["workers"], measured["worker"] // 1024, measured["all"] // 1024
        for work, digest in (("replay", "replayed"), ("report", "reported")):
            table.append((
                f"{work}: {_TITLES[key]}", round(rows / measured[work]), measured[work] / ours[work],
                measured["start"], *memory, "yes" if measured[digest] == ours[digest] else "NO",
            ))  # fmt: skip
        if "through" in measured:
            spent = measured["through"]
            table.append((
                f"rows through Python: {_TITLES[key]}", round(rows / spent), spent / ours["replay"], None, *memory, None
            ))  # fmt: skip
    notes += _plan(rows, found)
    columns = (
        "", "rows/s", "times the file's", "start s", "workers", "largest MiB", "all MiB", "equal",
    )  # fmt: skip
    title = f"{rows:,} calls of 5,000 sessions, routes and caches, by the clock; reports by model, team and task"
    return Section("engines", title, columns, tuple(table), tuple(notes))


def _plan(rows: int, found: dict[str, dict[str, Any] | str]) -> Iterator[str]:
    """Yield what a billion calls take at the rates that were measured, if more cores are that much faster."""
    for key in ("spark", "ray"):
        measured = found[key]
        if not isinstance(measured, str):
            hours = {work: _BILLION / rows * measured[work] * _WORKERS / 3600 for work in ("replay", "report")}
            yield f"a billion calls by {_TITLES[key]}: " + ", ".join(
                f"{work} {spent:.1f} core hours, {spent * 60 / _CLUSTER:.0f} minutes of {_CLUSTER} cores"
                for work, spent in hours.items()
            )


def _run(name: str, folder: Path) -> dict[str, Any] | str:
    """Return what a process of its own measured, or why it did not."""
    python = str(_PYTHON) if _PYTHON.exists() else sys.executable
    environment = {
        **os.environ, "PYTHONPATH": str(Path(__file__).parent.parent), "PYSPARK_PYTHON": python,
        "SPARK_LOCAL_IP": "127.0.0.1", "RAY_AUTH_MODE": "disabled",
    }  # fmt: skip
    done = subprocess.run(
        [python, "-m", "benchmarks.engines", "--contestant", name, str(folder)], env=environment, capture_output=True,
        text=True, timeout=_MOST_S, check=False,
    )  # fmt: skip
    if done.returncode:
        return done.stderr.strip().splitlines()[-1] if done.stderr.strip() else f"exit code {done.returncode}"
    measured: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return measured


if __name__ == "__main__":
    if sys.argv[1:2] == ["--contestant"]:
        print(json.dumps(_measure(sys.argv[2], Path(sys.argv[3]))))  # noqa: T201 (a command)
    else:
        sys.exit(run_section("engines", section, sys.argv[1:]))
