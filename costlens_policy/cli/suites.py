"""What ``test`` does: run suites, print the report, write JUnit, and do it again when a file changes."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import click

from costlens_policy.cli.console import note, print_table, prints_color, write_out
from costlens_policy.cli.exit_codes import ExitCode
from costlens_policy.cli.files import write_file
from costlens_policy.diagnostics.suggestion import listed
from costlens_policy.testing import Run, render, run_suites
from costlens_policy.testing.run import watch

__all__ = ["Wish", "run_once", "run_watching"]


@dataclass(frozen=True, slots=True)
class Wish:
    """What was asked on the command line."""

    paths: tuple[Path, ...]
    filter: str | None
    format: str
    junit: Path | None
    lists_rules: bool
    min_coverage: int | None


def run_once(wish: Wish) -> ExitCode:
    """Run the suites and report."""
    return _report(_run(wish), wish)


def run_watching(wish: Wish) -> ExitCode:
    """Run and report, again after every change, until Ctrl-C."""
    for event in watch(wish.paths, lambda: _run(wish)):
        if sys.stdout.isatty():
            click.clear()
        if event.changed:
            note(f"{listed(event.changed, most=4)} changed")
        _report(event.run, wish)
        note("watching; Ctrl-C ends")
        sys.stdout.flush()
    return ExitCode.OK


def _run(wish: Wish) -> Run:
    return run_suites(wish.paths, filter=wish.filter, min_coverage=wish.min_coverage)


def _report(run: Run, wish: Wish) -> ExitCode:
    write_out(render(run, wish.format, color=prints_color(sys.stdout)))
    if wish.lists_rules:
        _list_rules(run)
    if wish.junit is not None:
        write_file(wish.junit, render(run, "junit").encode())
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
