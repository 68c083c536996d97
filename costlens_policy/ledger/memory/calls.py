"""Calls and adjustments as memory remembers them."""

from __future__ import annotations

from collections.abc import Sequence

from costlens_policy.ledger.adjustments import Adjusted, Adjustment
from costlens_policy.ledger.charges import Settled
from costlens_policy.ledger.history import Entry, Reservation, ReservedLine
from costlens_policy.ledger.holds import CallState, Facts, Held, Hold
from costlens_policy.ledger.instants import SECOND, instant_of
from costlens_policy.ledger.memory.tally import LeaseEnd

__all__ = ["AdjustmentRecord", "CallRecord"]


class CallRecord:
    """A call. ``hold`` and ``held`` are absent where it was charged without a hold.

    ``lapses_at`` is the end of the lease and ``reserved_at`` its beginning, in microseconds; ``ends`` are in the
    order of the lines that are held.
    """

    __slots__ = ("ends", "facts", "held", "hold", "lapses_at", "released", "reserved_at", "settled")

    def __init__(
        self,
        hold: Hold | None,
        held: Held | None,
        reserved_at: int,
        lapses_at: int,
        ends: Sequence[LeaseEnd],
        facts: Facts,
    ) -> None:
        self.hold = hold
        self.held = held
        self.reserved_at = reserved_at
        self.lapses_at = lapses_at
        self.ends = ends
        self.facts = facts
        self.released = False
        self.settled: Settled | None = None

    def state(self, now: int) -> CallState:
        if self.settled is not None:
            return "settled"
        if self.released:
            return "released"
        return "expired" if self.lapsed(now) else "held"

    def lapsed(self, now: int) -> bool:
        """Whether the lease has ended, by this clock or by another one that went before."""
        return now >= self.lapses_at or not all(end.counts for end in self.ends)

    def unhold(self) -> None:
        """Give back what is held on every account that still counts it."""
        if self.hold is not None and not self.released:
            for line, end in zip(self.hold.lines, self.ends, strict=True):
                end.unhold(line.amount)

    def reservation(self, now: int) -> Reservation:
        hold = self.hold
        assert hold is not None
        lines = tuple(ReservedLine(line.account, line.amount) for line in hold.lines)
        return Reservation(hold.call, self.state(now), lines, hold.now, instant_of(self.lapses_at), hold.facts)

    def entry(self, line: int, id: str) -> Entry:
        settled = self.settled
        assert settled is not None
        charged = settled.lines[line]
        return Entry(
            id=id,
            at=settled.settled_at,
            kind="charge",
            call=settled.call,
            account=charged.account,
            amount=charged.amount,
            was_held=charged.was_held,
            late=settled.late,
            facts=self.facts,
        )

    @property
    def end(self) -> int:
        """End of the lease in seconds since 1970."""
        return self.lapses_at // SECOND


class AdjustmentRecord:
    """An adjustment, its answer, and the amount of its entry."""

    __slots__ = ("adjusted", "adjustment", "amount")

    def __init__(self, adjustment: Adjustment, adjusted: Adjusted, amount: int) -> None:
        self.adjustment = adjustment
        self.adjusted = adjusted
        self.amount = amount

    def entry(self, line: int, id: str) -> Entry:
        adjustment = self.adjustment
        return Entry(
            id=id,
            at=adjustment.now,
            kind=adjustment.kind,
            call=adjustment.id,
            account=adjustment.account,
            amount=self.amount,
            was_held=0,
            late=False,
            facts=adjustment.facts(),
        )
