"""What people change by hand: top-ups, overrides, corrections. Each is recorded with who did it and why."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal, TypeAlias

from costlens_policy.ledger.account import Account, AccountBalance, checked_text
from costlens_policy.ledger.amounts import checked_amount
from costlens_policy.ledger.errors import AdjustmentError
from costlens_policy.ledger.holds import Facts

__all__ = ["Adjusted", "Adjustment", "AdjustmentKind"]

AdjustmentKind: TypeAlias = Literal["topup", "override", "withdraw", "set", "release"]
"""``topup`` adds to the limit of one period, ``override`` replaces the limit of the budget and key in every period,
``withdraw`` ends all that are in force there, ``set`` makes the amount what is spent in the period (0 resets it).
``release`` changes nothing here: it records that somebody has given back a hold of that amount."""


@dataclass(frozen=True, slots=True)
class Adjustment:
    """A change by hand. ``id`` makes repeating it harmless. Raises ``AdjustmentError`` for one that makes no sense.

    An override needs ``expires_at``; a top-up ends with its period at the latest.
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

    def __post_init__(self) -> None:
        checked_amount(self.amount)
        for what, text in (("id", self.id), ("author", self.author), ("reason", self.reason)):
            if not checked_text(text, f"the {what} of an adjustment").strip():
                raise AdjustmentError(f"an adjustment needs the {what}")
        if self.kind == "override" and self.expires_at is None:
            raise AdjustmentError("an override needs a time at which it expires")
        if self.kind in ("withdraw", "set", "release") and self.expires_at is not None:
            raise AdjustmentError(f"`{self.kind}` does not expire")
        if self.expires_at is not None and self.expires_at <= self.now:
            raise AdjustmentError(f"the adjustment would have expired at {self.expires_at:%Y-%m-%d %H:%M %Z}")

    def facts(self) -> Facts:
        """Return who did it, why, and until when or to which call, as its entry carries it."""
        until = {} if self.expires_at is None else {"expires_at": self.expires_at.isoformat()}
        call = {"call": self.call} if self.call else {}
        return {"author": self.author, "reason": self.reason, **until, **call}


@dataclass(frozen=True, slots=True)
class Adjusted:
    """The account after the adjustment; where it had been made before, as it was then."""

    id: str
    balance: AccountBalance
    repeated: bool = False
