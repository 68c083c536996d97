"""The table of budgets in terminals of any width: numbers are whole, or their column is left out."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from rich.console import Console

from costlens_policy.cli.commands.budget.table import Row, row_of, table_of
from costlens_policy.guard import Spend

NOW = datetime(2026, 11, 16, tzinfo=UTC)


def _row(key: str, used: str, held: str, limit: str | None) -> Row:
    amounts = (Decimal(used), Decimal(held), None if limit is None else Decimal(limit))
    left = None if limit is None else max(Decimal(limit) - Decimal(used) - Decimal(held), Decimal(0))
    start, end = datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 12, 1, tzinfo=UTC)
    return row_of(Spend("caps/team", key, "usd", *amounts, left, start, end, shadow=False, changed_by_hand=False), NOW)


ROWS = [
    _row("research", "4321.5", "12", "5000"),
    _row("a team whose name is longer than any column", "0.5", "0", "100"),
    _row("by-request", "3", "1", None),
]


def _printed(width: int) -> list[str]:
    console = Console(width=width, no_color=True, record=True, file=None, force_terminal=False)
    with console.capture() as capture:
        console.print(table_of(ROWS, NOW, width))
    return capture.get().splitlines()


@pytest.mark.parametrize("width", range(45, 140, 5))
def test_nothing_is_cut(width: int) -> None:
    lines = _printed(width)
    assert not any("…" in line for line in lines)
    (research,) = [line for line in lines if "research" in line]
    assert "$4,321.50" in research
    assert "$666.50" in research


@pytest.mark.parametrize(
    ("width", "headings"),
    [
        (160, ["budget", "key", "used", "held", "left", "limit", "a", "day", "lasts", "resets", "in"]),
        (110, ["budget", "key", "used", "held", "left", "limit", "lasts", "resets", "in"]),
        (80, ["budget", "key", "used", "held", "left", "resets", "in"]),
        (50, ["budget", "key", "used", "left"]),
    ],
)
def test_what_matters_least_is_left_out_first(width: int, headings: list[str]) -> None:
    assert _printed(width)[0].split() == headings
