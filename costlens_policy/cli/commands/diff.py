"""``diff``: what a change of policy does to recorded traffic."""

from __future__ import annotations

import click

from costlens_policy.cli.command import Command
from costlens_policy.cli.exit_codes import ExitCode
from costlens_policy.cli.parameters import format_option, max_increase_option, no_new_denials_option
from costlens_policy.cli.traffic_options import TrafficOptions, traffic_options

__all__ = ["command"]


@click.command(
    "diff",
    cls=Command,
    short_help="Compare two policy sets over recorded traffic.",
    examples=[
        ("compare the branch with main", "diff main:policies policies --traffic calls.csv"),
        ("write a comment for a pull request", "diff old new --traffic calls.csv --format markdown > comment.md"),
        ("let CI refuse what costs more", "diff old new --traffic calls.csv --max-increase 5% --no-new-denials"),
    ],
    exits=[ExitCode.INVALID, ExitCode.NOTHING, ExitCode.GATE],
)
@click.argument("old", metavar="OLD")
@click.argument("new", metavar="NEW")
@traffic_options
@format_option("text", "json", "markdown")
@max_increase_option
@no_new_denials_option
def command(
    old: str, new: str, traffic: TrafficOptions, output: str, max_increase: str | None, no_new_denials: bool
) -> ExitCode:
    """Run recorded traffic through the policy sets OLD and NEW and say which requests decide differently.

    Each is a file, a folder, or a git revision as REV:path. Each side keeps budgets and prompt caches of its own.
    """
    from costlens_policy.cli.replaying import Gates, diff_traffic

    return diff_traffic(old, new, traffic, output, Gates(max_increase, no_new_denials))
