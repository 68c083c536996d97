"""A bar with the rate and the time left, on a terminal; nothing elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from costlens_policy.replay.settings import Progress, Silent

if TYPE_CHECKING:
    from rich.progress import Progress as Bars

__all__ = ["progress"]

_AT_ONCE: Final = {"rows": 500, "bytes": 500_000}
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


class _Shown:
    """One bar for what is under way; what went before is taken away."""

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
