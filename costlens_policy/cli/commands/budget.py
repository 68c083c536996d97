"""``budget``: what is spent, what is held, what is left; and changing it by hand."""

from __future__ import annotations

import click

from costlens_policy.cli.app import Group
from costlens_policy.cli.budgets import changing, looking

__all__ = ["command"]


@click.group("budget", cls=Group, short_help="Look at what is spent, and change limits by hand.")
def command() -> None:
    """Look at what budgets have used, hold and have left in a ledger, and change limits by hand.

    The ledger is named by `--ledger` or by COSTLENS_LEDGER: `sqlite:///spend.db`, `redis://…` or `postgresql://…`.
    """


for _command in (*looking.COMMANDS, *changing.COMMANDS):
    command.add_command(_command)
