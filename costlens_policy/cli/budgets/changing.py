"""``budget set``, ``topup``, ``revoke``, ``reset`` and ``release``: manual adjustments, most of which differ in little
but their words.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from costlens_policy.cli.budgets.options import AMOUNT, BUDGET, EXITS, LEDGER, TO, change_options, ends
from costlens_policy.cli.command import Command, Example
from costlens_policy.cli.exit_codes import ExitCode
from costlens_policy.cli.parameters import format_option, paths_argument

if TYPE_CHECKING:  # help needs no ledger
    from costlens_policy.ledger import AdjustmentKind

__all__ = ["COMMANDS"]

_ON_RESEARCH: Final = ". --ledger sqlite:///spend.db --key research"


def _runs(kind: AdjustmentKind) -> Callable[..., ExitCode]:
    """Return what a command does that makes a change of a kind."""

    def run(
        budget: str,
        paths: tuple[Path, ...],
        ledger: str,
        key: str | None,
        reason: str,
        author: str | None,
        id: str | None,
        output: str,
        amount: Decimal = Decimal(0),
        expires: datetime | timedelta | None = None,
    ) -> ExitCode:
        from costlens_policy.cli.budgets.changes import Change, change

        change(paths, ledger, Change(kind, budget, key, amount, reason, author, expires, id), output)
        return ExitCode.OK

    return run


def _command(
    name: str, kind: AdjustmentKind, short_help: str, help: str, examples: Sequence[Example], *parameters: Any
) -> click.Command:
    function = _runs(kind)
    for parameter in reversed((BUDGET, *parameters, format_option("text", "json"))):
        function = parameter(function)
    made = click.command(name, cls=Command, short_help=short_help, help=help, examples=examples, exits=EXITS)
    return made(function)


@click.command(
    "release",
    cls=Command,
    short_help="Give back what a call holds.",
    examples=[
        (
            "a job that was abandoned, whose id `budget reservations` lists",
            "budget release job-7 --ledger sqlite:///spend.db --reason 'the job was cancelled'",
        ),
    ],
)
@click.argument("id", metavar="ID")
@paths_argument
@LEDGER
@click.option("--reason", metavar="TEXT", required=True, help="Why; kept in the history.")
@click.option("--author", metavar="NAME", help="Who does this; your name in git, or that of the user.")
@format_option("text", "json")
def _release(id: str, paths: tuple[Path, ...], ledger: str, reason: str, author: str | None, output: str) -> ExitCode:
    """Give back what the call ID holds, on all its budgets. `budget reservations` lists such calls.

    A charge that comes later counts nevertheless. Policies are not read: PATH is there as in the other commands.
    """
    from costlens_policy.cli.budgets.changes import release

    release(ledger, id, reason, author, output)
    return ExitCode.OK


COMMANDS: Final = (
    _command(
        "set",
        "override",
        "Replace a limit for a while.",
        """Replace the limit of BUDGET by AMOUNT, in its unit, in every period until it expires.

        One can be in force at a time; `budget revoke` ends it early. What lasts belongs into the policy.
        """,
        [
            (
                "let a team spend up to $500 until Friday",
                f"budget set team 500 {_ON_RESEARCH} --expires 3d --reason 'launch week'",
            ),
            ("stop a budget", f"budget set team 0 {_ON_RESEARCH} --expires 12h --reason 'runaway job'"),
        ],
        AMOUNT,
        paths_argument,
        LEDGER,
        change_options,
        ends(required=True),
    ),
    _command(
        "topup",
        "topup",
        "Add to a limit in its current period.",
        "Add AMOUNT to the limit of BUDGET until its period ends, or earlier if it expires. Several add up.",
        [("twenty dollars more this month", f"budget topup team 20 {_ON_RESEARCH} --reason 'approved by Ann'")],
        AMOUNT,
        paths_argument,
        LEDGER,
        change_options,
        ends(required=False),
    ),
    _command(
        "revoke",
        "revoke",
        "Revoke overrides and top-ups.",
        "End all changes to the limit of BUDGET that are in force: the policy's own holds again.",
        [("back to the policy's limit", f"budget revoke team {_ON_RESEARCH} --reason 'launch is over'")],
        paths_argument,
        LEDGER,
        change_options,
    ),
    _command(
        "reset",
        "set",
        "Correct what counts as used.",
        "Set what BUDGET has used in its present period. The history keeps the difference; calls under way stay held.",
        [
            ("nothing counts as used", f"budget reset team {_ON_RESEARCH} --reason 'charged by mistake'"),
            ("to what the invoice says", f"budget reset team {_ON_RESEARCH} --to 12.40 --reason 'invoice 1123'"),
        ],
        paths_argument,
        LEDGER,
        TO,
        change_options,
    ),
    _release,
)
