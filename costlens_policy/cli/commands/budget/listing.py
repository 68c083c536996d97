"""``budget history`` and ``reservations``: what a ledger recorded, and which calls hold something."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from costlens_policy.cli.command import Command
from costlens_policy.cli.commands.budget.options import EXITS, Opened, look_options, most, opened
from costlens_policy.cli.exit_codes import ExitCode
from costlens_policy.cli.formats import format_option
from costlens_policy.cli.options import Timestamp
from costlens_policy.cli.output import note, print_table, write_json
from costlens_policy.clock import system_now
from costlens_policy.diagnostics.text import printable
from costlens_policy.frozen import frozen
from costlens_policy.money import plain

if TYPE_CHECKING:
    from rich.table import Table

    from costlens_policy.ledger import Entry, Facts, Page, Reservation, Store, Unit

__all__ = ["COMMANDS", "reservation_data"]


@click.command(
    "history",
    cls=Command,
    short_help="List charges and manual adjustments, newest first.",
    examples=[
        ("the last 50 entries", "budget history . --ledger sqlite:///spend.db"),
        (
            "all entries of one team since a day",
            "budget history . --ledger redis://localhost --key research --since 2026-11-01T00:00:00Z",
        ),
    ],
    exits=EXITS,
)
@look_options
@click.option("--since", metavar="TIME", type=Timestamp(), help="From this time on.")
@click.option("--until", metavar="TIME", type=Timestamp(), help="Before this time.")
@most("lines")
@format_option("table", "json")
def _history(
    paths: tuple[Path, ...],
    ledger: str,
    budget: str | None,
    key: str | None,
    since: datetime | None,
    until: datetime | None,
    limit: int,
    output: str,
) -> ExitCode:
    """List charges by budget and model, and manual adjustments with their reasons."""
    _print_history(paths, ledger, _Listing(budget, key, limit, since, until), output)
    return ExitCode.OK


@click.command(
    "reservations",
    cls=Command,
    short_help="List the calls that are under way.",
    examples=[
        ("what is held now", "budget reservations . --ledger sqlite:///spend.db"),
        ("calls that were never settled or released", "budget reservations . --ledger sqlite:///spend.db --expired"),
    ],
    exits=EXITS,
)
@look_options
@click.option("--expired", is_flag=True, help="Only calls whose lease ended before they were settled or released.")
@most("calls")
@format_option("table", "json")
def _reservations(
    paths: tuple[Path, ...], ledger: str, budget: str | None, key: str | None, expired: bool, limit: int, output: str
) -> ExitCode:
    """List calls that hold an amount, by the end of their leases."""
    _print_reservations(paths, ledger, _Listing(budget, key, limit, expired=expired), output)
    return ExitCode.OK


COMMANDS: Final = (_history, _reservations)


_PAGE = 500
_Item = TypeVar("_Item", "Entry", "Reservation")


@frozen
class _Listing:
    """Which lines are asked for, and how many at most."""

    budget: str | None
    key: str | None
    limit: int
    since: datetime | None = None
    until: datetime | None = None
    expired: bool = False


def _print_history(paths: Sequence[Path], ledger: str, asked: _Listing, output: str) -> None:
    """Print charges and manual adjustments, the newest first."""
    from costlens_policy.cli.commands.budget.table import shown
    from costlens_policy.ledger import EntryQuery, decimal_of

    with opened(paths, ledger, read_only=True) as found:
        budget = _budget(found, asked)

        def page(store: Store, after: str) -> Page[Entry]:
            which = EntryQuery(budget=budget, key=asked.key, since=asked.since, until=asked.until)
            return store.entries(replace(which, newest_first=True, after=after, limit=_PAGE))

        entries = list(islice(_pages(found.store, page), asked.limit))
    if output == "json":
        write_json([_entry_data(entry) for entry in entries])
        return
    if not entries:
        note("no charges or adjustments")
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


def _print_reservations(paths: Sequence[Path], ledger: str, asked: _Listing, output: str) -> None:
    """Print the calls that are under way, or those that were never settled or released."""
    from costlens_policy.cli.commands.budget.table import shown, shown_length
    from costlens_policy.ledger import ReservationQuery, decimal_of

    now = system_now()
    with opened(paths, ledger, read_only=True) as found:
        budget = _budget(found, asked)

        def page(store: Store, after: str) -> Page[Reservation]:
            query = ReservationQuery(budget=budget, key=asked.key, expired=asked.expired, after=after, limit=_PAGE)
            return store.reservations(query, now)

        reservations = list(islice(_pages(found.store, page), asked.limit))
    if output == "json":
        write_json([reservation_data(item) for item in reservations])
        return
    if not reservations:
        note("no lease has expired" if asked.expired else "no calls under way")
        return
    table = _table(
        "call", "since", "lease ended" if asked.expired else "lease ends in", "budget", "key", ">held", "model"
    )
    for item in reservations:
        end = f"{item.expires_at:%Y-%m-%d %H:%M:%S}" if asked.expired else shown_length(item.expires_at - now)
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


def _budget(found: Opened, asked: _Listing) -> str | None:
    return None if asked.budget is None else found.step(asked.budget).id


def _pages(store: Store, page_of: Callable[[Store, str], Page[_Item]]) -> Iterator[_Item]:
    after = ""
    while True:
        page = page_of(store, after)
        yield from page.items
        after = page.next
        if not after:
            return


def _table(*headings: str) -> Table:
    from rich.table import Table

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for heading in headings:
        table.add_column(heading.removeprefix(">"), justify="right" if heading[0] == ">" else "left", overflow="fold")
    return table


def _about(entry: Entry) -> str:
    reason, call = entry.facts.get("reason"), entry.facts.get("call")
    return f"{reason} ({call})" if reason and call else str(reason or entry.call)


def _cell(text: str) -> str:
    from rich.markup import escape

    return escape(printable(text))


def _signed(amount: int, unit: Unit) -> str:
    from costlens_policy.cli.commands.budget.table import shown
    from costlens_policy.ledger import decimal_of

    text = shown(decimal_of(abs(amount), unit), unit)
    return f"-{text}" if amount < 0 else text


def _entry_data(entry: Entry) -> dict[str, Any]:
    from costlens_policy.ledger import decimal_of

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
    from costlens_policy.ledger import decimal_of

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
