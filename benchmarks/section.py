"""What a measurement found, as a table for people and as JSON."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.table import Table

__all__ = ["Cell", "Section", "run_section", "show", "table_of"]

Cell = str | int | float | None
"""``None`` where nothing was measured."""


@dataclass(frozen=True, slots=True)
class Section:
    """One table. ``title`` names the unit; each row has a cell for each column, the first being what was measured.

    ``notes`` say what was left out, and why.
    """

    name: str
    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    notes: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return the section as JSON-like data, each row by the names of the columns."""
        rows = [dict(zip(self.columns, row, strict=True)) for row in self.rows]
        return {"name": self.name, "title": self.title, "rows": rows, "notes": list(self.notes)}


def run_section(name: str, measure: Callable[..., Section], arguments: Sequence[str]) -> int:
    """Do as ``python -m benchmarks.NAME [--quick] [--json]`` asks; return the exit code."""
    if not set(arguments) <= {"--quick", "--json"}:
        print(f"usage: python -m benchmarks.{name} [--quick] [--json]", file=sys.stderr)  # noqa: T201 (a command)
        return 2
    show(measure(quick="--quick" in arguments), as_json="--json" in arguments)
    return 0


def show(section: Section, *, as_json: bool) -> None:
    """Print a section, as a line of JSON or as a table with its notes."""
    if as_json:
        print(json.dumps(section.to_dict()), flush=True)  # noqa: T201 (a command)
        return
    console = Console(width=None if Console().is_terminal else 120)
    console.print(table_of(section) if section.rows else section.title)
    for note in section.notes:
        console.print(note)
    console.print()


def table_of(section: Section) -> Table:
    table = Table(title=section.title, title_justify="left")
    for number, column in enumerate(section.columns):
        table.add_column(column, justify="right" if number else "left")
    for row in section.rows:
        table.add_row(*_texts(row))
    return table


def _texts(row: Sequence[Cell]) -> list[str]:
    return [_text(cell) for cell in row]


def _text(cell: Cell) -> str:
    if cell is None:
        return "-"
    if isinstance(cell, float):
        return f"{cell:,.2f}" if abs(cell) < 100 else f"{cell:,.0f}"
    return f"{cell:,}" if isinstance(cell, int) else cell
