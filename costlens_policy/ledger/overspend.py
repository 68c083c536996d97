"""How far spending can have come above a limit: what was charged beyond the holds that keep it below.

Used + held + a call never exceeds the limit when the call is held, and a charge replaces its hold. So what is used
exceeds the limit at most by what charges were above their holds, by charges whose hold had ended before, since others
may have been given its room, and by what corrections and manual adjustments added without asking for room.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from costlens_policy.ledger.account import Account
from costlens_policy.ledger.history import Entry, EntryQuery
from costlens_policy.ledger.protocol import Store

__all__ = ["Overspend", "overspends"]

_PAGE = 1000


@dataclass(slots=True)
class Overspend:
    """What entries of one account can have added beyond its limit, in the account's whole units.

    ``charges`` are counted; ``above`` of them exceeded a hold that still stood, together by ``overdraft`` and one by
    ``largest`` at most. ``late`` ones came after their hold had ended, with the sum ``late_amount``. ``adjusted`` is
    what corrections and manual adjustments added.
    """

    account: Account
    charges: int = 0
    above: int = 0
    overdraft: int = 0
    largest: int = 0
    late: int = 0
    late_amount: int = 0
    adjusted: int = 0

    @property
    def bound(self) -> int:
        """The most by which what is used can exceed the limit."""
        return self.overdraft + self.late_amount + self.adjusted

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


def overspends(store: Store, query: EntryQuery) -> tuple[Overspend, ...]:
    """Return the overspend of each account with entries that a query names, by budget, key and period.

    A bound holds for a period whose entries are all named. Raises ``LedgerError``.
    """
    found: dict[Account, Overspend] = {}
    for entry in _entries(store, replace(query, limit=_PAGE, newest_first=False)):
        if entry.account.is_beside:
            continue
        known = found.get(entry.account)
        if known is None:
            known = found[entry.account] = Overspend(entry.account)
        known.add(entry)
    return tuple(sorted(found.values(), key=lambda item: (item.account.budget, item.account.key, item.account.name)))


def _entries(store: Store, query: EntryQuery) -> Iterator[Entry]:
    while True:
        page = store.entries(query)
        yield from page.items
        if not page.next:
            return
        query = replace(query, after=page.next)
