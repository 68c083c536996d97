"""Budgets as a table: their state, how fast they are used, and how long they last."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from decimal import ROUND_CEILING, ROUND_HALF_UP, Decimal
from typing import Any, Final, NamedTuple

from rich.cells import cell_len
from rich.table import Table
from rich.text import Text

from costlens_policy.diagnostics.text import printable
from costlens_policy.frozen import frozen
from costlens_policy.guard.spending import Spend
from costlens_policy.money import plain
from costlens_policy.periods import Forecast, forecast

__all__ = ["Row", "row_of", "shown", "shown_length", "table_of"]


@frozen
class Row:
    """The state of one budget and scope key, and what is to be expected of it."""

    spend: Spend
    forecast: Forecast

    def to_dict(self) -> dict[str, Any]:
        """Return the row as JSON data; amounts are decimal strings in the unit."""
        spend, ahead = self.spend, self.forecast
        return {
            "budget": spend.budget,
            "key": spend.key,
            "unit": spend.unit,
            "used": plain(spend.used),
            "held": plain(spend.held),
            "limit": _text(spend.limit),
            "carried": plain(spend.carried),
            "set_aside": plain(spend.set_aside),
            "reserved": _text(spend.reserved),
            "left": _text(spend.left),
            "used_ratio": _text(spend.used_ratio),
            "used_per_day": _text(ahead.used_per_day),
            "projected_ratio": _text(ahead.projected_ratio),
            "exhausted_in_seconds": None if ahead.exhausted_in is None else int(ahead.exhausted_in.total_seconds()),
            "starts_at": _time(spend.starts_at),
            "resets_at": _time(spend.resets_at),
            "shadow": spend.shadow,
            "overflow": spend.overflow or None,
            "is_overflow": spend.is_overflow,
            "changed_by_hand": spend.changed_by_hand,
        }


def row_of(spend: Spend, now: datetime) -> Row:
    """Return a row as of a time."""
    return Row(spend, forecast(spend.used, spend.left, spend.limit, spend.starts_at, spend.resets_at, now))


def _text(amount: Decimal | None) -> str | None:
    return None if amount is None else plain(amount)


def _time(instant: datetime | None) -> str | None:
    return None if instant is None else instant.isoformat().replace("+00:00", "Z")


_BAR: Final = 20
_NEARLY: Final = Decimal("0.8")
_LONGEST_NAME: Final = 24
"""Longer names are wrapped where there is no room for them."""
_SHORTEST_NAME: Final = 10
_GAP: Final = 2
_ALWAYS: Final = 100


class _Column(NamedTuple):
    """One column. Where a terminal is too narrow for all, those with the lowest ``weight`` are left out first."""

    heading: str
    cells: list[Text]
    weight: int = _ALWAYS
    is_name: bool = False

    @property
    def width(self) -> int:
        """How many characters it needs: names may go over several lines, numbers must not."""
        longest = max([cell_len(self.heading), *(cell.cell_len for cell in self.cells)])
        return min(longest, _LONGEST_NAME) if self.is_name else longest


def table_of(rows: Iterable[Row], now: datetime, width: int) -> Table:
    """Return one line for each budget and scope key, in as many columns as have room in ``width`` characters."""
    columns = _fitting(_columns(list(rows), now), width)
    table = Table(box=None, pad_edge=False, padding=(0, _GAP, 0, 0))
    for column in columns:
        if column.is_name:
            table.add_column(column.heading, overflow="fold", min_width=min(column.width, _SHORTEST_NAME))
        else:
            table.add_column(column.heading, justify="right", no_wrap=True)
    for line in zip(*(column.cells for column in columns), strict=True):
        table.add_row(*line)
    return table


def _columns(rows: list[Row], now: datetime) -> list[_Column]:
    spends = [row.spend for row in rows]
    names = [_name(spend) for spend in spends]
    once = ["" if name == before else name for name, before in zip(names, ["", *names], strict=False)]
    return [
        _Column("budget", [Text(printable(name)) for name in once], is_name=True),
        _Column("key", [Text(printable(spend.key)) for spend in spends], is_name=True),
        _Column("", [_bar(spend) for spend in spends], 2),
        _Column("", [_percent(spend) for spend in spends], 7),
        _Column("used", [Text(shown(spend.used, spend.unit)) for spend in spends]),
        _Column("held", [_amount(spend.held or None, spend.unit) for spend in spends], 5),
        *_share_columns(spends),
        _Column("left", [_amount(spend.left, spend.unit) for spend in spends]),
        _Column("limit", [Text(_limit(spend)) for spend in spends], 4),
        _Column("a day", [_amount(row.forecast.used_per_day or None, row.spend.unit) for row in rows], 1),
        _Column("lasts", [_lasts(row, now) for row in rows], 3),
        _Column("resets in", [Text(_resets(spend, now)) for spend in spends], 6),
    ]


def _share_columns(spends: list[Spend]) -> Iterator[_Column]:
    """Yield what of the holds is set aside for others, and what is set aside elsewhere, where there is any."""
    if any(spend.set_aside for spend in spends):
        yield _Column("set aside", [_amount(spend.set_aside or None, spend.unit) for spend in spends], 5)
    if any(spend.reserved is not None for spend in spends):
        yield _Column("reserved", [_amount(spend.reserved, spend.unit) for spend in spends], 5)


def _name(spend: Spend) -> str:
    marks = [mark for mark, holds in (("overflow", spend.is_overflow), ("shadow", spend.shadow)) if holds]
    return spend.budget + (f" ({', '.join(marks)})" if marks else "")


def _fitting(columns: list[_Column], width: int) -> list[_Column]:
    while sum(column.width + _GAP for column in columns) - _GAP > width:
        lightest = min(columns, key=lambda column: column.weight)
        if lightest.weight == _ALWAYS:
            break
        columns = [column for column in columns if column is not lightest]
    return columns


def _amount(amount: Decimal | None, unit: str) -> Text:
    return Text("" if amount is None else shown(amount, unit))


def shown(amount: Decimal, unit: str) -> str:
    """Return an amount short enough for a column: cents, or as many digits as a small amount needs."""
    if unit == "usd":
        digits = Decimal("0.01") if amount >= 1 or not amount else Decimal("0.0001")
        rounded = amount.quantize(digits, ROUND_HALF_UP if amount >= digits else ROUND_CEILING)
        return f"${rounded:,f}"
    if 0 < amount < 1:  # of tokens that count for less than one
        return f"{amount.quantize(Decimal('0.01'), ROUND_CEILING):f}"
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
    carried = f" ({shown(spend.carried, spend.unit)} carried)" if spend.carried else ""
    return shown(spend.limit, spend.unit) + ("*" if spend.changed_by_hand else "") + carried


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
