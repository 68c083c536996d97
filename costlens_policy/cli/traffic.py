"""What ``replay`` and ``diff`` share: options about traffic, reading it with a progress bar, and the report."""

from __future__ import annotations

import csv
import io
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeVar

import click

from costlens_policy.cli.console import note, print_table, write_out
from costlens_policy.cli.files import write_file
from costlens_policy.cli.inputs import read_input
from costlens_policy.cli.nothing import NothingError
from costlens_policy.cli.parameters import Instant
from costlens_policy.compiler.plan import Plan
from costlens_policy.replay import READY, Mapping, Settings, Traffic, find_files, read_traffic
from costlens_policy.replay.report import Table, markdown
from costlens_policy.replay.traffic.mapping import mapping_of
from costlens_policy.replay.traffic.row import Reject

__all__ = [
    "TrafficOptions",
    "percentage",
    "print_report",
    "progress",
    "too_many_rejects",
    "traffic_options",
    "write_rejects",
]

_Function = TypeVar("_Function", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class TrafficOptions:
    """The traffic as it was asked for on the command line."""

    files: tuple[str, ...]
    mapping: Mapping
    settings: Settings
    rejects: Path | None
    max_rejects: str

    def read(self, plan: Plan) -> Traffic:
        """Read all files. Raises ``TrafficError``, and ``NothingError`` where they hold no row at all."""
        with progress("reading", None) as tick:
            traffic = read_traffic(find_files(self.files), self.mapping, plan, self.settings.start, tick)
        if not traffic.rows and not traffic.rejects:
            raise NothingError(f"no request in {', '.join(f'`{name}`' for name in traffic.files)}")
        return traffic


def traffic_options(function: _Function) -> _Function:
    """Add the options about traffic, as one argument ``traffic``."""

    def call(**given: Any) -> Any:
        names = ("files", "mapping", "columns", "constants", "cache", "lifetime", "minimum", "swing", "start")
        settings, mapping, files = _settings(*[given.pop(name) for name in names])
        traffic = TrafficOptions(files, mapping, settings, given.pop("rejects"), given.pop("max_rejects"))
        return function(traffic=traffic, **given)

    call.__doc__, call.__name__ = function.__doc__, function.__name__
    for option in reversed(_OPTIONS):
        call = option(call)
    call.__click_params__ = [*getattr(function, "__click_params__", []), *call.__click_params__]  # type: ignore[attr-defined]  # click keeps them there
    return call  # type: ignore[return-value]  # click calls it with keywords only


def _pair(text: str) -> tuple[str, str]:
    name, sign, value = text.partition("=")
    if not sign or not name or not value:
        raise click.BadParameter(f"`{text}` is no pair; write field=column, such as request.task=kind")
    return name.strip(), value.strip()


def _settings(
    files: tuple[str, ...],
    mapping: str,
    columns: tuple[str, ...],
    constants: tuple[str, ...],
    cache: str,
    lifetime: float,
    minimum: int,
    swing: str,
    start: datetime | None,
) -> tuple[Settings, Mapping, tuple[str, ...]]:
    fields = dict(map(_pair, columns))
    chosen = READY.get(mapping) or mapping_of(read_input(mapping, "mapping").content, mapping)
    chosen = chosen.with_columns(fields, dict(map(_pair, constants)))
    settings = Settings(
        cache=cache == "on",
        cache_lifetime=timedelta(seconds=lifetime),
        cache_min_tokens=minimum,
        output_range=percentage(swing, "--output-range"),
    )
    return settings if start is None else replace(settings, start=start), chosen, files


def percentage(text: str, option: str) -> Decimal:
    """Read a percentage such as ``5%`` as a share. Raises ``click.BadParameter``."""
    try:
        value = Decimal(text.removesuffix("%")) / 100
    except ArithmeticError:
        raise click.BadParameter(f"`{text}` is no percentage; write {option} 5%") from None
    if not value.is_finite() or value < 0:
        raise click.BadParameter(f"`{text}` is no percentage from 0% on")
    return value


_OPTIONS = (
    click.option(
        "--traffic", "files", multiple=True, required=True, metavar="FILE",
        help="CSV, JSON lines or Parquet, also .gz and .zst; a folder, a glob, or `-`. Repeat for more.",
    ),
    click.option(
        "--mapping", default="plain", show_default=True, metavar="NAME|FILE",
        help=f"Which column says what: {', '.join(READY)}, or a YAML file.",
    ),
    click.option(
        "--column", "columns", multiple=True, metavar="FIELD=COLUMN",
        help="Where a field stands, such as time=ts or request.task=kind.",
    ),
    click.option(
        "--set", "constants", multiple=True, metavar="FIELD=VALUE",
        help="A field that has no column, such as request.task=chat.",
    ),
    click.option(
        "--cache", type=click.Choice(["on", "off"]), default="on", show_default=True, metavar="on|off",
        help="Model the providers' prompt caches, or ignore them.",
    ),
    click.option(
        "--cache-lifetime", "lifetime", type=click.FloatRange(min=1), default=300, show_default=True,
        metavar="SECONDS", help="How long a prompt stays in a cache after its last use.",
    ),
    click.option(
        "--cache-min-tokens", "minimum", type=click.IntRange(min=0), default=1024, show_default=True, metavar="N",
        help="Shorter prompts are not cached.",
    ),
    click.option(
        "--output-range", "swing", default="20%", show_default=True, metavar="PERCENT",
        help="By how much answers may be shorter or longer with another model.",
    ),
    click.option(
        "--start", type=Instant(), metavar="TIME",
        help="What relative times count from; 2026-01-01T00:00:00Z when left out.",
    ),
    click.option(
        "--rejects", type=click.Path(path_type=Path), metavar="FILE",
        help="Write the rows that were left out, and why, as CSV.",
    ),
    click.option(
        "--max-rejects", default="0", show_default=True, metavar="N|PERCENT",
        help="As many rows may be left out before the exit code says so.",
    ),
)  # fmt: skip


@contextmanager
def progress(what: str, rows: int | None) -> Iterator[Callable[[], None] | None]:
    """Show a bar with the rate and the time left on a terminal; give a function to call for each row, or None."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
    )  # fmt: skip
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task, waiting = bar.add_task(what, total=rows, rate=""), 0

        def tick() -> None:
            nonlocal waiting
            waiting += 1
            if waiting == 500:
                bar.advance(task, waiting)
                speed = bar.tasks[0].speed
                bar.update(task, rate="" if speed is None else f"{speed:,.0f} rows/s")
                waiting = 0

        yield tick


def write_rejects(rejects: Sequence[Reject], target: Path | None) -> None:
    """Write rows that were left out into a file, or say how to see them."""
    if target is not None:
        text = io.StringIO()
        writer = csv.writer(text)
        writer.writerow(("file", "row", "problem", "text"))
        writer.writerows((item.file, item.number, item.problem, item.text) for item in rejects)
        write_file(target, text.getvalue().encode("utf-8", "replace"))
        note(f"wrote `{target}` with {len(rejects)} rows that were left out")
    for item in rejects[:3]:
        note(f"left out: {item.file}:{item.number}: {item.problem}")
    if len(rejects) > 3 and target is None:
        note(f"and {len(rejects) - 3} more; --rejects FILE writes all of them")


def too_many_rejects(rejects: int, rows: int, allowed: str) -> bool:
    """Say whether more rows were left out than allowed, as a number or as a share of all rows."""
    if allowed.endswith("%"):
        return rejects > percentage(allowed, "--max-rejects") * (rejects + rows)
    try:
        return rejects > int(allowed)
    except ValueError:
        raise click.BadParameter(f"`{allowed}` is no number of rows; write --max-rejects 10 or 1%") from None


def print_report(
    output: str, title: str, verdict: str, tables: Iterable[Table], notes: Iterable[str], assumed: Iterable[str]
) -> None:
    """Print as ``text`` or ``markdown``."""
    if output == "markdown":
        write_out(markdown(title, verdict, tables, notes, assumed))
        return
    write_out(verdict + "\n")
    for table in tables:
        if table.rows:
            _print(table)
    for text in notes:
        write_out(f"note: {text}")
    write_out("\nassumptions:")
    for text in assumed:
        write_out(f"  - {text}")


def _print(table: Table) -> None:
    from rich.markup import escape
    from rich.table import Table as RichTable

    shown = RichTable(title=escape(table.title), title_justify="left", title_style="bold")
    for index, heading in enumerate(table.headings):
        shown.add_column(heading, justify="right" if index in table.numbers else "left", overflow="fold")
    for row in table.rows:
        shown.add_row(*map(escape, row))
    print_table(shown)
