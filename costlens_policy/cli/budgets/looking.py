"""``budget status``, ``watch``, ``history`` and ``reservations``: what the ledger knows."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Final

import click

from costlens_policy.cli.budgets.options import EXITS, look_options, most
from costlens_policy.cli.command import Command
from costlens_policy.cli.exit_codes import ExitCode
from costlens_policy.cli.parameters import Instant, format_option

__all__ = ["COMMANDS"]


@click.command(
    "status",
    cls=Command,
    short_help="Show what budgets have used, hold and have left.",
    examples=[
        ("all budgets of the policy set in this folder", "budget status . --ledger sqlite:///spend.db"),
        ("one team, in JSON", "budget status . --ledger sqlite:///spend.db --key research --format json"),
    ],
    exits=EXITS,
)
@look_options
@click.option("--now", metavar="TIME", type=Instant(), help="As of this time; the present when left out.")
@format_option("table", "json")
def _status(
    paths: tuple[Path, ...], ledger: str, budget: str | None, key: str | None, now: datetime | None, output: str
) -> ExitCode:
    """Show each budget of the policy set in PATH in its present period.

    `a day` is what the period has used on average, `lasts` how long the rest lasts if that goes on. A budget without
    scope is always there, others once their key was used.
    """
    from costlens_policy.cli.budgets.status import print_status

    print_status(paths, ledger, (budget, key), now, output)
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
    "--interval", type=click.FloatRange(0.1, 3600), default=2.0, show_default=True, metavar="SECONDS", help="How often."
)
@click.option("--times", type=click.IntRange(1), metavar="N", help="End after N looks, instead of with Ctrl-C.")
def _watch(
    paths: tuple[Path, ...], ledger: str, budget: str | None, key: str | None, interval: float, times: int | None
) -> ExitCode:
    """Show each budget of the policy set in PATH, and again as money is spent. Ctrl-C ends."""
    from costlens_policy.cli.budgets import status as pictures

    pictures.watch(paths, ledger, (budget, key), interval, times)
    return ExitCode.OK


@click.command(
    "history",
    cls=Command,
    short_help="List charges and manual adjustments, newest first.",
    examples=[
        ("the last fifty", "budget history . --ledger sqlite:///spend.db"),
        (
            "all of one team this month",
            "budget history . --ledger redis://localhost --key research --since 2026-11-01T00:00:00Z",
        ),
    ],
    exits=EXITS,
)
@look_options
@click.option("--since", metavar="TIME", type=Instant(), help="From this time on.")
@click.option("--until", metavar="TIME", type=Instant(), help="Before this time.")
@most("lines")
@format_option("table", "json")
def _history(
    paths: tuple[Path, ...],
    ledger: str,
    budget: str | None,
    key: str | None,
    since: datetime | None,
    until: datetime | None,
    limit: int,
    output: str,
) -> ExitCode:
    """List what was charged, to which budget and for which model, and what people changed by hand and why."""
    from costlens_policy.cli.budgets.listing import Listing, print_history

    print_history(paths, ledger, Listing(budget, key, limit, since, until), output)
    return ExitCode.OK


@click.command(
    "reservations",
    cls=Command,
    short_help="List the calls that are under way.",
    examples=[
        ("what is held at present", "budget reservations . --ledger sqlite:///spend.db"),
        ("calls whose clients never came back", "budget reservations . --ledger sqlite:///spend.db --expired"),
    ],
    exits=EXITS,
)
@look_options
@click.option("--expired", is_flag=True, help="Those whose lease ended before anybody settled or released them.")
@most("calls")
@format_option("table", "json")
def _reservations(
    paths: tuple[Path, ...], ledger: str, budget: str | None, key: str | None, expired: bool, limit: int, output: str
) -> ExitCode:
    """List calls that hold something, by the end of their leases."""
    from costlens_policy.cli.budgets.listing import Listing, print_reservations

    print_reservations(paths, ledger, Listing(budget, key, limit, expired=expired), output)
    return ExitCode.OK


COMMANDS: Final = (_status, _watch, _history, _reservations)
