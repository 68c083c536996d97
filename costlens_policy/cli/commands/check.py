"""``check``: examine policies and report every problem."""

from __future__ import annotations

from pathlib import Path

import click

from costlens_policy.cli.command import Command
from costlens_policy.cli.exit_codes import ExitCode
from costlens_policy.cli.parameters import format_option, paths_argument

__all__ = ["command"]


@click.command(
    "check",
    cls=Command,
    short_help="Check policies and report every problem at its line and column.",
    examples=[
        ("check everything in this folder", "check ."),
        ("refuse warnings, too", "check --strict policies"),
        ("annotate the lines of a pull request", "check . --format github"),
        ("write a report for code scanning", "check . --format sarif > policies.sarif"),
    ],
    exits=[ExitCode.INVALID, ExitCode.NOTHING],
)
@paths_argument
@format_option("full", "concise", "json", "sarif", "github")
@click.option("--strict", is_flag=True, help="Treat warnings as errors.")
def command(paths: tuple[Path, ...], output: str, strict: bool) -> ExitCode:
    """Check every policy set, policy, catalogue and suite in PATH, files or folders; defaults to the current folder.

    A policy or catalogue is checked with every set of its repository that lists it, a suite against the set that it
    tests, as `test` does before it runs. What looks like a document of ours and is not read, or in no set, is reported.

    Every problem is reported at once, with its place and a code that `explain` tells more about.
    """
    from costlens_policy.cli.checking import check_paths

    return check_paths(paths, output, strict=strict)
