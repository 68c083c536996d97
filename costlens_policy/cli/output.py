"""What commands print and write: in color only where somebody sees it, and files whole or not at all."""

from __future__ import annotations

import contextlib
import io
import os
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, BinaryIO, Final, TextIO

import click

from costlens_policy.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path

    from rich.table import Table

    from costlens_policy.diagnostics.model import Diagnostic
    from costlens_policy.diagnostics.text import LinesOf
    from costlens_policy.source.located import SourceText

__all__ = [
    "difference", "note", "print_error", "print_or_write", "print_table", "prints_color", "render_diagnostics",
    "shown_as", "standard_input", "write_file", "write_json", "write_new_suite", "write_out",
]  # fmt: skip


def prints_color(stream: TextIO) -> bool:
    """Return whether to use color: NO_COLOR wins, then FORCE_COLOR, then whether the stream is a terminal."""
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR", "") not in ("", "0"):
        return True
    return stream.isatty() and os.environ.get("TERM") != "dumb"


def write_out(text: str) -> None:
    """Write to standard output; a missing line end is added. Texts of users cannot command a terminal."""
    if text:
        click.echo(_tamed(text, prints_color(sys.stdout)), nl=not text.endswith("\n"), color=True)


def write_json(data: object) -> None:
    """Write data to standard output as JSON."""
    import json

    write_out(json.dumps(data, indent=2, ensure_ascii=False))


def note(text: str) -> None:
    """Print on standard error what is not part of the result."""
    click.echo(_tamed(text, prints_color(sys.stderr)), err=True, color=prints_color(sys.stderr))


_SHOWN: Final[dict[str, str]] = {}


@contextmanager
def shown_as(folder: Path, name: str) -> Iterator[None]:
    """Print the paths of a temporary folder, whose name nobody else has, as those of what was laid out in it."""
    _SHOWN[os.fspath(folder)] = name
    try:
        yield
    finally:
        del _SHOWN[os.fspath(folder)]


def _renamed(text: str) -> str:
    for folder, name in _SHOWN.items():
        text = text.replace(folder, name)
    return text


def _tamed(text: str, color: bool) -> str:
    """Return a text without controls but for colors; in JSON they become escapes, elsewhere they are shown by name."""
    from costlens_policy.diagnostics.text import escaped, safe  # help and version print nothing through here

    text = _renamed(text)
    if not color:
        text = click.unstyle(text)
    if safe(text) == text:
        return text
    if text.lstrip()[:1] in ("{", "[", '"') and _is_json(text):
        return escaped(text)
    parts = _COLORS.split(text)
    return "".join(part if place % 2 else safe(part) for place, part in enumerate(parts))


def _is_json(text: str) -> bool:
    """Return whether a text is JSON, or JSON on each of its lines."""
    import json

    for parts in ((text,), text.split("\n")):
        try:
            for part in filter(None, parts):
                json.loads(part)
        except ValueError:
            continue
        return True
    return False


_COLORS: Final = re.compile("(\x1b\\[[0-9;]*m)")


def print_error(message: str, help: str = "") -> None:
    """Print an error in the form of a diagnostic, with what to do next."""
    note(f"{click.style('error', fg='red', bold=True)}: {message}")
    if help:
        note(f"  = help: {help}")


def standard_input() -> BinaryIO:
    """Return standard input as bytes. Raises ``InputError`` where it is closed."""
    if sys.stdin is None:
        raise InputError("standard input is closed; name a file instead of `-`")
    if sys.stdin.isatty():
        note("reading standard input; end it with Ctrl-D")
    return sys.stdin.buffer


_WIDE = 240  # a table that is piped into a file is not cut at the width of a terminal


def table_width() -> int:
    """Return how many characters of a line ``print_table`` has."""
    import shutil

    return shutil.get_terminal_size().columns if sys.stdout.isatty() else _WIDE


def print_table(table: Table) -> None:
    """Print a table on standard output, as wide as the terminal, or as it needs to be where there is none."""
    from rich.console import Console

    color = prints_color(sys.stdout)
    console = Console(
        file=io.StringIO(),
        force_terminal=color,
        no_color=not color,
        highlight=False,
        emoji=False,
        width=table_width(),
    )
    console.print(table)
    assert isinstance(console.file, io.StringIO)
    write_out("\n".join(line.rstrip() for line in console.file.getvalue().splitlines()))


def render_diagnostics(
    diagnostics: Iterable[Diagnostic], format: str = "full", *, sources: Sequence[SourceText] = (), stderr: bool = False
) -> str:
    """Return diagnostics as text for standard output or standard error. ``sources`` are texts that are in no file."""
    from costlens_policy.diagnostics.render import render

    color = prints_color(sys.stderr if stderr else sys.stdout)
    return render(diagnostics, format, _lines_of(sources), color=color)


def _lines_of(sources: Sequence[SourceText]) -> LinesOf:
    from costlens_policy.diagnostics.model import PolicyError
    from costlens_policy.source.read import read_source

    @cache
    def lines(name: str) -> Sequence[str] | None:
        for source in sources:
            if source.name == name:
                return source.lines()
        try:
            return read_source(name).lines()
        except PolicyError:  # what cannot be read has been reported already
            return None

    return lines


def print_or_write(text: str, target: Path | None) -> None:
    """Write a result into a file and name it on standard error, or print it where there is no file."""
    if target is None:
        write_out(text)
        return
    write_file(target, _renamed(text).encode())
    note(f"wrote `{target}`")


def difference(source: SourceText, changed: str) -> str:
    """Return what changes in a file as a unified diff, in color where standard output takes it."""
    import difflib

    before, after = source.text.splitlines(keepends=True), changed.splitlines(keepends=True)
    lines = difflib.unified_diff(before, after, source.name, source.name)
    text = "".join(_diff_colored(line) if line.endswith("\n") else f"{_diff_colored(line)}\n" for line in lines)
    return text if prints_color(sys.stdout) else click.unstyle(text)


def _diff_colored(line: str) -> str:
    color = {"-": "red", "+": "green", "@": "cyan"}.get(line[:1])
    return click.style(line, fg=color, reset=True) if color else line


def write_file(path: Path, data: bytes) -> None:
    """Write a whole file or nothing: into a new file beside it, which then takes its name.

    Folders on the way are made; a link stays a link; the permissions of a file that exists stay. Raises ``InputError``.
    """
    try:
        target = path.resolve()
        target.parent.mkdir(parents=True, exist_ok=True)
        _replace(target, data)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise InputError(f"`{path}` cannot be written: {reason.lower()}") from error


def write_new_suite(path: Path, text: str) -> None:
    """Write a suite that people will edit, and so never over a file that is there. Raises ``InputError``."""
    if path.exists() or path.is_symlink():
        raise InputError(f"`{path}` exists and is not written over; name a new file, or remove it first")
    write_file(path, text.encode())


def _replace(target: Path, data: bytes) -> None:
    import tempfile

    if target.is_dir():
        raise IsADirectoryError(21, "is a directory")
    mode = target.stat().st_mode & 0o7777 if target.exists() else 0o666 & ~_umask()
    descriptor, name = tempfile.mkstemp(prefix=f".{target.name}.", suffix=".new", dir=target.parent)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(descriptor)
        os.chmod(name, mode)
        os.replace(name, target)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(name)
        raise


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
