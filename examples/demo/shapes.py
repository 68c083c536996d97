"""The layout of the tables of the demo."""

from __future__ import annotations

from collections.abc import Iterable

from rich import box
from rich.table import Table

__all__ = ["table"]

_LAST = 36
"""Maximum width of the last column, which may have sentences; the others should stay on one line."""


def table(title: str, headings: Iterable[str], *, caption: str = "", numbers: Iterable[str] = ()) -> Table:
    """Return an empty table; the columns of numbers are right-aligned."""
    made = Table(
        title=f"\n{title}", title_justify="left", title_style="bold", caption=caption or None, caption_justify="left",
        caption_style="dim", box=box.SIMPLE_HEAD, pad_edge=False,
    )  # fmt: skip
    *short, last = headings
    for heading in short:
        made.add_column(heading, justify="right" if heading in numbers else "left", overflow="fold")
    made.add_column(last, justify="right" if last in numbers else "left", overflow="fold", max_width=_LAST)
    return made
