"""What ``fmt`` does: find files, format each, and write, compare or show the result."""

from __future__ import annotations

import difflib
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import click

from costlens_policy.checker.link.library import File, Library
from costlens_policy.cli.console import note, prints_color, standard_input, write_out
from costlens_policy.cli.exit_codes import ExitCode
from costlens_policy.cli.failures import exit_code_of
from costlens_policy.cli.files import write_file
from costlens_policy.cli.nothing import NothingError
from costlens_policy.cli.report import render_report
from costlens_policy.diagnostics.model import Diagnostic, PolicyError
from costlens_policy.source.formatting import format_source
from costlens_policy.source.located import SourceText
from costlens_policy.source.read import read_stdin, yaml_files

__all__ = ["Mode", "format_paths", "format_stdin"]

_OURS = "costlens-policy/"


@dataclass(frozen=True, slots=True)
class Mode:
    """What to do with a file that is not formatted."""

    writes: bool
    check: bool
    diff: bool


def format_paths(paths: Iterable[Path], mode: Mode) -> ExitCode:
    """Format files and the documents in folders; say what was done on standard error."""
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
        note(render_report(problems, stderr=True).rstrip())
    if not changed and not same and not problems:
        raise NothingError(f"no policy file in {', '.join(f'`{path}`' for path in paths)}; `init` writes a starter")
    note(_summary(changed, same, mode))
    unformatted = ExitCode.INVALID if changed and mode.check else ExitCode.OK
    return exit_code_of(problems) or unformatted


def format_stdin(mode: Mode) -> ExitCode:
    """Format standard input to standard output."""
    source = read_stdin(standard_input())
    try:
        formatted = format_source(source)
    except PolicyError as error:
        note(render_report(error.diagnostics, sources=[source], stderr=True).rstrip())
        return exit_code_of(error.diagnostics)
    if mode.diff:
        write_out(_difference(source, formatted))
    elif not mode.check:
        sys.stdout.write(formatted)
    return ExitCode.INVALID if mode.check and formatted != source.text else ExitCode.OK


def _files(paths: Iterable[Path]) -> Iterator[File]:
    """Yield each file once: those named, and in folders those that hold a document of this program."""
    library, seen = Library(), set()
    for path in paths:
        if path.is_dir():
            found = [file for name in yaml_files(path) if _is_ours(file := library.open(name))]
        else:
            found = [library.open(path)]
        for file in found:
            if file not in seen:
                seen.add(file)
                yield file


def _is_ours(file: File) -> bool:
    """Say whether a file is meant for this program, also where it cannot be read as YAML."""
    return any(reading.is_ours for reading in file.readings) or (not file.readings and _OURS in file.text)


def _format_file(file: File, mode: Mode) -> bool:
    source = file.source
    if source is None:
        raise PolicyError(file.diagnostics)
    formatted = format_source(source)
    if formatted == source.text:
        return False
    if mode.diff:
        write_out(_difference(source, formatted))
    else:
        write_out(file.name)
    if mode.writes:
        write_file(file.resolved, formatted.encode())
    return True


def _difference(source: SourceText, formatted: str) -> str:
    before, after = source.text.splitlines(keepends=True), formatted.splitlines(keepends=True)
    lines = difflib.unified_diff(before, after, source.name, source.name)
    text = "".join(_colored(line) if line.endswith("\n") else f"{_colored(line)}\n" for line in lines)
    return text if prints_color(sys.stdout) else click.unstyle(text)


def _colored(line: str) -> str:
    color = {"-": "red", "+": "green", "@": "cyan"}.get(line[:1])
    return click.style(line, fg=color, reset=True) if color else line


def _summary(changed: int, same: int, mode: Mode) -> str:
    done = "formatted" if mode.writes else "not formatted"
    return (
        f"{changed} {'file' if changed == 1 else 'files'} {done}, {same} left as {'it is' if same == 1 else 'they are'}"
    )
