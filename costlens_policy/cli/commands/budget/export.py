"""``budget export``: charges and corrections of a ledger as a FOCUS file."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import click

from costlens_policy.cli.command import Command
from costlens_policy.cli.commands.budget.options import EXITS, LEDGER
from costlens_policy.cli.exit_codes import ExitCode, NothingError
from costlens_policy.cli.options import Timestamp
from costlens_policy.cli.output import print_or_write
from costlens_policy.clock import system_now
from costlens_policy.errors import InputError

__all__ = ["COMMANDS"]

_LONG_AGO: Final = datetime(1970, 1, 1, tzinfo=UTC)


@click.command(
    "export",
    cls=Command,
    short_help="Write charges and corrections as FOCUS 1.2.",
    examples=[
        (
            "June, for a FinOps tool",
            "budget export --ledger sqlite:///spend.db --since 2026-06-01T00:00:00Z --until 2026-07-01T00:00:00Z "
            "--output june.csv",
        ),
        ("by cost center, which is an attribute", "budget export --ledger redis://localhost --tag cost_center"),
    ],
    exits=EXITS,
)
@LEDGER
@click.option("--since", metavar="TIME", type=Timestamp(), help="From this time on.")
@click.option("--until", metavar="TIME", type=Timestamp(), help="Before this time. Default: now.")
@click.option("--budget", metavar="POLICY/BUDGET", help="Only calls that this budget has counted.")
@click.option(
    "--tag", "tags", multiple=True, metavar="LABEL",
    help="An attribute of requests that becomes a tag. Default: team, project, feature, environment.",
)  # fmt: skip
@click.option("--account", default="costlens-policy", show_default=True, metavar="ID", help="The billing account's id.")
@click.option("--account-name", metavar="NAME", help="The billing account's name.")
@click.option(
    "--output", "target", type=click.Path(path_type=Path), metavar="FILE", help="Write FILE, not to the screen."
)
def _export(
    ledger: str,
    since: datetime | None,
    until: datetime | None,
    budget: str | None,
    tags: tuple[str, ...],
    account: str,
    account_name: str | None,
    target: Path | None,
) -> ExitCode:
    """Write what a ledger has charged as a CSV file in the FinOps Open Cost and Usage Specification, version 1.2.

    A row is for a day (UTC), provider, model, service tier and combination of tags; corrections from invoices are rows
    of their own. Tokens by kind are in columns that begin with `x_`.
    """
    from importlib.util import find_spec

    from costlens_policy.cli.sources import ledger_at

    if find_spec("polars") is None:
        raise InputError("`polars` is not installed; pip install 'costlens-policy[report]'")
    from costlens_policy.invoice.focus import COLUMNS, TAGS, FocusSettings, focus_rows
    from costlens_policy.replay.tables import csv_text
    from costlens_policy.report import Prices

    start, end = since or _LONG_AGO, until or system_now()
    if end <= start:
        raise click.UsageError("`--until` must be after `--since`")
    settings = FocusSettings(start, end, account, account_name, tags or TAGS, budget)
    with ledger_at(ledger, read_only=True) as store:
        rows = list(focus_rows(store, Prices(), settings))
    if not rows:
        raise NothingError("no charge in the ledger in this time")
    print_or_write(csv_text([COLUMNS, *([row[name] for name in COLUMNS] for row in rows)]), target)
    return ExitCode.OK


COMMANDS: Final = (_export,)
