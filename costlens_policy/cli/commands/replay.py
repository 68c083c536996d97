"""``replay``: decide recorded traffic anew, and say what it would have cost."""

from __future__ import annotations

from pathlib import Path

import click

from costlens_policy.cli.command import Command
from costlens_policy.cli.exit_codes import ExitCode
from costlens_policy.cli.parameters import format_option
from costlens_policy.cli.traffic_options import TrafficOptions, traffic_options

__all__ = ["command"]


@click.command(
    "replay",
    cls=Command,
    short_help="Decide recorded traffic anew: cost, models, denials, alerts.",
    examples=[
        ("replay a trace of Azure's inference service", "replay policies --traffic trace.csv --mapping azure-llm"),
        ("name the columns of a table", "replay . --traffic calls.csv --column time=ts --column request.task=kind"),
        ("see what ignoring prompt caches would claim", "replay . --traffic 'logs/*.jsonl.gz' --cache off"),
        ("go on after an interruption", "replay . --traffic 'month/*.parquet' --resume month.state"),
        ("keep the rows that cannot be read", "replay . --traffic calls.csv --rejects bad.csv --max-rejects 1%"),
    ],
    exits=[ExitCode.INVALID, ExitCode.NOTHING, ExitCode.GATE],
)
@click.argument("policy", metavar="POLICY", type=click.Path(path_type=Path))
@traffic_options
@click.option(
    "--resume",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Keep the state in FILE while the replay runs, and go on from it after an interruption.",
)
@format_option("text", "json", "markdown")
def command(policy: Path, traffic: TrafficOptions, resume: Path | None, output: str) -> ExitCode:
    """Run every recorded request of the traffic through the policy set in POLICY, in the order of time.

    Each decision is made at the time of its row with what the rows before it left of the budgets, and charged with
    the tokens that were recorded at the prices of that day. What this rests on is printed with the result.
    """
    from costlens_policy.cli.replaying import replay_traffic

    return replay_traffic(policy, traffic, output, resume)
