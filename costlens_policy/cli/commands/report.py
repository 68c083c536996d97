"""``report``: where the money went."""

from __future__ import annotations

from pathlib import Path

import click

from costlens_policy.cli.command import Command
from costlens_policy.cli.exit_codes import ExitCode
from costlens_policy.cli.parameters import format_option
from costlens_policy.cli.reporting_options import ReportOptions, report_options

__all__ = ["command"]


@click.command(
    "report",
    cls=Command,
    short_help="Show where the money went: by model, team, feature, user, rule and time.",
    examples=[
        ("what a ledger has charged", "report --ledger sqlite:///spend.db"),
        ("a page with charts for those who pay", "report --ledger sqlite:///spend.db --html spend.html"),
        ("logs, by team and task", "report --traffic 'logs/*.jsonl.gz' --by team,task --column task=kind"),
        ("what one model for everything would have cost", "report --traffic calls.csv --baseline gpt-5"),
        ("a trace of Azure's, priced at a model", "report --traffic t.csv --mapping azure-llm --set model=gpt-5"),
    ],
    exits=[ExitCode.INVALID, ExitCode.NOTHING, ExitCode.GATE],
)
@report_options
@click.option("--html", type=click.Path(path_type=Path), metavar="FILE", help="Write one page with charts, too.")
@format_option("text", "json", "csv")
def command(options: ReportOptions, html: Path | None, output: str) -> ExitCode:
    """Sum up the calls of a ledger or of logs: spend, tokens, requests, cache hits, latency, denials, savings.

    Sums are exact. What a call lacks is shown as not recorded; what is left out, and what was taken for granted, is
    printed with the result.
    """
    from costlens_policy.cli.reporting import print_report

    return print_report(options, output, html)
