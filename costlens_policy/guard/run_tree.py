"""What the runs of a tree have spent and hold: read from the calls that a ledger knows, each by its path."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from costlens_policy.frozen import frozen
from costlens_policy.guard.run_records import has_ended
from costlens_policy.ledger import Entry, EntryQuery, Facts, Reservation, ReservationQuery, Store, decimal_of
from costlens_policy.money import ZERO, add, usd
from costlens_policy.runs import RUN, RUN_SEPARATOR, lineage_of

__all__ = ["RunSpend", "spend_of_runs"]

_PAGE: Final = 1000
_SHARE: Final = Decimal("0.0001")


@frozen
class RunSpend:
    """One run: its own calls and, as ``total`` and ``total_held``, those of all runs within it as well.

    Amounts are in US dollars. ``calls`` are charged, ``under_way`` are held. ``share`` is the run's part of what the
    outermost run of the tree has spent and holds, from 0 to 1; None where that is nothing. ``ended``: the end of this
    very run is on record.
    """

    run: str
    calls: int = 0
    under_way: int = 0
    cost: Decimal = ZERO
    held: Decimal = ZERO
    total: Decimal = ZERO
    total_held: Decimal = ZERO
    share: Decimal | None = None
    ended: bool = False


def spend_of_runs(store: Store, run: str, now: datetime, since: datetime | None = None) -> tuple[RunSpend, ...]:
    """Return a run and all runs within it, each before those within it; nothing where the ledger knows none of them.

    Runs between two that have calls are there, too. All of the history is read, or what is in it ``since`` a time.
    Raises ``LedgerError``.
    """
    own: dict[str, RunSpend] = {}
    for path, cost in _charged(store, run, since):
        known = own.get(path) or RunSpend(path)
        own[path] = replace(known, calls=known.calls + 1, cost=add(known.cost, cost))
    for path, held in _held(store, run, now):
        known = own.get(path) or RunSpend(path)
        own[path] = replace(known, under_way=known.under_way + 1, held=add(known.held, held))
    runs = _summed(own, run) if own else ()
    return tuple(replace(item, ended=has_ended(store, item.run, now)) for item in runs)


def _charged(store: Store, run: str, since: datetime | None) -> Iterator[tuple[str, Decimal]]:
    """Yield the run and the cost of each charged call of the tree, a call on several budgets once."""
    seen: set[str] = set()
    query = EntryQuery(since=since, limit=_PAGE)
    while True:
        page = store.entries(query)
        for entry in page.items:
            path = _within(entry.facts, run)
            if path is not None and entry.is_of_call and entry.call not in seen:
                seen.add(entry.call)
                yield path, _cost(entry)
        if not page.next:
            return
        query = replace(query, after=page.next)


def _held(store: Store, run: str, now: datetime) -> Iterator[tuple[str, Decimal]]:
    query = ReservationQuery(limit=_PAGE)
    while True:
        page = store.reservations(query, now)
        for item in page.items:
            path = _within(item.facts, run)
            if path is not None:
                yield path, _most(item)
        if not page.next:
            return
        query = replace(query, after=page.next)


def _within(facts: Facts, run: str) -> str | None:
    """Return the run of a call if it is that one, or one within it."""
    path: Any = facts.get(RUN)
    is_within = isinstance(path, str) and (path == run or path.startswith(run + RUN_SEPARATOR))
    return path if is_within else None


def _cost(entry: Entry) -> Decimal:
    """Return what a call cost: as its charge states it, else what was charged in dollars."""
    stated = entry.facts.get("cost_usd")
    try:
        if isinstance(stated, str):
            return usd(stated)
    except ValueError:
        pass
    return decimal_of(entry.amount, "usd") if entry.account.unit == "usd" else ZERO


def _most(item: Reservation) -> Decimal:
    """Return the most that is held for a call on one budget in dollars."""
    return max((decimal_of(line.amount, "usd") for line in item.lines if line.account.unit == "usd"), default=ZERO)


def _summed(own: dict[str, RunSpend], run: str) -> tuple[RunSpend, ...]:
    """Return all runs of the tree with their totals, in the order of the tree."""
    runs: dict[str, RunSpend] = {}
    for path, spend in own.items():
        for above in lineage_of(path):
            if len(above) >= len(run):
                known = runs.get(above) or own.get(above) or RunSpend(above)
                total, held = add(known.total, spend.cost), add(known.total_held, spend.held)
                runs[above] = replace(known, total=total, total_held=held)
    whole = add(runs[run].total, runs[run].total_held)
    in_order = [runs[path] for path in sorted(runs, key=lambda path: path.split(RUN_SEPARATOR))]
    if not whole:
        return tuple(in_order)
    return tuple(replace(item, share=(add(item.total, item.total_held) / whole).quantize(_SHARE)) for item in in_order)
