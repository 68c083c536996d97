"""What commands on recorded traffic share: reading their options, progress, skipped rows, and two plans compared.

``diff`` and ``catalogue diff`` decide the traffic with both plans, and a change must pass the gates that are asked for.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from decimal import Decimal
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from costlens_policy.cli.exit_codes import ExitCode, NothingError
from costlens_policy.cli.inputs import read_input
from costlens_policy.cli.options import TrafficOptions
from costlens_policy.cli.output import note, write_file
from costlens_policy.diagnostics.text import printable
from costlens_policy.frozen import frozen
from costlens_policy.replay import READY, ColumnMapping, Settings, TrafficError, diff_files
from costlens_policy.replay.settings import START, Progress, Silent
from costlens_policy.replay.tables import csv_text, difference_verdict
from costlens_policy.replay.traffic.places import look_for
from costlens_policy.replay.traffic.recognition import recognized
from costlens_policy.replay.traffic.row import Reject

if TYPE_CHECKING:
    from rich.progress import Progress as Bars

    from costlens_policy.compiler.plan import Plan
    from costlens_policy.replay.difference import Difference

__all__ = [
    "Comparison", "Gates", "TrafficInput", "compare_plans", "ended", "exit_code_for", "fields_of", "found_files",
    "mapping_for", "no_request", "note_rows", "percentage", "progress", "too_many_rejects", "understand",
    "write_rejects",
]  # fmt: skip


@frozen
class TrafficInput:
    """The options, read: which files, by which mapping, with which settings."""

    files: tuple[str, ...]
    mapping: ColumnMapping
    settings: Settings


def no_request(files: Iterable[str]) -> NothingError:
    """Return the error that files hold no row at all."""
    return NothingError(f"no request in {', '.join(f'`{name}`' for name in files)}")


def understand(options: TrafficOptions) -> TrafficInput:
    """Read the mapping and the settings. Raises ``TrafficError``, ``RejectedError`` or ``click.BadParameter``."""
    files = found_files(options.files)
    columns, constants = fields_of(options.columns), fields_of(options.constants)
    mapping = mapping_for(options.mapping, files, columns, constants).with_columns(columns, constants)
    too_many_rejects(0, 0, options.max_rejects)  # a wrong number is reported before anything runs
    settings = Settings(
        cache=options.cache == "on",
        cache_lifetime=timedelta(seconds=options.lifetime),
        cache_min_tokens=options.minimum,
        output_range=percentage(options.swing, "--output-range"),
        start=options.start or START,
    )
    return TrafficInput(files, mapping, settings)


def found_files(patterns: Sequence[str]) -> tuple[str, ...]:
    """Return the files of traffic, and note what is beside them and not read. Raises ``TrafficError``."""
    with progress() as bars:
        found = look_for(patterns, bars)
    if found.skipped:
        shown = ", ".join(f"`{name}`" for name in found.skipped[:_MOST_SKIPPED])
        more = f", and {len(found.skipped) - _MOST_SKIPPED} more" if len(found.skipped) > _MOST_SKIPPED else ""
        note(f"not read: {shown}{more}")
    return found.files


def mapping_for(
    name: str | None, files: Sequence[str], columns: Mapping[str, str], constants: Mapping[str, str]
) -> ColumnMapping:
    """Return a ready mapping, one of a file, or, where none is named, the one that the files are recognized by.

    Raises ``TrafficError`` and ``RejectedError``.
    """
    if name is not None:
        close = get_close_matches(name, READY, n=1)
        if name not in READY and close and not Path(name).exists():
            raise TrafficError(f"no mapping and no file `{name}`; did you mean `{close[0]}`?")
        if name in READY:
            return READY[name]
        from costlens_policy.replay.traffic.mapping_file import (
            mapping_of,
        )  # needs pydantic, which not every replay does

        return mapping_of(read_input(name, "mapping").content, name)
    return recognized(files, columns, constants)


_MOST_SKIPPED = 8


def fields_of(texts: Iterable[str]) -> dict[str, str]:
    """Read ``FIELD=COLUMN`` or ``FIELD=VALUE``. Raises ``click.BadParameter``."""
    return dict(map(_pair, texts))


def _pair(text: str) -> tuple[str, str]:
    name, sign, value = text.partition("=")
    if not sign or not name or not value:
        raise click.BadParameter(f"`{text}` is not FIELD=COLUMN; write it as request.task=kind")
    return name.strip(), value.strip()


def percentage(text: str, option: str) -> Decimal:
    """Read a percentage such as ``5%`` as a share. Raises ``click.BadParameter``."""
    try:
        value = Decimal(text.removesuffix("%")) / 100
    except ArithmeticError:
        raise click.BadParameter(f"`{text}` is not a percentage; write {option} 5%") from None
    if not value.is_finite() or value < 0:
        raise click.BadParameter(f"a percentage must be finite and non-negative, got `{text}`")
    return value


def write_rejects(rejects: Sequence[Reject], target: Path | None, number: int) -> None:
    """Write skipped rows into a file, or note how to see them. ``number`` counts also those not kept."""
    if target is not None:
        rows = ((item.file, item.number, item.problem, item.text) for item in rejects)
        write_file(target, csv_text([("file", "row", "problem", "text"), *rows]).encode("utf-8", "replace"))
        which = f"{number}" if number == len(rejects) else f"the first {len(rejects)} of {number}"
        note(f"wrote `{target}` with {which} skipped rows")
    for item in rejects[:3]:
        note(f"skipped: {printable(f'{item.file}:{item.number}: {item.problem}')}")
    if number > 3 and target is None:
        note(f"and {number - 3} more; --rejects FILE writes all of them")


def note_rows(reason: str, done: str = "decided") -> None:
    """Note why traffic was decided, or only read, row by row, which takes longer."""
    if reason:
        note(f"{done} row by row, not in columns: {reason}")


def too_many_rejects(rejects: int, rows: int, allowed: str) -> bool:
    """Return whether more rows were skipped than allowed, as a number or as a share of all rows."""
    if allowed.endswith("%"):
        return rejects > percentage(allowed, "--max-rejects") * (rejects + rows)
    try:
        return rejects > _count(allowed)
    except ValueError:
        raise click.BadParameter(f"`{allowed}` is not a number of rows; write --max-rejects 10 or 1%") from None


def _count(text: str) -> int:
    number = int(text)
    if number < 0:
        raise ValueError(text)
    return number


@frozen
class Gates:
    """What a change must not do, word for word."""

    max_increase: str | None
    no_new_denials: bool

    def failures(self, difference: Difference) -> list[str]:
        """Return a sentence for each gate that does not hold. A request without a price cannot hold a limit of cost."""
        found = []
        if self.max_increase is not None:
            limit, increase = percentage(self.max_increase, "--max-increase"), difference.increase
            if increase is None:
                found.append("the cost grows from zero")
            elif increase > limit:
                found.append(f"the cost grows by {increase:.2%}, more than {self.max_increase}")
            if difference.newly_unpriced:
                found.append(f"{difference.newly_unpriced} requests lose their price, so the increase is unknown")
        if self.no_new_denials and difference.newly_denied:
            found.append(f"{difference.newly_denied} requests are newly denied")
        return found


@frozen
class Comparison:
    """What became of recorded traffic, and a sentence for each gate that does not hold."""

    difference: Difference
    failures: tuple[str, ...]

    @property
    def verdict(self) -> str:
        return "\n".join([difference_verdict(self.difference), *(f"failed: {text}" for text in self.failures)])

    def to_dict(self) -> dict[str, Any]:
        return {**self.difference.to_dict(), "failed": list(self.failures)}


def compare_plans(before: Plan, after: Plan, options: TrafficOptions, gates: Gates) -> Comparison:
    """Decide the traffic with both plans."""
    asked = understand(options)
    files = asked.files
    with progress() as shown:
        difference = diff_files(before, after, files, asked.mapping, asked.settings, shown)
    if not difference.rows and not difference.rejected:
        raise no_request(files)
    return Comparison(difference, tuple(gates.failures(difference)))


def ended(compared: Comparison, options: TrafficOptions) -> ExitCode:
    """Write the rows that were skipped, and return ``GATE`` where a gate does not hold."""
    rejected = compared.difference.rejected
    note_rows(compared.difference.by_rows)
    write_rejects(compared.difference.rejects, options.rejects, rejected)
    return exit_code_for(list(compared.failures), rejected, compared.difference.rows, options)


def exit_code_for(failures: list[str], rejects: int, rows: int, options: TrafficOptions) -> ExitCode:
    """Print the gates that do not hold, and return the exit code."""
    if too_many_rejects(rejects, rows, options.max_rejects):
        failures = [*failures, f"{rejects} rows were skipped, more than {options.max_rejects}"]
    for text in failures:
        note(f"failed: {text}")
    return ExitCode.GATE if failures else ExitCode.OK


_AT_ONCE: Final = {"rows": 500, "bytes": 500_000, "mutants": 1}
"""The bar moves on after so many units."""


@contextmanager
def progress() -> Iterator[Progress]:
    """Show on standard error how far something is, where that is a terminal."""
    if not sys.stderr.isatty():
        yield Silent()
        return
    from rich.console import Console
    from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars

    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[rate]}"), TimeRemainingColumn())
    with Bars(*columns, console=Console(stderr=True), transient=True) as bars:
        yield _Shown(bars)


class LateProgress:
    """Shows progress as ``progress`` does, from the first step on.

    A bar has a thread, and a process with several cannot be forked: steps begin once processes are there.
    """

    def __init__(self) -> None:
        self._open = ExitStack()
        self._shown: Progress | None = None

    def __enter__(self) -> LateProgress:
        return self

    def __exit__(self, *error: object) -> None:
        self._open.close()

    def start(self, what: str, total: int | None, unit: str) -> None:
        if self._shown is None:
            self._shown = self._open.enter_context(progress())
        self._shown.start(what, total, unit)

    def advance(self, amount: int) -> None:
        if self._shown is not None:
            self._shown.advance(amount)


class _Shown:
    """One bar for what is under way; the bar before is removed."""

    def __init__(self, bars: Bars) -> None:
        self._bars = bars
        self._waiting = 0
        self._unit = "rows"

    def start(self, what: str, total: int | None, unit: str, done: int = 0) -> None:
        for task in self._bars.task_ids:
            self._bars.remove_task(task)
        self._unit, self._waiting = unit, 0
        self._bars.add_task(what, total=total, completed=done, rate="")

    def advance(self, units: int) -> None:
        self._waiting += units
        if self._waiting < _AT_ONCE[self._unit]:
            return
        task = self._bars.tasks[-1]
        self._bars.advance(task.id, self._waiting)
        self._bars.update(task.id, rate=_rate(task.completed, task.total, task.speed, self._unit))
        self._waiting = 0


def _rate(done: float, total: float | None, speed: float | None, unit: str) -> str:
    if unit == "bytes":
        done, total, speed = done / 1e6, None if total is None else total / 1e6, None if speed is None else speed / 1e6
        unit = "MB"
    most = "" if total is None else f" of {total:,.0f}"
    return f"{done:,.0f}{most} {unit}" + ("" if speed is None else f", {speed:,.0f} {unit}/s")
