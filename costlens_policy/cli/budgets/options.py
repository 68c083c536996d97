"""What the ``budget`` commands take on their command lines. Nothing here is heavy: help shows it, too."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeAlias, TypeVar

import click

from costlens_policy.cli.exit_codes import ExitCode
from costlens_policy.cli.parameters import Amount, Until, paths_argument

__all__ = ["AMOUNT", "BUDGET", "EXITS", "LEDGER", "TO", "change_options", "ends", "look_options", "most"]

_Function = TypeVar("_Function", bound=Callable[..., Any])
Parameter: TypeAlias = Callable[[Any], Any]
"""Adds an argument or an option to a function."""

EXITS: Final = (ExitCode.INVALID, ExitCode.NOTHING)

LEDGER: Final[Parameter] = click.option(
    "--ledger",
    required=True,
    metavar="URL",
    envvar="COSTLENS_LEDGER",
    help="The ledger, such as sqlite:///spend.db.",
)
BUDGET: Final[Parameter] = click.argument("budget", metavar="BUDGET")
AMOUNT: Final[Parameter] = click.argument("amount", metavar="AMOUNT", type=Amount())
TO: Final[Parameter] = click.option(
    "--to", "amount", metavar="AMOUNT", type=Amount(), default="0", show_default=True, help="What counts as used."
)


def _key(_context: click.Context, _option: click.Parameter, key: str | None) -> str | None:
    from costlens_policy.compiler.rules import key_problem

    problem = None if key is None else key_problem(key)
    if problem is not None:
        raise click.BadParameter(f"a scope key {problem}")
    return key


def look_options(function: _Function) -> _Function:
    """Add what is looked at: ``paths``, ``ledger``, ``budget`` and ``key``."""
    return _with(
        function,
        paths_argument,
        LEDGER,
        click.option("--budget", metavar="BUDGET", help="One budget only, as `policy/budget` or by its id."),
        click.option("--key", metavar="KEY", callback=_key, help="One scope key only, such as a team."),
    )


def change_options(function: _Function) -> _Function:
    """Add for whom a limit is changed, why, and by whom: ``key``, ``reason``, ``author`` and ``id``."""
    return _with(
        function,
        click.option("--key", metavar="KEY", callback=_key, help="The scope key, for a budget that has a scope."),
        click.option("--reason", metavar="TEXT", required=True, help="Why; kept in the history."),
        click.option("--author", metavar="NAME", help="Who does this; your name in git, or that of the user."),
        click.option("--id", metavar="ID", help="Makes it harmless to do this twice: an id is done once."),
    )


def ends(*, required: bool) -> Parameter:
    """Add ``--expires TIME``, a time or a length of time."""
    return click.option(
        "--expires",
        metavar="TIME",
        type=Until(),
        required=required,
        help="When it ends: a time such as 2026-11-02T09:00:00Z, or a length of time such as 2h or 3d.",
    )


def most(things: str) -> Parameter:
    """Add ``--limit N``, how many things are listed at most."""
    return click.option(
        "--limit", type=click.IntRange(1), default=50, show_default=True, metavar="N", help=f"At most N {things}."
    )


def _with(function: _Function, *parameters: Parameter) -> _Function:
    """Add parameters so that the help shows them in this order."""
    for parameter in reversed(parameters):
        function = parameter(function)
    return function
