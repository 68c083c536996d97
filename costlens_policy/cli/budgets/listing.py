"""Listing the history of a ledger, and the calls that are under way."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

from rich.markup import escape
from rich.table import Table

from costlens_policy.cli.budgets.opened import Opened, opened
from costlens_policy.cli.budgets.table import shown, shown_length
from costlens_policy.cli.console import note, print_table, write_out
from costlens_policy.clock import system_now
from costlens_policy.diagnostics.text import printable
from costlens_policy.ledger import (
    Entry,
    EntryQuery,
    Facts,
    Page,
    Reservation,
    ReservationQuery,
    Store,
    Unit,
    decimal_of,
)
from costlens_policy.money import plain

__all__ = ["Listing", "print_history", "print_reservations", "reservation_data"]

_PAGE = 500
_Item = TypeVar("_Item", Entry, Reservation)


@dataclass(frozen=True, slots=True)
class Listing:
    """Which lines are asked for, and how many at most."""

    budget: str | None
    key: str | None
    limit: int
    since: datetime | None = None
    until: datetime | None = None
    expired: bool = False


def print_history(paths: Sequence[Path], ledger: str, wish: Listing, output: str) -> None:
    """Print charges and changes by hand, the newest first."""
    with opened(paths, ledger, read_only=True) as found:
        budget = _budget(found, wish)

        def page(store: Store, after: str) -> Page[Entry]:
            which = EntryQuery(budget=budget, key=wish.key, since=wish.since, until=wish.until)
            return store.entries(replace(which, newest_first=True, after=after, limit=_PAGE))

        entries = list(islice(_pages(found.store, page), wish.limit))
    if output == "json":
        write_out(json.dumps([_entry_data(entry) for entry in entries], indent=2, ensure_ascii=False))
        return
    if not entries:
        note("nothing was charged or changed")
        return
    table = _table("time", "what", "budget", "key", ">amount", ">held", "by", "of")
    for entry in entries:
        unit = entry.account.unit
        table.add_row(
            f"{entry.at:%Y-%m-%d %H:%M:%S}",
            entry.kind + (" (late)" if entry.late else ""),
            _cell(entry.account.budget),
            _cell(entry.account.key),
            _signed(entry.amount, unit),
            shown(decimal_of(entry.was_held, unit), unit) if entry.was_held else "",
            _cell(str(entry.facts.get("author") or entry.facts.get("model") or "")),
            _cell(_about(entry)),
        )
    print_table(table)


def print_reservations(paths: Sequence[Path], ledger: str, wish: Listing, output: str) -> None:
    """Print the calls that are under way, or those whose clients never came back."""
    now = system_now()
    with opened(paths, ledger, read_only=True) as found:
        budget = _budget(found, wish)

        def page(store: Store, after: str) -> Page[Reservation]:
            query = ReservationQuery(budget=budget, key=wish.key, expired=wish.expired, after=after, limit=_PAGE)
            return store.reservations(query, now)

        reservations = list(islice(_pages(found.store, page), wish.limit))
    if output == "json":
        write_out(json.dumps([reservation_data(item) for item in reservations], indent=2, ensure_ascii=False))
        return
    if not reservations:
        note("every call came back" if wish.expired else "no call is under way")
        return
    table = _table(
        "call", "since", "lease ended" if wish.expired else "lease ends in", "budget", "key", ">held", "model"
    )
    for item in reservations:
        end = f"{item.expires_at:%Y-%m-%d %H:%M:%S}" if wish.expired else shown_length(item.expires_at - now)
        head = [_cell(item.call), f"{item.reserved_at:%Y-%m-%d %H:%M:%S}", end]
        for line in item.lines:
            unit = line.account.unit
            budget_cells = [
                _cell(line.account.budget),
                _cell(line.account.key),
                shown(decimal_of(line.amount, unit), unit),
            ]
            table.add_row(*head, *budget_cells, _cell(str(item.facts.get("model", ""))))
            head = ["", "", ""]
    print_table(table)


def _budget(found: Opened, wish: Listing) -> str | None:
    return None if wish.budget is None else found.step(wish.budget).id


def _pages(store: Store, page_of: Callable[[Store, str], Page[_Item]]) -> Iterator[_Item]:
    after = ""
    while True:
        page = page_of(store, after)
        yield from page.items
        after = page.next
        if not after:
            return


def _table(*headings: str) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for heading in headings:
        table.add_column(heading.removeprefix(">"), justify="right" if heading[0] == ">" else "left", overflow="fold")
    return table


def _about(entry: Entry) -> str:
    reason, call = entry.facts.get("reason"), entry.facts.get("call")
    return f"{reason} ({call})" if reason and call else str(reason or entry.call)


def _cell(text: str) -> str:
    return escape(printable(text))


def _signed(amount: int, unit: Unit) -> str:
    text = shown(decimal_of(abs(amount), unit), unit)
    return f"-{text}" if amount < 0 else text


def _entry_data(entry: Entry) -> dict[str, Any]:
    unit = entry.account.unit
    return {
        "at": _time(entry.at),
        "kind": entry.kind,
        "budget": entry.account.budget,
        "key": entry.account.key,
        "period": entry.account.period.id,
        "unit": unit,
        "amount": plain(decimal_of(entry.amount, unit)),
        "held": plain(decimal_of(entry.was_held, unit)),
        "late": entry.late,
        "call": entry.call,
        "facts": _facts(entry.facts),
    }


def reservation_data(item: Reservation) -> dict[str, Any]:
    """Return a call and what it holds as JSON data."""
    return {
        "call": item.call,
        "state": item.state,
        "reserved_at": _time(item.reserved_at),
        "expires_at": _time(item.expires_at),
        "lines": [
            {
                "budget": line.account.budget,
                "key": line.account.key,
                "unit": line.account.unit,
                "held": plain(decimal_of(line.amount, line.account.unit)),
            }
            for line in item.lines
        ],
        "facts": _facts(item.facts),
    }


def _time(instant: datetime) -> str:
    return instant.isoformat().replace("+00:00", "Z")


def _facts(facts: Facts) -> dict[str, Any]:
    """Return the facts without what only a guard needs, to give the same hold again or to charge it."""
    return {name: value for name, value in facts.items() if name not in ("decided", "calls")}
