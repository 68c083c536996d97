"""``budget``: show what is spent, held and left, and adjust limits."""

from __future__ import annotations

import click

from costlens_policy.cli.command import Group
from costlens_policy.cli.commands.budget import approvals, bound, changes, export, listing, status

__all__ = ["command"]


@click.group("budget", cls=Group, short_help="Show what is spent, held and left, and adjust limits.")
def command() -> None:
    """Show what budgets have used, hold and have left in a ledger, and adjust limits.

    The ledger is named by `--ledger` or by COSTLENS_LEDGER: `sqlite:///spend.db`, `redis://…` or `postgresql://…`.
    """


for _module in (status, listing, changes, approvals, export, bound):
    for _command in _module.COMMANDS:
        command.add_command(_command)
