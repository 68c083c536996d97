"""Manual adjustments: balances changed, and limits changed for a while by overrides and top-ups."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import field, replace
from datetime import datetime
from typing import Any, Final, Literal, TypeAlias

from costlens_policy.frozen import frozen
from costlens_policy.ledger.account import BESIDE, Account, AccountBalance, Approved, Grants, checked_text
from costlens_policy.ledger.amounts import checked_amount, decimal_of, instant_of, micros, micros_or_none
from costlens_policy.ledger.calls import Facts
from costlens_policy.ledger.errors import AdjustmentError
from costlens_policy.money import plain
from costlens_policy.periods import Period

__all__ = ["Adjusted", "Adjustment", "AdjustmentKind", "Grant", "adjusted_grants", "grants_at"]


AdjustmentKind: TypeAlias = Literal[
    "topup", "override", "revoke", "set", "correct", "release", "ask", "approve", "deny"
]
"""``topup`` adds to the limit of one period, ``override`` replaces the limit of the budget and key in every period,
``revoke`` ends all that are in force there, ``set`` makes the amount what is spent in the period (0 resets it),
``correct`` adds the amount, which may be negative, to what is spent in the period, as an invoice demands.
``release`` changes nothing here: it records that somebody has given back a hold of that amount. ``ask`` records that
calls need an approval to go past a threshold, ``approve`` that they may, as long as used + held + a call is at most the
amount, and ``deny`` that they may not; the last of these two holds."""


_ANSWERS: Final = ("ask", "approve", "deny")


@frozen
class Adjustment:
    """A manual adjustment. ``id`` makes repeating it harmless. Raises ``AdjustmentError`` for one that is invalid.

    An override needs ``expires_at``; a top-up or approval ends with its period at the latest, and needs ``expires_at``
    where no window from first use is in force. ``about`` is JSON data that the entry carries beside author and reason,
    such as the day and the model that an invoice corrects.
    """

    id: str
    kind: AdjustmentKind
    account: Account
    amount: int
    author: str
    reason: str
    now: datetime
    expires_at: datetime | None = None
    call: str = ""
    """The call that a release is about."""
    threshold: str = ""
    """The name of the threshold that ``ask``, ``approve`` and ``deny`` are about."""
    about: Facts = field(default_factory=dict)

    def __post_init__(self) -> None:
        checked_amount(abs(self.amount) if self.kind == "correct" and type(self.amount) is int else self.amount)
        for what, text in (("id", self.id), ("author", self.author), ("reason", self.reason)):
            if not checked_text(text, f"the {what} of an adjustment").strip():
                raise AdjustmentError(f"the {what} of an adjustment must not be empty")
        if self.kind == "override" and self.expires_at is None:
            raise AdjustmentError("an override must have an expiry time")
        period = self.account.period
        if self.kind == "topup" and period.first_use and not (period.resets_at or self.expires_at):
            raise AdjustmentError("a top-up must have an expiry time while no window is in force")
        if self.kind == "approve" and period.first_use and not (period.resets_at or self.expires_at):
            raise AdjustmentError("an approval must have an expiry time while no window is in force")
        if self.kind in _ANSWERS and not checked_text(self.threshold, "the name of a threshold"):
            raise AdjustmentError(f"an adjustment of kind `{self.kind}` must name a threshold")
        if self.kind in ("revoke", "set", "correct", "release", "ask") and self.expires_at is not None:
            raise AdjustmentError(f"an adjustment of kind `{self.kind}` cannot have an expiry time")
        if self.expires_at is not None and self.expires_at <= self.now:
            raise AdjustmentError(f"an adjustment must expire in the future, got {self.expires_at:%Y-%m-%d %H:%M %Z}")

    def facts(self) -> Facts:
        """Return who did it, why, and until when or to which call, as its entry carries it."""
        until = {} if self.expires_at is None else {"expires_at": self.expires_at.isoformat()}
        call = {"call": self.call} if self.call else {}
        of = {"threshold": self.threshold} if self.threshold else {}
        return {**self.about, "author": self.author, "reason": self.reason, **until, **call, **of}

    def corrected(self, used: int) -> int:
        """Return what is spent once a correction counts. Raises ``AdjustmentError`` where that would be negative."""
        if used + self.amount < 0:
            unit = self.account.unit
            least, asked = (plain(decimal_of(amount, unit)) for amount in (-used, self.amount))
            raise AdjustmentError(f"a correction of `{self.account.budget}` must be at least {least}, got {asked}")
        return used + self.amount


@frozen
class Adjusted:
    """The account after the adjustment; where it had been made before, as it was then."""

    id: str
    balance: AccountBalance
    repeated: bool = False


@frozen
class Grant:
    """``until`` is in microseconds since 1970, None for a top-up of a period without end.

    The ``period`` of an override says since when it is in force, in microseconds; older ledgers leave it empty, and
    then it counts as in force since ever. That of an approval or denial is the period's id with ``~`` and the
    threshold, so that nothing takes it for a top-up.
    """

    kind: Literal["topup", "override", "approval", "denial"]
    amount: int
    until: int | None
    period: str = ""

    def in_force(self, now: int) -> bool:
        return self.until is None or now < self.until

    def ended(self, period: Period, now: int) -> bool:
        """Whether a period is over, and ended under this override."""
        end = micros_or_none(period.resets_at)
        if self.kind != "override" or self.until is None or end is None:
            return False
        return self.began_before(end) and end <= min(self.until, now)

    def began_before(self, instant: int) -> bool:
        """Whether this override was in force before a time, in microseconds."""
        return not self.period or int(self.period) < instant

    def to_json(self) -> list[Any]:
        return [self.kind, self.amount, self.until, self.period]


def grants_at(grants: Iterable[Grant], period: Period, now: int) -> Grants:
    """Return what the grants of a budget and key do to its limit in a period."""
    override, topup, replaced = None, 0, False
    approvals: list[Approved] = []
    for grant in grants:
        replaced = replaced or grant.ended(period, now)
        if not grant.in_force(now):
            continue
        if grant.kind == "override":
            override = grant.amount
        elif grant.kind in ("approval", "denial"):
            of, _, threshold = grant.period.rpartition(BESIDE)
            if of == period.id:
                approvals.append(Approved(threshold, None if grant.kind == "denial" else grant.amount, grant.until))
        elif grant.period == period.id:
            topup += grant.amount
    return Grants(override, topup, tuple(approvals), replaced)


def adjusted_grants(grants: Iterable[Grant], adjustment: Adjustment) -> tuple[Grant, ...]:
    """Return the grants after an adjustment of limits, without those that have expired and of which nobody asks.

    Raises ``AdjustmentError`` for an override while another is in force.
    """
    if adjustment.kind in ("set", "correct", "release", "ask"):
        return tuple(grants)
    now, period = micros(adjustment.now), adjustment.account.period
    if adjustment.kind == "revoke":
        grants = (
            replace(item, until=now) if item.kind == "override" and item.in_force(now) else item for item in grants
        )
    kept = _kept(grants, period, now)
    if adjustment.kind == "revoke":
        return tuple(grant for grant in kept if grant.period != period.id)
    if adjustment.kind in ("approve", "deny"):
        return _answered(kept, adjustment)
    if adjustment.kind == "topup":
        ends = [micros(end) for end in (adjustment.expires_at, period.resets_at) if end is not None]
        return (*kept, Grant("topup", adjustment.amount, min(ends, default=None), period.id))
    assert adjustment.expires_at is not None
    for grant in kept:
        if grant.kind == "override" and grant.in_force(now):
            assert grant.until is not None
            raise AdjustmentError(
                f"another override is in force until {instant_of(grant.until):%Y-%m-%d %H:%M:%S} UTC; revoke it first"
            )
    return (*kept, Grant("override", adjustment.amount, micros(adjustment.expires_at), str(now)))


_KEPT_OVERRIDES: Final = 24
"""How many overrides that are over are kept: budgets that carry over ask whether one of 12 periods ended under one."""


def _kept(grants: Iterable[Grant], period: Period, now: int) -> tuple[Grant, ...]:
    """Return the grants in force, after the last overrides under which an earlier period may have ended."""
    begun, over, kept = micros_or_none(period.starts_at), [], []
    for grant in grants:
        if grant.in_force(now):
            kept.append(grant)
        elif grant.kind == "override" and begun is not None and grant.began_before(begun):
            over.append(grant)
    return (*over[-_KEPT_OVERRIDES:], *kept)


def _answered(kept: tuple[Grant, ...], adjustment: Adjustment) -> tuple[Grant, ...]:
    """Return the grants once calls past a threshold are approved or denied, in place of an earlier answer."""
    period = adjustment.account.period
    ends = [micros(end) for end in (adjustment.expires_at, period.resets_at) if end is not None]
    of, until = f"{period.id}{BESIDE}{adjustment.threshold}", min(ends, default=None)
    before = tuple(grant for grant in kept if grant.period != of)
    if adjustment.kind == "deny":
        return (*before, Grant("denial", 0, until, of))
    return (*before, Grant("approval", adjustment.amount, until, of))
