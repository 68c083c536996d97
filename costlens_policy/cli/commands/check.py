"""``check``: examine policies and report every problem."""

from __future__ import annotations

import os
from collections.abc import Collection, Hashable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from costlens_policy.cli.command import Command
from costlens_policy.cli.exit_codes import ExitCode, NothingError, exit_code_of
from costlens_policy.cli.formats import format_option
from costlens_policy.cli.options import documents_argument
from costlens_policy.cli.output import note, render_diagnostics, write_out
from costlens_policy.diagnostics.model import Diagnostic, Severity, in_order
from costlens_policy.diagnostics.render import FORMATS
from costlens_policy.diagnostics.suggestion import listed
from costlens_policy.diagnostics.text import summary

if TYPE_CHECKING:
    from costlens_policy.checker import CheckedBundle
    from costlens_policy.checker.whole import Checked

__all__ = ["command"]

_START: Final = "`costlens-policy init` writes a starter"


@click.command(
    "check",
    cls=Command,
    short_help="Check policies and report every problem at its line and column.",
    examples=[
        ("check everything in this directory", "check ."),
        ("treat warnings as errors", "check --strict policies"),
        ("annotate the lines of a pull request", "check . --format github"),
        ("write a log for code scanning", "check . --format sarif > policies.sarif"),
    ],
    exits=[ExitCode.INVALID, ExitCode.NOTHING],
)
@documents_argument
@format_option(*FORMATS)
@click.option("--strict", is_flag=True, help="Treat warnings as errors.")
@click.option("--verbose", "-v", is_flag=True, help="Also note conditions that are searched, not decided.")
@click.option(
    "--limit",
    type=click.FloatRange(min=0, min_open=True),
    default=60,
    show_default=True,
    metavar="SECONDS",
    help="End the examination of a policy set after this time.",
)
def command(paths: tuple[Path, ...], output: str, strict: bool, verbose: bool, limit: float) -> ExitCode:
    """Check every policy set, policy, catalogue and suite in PATH, files or directories.

    PATH defaults to the current directory. A policy or catalogue is checked with every set of its repository that lists
    it, a suite against the set that it tests, as `test` does before it runs. Documents of this program that no set
    lists, or that cannot be read, are reported.

    Every problem is reported at once, with its place and a code that `explain` describes.
    """
    from costlens_policy.assurance import examine
    from costlens_policy.checker import check_all
    from costlens_policy.proof import examine_invariants
    from costlens_policy.source.suppressions import suppress, unused_suppressions
    from costlens_policy.testing import examine_suites

    checked = check_all(paths)
    sets = _by_file(checked)
    suites, invariants = examine_suites(paths, sets), examine_invariants(paths, sets)
    found = (item for bundle in checked.bundles for item in examine(bundle, seconds=limit))
    texts = (*suites.sources, *invariants.sources, *checked.sources.values())
    sources = {source.name: source for source in texts}
    diagnostics = _once(suppress((*checked.diagnostics, *suites.diagnostics, *invariants.diagnostics, *found), sources))
    if not any(item.is_error and item.stops for item in diagnostics):  # else not everything was examined
        diagnostics = in_order((*diagnostics, *unused_suppressions(diagnostics, sources)))
    searched = [item for item in diagnostics if item.code == "CL490" and item.severity is Severity.NOTE]
    if not verbose:
        diagnostics = tuple(item for item in diagnostics if item not in searched)
    files = _examined(paths, checked, diagnostics) | {source.name for source in suites.sources}
    if not files and not diagnostics:
        return _nothing(paths, output)
    write_out(render_diagnostics(diagnostics, output, sources=tuple(sources.values())))
    note(summary(diagnostics, len({os.path.realpath(name) for name in files})))
    _note_what_was_left(checked.broken, len(searched), verbose)
    if strict and any(item.severity is Severity.WARNING and not item.suppressed for item in diagnostics):
        return exit_code_of(diagnostics) or ExitCode.INVALID
    return exit_code_of(diagnostics)


def _note_what_was_left(broken: Collection[Path], searched: int, verbose: bool) -> None:
    """Report what the absence of findings says nothing about."""
    if broken:
        sets = "a policy set" if len(broken) == 1 else f"{len(broken)} policy sets"
        note(f"{sets} with errors: what the rules do to requests is examined once they are corrected")
    if searched:
        conditions = "1 condition was" if searched == 1 else f"{searched} conditions were"
        note(f"{conditions} searched, not decided" + ("" if verbose else "; `--verbose` shows them"))


def _nothing(paths: Sequence[Path], output: str) -> ExitCode:
    """Report that there is nothing to check: to a program on standard output, in the format that it asked for."""
    message = f"no policy file in {listed(map(str, paths))}"
    if output == "full":
        raise NothingError(f"{message}; {_START}")
    write_out(render_diagnostics([Diagnostic("CL201", Severity.ERROR, message, help=_START)], output))
    return ExitCode.NOTHING


def _by_file(checked: Checked) -> dict[Path, CheckedBundle | None]:
    """Return the policy sets that stand alone in their files, so that suites need not check them again."""
    files = [Path(bundle.linked.policy_set.located.source.name).resolve() for bundle in checked.bundles]
    alone = {file: bundle for file, bundle in zip(files, checked.bundles, strict=True) if files.count(file) == 1}
    return {**alone, **dict.fromkeys(checked.broken)}


def _once(diagnostics: Iterable[Diagnostic]) -> tuple[Diagnostic, ...]:
    """Drop what has been found twice in a file that goes by two names."""
    kept: dict[Hashable, Diagnostic] = {}
    for item in diagnostics:
        place = None if item.span is None else (os.path.realpath(item.span.file), item.span.start, item.span.end)
        kept.setdefault((item.code, place, item.message if place is None else item.label, item.severity), item)
    return in_order(kept.values())


def _examined(paths: Sequence[Path], checked: Checked, diagnostics: Iterable[Diagnostic]) -> frozenset[str]:
    """Return the files that were named, hold a document of this program, or have something wrong with them."""
    blamed = {item.span.file for item in diagnostics if item.span is not None}
    return checked.files | blamed | {str(path) for path in paths if not path.is_dir()}
