"""What memory remembers of calls and adjustments, up to a number of them."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

from costlens_policy.ledger.history import Entry, EntryQuery, Page, Reservation, ReservationQuery, place_number
from costlens_policy.ledger.memory.calls import AdjustmentRecord, OpenCall, SettledCall

__all__ = ["Journal"]


class Journal:
    """Calls and adjustments by id, and their entries in the order in which they were made. Not safe to share."""

    def __init__(self, size: int) -> None:
        self.calls: dict[str, OpenCall | SettledCall] = {}
        self.adjustments: dict[str, AdjustmentRecord] = {}
        self._size = size
        self._made: deque[SettledCall | AdjustmentRecord] = deque(maxlen=size)
        self._entries = 0

    def add_open(self, call: str, record: OpenCall, now: int) -> None:
        calls = self.calls
        calls[call] = record
        if len(calls) > self._size:
            oldest = next(iter(calls))
            first = calls.pop(oldest)
            if isinstance(first, OpenCall) and first.state(now) == "held":
                calls[oldest] = first  # still needed: it takes its turn again

    def add_settled(self, record: SettledCall, entries: int) -> None:
        """Replace the open call by the settled one, which has made this many entries."""
        self.calls[record.call] = record
        record.first_entry = self._entries
        self._entries += entries
        self._made.append(record)

    def add_adjustment(self, record: AdjustmentRecord) -> None:
        self.adjustments[record.adjustment.id] = record
        if len(self.adjustments) > self._size:
            del self.adjustments[next(iter(self.adjustments))]
        record.first_entry = self._entries
        self._entries += 1
        self._made.append(record)

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
        calls = [record for record in self.calls.values() if isinstance(record, OpenCall)]
        found = sorted(
            [record for record in calls if record.state(now) == query.state],
            key=lambda record: (record.end, record.hold.call),
        )
        place = query.place()
        rest = [record.reservation(now) for record in found if (record.end, record.hold.call) > place]
        rest = [item for item in rest if query.covers(item)]
        page = tuple(rest[: query.limit])
        return Page(page, query.following(page[-1]) if len(rest) > len(page) else "")

    def _in_order(self, query: EntryQuery) -> Iterator[Entry]:
        after = place_number(query.after) if query.after else None
        for record in reversed(self._made) if query.newest_first else self._made:
            entries = list(record.entries())
            for entry in reversed(entries) if query.newest_first else entries:
                number = int(entry.id)
                if after is None or (number < after if query.newest_first else number > after):
                    yield entry
