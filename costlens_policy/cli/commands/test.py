"""``test``: run the suites of policies."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from costlens_policy.cli.command import Command
from costlens_policy.cli.exit_codes import ExitCode
from costlens_policy.cli.formats import format_option
from costlens_policy.cli.options import documents_argument, gathered
from costlens_policy.cli.output import note, print_table, prints_color, write_file, write_out
from costlens_policy.cli.trying import TRYING_OPTIONS, Trying, check_folder_of, try_out, write_suggestions
from costlens_policy.errors import InputError
from costlens_policy.frozen import frozen
from costlens_policy.testing.formats import RunFormat, render

if TYPE_CHECKING:
    from costlens_policy.testing import Run
    from costlens_policy.testing.coverage import Minimums

__all__ = ["command"]

_FILES: Final = (RunFormat.JUNIT, RunFormat.LCOV, RunFormat.COBERTURA, RunFormat.HTML)
"""Formats that are written to files, by the options of their names."""
_READ: Final = (".yaml", ".yml", ".json", ".jsonl", ".csv")
"""How names end of files that a run may read, and no report has."""


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
        ("list what no case covers, with the requests that would", "test . --coverage"),
        ("run again whenever a file changes", "test . --watch"),
        ("change the policies a little at a time, and see whether a case fails", "test . --mutate"),
        ("require that most changes are noticed", "test . --mutate --min-score 90"),
        ("write the cases that would notice the others", "test . --mutate --suggest -o missing_test.yaml"),
        ("make a suite of logged decisions", "test . --record decisions.jsonl -o recorded_test.yaml"),
        ("decide random requests for a minute", "test . --fuzz --seconds 60"),
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
@format_option(*(format for format in RunFormat if format not in _FILES))
@click.option("--junit", metavar="FILE", type=click.Path(path_type=Path), help="Also write JUnit XML to FILE.")
@click.option("--lcov", metavar="FILE", type=click.Path(path_type=Path), help="Also write coverage as LCOV to FILE.")
@click.option(
    "--cobertura",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Also write coverage as Cobertura XML to FILE.",
)
@click.option(
    "--html",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Also write an HTML page to FILE: the policies with what is covered, and what would cover the rest.",
)
@click.option(
    "--coverage",
    is_flag=True,
    help="List what no case covers, with a request that would or why there is none, and every rule in a table.",
)
@click.option("--suggest", is_flag=True, help="Print the missing cases as a suite instead of the results.")
@click.option(
    "--output", "-o", "target", metavar="FILE", type=click.Path(path_type=Path), help="Write the suggestions to FILE."
)
@click.option(
    "--min-coverage",
    metavar="MINIMUMS",
    type=_Minimums(),
    help="Exit with 5 if less is covered: percent of the rules, or of several measures, as `rules=100,mcdc=90`.",
)
@click.option("--watch", is_flag=True, help="Run again whenever a YAML file in PATH changes, until Ctrl-C.")
@gathered("asked", Trying, TRYING_OPTIONS)
def command(
    paths: tuple[Path, ...],
    filter_text: str | None,
    output: str,
    coverage: bool,
    min_coverage: Minimums | None,
    watch: bool,
    suggest: bool,
    target: Path | None,
    asked: Trying,
    **files: Path | None,
) -> ExitCode:
    """Run every suite in PATH, files or directories; defaults to the current directory.

    A suite is a document of kind Suite, usually in a file named `*_test.yaml`. A run without cases fails.
    """
    if mode := asked.mode({"watch": watch, "coverage": coverage, "min_coverage": min_coverage, **files}):
        return try_out(mode, asked, paths, filter_text, output, suggest, target)
    if coverage and output not in (RunFormat.PRETTY, RunFormat.JSON):
        raise click.UsageError("`--coverage` needs `--format pretty` or `--format json`")
    if target is not None and not suggest:
        raise click.UsageError("`--output` needs `--suggest`")
    check_folder_of(target)
    if suggest and (watch or coverage or output != RunFormat.PRETTY):
        raise click.UsageError(
            "`--suggest` prints a suite; it goes with neither `--watch`, `--coverage` nor `--format`"
        )
    if files[RunFormat.HTML] is not None and find_spec("jinja2") is None:
        raise InputError("`Jinja2` is not installed; pip install 'costlens-policy[report]'")
    written = {format: path for format in _FILES if (path := files[format]) is not None}
    options = _Options(paths, filter_text, output, written, coverage, min_coverage, suggest, target)
    return _run_watching(options) if watch else _run_once(options)


@frozen
class _Options:
    """What was asked for on the command line."""

    paths: tuple[Path, ...]
    filter: str | None
    format: str
    files: Mapping[RunFormat, Path]
    """What is written to files beside what is printed."""
    lists_rules: bool
    min_coverage: Minimums | None
    suggests: bool
    target: Path | None


def _run_once(options: _Options) -> ExitCode:
    """Run the suites and print what came of them."""
    run = _run(options)
    _check_files(run, options)
    return _print(run, options)


def _check_files(run: Run, options: _Options) -> None:
    """Raise ``InputError`` for a file to write that the run has read, such as a policy or a suite."""
    read = {Path(name).resolve() for name in run.sources}
    for format, path in options.files.items():
        if path.resolve() in read or (path.is_file() and path.suffix.lower() in _READ):
            raise InputError(f"`--{format}` must name a file of its own, got `{path}`, which is there to be read")


def _run_watching(options: _Options) -> ExitCode:
    """Run and print, again after every change, until Ctrl-C."""
    from costlens_policy.diagnostics.suggestion import listed
    from costlens_policy.testing.run import watch

    for event in watch(options.paths, lambda: _run(options)):
        if sys.stdout.isatty():
            click.clear()
        if event.changed:
            note(f"{listed(event.changed, most=4)} changed")
        _check_files(event.run, options)
        _print(event.run, options)
        note("watching for changes; Ctrl-C stops")
        sys.stdout.flush()
    return ExitCode.OK


def _run(options: _Options) -> Run:
    from costlens_policy.testing import run_suites

    explain = options.lists_rules or options.suggests or RunFormat.HTML in options.files
    return run_suites(options.paths, filter=options.filter, min_coverage=options.min_coverage, explain=explain)


def _print(run: Run, options: _Options) -> ExitCode:
    if options.suggests:
        _suggest(run, options.target)
    else:
        write_out(render(run, options.format, color=prints_color(sys.stdout)))
    if options.lists_rules and options.format == RunFormat.PRETTY:
        _list_rules(run)
    for format, path in options.files.items():
        write_file(path, render(run, format).encode())
    is_begun = options.suggests and run.found == 0 and run.suggestions  # a suite where there was none
    return ExitCode.OK if is_begun and not run.diagnostics else ExitCode(run.exit_code)


def _suggest(run: Run, target: Path | None) -> None:
    """Write the missing cases: a suite for each policy set, and what they come to as a note."""
    from costlens_policy.diagnostics.render import render as render_diagnostics
    from costlens_policy.testing.formats.sentences import suggestions_sentence

    if any(item.is_error for item in run.diagnostics):
        note(render_diagnostics(run.diagnostics, "full", run.lines_of, color=prints_color(sys.stderr)).rstrip())
        return
    folder = Path.cwd() if target is None else target.resolve().parent
    text = "---\n".join(suite.written(folder) for suite in run.suggestions)
    write_suggestions(text, target)
    note(suggestions_sentence(run))


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
