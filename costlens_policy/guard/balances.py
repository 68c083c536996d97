"""Balances as the guard saw them last, and as the engine reads them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from threading import Lock
from typing import Final

from costlens_policy.engine.decision import Balance
from costlens_policy.guard.accounts import Accounts
from costlens_policy.ledger.account import Account, AccountBalance, Grants
from costlens_policy.ledger.amounts import decimal_of
from costlens_policy.ledger.charges import ChargedLine
from costlens_policy.ledger.holds import HoldLine, LineState
from costlens_policy.money import ZERO

__all__ = ["LastSeen", "Seen", "Snapshot", "seen_line"]

_KEPT: Final = 50_000
_NOTHING: Final = Balance()


@dataclass(frozen=True, slots=True)
class Seen:
    """A balance, and when the store told it, in seconds of a steady timer."""

    balance: AccountBalance
    at: float


class LastSeen:
    """The last balance of each account that this process has seen. Safe for threads; another process may know more."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._seen: dict[str, Seen] = {}

    def get(self, account: Account) -> Seen | None:
        return self._seen.get(account.name)

    def put(self, balances: Iterable[AccountBalance], at: float) -> None:
        with self._lock:
            if len(self._seen) >= _KEPT:
                self._seen.clear()
            for balance in balances:
                self._seen[balance.account.name] = Seen(balance, at)

    def put_charged(self, lines: Iterable[ChargedLine], at: float) -> None:
        """Take over what a settlement tells; it says nothing of limits, so those stay as they were seen."""
        known = [(line, self._seen.get(line.account.name)) for line in lines]
        grants = [Grants() if seen is None else seen.balance.grants for _, seen in known]
        self.put(
            [
                AccountBalance(line.account, line.used, line.held, granted)
                for (line, _), granted in zip(known, grants, strict=True)
            ],
            at,
        )

    def add(self, account: Account, *, used: int = 0, held: int = 0) -> None:
        """Move a balance by what this process knows and the store has not told."""
        with self._lock:
            seen = self._seen.get(account.name) or Seen(AccountBalance(account), float("-inf"))
            balance = seen.balance
            used, held = max(0, balance.used + used), max(0, balance.held + held)
            moved = AccountBalance(account, used, held, balance.grants)
            self._seen[account.name] = Seen(moved, seen.at)


class Snapshot(Mapping[tuple[str, str], Balance]):
    """The balances of one decision, by budget and scope key, in the engine's terms.

    ``fresh`` holds what the store told during this call; it goes before what was seen earlier.
    """

    def __init__(self, accounts: Accounts, seen: LastSeen, now: datetime) -> None:
        self.fresh: dict[str, Seen] = {}
        self._accounts = accounts
        self._seen = seen
        self._now = now

    def account(self, budget: str, key: str) -> Account | None:
        return self._accounts.account(budget, key, self._now)

    def age_of(self, account: Account, timer: float) -> float:
        """Return how many seconds ago the balance was told; infinity where it never was."""
        seen = self._seen.get(account)
        return float("inf") if seen is None else timer - seen.at

    def told(self, balances: Iterable[AccountBalance], at: float) -> None:
        """Take over what the store has told just now."""
        balances = list(balances)
        self.fresh.update((balance.account.name, Seen(balance, at)) for balance in balances)
        self._seen.put(balances, at)

    def known(self, account: Account) -> AccountBalance:
        """Return the balance that decisions are made on."""
        seen = self.fresh.get(account.name) or self._seen.get(account)
        return AccountBalance(account) if seen is None else seen.balance

    def __getitem__(self, name: tuple[str, str]) -> Balance:
        account = self.account(*name)
        return _NOTHING if account is None else _balance(self.known(account))

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return iter(())  # the engine asks for balances by name only

    def __len__(self) -> int:
        return 0


def seen_line(line: LineState, asked: HoldLine, known: AccountBalance) -> AccountBalance:
    """Return the balance that an answer to a hold tells. A limit other than asked for was changed by hand."""
    if line.limit is None or asked.limit is None or line.limit == known.grants.applied_to(asked.limit):
        grants = known.grants
    else:
        grants = Grants(override=line.limit)
    return AccountBalance(line.account, line.used, line.held, grants)


def _balance(seen: AccountBalance) -> Balance:
    unit = seen.account.unit
    override = seen.grants.override
    return Balance(
        decimal_of(seen.used, unit) if seen.used else ZERO,
        decimal_of(seen.held, unit) if seen.held else ZERO,
        None if override is None else decimal_of(override, unit),
        decimal_of(seen.grants.topup, unit) if seen.grants.topup else ZERO,
    )
