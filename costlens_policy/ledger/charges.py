"""Settling: what a call cost in the end."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from costlens_policy.ledger.account import Account, checked_text
from costlens_policy.ledger.amounts import checked_amount
from costlens_policy.ledger.errors import AmountError
from costlens_policy.ledger.holds import Facts

__all__ = ["Charge", "ChargedLine", "Settled", "Settlement"]


@dataclass(frozen=True, slots=True)
class Charge:
    """What the call cost on one account."""

    account: Account
    amount: int

    def __post_init__(self) -> None:
        checked_amount(self.amount)


@dataclass(frozen=True, slots=True)
class Settlement:
    """The charges of one call.

    A held account that is not charged costs nothing; one that was not held is charged nevertheless.

    A charge finds its hold by budget, key and unit: it counts in the period of the hold, also when another one has
    begun.
    """

    call: str
    charges: tuple[Charge, ...]
    now: datetime
    facts: Facts = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.call:
            raise AmountError("a call needs an id")
        checked_text(self.call, "the id of a call")
        if len(self.charges) > 1 and len({charge.account.scope for charge in self.charges}) < len(self.charges):
            raise AmountError("two charges of a call are on the same budget and key")


class ChargedLine(NamedTuple):
    """One account after the charge. ``was_held`` is what had been held for the call there, 0 where nothing was.

    ``used`` and ``held`` are the account's after the charge.
    """

    account: Account
    amount: int
    was_held: int
    used: int
    held: int

    @property
    def overdraft(self) -> int:
        """How much more it became than had been held."""
        return max(0, self.amount - self.was_held)


class Settled(NamedTuple):
    """The call is settled. Where it had been before, this is the first answer again, whatever is asked now.

    ``late`` says that the hold had ended before, by its lease or by a release: the charge counts all the same.
    """

    call: str
    lines: tuple[ChargedLine, ...]
    settled_at: datetime
    late: bool = False
    repeated: bool = False
