"""Words to people: on which stream, and in colour only where somebody sees it."""

from __future__ import annotations

import io
import os
import shutil
import sys
from typing import TYPE_CHECKING, BinaryIO, TextIO

import click

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
    """Write to standard output as it is; a missing line end is added."""
    if text:
        click.echo(text, nl=not text.endswith("\n"), color=True)


def note(text: str) -> None:
    """Say something on standard error that is not part of the result."""
    click.echo(text, err=True, color=prints_color(sys.stderr))


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
