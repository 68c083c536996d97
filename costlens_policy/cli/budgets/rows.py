"""A budget's state with what follows from it: how fast it is used, and how long it lasts."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Context, Decimal
from typing import Any, Final

from costlens_policy.guard.spending import Spend
from costlens_policy.money import plain

__all__ = ["Row", "row_of"]

_ROUGHLY: Final = Context(prec=12)
_DAY: Final = timedelta(days=1)
_LONGEST: Final = timedelta(days=3650)


@dataclass(frozen=True, slots=True)
class Row:
    """``rate`` is what is used on average in a day of the period so far, in the budget's unit.

    ``projected_ratio`` is how much of the limit will be used at the period's end if that goes on, ``lasts`` how long
    the rest then lasts. Each is None where it cannot be told: before anything is used, without a limit or a
    beginning. In a rolling window spending that goes on never comes to an end.
    """

    spend: Spend
    rate: Decimal | None
    projected_ratio: Decimal | None
    lasts: timedelta | None

    def to_dict(self) -> dict[str, Any]:
        """Return the row as JSON data; amounts are decimal strings in the unit."""
        spend = self.spend
        return {
            "budget": spend.budget,
            "key": spend.key,
            "unit": spend.unit,
            "used": plain(spend.used),
            "held": plain(spend.held),
            "limit": _text(spend.limit),
            "left": _text(spend.left),
            "used_ratio": _text(spend.used_ratio),
            "used_per_day": _text(self.rate),
            "projected_ratio": _text(self.projected_ratio),
            "exhausted_in_seconds": None if self.lasts is None else int(self.lasts.total_seconds()),
            "starts_at": _time(spend.starts_at),
            "resets_at": _time(spend.resets_at),
            "shadow": spend.shadow,
            "changed_by_hand": spend.changed_by_hand,
        }


def row_of(spend: Spend, now: datetime) -> Row:
    """Return a row as of a time."""
    elapsed = None if spend.starts_at is None else now - spend.starts_at
    if elapsed is None or elapsed <= timedelta(0):
        return Row(spend, None, None, None)
    rate = _ROUGHLY.divide(_ROUGHLY.multiply(spend.used, _seconds(_DAY)), _seconds(elapsed))
    return Row(spend, rate, _projected(spend, elapsed), _lasts(spend, rate))


def _projected(spend: Spend, elapsed: timedelta) -> Decimal | None:
    if not spend.limit or spend.starts_at is None or spend.resets_at is None:
        return None
    share = _ROUGHLY.divide(_seconds(elapsed), _seconds(spend.resets_at - spend.starts_at))
    return _ROUGHLY.divide(_ROUGHLY.divide(spend.used, spend.limit), share)


def _lasts(spend: Spend, rate: Decimal) -> timedelta | None:
    if spend.left is None or not rate or spend.resets_at is None:
        return None  # in a rolling window as much is forgotten as is spent, if it goes on like that
    days = _ROUGHLY.divide(spend.left, rate)
    return _LONGEST if days >= _LONGEST.days else timedelta(days=float(days))


def _seconds(length: timedelta) -> Decimal:
    return Decimal(length // timedelta(microseconds=1)).scaleb(-6)


def _text(amount: Decimal | None) -> str | None:
    return None if amount is None else plain(amount)


def _time(instant: datetime | None) -> str | None:
    return None if instant is None else instant.isoformat().replace("+00:00", "Z")
