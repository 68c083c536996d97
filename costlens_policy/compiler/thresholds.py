"""When a threshold of a budget is active that is not at an amount: at a forecast, or at a burn rate."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from decimal import Context, Decimal
from typing import TYPE_CHECKING, Final

from costlens_policy.frozen import frozen

if TYPE_CHECKING:
    from costlens_policy.periods import Period

__all__ = ["USUAL_ELAPSED", "BurnRate", "Forecast", "NeedsApproval", "Outlook"]

USUAL_ELAPSED: Final = Decimal("0.05")
"""Share of a window that must have passed before a forecast counts: 36 hours of a month, 72 minutes of a day."""
_EXACT: Final = Context(prec=120)
_MICROSECOND: Final = timedelta(microseconds=1)


@frozen
class NeedsApproval:
    """What has to be approved, why, and by whom; ``wait`` is how long the guard waits for it."""

    reason: str
    wait: timedelta
    approvers: tuple[str, ...] = ()


@frozen(eq=False)
class Outlook:
    """What can be said of a budget at a time, amounts in its unit.

    ``left`` is what is neither used nor held. ``recent`` is what was charged in the last hour or so of the current
    period, by the lengths as policies write them.
    """

    used: Decimal
    left: Decimal
    limit: Decimal
    recent: Mapping[str, Decimal]
    period: Period
    now: datetime

    @property
    def length(self) -> timedelta | None:
        """How long the period is; None where it has no end."""
        period = self.period
        if period.rolling is not None:
            return period.rolling
        if period.starts_at is None or period.resets_at is None:
            return None
        return period.resets_at - period.starts_at


@frozen
class Forecast:
    """A forecast at which a threshold is active: exactly one of ``projected_ratio`` and ``exhausted_in``.

    ``min_elapsed`` is the share of the window that must have passed; before it, nothing is active.
    """

    projected_ratio: Decimal | None
    exhausted_in: timedelta | None
    min_elapsed: Decimal = USUAL_ELAPSED

    def is_met(self, at: Outlook) -> bool:
        """Whether a budget is expected to end so. What cannot be foretold is not expected."""
        from costlens_policy.periods import forecast  # most plans do not ask, and need no calendar

        period = at.period
        ahead = forecast(at.used, at.left, at.limit, period.since(at.now), period.resets_at, at.now)
        if ahead.elapsed_ratio is None or ahead.elapsed_ratio < self.min_elapsed:
            return False
        if self.projected_ratio is not None:
            return ahead.projected_ratio is not None and ahead.projected_ratio >= self.projected_ratio
        lasts, rest = ahead.exhausted_in, ahead.resets_in
        assert self.exhausted_in is not None
        return lasts is not None and rest is not None and lasts <= self.exhausted_in and lasts < rest


@frozen
class BurnRate:
    """A rate of spending at which a threshold is active, over a long and a short time at once.

    A rate of 1 uses up the limit exactly in one window. ``windows`` are the long and the short time, each as the policy
    writes it and as a length; "Alerting on SLOs" of Google's SRE Workbook says why there are two: the long one that
    enough was spent, the short one that it still goes on.
    """

    rate: Decimal
    windows: tuple[tuple[str, timedelta], tuple[str, timedelta]]

    def is_met(self, at: Outlook) -> bool:
        """Whether so much was charged in both: at least ``rate`` times their shares of the limit."""
        length = at.length
        if length is None or not at.limit:
            return False
        burning = _EXACT.multiply(self.rate, at.limit)
        return all(
            _EXACT.multiply(at.recent.get(text, Decimal(0)), length // _MICROSECOND)
            >= _EXACT.multiply(burning, span // _MICROSECOND)
            for text, span in self.windows
        )
