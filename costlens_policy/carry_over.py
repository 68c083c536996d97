"""What earlier periods left unused of a budget, carried over into the current one.

It is worked out from what the last periods have used, whenever it is asked for. So nothing has to run when a period
ends, nothing is lost while a process is down, and a charge that comes late is counted from then on. Ledgers do so with
amounts in their integers, within the step that holds (``ledger/carrying.py``); all else with amounts in the unit.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import TypeVar

from costlens_policy.frozen import frozen
from costlens_policy.money import ZERO, add, multiply, subtract

__all__ = ["CarryOver"]


_Amount = TypeVar("_Amount", int, Decimal)


@frozen
class CarryOver:
    """How much of what ``periods`` periods left unused counts: a ``share`` from 0 to 1, at ``most`` so much in all.

    ``since`` is when the budget was there at the latest; None where only its charges show it.
    """

    share: Decimal
    most: Decimal | None
    periods: int
    since: datetime | None

    def amount(self, limit: Decimal, earlier: Sequence[Decimal]) -> Decimal:
        """Return what is carried over, given the limit and what each earlier period has used, the latest first.

        Each period adds the ``share`` of what it left unused, or takes what it used beyond its own limit, so an own
        limit is spent before what is carried. What is there is never more than ``most``: what a cap cut off is gone.
        What one of ``periods`` periods left can still be used, so nothing of it has run out within them; of what older
        ones left nothing is there any more, and as the latest is spent first, none of it was spent in its place.
        """
        carried = ZERO
        for used in reversed(earlier[: self.periods]):
            left = subtract(limit, used)
            if left < ZERO:
                carried = max(add(carried, left), ZERO)
                continue
            carried = add(carried, left if self.share == 1 else multiply(left, self.share))
            if self.most is not None:
                carried = min(carried, self.most)
        return carried

    def counted(self, used: Sequence[_Amount], starts: Sequence[datetime | None]) -> tuple[_Amount, ...]:
        """Return what the earlier periods have used that count, the latest first, given when each began.

        Before the first that used anything, nobody knows whether the budget was there: such periods count only if they
        did not begin before ``since``.
        """
        for length in range(len(used), 0, -1):
            start = starts[length - 1]
            if used[length - 1] or (self.since is not None and start is not None and start >= self.since):
                return tuple(used[:length])
        return ()
