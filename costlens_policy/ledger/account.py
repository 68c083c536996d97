"""Accounts: what a balance belongs to, and the balance."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, NamedTuple

from costlens_policy.ledger.amounts import Unit
from costlens_policy.ledger.errors import AmountError
from costlens_policy.periods import Period

__all__ = ["AFTER_SEPARATOR", "LAST_NAME", "SEPARATOR", "Account", "AccountBalance", "Grants", "checked_text"]

SEPARATOR: Final = "\x1f"
"""Stands between the parts of a name."""
AFTER_SEPARATOR: Final = "\x20"
"""The character that follows it, so that a name and this are beyond all names that the name begins."""
LAST_NAME: Final = "\U0010ffff"
_LONGEST: Final = 1000


@dataclass(frozen=True, slots=True)
class Account:
    """One budget, one scope key, one period, one unit.

    ``budget`` is ``policy/budget``; ``key`` is empty where all share it.

    ``name`` is the one text by which stores know the account, ``scope`` the same without the period. Two accounts are
    equal when their names are.
    """

    budget: str = field(compare=False)
    key: str = field(compare=False)
    unit: Unit = field(compare=False)
    period: Period = field(compare=False)
    name: str = field(init=False, repr=False)
    scope: str = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        for text in (self.budget, self.period.id):
            if SEPARATOR in text:
                raise AmountError(f"`{text!r}` contains a control character, so it names no account")
        name = SEPARATOR.join((self.budget, self.period.id, self.unit, self.key))
        object.__setattr__(self, "name", checked_text(name, "the name of an account"))
        object.__setattr__(self, "scope", SEPARATOR.join((self.budget, self.unit, self.key)))


@dataclass(frozen=True, slots=True)
class Grants:
    """What adjustments do to a limit for the time being: ``override`` replaces it, ``topup`` is added."""

    override: int | None = None
    topup: int = 0

    def applied_to(self, limit: int) -> int:
        """Return the limit in force."""
        return (limit if self.override is None else self.override) + self.topup


class AccountBalance(NamedTuple):
    """What is spent, what is held for calls under way, and what was granted on top of the policy's limit.

    A named tuple, since several are made for every call.
    """

    account: Account
    used: int = 0
    held: int = 0
    grants: Grants = Grants()


def checked_text(text: str, what: str) -> str:
    """Return a text that every store can keep; raises ``AmountError``."""
    if text.isascii() and len(text) <= _LONGEST and "\x00" not in text:
        return text
    if "\x00" in text or any("\ud800" <= character <= "\udfff" for character in text):
        raise AmountError(f"{what} contains a character that no store can keep: `{text!r}`")
    if len(text) > _LONGEST or len(text.encode()) > _LONGEST:
        raise AmountError(f"{what} has at most {_LONGEST} bytes")
    return text
