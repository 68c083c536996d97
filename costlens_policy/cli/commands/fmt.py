"""``fmt``: format policy files."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from costlens_policy.cli.command import Command
from costlens_policy.cli.exit_codes import ExitCode, NothingError, exit_code_of
from costlens_policy.cli.output import difference, note, render_diagnostics, standard_input, write_file, write_out
from costlens_policy.diagnostics.model import Diagnostic, PolicyError
from costlens_policy.frozen import frozen

if TYPE_CHECKING:
    from costlens_policy.checker.library import File

__all__ = ["command"]


@click.command(
    "fmt",
    cls=Command,
    short_help="Format policy files, keeping comments.",
    examples=[
        ("format every document in this directory", "fmt ."),
        ("only list files that are not formatted, as CI does", "fmt --check ."),
        ("show what would change", "fmt --diff policies"),
        ("format standard input, for an editor", "fmt - < policies/routing.yaml"),
    ],
    exits=[ExitCode.INVALID, ExitCode.NOTHING],
)
@click.argument("paths", metavar="PATH...", nargs=-1, required=True, type=click.Path(path_type=str, allow_dash=True))
@click.option("--check", is_flag=True, help="Write nothing; exit with 1 if a file is not formatted.")
@click.option("--diff", is_flag=True, help="Write nothing; print what would change.")
def command(paths: tuple[str, ...], check: bool, diff: bool) -> ExitCode:
    """Format YAML files, keeping comments and meaning. A formatted file is left untouched.

    In directories, only documents of this program are formatted; a file named here is always formatted. `-` formats
    standard input to standard output.
    """
    mode = _Mode(writes=not (check or diff), check=check, diff=diff)
    if "-" not in paths:
        return _format_paths([Path(path) for path in paths], mode)
    if len(paths) > 1:
        raise click.UsageError("`-` cannot be combined with other paths")
    return _format_stdin(mode)


_OURS = "costlens-policy/"


@frozen
class _Mode:
    """What to do with a file that is not formatted."""

    writes: bool
    check: bool
    diff: bool


def _format_paths(paths: Iterable[Path], mode: _Mode) -> ExitCode:
    """Format files and the documents in folders; a summary goes to standard error."""
    changed = same = 0
    problems: list[Diagnostic] = []
    for file in _files(paths):
        try:
            differs = _format_file(file, mode)
        except PolicyError as error:
            problems.extend(error.diagnostics)
            continue
        changed += differs
        same += not differs
    if problems:
        note(render_diagnostics(problems, stderr=True).rstrip())
    if not changed and not same and not problems:
        raise NothingError(
            f"no policy file in {', '.join(f'`{path}`' for path in paths)}; `costlens-policy init` writes a starter"
        )
    note(_summary(changed, same, mode))
    unformatted = ExitCode.INVALID if changed and mode.check else ExitCode.OK
    return exit_code_of(problems) or unformatted


def _format_stdin(mode: _Mode) -> ExitCode:
    """Format standard input to standard output."""
    from costlens_policy.source.formatting import format_source
    from costlens_policy.source.read import read_stdin

    source = read_stdin(standard_input())
    try:
        formatted = format_source(source)
    except PolicyError as error:
        note(render_diagnostics(error.diagnostics, sources=[source], stderr=True).rstrip())
        return exit_code_of(error.diagnostics)
    if mode.diff:
        write_out(difference(source, formatted))
    elif not mode.check:
        sys.stdout.write(formatted)
    return ExitCode.INVALID if mode.check and formatted != source.text else ExitCode.OK


def _files(paths: Iterable[Path]) -> Iterator[File]:
    """Yield each file once: those named, and in folders those that hold a document of this program."""
    from costlens_policy.bundles.archive import is_bundle
    from costlens_policy.checker.library import Library
    from costlens_policy.source.read import yaml_files

    library, seen = Library(), set()
    for path in paths:
        if is_bundle(path):
            raise click.UsageError(f"`{path}` is a bundle; format the files that it was built from")
        if path.is_dir():
            found = [file for name in yaml_files(path) if _is_ours(file := library.open(name))]
        else:
            found = [library.open(path)]
        for file in found:
            if file not in seen:
                seen.add(file)
                yield file


def _is_ours(file: File) -> bool:
    """Return whether a file is meant for this program, also where it cannot be read as YAML."""
    return any(reading.is_ours for reading in file.readings) or (not file.readings and _OURS in file.text)


def _format_file(file: File, mode: _Mode) -> bool:
    from costlens_policy.source.formatting import format_source

    source = file.source
    if source is None:
        raise PolicyError(file.diagnostics)
    formatted = format_source(source)
    if formatted == source.text:
        return False
    if mode.diff:
        write_out(difference(source, formatted))
    else:
        write_out(file.name)
    if mode.writes:
        write_file(file.resolved, formatted.encode())
    return True


def _summary(changed: int, same: int, mode: _Mode) -> str:
    done = "formatted" if mode.writes else "not formatted"
    return f"{changed} {'file' if changed == 1 else 'files'} {done}, {same} unchanged"
