"""What memory remembers of calls and adjustments, up to a number of them."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence

from costlens_policy.ledger.history import Entry, EntryQuery, Page, Reservation, ReservationQuery
from costlens_policy.ledger.holds import Facts
from costlens_policy.ledger.memory.calls import AdjustmentRecord, CallRecord

__all__ = ["Journal"]


class Journal:
    """Calls and adjustments by id, and entries in the order in which they were made. Not safe to share."""

    def __init__(self, size: int) -> None:
        self.calls: dict[str, CallRecord] = {}
        self.adjustments: dict[str, AdjustmentRecord] = {}
        self._size = size
        self._entries: deque[tuple[CallRecord | AdjustmentRecord, int]] = deque(maxlen=size)
        self._made = 0

    def add_call(self, call: str, record: CallRecord, now: int) -> None:
        calls = self.calls
        calls[call] = record
        if len(calls) > self._size:
            oldest = next(iter(calls))
            first = calls.pop(oldest)
            if first.state(now) == "held":
                calls[oldest] = first  # still needed: it takes its turn again

    def add_adjustment(self, record: AdjustmentRecord) -> None:
        self.adjustments[record.adjustment.id] = record
        if len(self.adjustments) > self._size:
            del self.adjustments[next(iter(self.adjustments))]
        self._entries.append((record, 0))
        self._made += 1

    def add_charges(self, record: CallRecord, amounts: Sequence[int | None], facts: Facts) -> None:
        """Make an entry of each line that was charged."""
        if facts:
            record.facts = {**record.facts, **facts}
        entries = self._entries
        for line, amount in enumerate(amounts):
            if amount is not None:
                entries.append((record, line))
                self._made += 1

    def entries(self, query: EntryQuery) -> Page[Entry]:
        found: list[Entry] = []
        for entry in self._in_order(query):
            if not query.covers(entry):
                continue
            if len(found) == query.limit:
                return Page(tuple(found), found[-1].id)
            found.append(entry)
        return Page(tuple(found))

    def reservations(self, query: ReservationQuery, now: int) -> Page[Reservation]:
        state = "expired" if query.expired else "held"
        open_calls = [
            (f"{record.end:015}:{call}", record) for call, record in self.calls.items() if record.state(now) == state
        ]
        found: list[Reservation] = []
        last = ""
        for place, record in sorted(open_calls, key=lambda item: item[0]):
            if place <= query.after or not query.covers(record.reservation(now)):
                continue
            if len(found) == query.limit:
                return Page(tuple(found), last)
            found.append(record.reservation(now))
            last = place
        return Page(tuple(found))

    def _in_order(self, query: EntryQuery) -> Iterator[Entry]:
        first = self._made - len(self._entries)
        after = int(query.after) if query.after else None
        numbers = range(first, self._made)
        for number in reversed(numbers) if query.newest_first else numbers:
            if after is not None and (number >= after if query.newest_first else number <= after):
                continue
            record, line = self._entries[number - first]
            yield record.entry(line, str(number))
