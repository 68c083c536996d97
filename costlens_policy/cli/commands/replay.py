"""``replay``: decide recorded traffic again, and show what it would have cost."""

from __future__ import annotations

from pathlib import Path

import click

from costlens_policy.cli.command import Command
from costlens_policy.cli.exit_codes import ExitCode
from costlens_policy.cli.formats import SUMMARY_FORMATS
from costlens_policy.cli.options import TrafficOptions, traffic_options

__all__ = ["command"]


@click.command(
    "replay",
    cls=Command,
    short_help="Decide recorded traffic again: cost, models, denials, alerts.",
    examples=[
        ("replay a trace of the Azure inference service", "replay policies --traffic trace.csv --mapping azure-llm"),
        ("name the columns of a table", "replay . --traffic calls.csv --column time=ts --column request.task=kind"),
        ("see the result without prompt caches", "replay . --traffic 'logs/*.jsonl.gz' --cache off"),
        ("continue after an interruption", "replay . --traffic 'month/*.parquet' --resume month.state"),
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
    help="Keep the state in FILE, and continue from there after an interruption.",
)
@SUMMARY_FORMATS.option
def command(policy: Path, traffic: TrafficOptions, resume: Path | None, output: str) -> ExitCode:
    """Run every recorded request through the policy set in POLICY, in order of time.

    Each decision is made at the time of its row, with what earlier rows left of the budgets, and charged for the
    recorded tokens at the prices of that day. Assumptions are printed with the result.
    """
    from costlens_policy.api import load
    from costlens_policy.cli.traffic import exit_code_for, no_request, note_rows, progress, understand, write_rejects
    from costlens_policy.replay import replay_files
    from costlens_policy.replay.settings import assumptions
    from costlens_policy.replay.tables import Summary, result_tables, result_verdict

    plan = load(policy).plan
    source = understand(traffic)
    files = source.files
    with progress() as shown:
        result = replay_files(plan, files, source.mapping, source.settings, shown, resume)
    if not result.rows and not result.rejected:
        raise no_request(files)
    tables, assumed = result_tables(result), assumptions(source.settings)
    summary = Summary("Replay", result_verdict(result), tables, result.notes, assumed, result.to_dict)
    SUMMARY_FORMATS.print(summary, output)
    note_rows(result.by_rows)
    write_rejects(result.rejects, traffic.rejects, result.rejected)
    return exit_code_for([], result.rejected, result.rows, traffic)
