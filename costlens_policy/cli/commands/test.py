"""``test``: run the suites of policies."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from costlens_policy.cli.command import Command
from costlens_policy.cli.exit_codes import ExitCode
from costlens_policy.cli.formats import format_option
from costlens_policy.cli.options import documents_argument
from costlens_policy.cli.output import note, print_table, prints_color, write_file, write_out
from costlens_policy.frozen import frozen
from costlens_policy.testing.formats import RunFormat, render

if TYPE_CHECKING:
    from costlens_policy.testing import Run
    from costlens_policy.testing.coverage import Minimums

__all__ = ["command"]


class _Minimums(click.ParamType):  # type: ignore[type-arg]  # older releases of click have no argument here
    name = "minimums"

    def convert(self, value: Any, param: click.Parameter | None, context: click.Context | None) -> Minimums:
        from costlens_policy.testing.coverage import parsed_minimums

        try:
            return parsed_minimums(value) if isinstance(value, str) else value
        except ValueError as error:
            self.fail(str(error), param, context)


@click.command(
    "test",
    cls=Command,
    short_help="Run the tests of policies and measure rule coverage.",
    examples=[
        ("run every suite in this directory", "test ."),
        ("only the cases whose file or name contains a text", "test . --filter canary"),
        ("require full coverage, and write JUnit for CI", "test . --min-coverage 100 --junit tests.xml"),
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
@documents_argument
@click.option(
    "--filter",
    "filter_text",
    metavar="TEXT",
    help="Run only the cases whose `file: name` contains TEXT, or matches it if TEXT contains `*`.",
)
@format_option(*(format for format in RunFormat if format is not RunFormat.JUNIT))
@click.option("--junit", metavar="FILE", type=click.Path(path_type=Path), help="Also write JUnit XML to FILE.")
@click.option("--coverage", is_flag=True, help="Print a table of every rule and how often it held.")
@click.option(
    "--min-coverage",
    metavar="MINIMUMS",
    type=_Minimums(),
    help="Exit with 5 if less is covered: percent of the rules, or of several measures, as `rules=100,mcdc=90`.",
)
@click.option("--watch", is_flag=True, help="Run again whenever a YAML file in PATH changes, until Ctrl-C.")
def command(
    paths: tuple[Path, ...],
    filter_text: str | None,
    output: str,
    junit: Path | None,
    coverage: bool,
    min_coverage: Minimums | None,
    watch: bool,
) -> ExitCode:
    """Run every suite in PATH, files or directories; defaults to the current directory.

    A suite is a document of kind Suite, usually in a file named `*_test.yaml`. A run without cases fails.
    """
    if coverage and output != RunFormat.PRETTY:
        raise click.UsageError("`--coverage` needs `--format pretty`; the other formats always include coverage")
    options = _Options(paths, filter_text, output, junit, coverage, min_coverage)
    return _run_watching(options) if watch else _run_once(options)


@frozen
class _Options:
    """What was asked for on the command line."""

    paths: tuple[Path, ...]
    filter: str | None
    format: str
    junit: Path | None
    lists_rules: bool
    min_coverage: Minimums | None


def _run_once(options: _Options) -> ExitCode:
    """Run the suites and print what came of them."""
    return _print(_run(options), options)


def _run_watching(options: _Options) -> ExitCode:
    """Run and print, again after every change, until Ctrl-C."""
    from costlens_policy.diagnostics.suggestion import listed
    from costlens_policy.testing.run import watch

    for event in watch(options.paths, lambda: _run(options)):
        if sys.stdout.isatty():
            click.clear()
        if event.changed:
            note(f"{listed(event.changed, most=4)} changed")
        _print(event.run, options)
        note("watching for changes; Ctrl-C stops")
        sys.stdout.flush()
    return ExitCode.OK


def _run(options: _Options) -> Run:
    from costlens_policy.testing import run_suites

    return run_suites(options.paths, filter=options.filter, min_coverage=options.min_coverage)


def _print(run: Run, options: _Options) -> ExitCode:
    write_out(render(run, options.format, color=prints_color(sys.stdout)))
    if options.lists_rules:
        _list_rules(run)
    if options.junit is not None:
        write_file(options.junit, render(run, RunFormat.JUNIT).encode())
    return ExitCode(run.exit_code)


def _list_rules(run: Run) -> None:
    """Print a table of every rule."""
    from rich.table import Table

    for coverage in run.coverage:
        table = Table(title=f"rules of {coverage.policy_set}", title_justify="left", box=None, pad_edge=False)
        for heading in ("rule", "kind", "covered", "held", "did not hold"):
            table.add_column(heading, justify="left" if heading in ("rule", "kind") else "right")
        for rule in coverage.rules:
            held, not_held = (str(rule.was_true), str(rule.was_false)) if rule.conditional else ("", "")
            table.add_row(rule.rule, rule.kind, "yes" if rule.covered else "no", held, not_held)
        write_out("\n")
        print_table(table)
