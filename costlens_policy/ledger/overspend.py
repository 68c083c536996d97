"""How far spending can have come above a limit: what was charged beyond the holds that keep it below.

Used + held + a call never exceeds the limit when the call is held, and a charge replaces its hold. So what is used
exceeds the limit at most by what charges were above their holds, by charges whose hold had ended before, since others
may have been given its room, and by what corrections and manual adjustments added without asking for room.

Calls under way can still add to that what their worst cases exceed their holds by: nothing where the worst case is
held, and the rest of it where a quantile is. A call that is held later finds that spending counted, so that it adds
nothing beyond its own rest.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime

from costlens_policy.ledger.account import Account
from costlens_policy.ledger.history import Entry, EntryQuery, Reservation, ReservationQuery
from costlens_policy.ledger.measured import beyond_hold
from costlens_policy.ledger.protocol import Store

__all__ = ["Overspend", "beyond_holds", "overspends"]

_PAGE = 1000


@dataclass(slots=True)
class Overspend:
    """What entries of one account can have added beyond its limit, in the account's whole units.

    ``charges`` are counted; ``above`` of them exceeded a hold that still stood, together by ``overdraft`` and one by
    ``largest`` at most. ``late`` ones came after their hold had ended, with the sum ``late_amount``. ``adjusted`` is
    what corrections and manual adjustments added. ``under_way`` calls are held for less than their worst case, together
    by ``open``.
    """

    account: Account
    charges: int = 0
    above: int = 0
    overdraft: int = 0
    largest: int = 0
    late: int = 0
    late_amount: int = 0
    adjusted: int = 0
    under_way: int = 0
    open: int = 0

    @property
    def bound(self) -> int:
        """The most by which what is used can exceed the limit, once the calls under way are settled, too."""
        return self.overdraft + self.late_amount + self.adjusted + self.open

    def add(self, entry: Entry) -> None:
        """Count an entry of the account."""
        if entry.kind in ("set", "correct"):
            self.adjusted += max(0, entry.amount)
        if entry.kind != "charge":
            return
        self.charges += 1
        if entry.late:
            self.late += 1
            self.late_amount += entry.amount
        elif entry.overdraft:
            self.above += 1
            self.overdraft += entry.overdraft
            self.largest = max(self.largest, entry.overdraft)


def overspends(store: Store, query: EntryQuery, now: datetime) -> tuple[Overspend, ...]:
    """Return the overspend of each account with entries that a query names, by budget, key and period.

    Calls under way are those that are held at ``now`` on its budget and key. A bound holds for a period whose entries
    are all named. Raises ``LedgerError``.
    """
    found: dict[Account, Overspend] = {}
    for entry in _entries(store, replace(query, limit=_PAGE, newest_first=False)):
        if not entry.account.is_beside:
            found.setdefault(entry.account, Overspend(entry.account)).add(entry)
    for account, amount in _beyond(store, query, now):
        known = found.setdefault(account, Overspend(account))
        known.under_way += 1
        known.open += amount
    return tuple(sorted(found.values(), key=lambda item: (item.account.budget, item.account.key, item.account.name)))


def beyond_holds(store: Store, budget: str | None, key: str | None, now: datetime) -> dict[Account, int]:
    """Return by how much the worst cases of calls under way exceed what is held for them, on each account."""
    found: Counter[Account] = Counter()
    for account, amount in _beyond(store, EntryQuery(budget=budget, key=key), now):
        found[account] += amount
    return dict(found)


def _beyond(store: Store, query: EntryQuery, now: datetime) -> Iterator[tuple[Account, int]]:
    for reservation in _reservations(store, ReservationQuery(query.budget, query.key, limit=_PAGE), now):
        for account, amount in beyond_hold(reservation):
            if query.covers_account(account):
                yield account, amount


def _reservations(store: Store, query: ReservationQuery, now: datetime) -> Iterator[Reservation]:
    """Yield all calls that a query names, page by page."""
    while True:
        page = store.reservations(query, now)
        yield from page.items
        if not page.next:
            return
        query = replace(query, after=page.next)


def _entries(store: Store, query: EntryQuery) -> Iterator[Entry]:
    while True:
        page = store.entries(query)
        yield from page.items
        if not page.next:
            return
        query = replace(query, after=page.next)
