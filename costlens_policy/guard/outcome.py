"""What became of a call: what it was charged, and where."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from costlens_policy.catalogue import Usage
from costlens_policy.guard.charging import Basis

__all__ = ["Charged", "ChargedBudget"]


@dataclass(frozen=True, slots=True)
class ChargedBudget:
    """What a call was charged on one budget and scope key, in its unit.

    ``held`` is what had been held for the call there.
    """

    budget: str
    key: str
    unit: str
    amount: Decimal
    held: Decimal

    @property
    def overdraft(self) -> Decimal:
        """How much more it became than had been held."""
        return max(self.amount - self.held, Decimal(0))


@dataclass(frozen=True, slots=True)
class Charged:
    """The charge of a call. ``cost`` is in US dollars, None where its model has no price.

    ``basis`` says where the amounts come from. ``late``: the hold had ended before. ``repeated``: the call
    was settled already, by another process, and ``budgets`` tells of that. ``recorded``: the ledger has the
    charge; if not, it waits in memory until the ledger can be reached. ``notes`` say what could not be read or priced.
    """

    call: str
    model: str
    basis: Basis
    cost: Decimal | None
    usage: Usage | None
    budgets: tuple[ChargedBudget, ...]
    late: bool = False
    repeated: bool = False
    recorded: bool = True
    notes: tuple[str, ...] = ()
