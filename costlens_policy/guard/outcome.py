"""What became of a call: what it was charged, and where."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import NamedTuple

from costlens_policy.catalogue import Usage
from costlens_policy.guard.amounts import shown_amount
from costlens_policy.guard.charging import Basis
from costlens_policy.ledger import ChargedLine

__all__ = ["Charged", "ChargedBudget"]


class ChargedBudget(NamedTuple):
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
    lines: tuple[ChargedLine, ...] = field(repr=False)
    """What it was charged in the ledger's units."""
    late: bool = False
    repeated: bool = False
    recorded: bool = True
    notes: tuple[str, ...] = ()

    @property
    def budgets(self) -> tuple[ChargedBudget, ...]:
        """What it was charged on each budget that it counts against."""
        return tuple(_budget(line) for line in self.lines)


def _budget(line: ChargedLine) -> ChargedBudget:
    account, unit = line.account, line.account.unit
    amount, held = shown_amount(line.amount, unit), shown_amount(line.was_held, unit)
    return ChargedBudget(account.budget, account.key, unit, amount, held)
