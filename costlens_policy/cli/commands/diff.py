"""``diff``: what a change of policy does to recorded traffic."""

from __future__ import annotations

import click

from costlens_policy.cli.command import Command
from costlens_policy.cli.exit_codes import ExitCode
from costlens_policy.cli.formats import SUMMARY_FORMATS
from costlens_policy.cli.options import (
    TrafficOptions,
    max_increase_option,
    no_new_denials_option,
    traffic_options,
)

__all__ = ["command"]


@click.command(
    "diff",
    cls=Command,
    short_help="Compare two policy sets over recorded traffic.",
    examples=[
        ("compare the branch with main", "diff main:policies policies --traffic calls.csv"),
        ("write a comment for a pull request", "diff old new --traffic calls.csv --format markdown > comment.md"),
        ("fail CI on what costs more", "diff old new --traffic calls.csv --max-increase 5% --no-new-denials"),
    ],
    exits=[ExitCode.INVALID, ExitCode.NOTHING, ExitCode.GATE],
)
@click.argument("old", metavar="OLD")
@click.argument("new", metavar="NEW")
@traffic_options
@SUMMARY_FORMATS.option
@max_increase_option
@no_new_denials_option
def command(
    old: str, new: str, traffic: TrafficOptions, output: str, max_increase: str | None, no_new_denials: bool
) -> ExitCode:
    """Run recorded traffic through the policy sets OLD and NEW and show which requests are decided differently.

    Each is a file, a directory, or a git revision as REV:path. Each side has its own budgets and prompt caches.
    """
    from costlens_policy.api import load
    from costlens_policy.cli.sources import policies_at
    from costlens_policy.cli.traffic import Gates, compare_plans, ended
    from costlens_policy.replay.settings import assumptions
    from costlens_policy.replay.tables import Summary, difference_tables

    with policies_at(old) as old_path, policies_at(new) as new_path:
        before, after = load(old_path, cache=False).plan, load(new_path, cache=False).plan
    compared = compare_plans(before, after, traffic, Gates(max_increase, no_new_denials))
    difference = compared.difference
    summary = Summary(
        "Effect of this policy change",
        compared.verdict,
        difference_tables(difference),
        difference.notes,
        assumptions(difference.settings),
        compared.to_dict,
    )
    SUMMARY_FORMATS.print(summary, output)
    return ended(compared, traffic)
