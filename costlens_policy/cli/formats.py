"""Output formats of commands: a row names a format and its renderer; option, help and printing follow from the row."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from costlens_policy.cli.output import print_table, write_out

if TYPE_CHECKING:
    from rich.table import Table

    from costlens_policy.replay.tables import Summary, SummaryTable

__all__ = ["SUMMARY_FORMATS", "Formats", "format_option", "summary_text"]

_Function = TypeVar("_Function", bound=Callable[..., Any])


class Formats:
    """The formats that a result can be printed in, the default first.

    Each is named with the ``module:function`` that renders it, which is imported when the format is asked for. A
    renderer is given the result, and returns a text or yields texts and tables in order.
    """

    def __init__(self, **renderers: str) -> None:
        self._renderers: Final = renderers

    def option(self, function: _Function) -> _Function:
        """Add ``--format`` with these formats."""
        return format_option(*self._renderers)(function)

    def renderer(self, format: str) -> Callable[[Any], str | Iterable[str | Table]]:
        """Import and return the renderer of a format."""
        module, _, function = self._renderers[format].partition(":")
        found: Callable[[Any], str | Iterable[str | Table]] = getattr(import_module(module), function)
        return found

    def print(self, result: object, format: str) -> None:
        """Print a result on standard output."""
        rendered = self.renderer(format)(result)
        for part in (rendered,) if isinstance(rendered, str) else rendered:
            if isinstance(part, str):
                write_out(part)
            else:
                print_table(part)

    def __iter__(self) -> Iterator[str]:
        return iter(self._renderers)


def format_option(*formats: str) -> Callable[[_Function], _Function]:
    """Add ``--format``, as ``output``, with the first of the formats as the default."""
    names = [str(name) for name in formats]  # click would offer the names of an enum's members, not their values
    return click.option(
        "--format",
        "output",
        type=click.Choice(names),
        default=names[0],
        show_default=True,
        metavar="FORMAT",
        help=f"Output format: {', '.join(f'`{name}`' for name in names)}.",
    )


SUMMARY_FORMATS: Final = Formats(
    text="costlens_policy.cli.formats:summary_text",
    json="costlens_policy.replay.tables:as_json",
    markdown="costlens_policy.replay.tables:markdown",
)
"""What came of recorded traffic: the output of ``replay``, ``diff`` and ``catalogue diff``."""


def summary_text(summary: Summary) -> Iterator[str | Table]:
    """Yield a summary for the terminal."""
    from costlens_policy.diagnostics.text import printable

    yield summary.verdict + "\n"
    yield from (_rich(table) for table in summary.tables if table.rows)
    yield from (f"note: {printable(text)}" for text in summary.notes)
    for number, text in enumerate(map(printable, summary.assumptions)):
        yield f"  - {text}" if number else f"\nassumptions:\n  - {text}"


def _rich(table: SummaryTable) -> Table:
    from rich.markup import escape
    from rich.table import Table

    from costlens_policy.diagnostics.text import printable

    shown = Table(title=escape(table.title), title_justify="left", title_style="bold")
    for index, heading in enumerate(table.headings):
        shown.add_column(heading, justify="right" if index in table.numbers else "left", overflow="fold")
    for row in table.rows:
        shown.add_row(*(escape(printable(cell)) for cell in row))
    return shown
