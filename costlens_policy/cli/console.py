"""Words to people: on which stream, and in colour only where somebody sees it."""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import sys
from typing import TYPE_CHECKING, BinaryIO, Final, TextIO

import click

from costlens_policy.diagnostics.text import escaped, safe
from costlens_policy.errors import InputError

if TYPE_CHECKING:
    from rich.table import Table

__all__ = ["note", "print_error", "print_table", "prints_color", "standard_input", "write_out"]

_WIDE = 240  # a table that is piped into a file is not cut at the width of a terminal


def prints_color(stream: TextIO) -> bool:
    """Say whether to colour: NO_COLOR wins, then FORCE_COLOR, then whether the stream is a terminal."""
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR", "") not in ("", "0"):
        return True
    return stream.isatty() and os.environ.get("TERM") != "dumb"


def write_out(text: str) -> None:
    """Write to standard output; a missing line end is added. Nothing that texts of users hold commands a terminal."""
    if text:
        click.echo(_tamed(text, prints_color(sys.stdout)), nl=not text.endswith("\n"), color=True)


def note(text: str) -> None:
    """Say something on standard error that is not part of the result."""
    click.echo(_tamed(text, prints_color(sys.stderr)), err=True, color=prints_color(sys.stderr))


def _tamed(text: str, color: bool) -> str:
    """Return a text without controls but for colors; in JSON they become escapes, elsewhere they are shown by name."""
    if not color:
        text = click.unstyle(text)
    if safe(text) == text:
        return text
    if text.lstrip()[:1] in ("{", "[", '"') and _is_json(text):
        return escaped(text)
    parts = _COLORS.split(text)
    return "".join(part if place % 2 else safe(part) for place, part in enumerate(parts))


def _is_json(text: str) -> bool:
    """Say whether a text is JSON, or JSON on each of its lines."""
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


def table_width() -> int:
    """Return how many characters of a line ``print_table`` has."""
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
