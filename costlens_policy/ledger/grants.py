"""Grants: top-ups and overrides in force on one budget and key."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

from costlens_policy.ledger.account import Grants
from costlens_policy.ledger.adjustments import Adjustment
from costlens_policy.ledger.errors import AdjustmentError
from costlens_policy.ledger.instants import instant_of, micros

__all__ = ["Grant", "adjusted_grants", "grants_at"]


@dataclass(frozen=True, slots=True)
class Grant:
    """``until`` is in microseconds since 1970, None for a top-up of a period without end.

    An override has no ``period``.
    """

    kind: Literal["topup", "override"]
    amount: int
    until: int | None
    period: str = ""

    def in_force(self, now: int) -> bool:
        return self.until is None or now < self.until

    def to_json(self) -> list[Any]:
        return [self.kind, self.amount, self.until, self.period]


def grants_at(grants: Iterable[Grant], period: str, now: int) -> Grants:
    """Return what the grants of a budget and key do to its limit in a period."""
    override, topup = None, 0
    for grant in grants:
        if not grant.in_force(now):
            continue
        if grant.kind == "override":
            override = grant.amount
        elif grant.period == period:
            topup += grant.amount
    return Grants(override, topup)


def adjusted_grants(grants: Iterable[Grant], adjustment: Adjustment) -> tuple[Grant, ...]:
    """Return the grants after an adjustment of limits, without those that have expired.

    Raises ``AdjustmentError`` for an override while another is in force.
    """
    if adjustment.kind == "release":
        return tuple(grants)
    now, period = micros(adjustment.now), adjustment.account.period
    kept = tuple(grant for grant in grants if grant.in_force(now))
    if adjustment.kind == "withdraw":
        return tuple(grant for grant in kept if grant.kind == "topup" and grant.period != period.id)
    if adjustment.kind == "topup":
        ends = [micros(end) for end in (adjustment.expires_at, period.resets_at) if end is not None]
        return (*kept, Grant("topup", adjustment.amount, min(ends, default=None), period.id))
    assert adjustment.expires_at is not None
    for grant in kept:
        if grant.kind == "override":
            assert grant.until is not None
            raise AdjustmentError(
                f"another override is in force until {instant_of(grant.until):%Y-%m-%d %H:%M:%S} UTC; withdraw it first"
            )
    return (*kept, Grant("override", adjustment.amount, micros(adjustment.expires_at)))
