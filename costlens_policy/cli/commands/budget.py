"""``budget``: what is spent, what is held, what is left; and changing it by hand."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from costlens_policy.cli.app import Group
from costlens_policy.cli.command import Command
from costlens_policy.cli.exit_codes import ExitCode
from costlens_policy.cli.parameters import Amount, Instant, Until, format_option, paths_argument

if TYPE_CHECKING:  # help needs no ledger
    from costlens_policy.ledger import AdjustmentKind

__all__ = ["command"]

_Function = TypeVar("_Function", bound=Callable[..., Any])
_EXITS = [ExitCode.INVALID, ExitCode.NOTHING]


@click.group("budget", cls=Group, short_help="Look at what is spent, and change limits by hand.")
def command() -> None:
    """Look at what budgets have used, hold and have left in a ledger, and change limits by hand.

    The ledger is named by `--ledger` or by COSTLENS_LEDGER: `sqlite:///spend.db`, `redis://…` or `postgresql://…`.
    """


def _ledger_option(function: _Function) -> _Function:
    return click.option(
        "--ledger",
        required=True,
        metavar="URL",
        envvar="COSTLENS_LEDGER",
        help="The ledger, such as sqlite:///spend.db.",
    )(function)


def _which_options(function: _Function) -> _Function:
    function = click.option("--key", metavar="KEY", help="One scope key only, such as a team.")(function)
    return click.option("--budget", metavar="BUDGET", help="One budget only, as `policy/budget` or by its id.")(
        function
    )


def _change_options(function: _Function) -> _Function:
    for option in (
        click.option("--id", metavar="ID", help="Makes it harmless to do this twice: an id is done once."),
        click.option("--author", metavar="NAME", help="Who does this; your name in git, or that of the user."),
        click.option("--reason", metavar="TEXT", required=True, help="Why; kept in the history."),
        click.option("--key", metavar="KEY", help="The scope key, for a budget that has a scope."),
    ):
        function = option(function)
    return function


def _expires_option(*, required: bool) -> Callable[[_Function], _Function]:
    return click.option(
        "--expires",
        metavar="TIME",
        type=Until(),
        required=required,
        help="When it ends: a time such as 2026-11-02T09:00:00Z, or a length of time such as 2h or 3d.",
    )


def _change(
    kind: AdjustmentKind,
    budget: str,
    amount: Decimal,
    *,
    paths: tuple[Path, ...],
    ledger: str,
    key: str | None,
    reason: str,
    author: str | None,
    id: str | None,
    output: str,
    expires: datetime | timedelta | None = None,
) -> ExitCode:
    from costlens_policy.cli.budgets.changes import Change, change

    change(paths, ledger, Change(kind, budget, key, amount, reason, author, expires, id), output)
    return ExitCode.OK


@command.command(
    "status",
    cls=Command,
    short_help="Show what budgets have used, hold and have left.",
    examples=[
        ("all budgets of the policy set in this folder", "budget status . --ledger sqlite:///spend.db"),
        ("one team, in JSON", "budget status . --ledger sqlite:///spend.db --key research --format json"),
    ],
    exits=_EXITS,
)
@paths_argument
@_ledger_option
@_which_options
@click.option("--now", metavar="TIME", type=Instant(), help="As of this time; the present when left out.")
@format_option("table", "json")
def status(
    paths: tuple[Path, ...], ledger: str, budget: str | None, key: str | None, now: datetime | None, output: str
) -> ExitCode:
    """Show each budget of the policy set in PATH in its present period.

    `a day` is what the period has used on average, `lasts` how long the rest lasts if that goes on. A budget without
    scope is always there, others once their key was used.
    """
    from costlens_policy.cli.budgets.status import print_status

    print_status(paths, ledger, (budget, key), now, output)
    return ExitCode.OK


@command.command(
    "watch",
    cls=Command,
    short_help="Show the same live.",
    examples=[
        ("every two seconds, until Ctrl-C", "budget watch . --ledger sqlite:///spend.db"),
        ("one budget, more often", "budget watch . --ledger redis://localhost --budget team --interval 0.5"),
    ],
    exits=[*_EXITS, ExitCode.INTERRUPTED],
)
@paths_argument
@_ledger_option
@_which_options
@click.option(
    "--interval", type=click.FloatRange(0.1, 3600), default=2.0, show_default=True, metavar="SECONDS", help="How often."
)
@click.option("--times", type=click.IntRange(1), metavar="N", help="End after N looks, instead of with Ctrl-C.")
def watch(
    paths: tuple[Path, ...], ledger: str, budget: str | None, key: str | None, interval: float, times: int | None
) -> ExitCode:
    """Show each budget of the policy set in PATH, and again as money is spent. Ctrl-C ends."""
    from costlens_policy.cli.budgets import status as pictures

    pictures.watch(paths, ledger, (budget, key), interval, times)
    return ExitCode.OK


@command.command(
    "history",
    cls=Command,
    short_help="List charges and changes by hand, the newest first.",
    examples=[
        ("the last fifty", "budget history . --ledger sqlite:///spend.db"),
        (
            "all of one team this month",
            "budget history . --ledger redis://localhost --key research --since 2026-11-01T00:00:00Z",
        ),
    ],
    exits=_EXITS,
)
@paths_argument
@_ledger_option
@_which_options
@click.option("--since", metavar="TIME", type=Instant(), help="From this time on.")
@click.option("--until", metavar="TIME", type=Instant(), help="Before this time.")
@click.option("--limit", type=click.IntRange(1), default=50, show_default=True, metavar="N", help="At most N lines.")
@format_option("table", "json")
def history(
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


@command.command(
    "reservations",
    cls=Command,
    short_help="List the calls that are under way.",
    examples=[
        ("what is held at present", "budget reservations . --ledger sqlite:///spend.db"),
        ("calls whose clients never came back", "budget reservations . --ledger sqlite:///spend.db --expired"),
    ],
    exits=_EXITS,
)
@paths_argument
@_ledger_option
@_which_options
@click.option("--expired", is_flag=True, help="Those whose lease ended before anybody settled or released them.")
@click.option("--limit", type=click.IntRange(1), default=50, show_default=True, metavar="N", help="At most N calls.")
@format_option("table", "json")
def reservations(
    paths: tuple[Path, ...], ledger: str, budget: str | None, key: str | None, expired: bool, limit: int, output: str
) -> ExitCode:
    """List calls that hold something, by the end of their leases."""
    from costlens_policy.cli.budgets.listing import Listing, print_reservations

    print_reservations(paths, ledger, Listing(budget, key, limit, expired=expired), output)
    return ExitCode.OK


@command.command(
    "set",
    cls=Command,
    short_help="Replace a limit for a while.",
    examples=[
        (
            "let a team spend up to $500 until Friday",
            "budget set team 500 . --ledger sqlite:///spend.db --key research --expires 3d --reason 'launch week'",
        ),
        (
            "stop a budget",
            "budget set team 0 . --ledger sqlite:///spend.db --key research --expires 12h --reason 'runaway job'",
        ),
    ],
    exits=_EXITS,
)
@click.argument("budget", metavar="BUDGET")
@click.argument("amount", metavar="AMOUNT", type=Amount())
@paths_argument
@_ledger_option
@_change_options
@_expires_option(required=True)
@format_option("text", "json")
def set_limit(budget: str, amount: Decimal, **options: Any) -> ExitCode:
    """Replace the limit of BUDGET by AMOUNT, in its unit, in every period until it expires.

    One can be in force at a time; `budget withdraw` ends it early. What lasts belongs into the policy.
    """
    return _change("override", budget, amount, **options)


@command.command(
    "topup",
    cls=Command,
    short_help="Add to a limit in its present period.",
    examples=[
        (
            "twenty dollars more this month",
            "budget topup team 20 . --ledger sqlite:///spend.db --key research --reason 'approved by Ann'",
        )
    ],
    exits=_EXITS,
)
@click.argument("budget", metavar="BUDGET")
@click.argument("amount", metavar="AMOUNT", type=Amount())
@paths_argument
@_ledger_option
@_change_options
@_expires_option(required=False)
@format_option("text", "json")
def topup(budget: str, amount: Decimal, **options: Any) -> ExitCode:
    """Add AMOUNT to the limit of BUDGET until its period ends, or earlier if it expires. Several add up."""
    return _change("topup", budget, amount, **options)


@command.command(
    "withdraw",
    cls=Command,
    short_help="End what `set` and `topup` did.",
    examples=[
        (
            "back to the policy's limit",
            "budget withdraw team . --ledger sqlite:///spend.db --key research --reason 'launch is over'",
        )
    ],
    exits=_EXITS,
)
@click.argument("budget", metavar="BUDGET")
@paths_argument
@_ledger_option
@_change_options
@format_option("text", "json")
def withdraw(budget: str, **options: Any) -> ExitCode:
    """End all changes to the limit of BUDGET that are in force: the policy's own holds again."""
    return _change("withdraw", budget, Decimal(0), **options)


@command.command(
    "reset",
    cls=Command,
    short_help="Correct what counts as used.",
    examples=[
        (
            "nothing counts as used",
            "budget reset team . --ledger sqlite:///spend.db --key research --reason 'charged by mistake'",
        ),
        (
            "to what the invoice says",
            "budget reset team . --ledger sqlite:///spend.db --key research --to 12.40 --reason 'invoice 1123'",
        ),
    ],
    exits=_EXITS,
)
@click.argument("budget", metavar="BUDGET")
@paths_argument
@_ledger_option
@click.option(
    "--to", "amount", metavar="AMOUNT", type=Amount(), default="0", show_default=True, help="What counts as used."
)
@_change_options
@format_option("text", "json")
def reset(budget: str, amount: Decimal, **options: Any) -> ExitCode:
    """Set what BUDGET has used in its present period. The history keeps the difference; calls under way stay held."""
    return _change("set", budget, amount, **options)
