"""Budgets as a table that a person likes to read."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from decimal import ROUND_CEILING, ROUND_HALF_UP, Decimal
from typing import Final

from rich.markup import escape
from rich.table import Table
from rich.text import Text

from costlens_policy.cli.budgets.rows import Row
from costlens_policy.diagnostics.render.characters import printable
from costlens_policy.guard.spending import Spend

__all__ = ["shown", "shown_length", "table_of"]

_BAR: Final = 20
_NEARLY: Final = Decimal("0.8")


def table_of(rows: Iterable[Row], now: datetime) -> Table:
    """Return one line for each budget and scope key."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for heading in ("budget", "key"):
        table.add_column(heading, overflow="fold")
    table.add_column("", no_wrap=True)
    for heading in ("", "used", "held", "left", "limit", "a day", "lasts", "resets in"):
        table.add_column(heading, justify="right", no_wrap=True)
    before = ""
    for row in rows:
        spend = row.spend
        name = spend.budget + (" (shadow)" if spend.shadow else "")
        table.add_row(
            escape(printable(name)) if name != before else "",
            escape(printable(spend.key)),
            _bar(spend),
            _percent(spend),
            shown(spend.used, spend.unit),
            shown(spend.held, spend.unit) if spend.held else "",
            "" if spend.left is None else shown(spend.left, spend.unit),
            _limit(spend),
            "" if not row.forecast.used_per_day else shown(row.forecast.used_per_day, spend.unit),
            _lasts(row, now),
            _resets(spend, now),
        )
        before = name
    return table


def shown(amount: Decimal, unit: str) -> str:
    """Return an amount short enough for a column: cents, or as many digits as a small amount needs."""
    if unit == "usd":
        digits = Decimal("0.01") if amount >= 1 or not amount else Decimal("0.0001")
        rounded = amount.quantize(digits, ROUND_HALF_UP if amount >= digits else ROUND_CEILING)
        return f"${rounded:,f}"
    whole = amount.quantize(Decimal(1), ROUND_HALF_UP)
    for size, name in ((10**9, "B"), (10**6, "M")):
        if whole >= 10 * size:
            return f"{whole / size:,.1f}{name}"
    return f"{whole:,f}"


def shown_length(length: timedelta) -> str:
    """Return a length of time in its two largest units, such as ``3d 4h`` or ``12m``."""
    seconds = max(0, int(length.total_seconds()))
    parts: list[str] = []
    for size, name in ((86_400, "d"), (3600, "h"), (60, "m"), (1, "s")):
        count, seconds = divmod(seconds, size)
        if count or parts:
            parts.append(f"{count}{name}" if count else "")
        if len(parts) == 2:
            break
    return " ".join(part for part in parts if part) or "0s"


def _bar(spend: Spend) -> Text:
    """Draw what is used in full blocks, what is held in lighter ones, what is left in dots."""
    if not spend.limit:
        return Text("")
    used = _blocks(spend.used, spend.limit)
    held = min(_blocks(spend.used + spend.held, spend.limit) - used, _BAR - used)
    return Text.assemble(
        ("█" * used, _color(spend)), ("▒" * held, _color(spend)), ("·" * (_BAR - used - held), "dim")
    )  # fmt: skip


def _blocks(amount: Decimal, limit: Decimal) -> int:
    blocks = int((amount * _BAR / limit).to_integral_value(ROUND_HALF_UP))
    return min(_BAR, max(blocks, 1 if amount else 0))


def _percent(spend: Spend) -> Text:
    ratio = spend.used_ratio
    if ratio is None:
        return Text("")
    return Text(f"{ratio * 100:.0f} %" if ratio < 10 else "> 999 %", _color(spend))


def _color(spend: Spend) -> str:
    ratio = spend.used_ratio or Decimal(0)
    return "red" if ratio >= 1 else "yellow" if ratio >= _NEARLY else "green"


def _limit(spend: Spend) -> str:
    if spend.limit is None:
        return "by request"
    return shown(spend.limit, spend.unit) + ("*" if spend.changed_by_hand else "")


def _lasts(row: Row, now: datetime) -> Text:
    """Return how long the rest lasts, marked where that ends before the period does."""
    lasts = row.forecast.exhausted_in
    if lasts is None:
        return Text("")
    resets_at = row.spend.resets_at
    if resets_at is not None and now + lasts >= resets_at:
        return Text("to its end", "dim")
    return Text(shown_length(lasts), "yellow" if lasts else "red")


def _resets(spend: Spend, now: datetime) -> str:
    if spend.resets_at is not None:
        return shown_length(spend.resets_at - now)
    return "never" if spend.starts_at is None else f"last {shown_length(now - spend.starts_at)}"
