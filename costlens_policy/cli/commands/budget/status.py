"""``budget status``, ``watch`` and ``end-run``: what budgets and runs have used and hold, and the end of a run."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from datetime import datetime
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from costlens_policy.cli.command import Command
from costlens_policy.cli.commands.budget.options import EXITS, LEDGER, Opened, look_options, opened
from costlens_policy.cli.exit_codes import ExitCode
from costlens_policy.cli.formats import format_option
from costlens_policy.cli.options import Number, Timestamp, paths_argument
from costlens_policy.cli.output import note, print_table, prints_color, table_width, write_json, write_out
from costlens_policy.clock import system_now
from costlens_policy.diagnostics.text import printable

if TYPE_CHECKING:
    from rich.console import RenderableType

    from costlens_policy.cli.commands.budget.table import Row
    from costlens_policy.ledger import Account

__all__ = ["COMMANDS"]


def _run(_context: click.Context, _parameter: click.Parameter, run: str | None) -> str | None:
    from costlens_policy.runs import run_problem

    problem = None if run is None else run_problem(run)
    if problem is not None:
        raise click.BadParameter(f"a run {problem}")
    return run


@click.command(
    "status",
    cls=Command,
    short_help="Show what budgets have used, hold and have left.",
    examples=[
        ("all budgets of the policy set in this directory", "budget status . --ledger sqlite:///spend.db"),
        ("one team, in JSON", "budget status . --ledger sqlite:///spend.db --key research --format json"),
        ("a run and its sub-agents", "budget status . --ledger sqlite:///spend.db --run nightly"),
    ],
    exits=EXITS,
)
@look_options
@click.option("--now", metavar="TIME", type=Timestamp(), help="As of this time. Default: now.")
@click.option("--run", metavar="RUN", callback=_run, help="Show this run and all runs within it, by its path.")
@click.option("--since", metavar="TIME", type=Timestamp(), help="With --run: read calls from this time on.")
@format_option("table", "json")
def _status(
    paths: tuple[Path, ...],
    ledger: str,
    budget: str | None,
    key: str | None,
    now: datetime | None,
    run: str | None,
    since: datetime | None,
    output: str,
) -> ExitCode:
    """Show each budget of the policy set in PATH in its current period.

    `a day` is the average daily use in the period; `lasts` is how long the rest will last at that rate. A budget with a
    scope has a row for each key that was used.

    With `--run`, show what a run and the runs within it have spent and hold, and the budgets whose scope keys they
    are. `own` is what the calls of the run itself cost; all of the history is read, unless you set `--since`.
    """
    from costlens_policy.cli.commands.budget.table import table_of

    if run is not None:
        if key is not None:
            raise click.UsageError("`--run` and `--key` cannot be used together")
        return _show_run(paths, ledger, (budget, run), now or system_now(), since, output)
    if since is not None:
        raise click.UsageError("`--since` needs `--run`")
    with opened(paths, ledger, read_only=True) as found:
        at = now or system_now()
        rows = _rows(found, (budget, key), at)
        earlier = list(found.earlier_units(at, budget))
        beyond = list(found.beyond_holds(at, (budget, key)))
    if output == "json":
        write_json([row.to_dict() for row in rows])
    elif not rows:
        note("nothing was spent in the current periods")
    else:
        print_table(table_of(rows, at, table_width()))
        if any(row.spend.changed_by_hand for row in rows):
            note("* manually adjusted limit; `budget history` shows by whom and why")
    for account, more in beyond:
        note(_beyond(account, more))
    for name, unit in earlier:
        note(f"`{name}` counted `{unit}` before its unit changed; that does not count against the limit")
    return ExitCode.OK


def _beyond(account: Account, more: int) -> str:
    from costlens_policy.ledger import decimal_of
    from costlens_policy.units import show_amount

    whose = f" of `{account.key}`" if account.key else ""
    amount = show_amount(decimal_of(more, account.unit), account.unit)
    return f"`{account.budget}`{whose}: calls under way may come to {amount} more than is held for them"


def _show_run(
    paths: Sequence[Path],
    ledger: str,
    which: tuple[str | None, str],
    now: datetime,
    since: datetime | None,
    output: str,
) -> ExitCode:
    """Print a run, the runs within it, and the budgets whose scope keys they are."""
    from costlens_policy.cli.commands.budget.runs import run_data, tree_of
    from costlens_policy.cli.commands.budget.table import table_of
    from costlens_policy.guard.run_tree import spend_of_runs

    budget, run = which
    with opened(paths, ledger, read_only=True) as found:
        runs = spend_of_runs(found.store, run, now, since)
        keys = {item.run for item in runs}
        rows = [row for row in _rows(found, (budget, None), now) if row.spend.key in keys]
    if output == "json":
        write_json(run_data(runs, rows))
        return ExitCode.OK
    if not runs:
        note(f"the ledger has no calls of the run `{run}`")
        return ExitCode.OK
    print_table(tree_of(runs))
    if rows:
        click.echo()
        print_table(table_of(rows, now, table_width()))
    return ExitCode.OK


@click.command(
    "watch",
    cls=Command,
    short_help="Like `status`, refreshed continuously.",
    examples=[
        ("every two seconds, until Ctrl-C", "budget watch . --ledger sqlite:///spend.db"),
        ("one budget, more often", "budget watch . --ledger redis://localhost --budget team --interval 0.5"),
    ],
    exits=[*EXITS, ExitCode.INTERRUPTED],
)
@look_options
@click.option(
    "--interval",
    type=Number(0.1, 3600),
    default=2.0,
    show_default=True,
    metavar="SECONDS",
    help="Time between refreshes.",
)
@click.option("--times", type=click.IntRange(1), metavar="N", help="Stop after N refreshes.")
def _watch(
    paths: tuple[Path, ...], ledger: str, budget: str | None, key: str | None, interval: float, times: int | None
) -> ExitCode:
    """Show each budget of the policy set in PATH, refreshed as money is spent, until Ctrl-C."""
    _watch_budgets(paths, ledger, (budget, key), interval, times)
    return ExitCode.OK


@click.command(
    "end-run",
    cls=Command,
    short_help="End a run, with all runs within it.",
    examples=[("stop an agent and its sub-agents", "budget end-run fix-4711 . --ledger sqlite:///spend.db")],
    exits=EXITS,
)
@click.argument("run", metavar="RUN", callback=_run)
@paths_argument
@LEDGER
@format_option("text", "json")
def _end_run(run: str, paths: tuple[Path, ...], ledger: str, output: str) -> ExitCode:
    """End RUN, by its path, for every process: its calls, and those of runs within it, are refused from now on.

    Calls that are under way are charged. An end is for good; the ledger knows it as long as it remembers calls. PATH is
    accepted, as in the other commands, but not read.
    """
    from costlens_policy.cli.sources import ledger_at
    from costlens_policy.guard.run_records import end_run

    with ledger_at(ledger, read_only=False) as store:
        end_run(store, run, system_now())
    if output == "json":
        write_json({"ended": run})
    else:
        write_out(f"the run `{printable(run)}` has ended")
    return ExitCode.OK


COMMANDS: Final = (_status, _watch, _end_run)


Which = tuple[str | None, str | None]
"""The budget and the scope key asked for; None is all."""


def _watch_budgets(
    paths: Sequence[Path],
    ledger: str,
    which: Which,
    interval: float,
    times: int | None,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Show the budgets, refreshed until Ctrl-C or ``times`` refreshes. Off a terminal, tables follow each other."""
    from costlens_policy.cli.commands.budget.table import table_of

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
            live.update(_view(found, which, system_now()), refresh=True)
            if number == times:
                return
            sleep(interval)


def _view(found: Opened, which: Which, now: datetime) -> RenderableType:
    from rich.console import Group
    from rich.text import Text

    from costlens_policy.cli.commands.budget.table import table_of

    table = table_of(_rows(found, which, now), now, table_width())
    return Group(table, Text(f"{now:%Y-%m-%d %H:%M:%S} UTC, Ctrl-C stops", "dim"))


def _rows(found: Opened, which: Which, now: datetime) -> list[Row]:
    from costlens_policy.cli.commands.budget.table import row_of

    budget, key = which
    if budget is None and key is not None:
        return [row for row in _rows(found, (None, None), now) if row.spend.key == key]
    return [row_of(spend, now) for spend in found.spend(now, budget, key)]
