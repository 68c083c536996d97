"""``test``: run the suites of policies."""

from __future__ import annotations

from pathlib import Path

import click

from costlens_policy.cli.command import Command
from costlens_policy.cli.exit_codes import ExitCode
from costlens_policy.cli.parameters import format_option, paths_argument

__all__ = ["command"]


@click.command(
    "test",
    cls=Command,
    short_help="Run the tests of policies and measure rule coverage.",
    examples=[
        ("run every suite in this folder", "test ."),
        ("only the cases whose file or name contains a text", "test . --filter canary"),
        ("demand that every rule is covered, and leave a report for CI", "test . --min-coverage 100 --junit tests.xml"),
        ("list the rules that no case covers", "test . --coverage"),
        ("run again whenever a file changes", "test . --watch"),
    ],
    exits=[
        ExitCode.INVALID,
        ExitCode.NOTHING,
        ExitCode.TEST_FAILED,
        ExitCode.COVERAGE,
        ExitCode.INTERRUPTED,
    ],
)
@paths_argument
@click.option(
    "--filter",
    "filter_text",
    metavar="TEXT",
    help="Run the cases whose `file: name` contains TEXT or fits it with `*`.",
)
@format_option("pretty", "json", "tap", "github")
@click.option("--junit", metavar="FILE", type=click.Path(path_type=Path), help="Write a JUnit report into FILE, too.")
@click.option("--coverage", is_flag=True, help="List every rule with how often it held, in a table.")
@click.option(
    "--min-coverage",
    metavar="PERCENT",
    type=click.IntRange(0, 100),
    help="Exit with 5 below this share of covered rules.",
)
@click.option("--watch", is_flag=True, help="Run again whenever a YAML file in PATH changes, until Ctrl-C.")
def command(
    paths: tuple[Path, ...],
    filter_text: str | None,
    output: str,
    junit: Path | None,
    coverage: bool,
    min_coverage: int | None,
    watch: bool,
) -> ExitCode:
    """Run every suite in PATH, files or folders; defaults to the current folder.

    A suite is a document of kind Suite, by custom in a file named `*_test.yaml`. An empty run fails.
    """
    if coverage and output != "pretty":
        message = "`--coverage` belongs to `--format pretty`; the other formats report coverage as they always do"
        raise click.UsageError(message, click.get_current_context())
    from costlens_policy.cli.suites import Wish, run_once, run_watching

    wish = Wish(paths, filter_text, output, junit, coverage, min_coverage)
    return run_watching(wish) if watch else run_once(wish)
