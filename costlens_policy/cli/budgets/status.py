"""Printing budgets: once, or again and again."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Sequence
from datetime import datetime
from itertools import count
from pathlib import Path

from rich.console import Group, RenderableType
from rich.text import Text

from costlens_policy.cli.budgets.opened import Opened, opened
from costlens_policy.cli.budgets.rows import Row, row_of
from costlens_policy.cli.budgets.table import table_of
from costlens_policy.cli.console import note, print_table, prints_color, table_width, write_out
from costlens_policy.clock import system_now

__all__ = ["Which", "print_status", "watch"]

Which = tuple[str | None, str | None]
"""The budget and the scope key asked for; None is all."""


def print_status(paths: Sequence[Path], ledger: str, which: Which, now: datetime | None, output: str) -> None:
    """Print what budgets have used, hold and have left."""
    with opened(paths, ledger, read_only=True) as found:
        at = now or system_now()
        rows = _rows(found, which, at)
    if output == "json":
        write_out(json.dumps([row.to_dict() for row in rows], indent=2, ensure_ascii=False))
        return
    if not rows:
        note("nothing was spent in the present periods")
        return
    print_table(table_of(rows, at, table_width()))
    if any(row.spend.changed_by_hand for row in rows):
        note("* the limit was changed by hand; `budget history` says by whom and why")


def watch(
    paths: Sequence[Path],
    ledger: str,
    which: Which,
    interval: float,
    times: int | None,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Show the budgets live, until Ctrl-C or ``times`` looks. Where nobody sees it, tables follow each other."""
    with opened(paths, ledger, read_only=True) as found:
        if sys.stdout.isatty():
            _watch_live(found, which, interval, times, sleep)
            return
        for number in count(1):
            now = system_now()
            print_table(table_of(_rows(found, which, now), now, table_width()))
            sys.stdout.flush()
            if number == times:
                return
            sleep(interval)


def _watch_live(
    found: Opened, which: Which, interval: float, times: int | None, sleep: Callable[[float], None]
) -> None:
    from rich.console import Console
    from rich.live import Live

    color = prints_color(sys.stdout)
    console = Console(no_color=not color, highlight=False, emoji=False)
    with Live(console=console, auto_refresh=False, screen=False) as live:
        for number in count(1):
            live.update(_picture(found, which, system_now()), refresh=True)
            if number == times:
                return
            sleep(interval)


def _picture(found: Opened, which: Which, now: datetime) -> RenderableType:
    table = table_of(_rows(found, which, now), now, table_width())
    return Group(table, Text(f"{now:%Y-%m-%d %H:%M:%S} UTC, Ctrl-C ends", "dim"))


def _rows(found: Opened, which: Which, now: datetime) -> list[Row]:
    budget, key = which
    if budget is None and key is not None:
        return [row for row in _rows(found, (None, None), now) if row.spend.key == key]
    return [row_of(spend, now) for spend in found.spend(now, budget, key)]
