"""Balances as the guard saw them last, and as the engine reads them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from threading import Lock
from typing import Any, Final, NamedTuple

from costlens_policy.engine.decision import Balance
from costlens_policy.guard.accounts import Accounts
from costlens_policy.ledger.account import Account, AccountBalance, Grants
from costlens_policy.ledger.amounts import decimal_of
from costlens_policy.ledger.calls import ChargedLine, HoldLine, LineState
from costlens_policy.money import ZERO

__all__ = ["LastSeen", "Seen", "Snapshot", "seen_line"]

_KEPT: Final = 50_000
_NOTHING: Final = Balance()
_NO_GRANTS: Final = Grants()
_NEVER: Final = float("-inf")


class Seen(NamedTuple):
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
            self._make_room()
            for balance in balances:
                self._seen[balance.account.name] = Seen(balance, at)

    def put_charged(self, lines: Iterable[ChargedLine], at: float) -> None:
        """Take over what a settlement tells; it says nothing of limits, so those stay as they were seen."""
        with self._lock:
            self._make_room()
            for account, _, _, used, held in lines:
                self._put(account, used, held, at)

    def add(self, account: Account, *, used: int = 0, held: int = 0) -> None:
        """Move a balance by what this process knows and the store has not told."""
        with self._lock:
            self._move(account, used, held)

    def put_held(self, lines: Iterable[LineState], at: float) -> None:
        """Take over what a hold tells, with the hold itself. Limits stay as they were seen."""
        with self._lock:
            self._make_room()
            for account, amount, _, used, held in lines:
                self._put(account, used, held + amount, at)

    def hold(self, lines: Iterable[HoldLine], *, back: bool = False) -> None:
        """Add what a call holds, or take it off again."""
        with self._lock:
            for line in lines:
                self._move(line.account, 0, -line.amount if back else line.amount)

    def _put(self, account: Account, used: int, held: int, at: float) -> None:
        seen = self._seen.get(account.name)
        grants = _NO_GRANTS if seen is None else seen.balance.grants
        self._seen[account.name] = Seen(AccountBalance(account, used, held, grants), at)

    def _move(self, account: Account, used: int, held: int) -> None:
        balance, at = self._seen.get(account.name) or Seen(AccountBalance(account), _NEVER)
        moved = AccountBalance(account, max(0, balance.used + used), max(0, balance.held + held), balance.grants)
        self._seen[account.name] = Seen(moved, at)

    def _make_room(self) -> None:
        if len(self._seen) >= _KEPT:
            self._seen.clear()


class Snapshot(Mapping[tuple[str, str], Balance]):
    """The balances of one decision, by budget and scope key, in the engine's terms.

    ``fresh`` holds what the store told during this call; it goes before what was seen earlier.
    """

    def __init__(self, accounts: Accounts, seen: LastSeen, now: datetime) -> None:
        self.fresh: dict[str, Seen] = {}
        self._found: dict[tuple[str, str], Account | None] = {}
        self._accounts = accounts
        self._seen = seen
        self._now = now

    def account(self, name: tuple[str, str]) -> Account | None:
        """Return the present account of a budget and scope key, found once; None where it has none now."""
        account = self._found.get(name)
        if account is None:
            account = self._found[name] = self._accounts.account(*name, self._now)
        return account

    def age_of(self, account: Account, timer: float) -> float:
        """Return how many seconds ago the balance was told; infinity where it never was."""
        seen = self._seen.get(account)
        return float("inf") if seen is None else timer - seen.at

    def told(self, balances: Iterable[AccountBalance], at: float) -> None:
        """Take over what the store has told just now."""
        balances = list(balances)
        for balance in balances:
            self.fresh[balance.account.name] = Seen(balance, at)
        self._seen.put(balances, at)

    def known(self, account: Account) -> AccountBalance:
        """Return the balance that decisions are made on."""
        seen = self.fresh.get(account.name) or self._seen.get(account)
        return AccountBalance(account) if seen is None else seen.balance

    def __getitem__(self, name: tuple[str, str]) -> Balance:
        account = self.account(name)
        return _NOTHING if account is None else _balance(self.known(account))

    def get(self, name: tuple[str, str], default: Any = None) -> Any:
        """Return the balance; the engine asks for each budget of each call, and a mapping's own way takes longer."""
        account = self.account(name)
        return default if account is None else _balance(self.known(account))

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return iter(())  # the engine asks for balances by name only

    def __len__(self) -> int:
        return 0


def seen_line(line: LineState, asked: HoldLine, known: AccountBalance) -> AccountBalance:
    """Return the balance that an answer to a hold tells: ``known`` itself where that is it.

    A limit other than asked for was changed by hand.
    """
    account, _, limit, used, held = line
    grants = known.grants
    if limit is not None and asked.limit is not None and limit != grants.applied_to(asked.limit):
        grants = Grants(override=limit)
    elif used == known.used and held == known.held:
        return known
    return AccountBalance(account, used, held, grants)


def _balance(seen: AccountBalance) -> Balance:
    account, used, held, grants = seen
    unit, override, topup = account.unit, grants.override, grants.topup
    return Balance.of_ledger(
        decimal_of(used, unit) if used else ZERO,
        decimal_of(held, unit) if held else ZERO,
        None if override is None else decimal_of(override, unit),
        decimal_of(topup, unit) if topup else ZERO,
    )
