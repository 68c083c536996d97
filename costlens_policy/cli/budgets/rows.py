"""A budget's state with what follows from it: how fast it is used, and how long it lasts."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from costlens_policy.guard.spending import Spend
from costlens_policy.money import plain
from costlens_policy.periods import Forecast, forecast

__all__ = ["Row", "row_of"]


@dataclass(frozen=True, slots=True)
class Row:
    """The state of one budget and scope key, and what is to be expected of it."""

    spend: Spend
    forecast: Forecast

    def to_dict(self) -> dict[str, Any]:
        """Return the row as JSON data; amounts are decimal strings in the unit."""
        spend, ahead = self.spend, self.forecast
        return {
            "budget": spend.budget,
            "key": spend.key,
            "unit": spend.unit,
            "used": plain(spend.used),
            "held": plain(spend.held),
            "limit": _text(spend.limit),
            "left": _text(spend.left),
            "used_ratio": _text(spend.used_ratio),
            "used_per_day": _text(ahead.used_per_day),
            "projected_ratio": _text(ahead.projected_ratio),
            "exhausted_in_seconds": None if ahead.exhausted_in is None else int(ahead.exhausted_in.total_seconds()),
            "starts_at": _time(spend.starts_at),
            "resets_at": _time(spend.resets_at),
            "shadow": spend.shadow,
            "changed_by_hand": spend.changed_by_hand,
        }


def row_of(spend: Spend, now: datetime) -> Row:
    """Return a row as of a time."""
    return Row(spend, forecast(spend.used, spend.left, spend.limit, spend.starts_at, spend.resets_at, now))


def _text(amount: Decimal | None) -> str | None:
    return None if amount is None else plain(amount)


def _time(instant: datetime | None) -> str | None:
    return None if instant is None else instant.isoformat().replace("+00:00", "Z")
