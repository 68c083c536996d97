"""When a threshold of a budget is active that is not at an amount: what it expects of the forecast."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from costlens_policy.frozen import frozen

if TYPE_CHECKING:
    from costlens_policy.periods import Forecast

__all__ = ["USUAL_ELAPSED", "Expectation"]

USUAL_ELAPSED: Final = Decimal("0.05")
"""Share of a window that must have passed before a forecast counts: 36 hours of a month, 72 minutes of a day."""


@frozen
class Expectation:
    """A forecast at which a threshold is active: exactly one of ``projected_ratio`` and ``exhausted_in``.

    ``min_elapsed`` is the share of the window that must have passed; before it, nothing is active.
    """

    projected_ratio: Decimal | None
    exhausted_in: timedelta | None
    min_elapsed: Decimal = USUAL_ELAPSED

    def is_met(self, ahead: Forecast) -> bool:
        """Whether a budget is expected to end so. What cannot be foretold is not expected."""
        if ahead.elapsed_ratio is None or ahead.elapsed_ratio < self.min_elapsed:
            return False
        if self.projected_ratio is not None:
            return ahead.projected_ratio is not None and ahead.projected_ratio >= self.projected_ratio
        lasts, rest = ahead.exhausted_in, ahead.resets_in
        assert self.exhausted_in is not None
        return lasts is not None and rest is not None and lasts <= self.exhausted_in and lasts < rest
