"""Balances as one call reads them: those that the guard saw last, and what the store reports during the call."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from costlens_policy.engine.decision import Balance
from costlens_policy.engine.facts import Approval
from costlens_policy.guard.accounts import NEVER, Accounts, Known, Place, earlier_amounts
from costlens_policy.guard.recent import recent_time
from costlens_policy.guard.run_records import BegunRuns
from costlens_policy.ledger.account import Account, AccountBalance, Approved, Grants
from costlens_policy.ledger.amounts import Unit, decimal_of, instant_of
from costlens_policy.ledger.calls import HoldLine, LineState
from costlens_policy.money import ZERO
from costlens_policy.quantiles import Measures

__all__ = ["Snapshot", "seen_line"]

_NOTHING: Final = Balance()
_FRESH: Final = float("inf")
"""When a balance was reported that is never too old."""


class Snapshot(Mapping[Place, Balance]):
    """The balances of one call, by budget and scope key, in the engine's terms.

    Each is looked at once, as it was seen last, so that deciding and what follows speak of the same amounts; what the
    store reports during the call takes its place.

    A budget that counts runs shows its balance without the run of the call, which the call adds.
    """

    __slots__ = (
        "_accounts", "_begun", "_earlier", "_found", "_now", "_oldest", "_run", "_times", "balances",
        "beginning", "is_complete", "looked_at", "measures", "unlooked",
    )  # fmt: skip

    def __init__(
        self,
        accounts: Accounts,
        now: datetime,
        run: str | None = None,
        begun: BegunRuns | None = None,
        measures: Measures | None = None,
        oldest: float = NEVER,
    ) -> None:
        """``oldest`` is when a balance of an earlier period must have been reported for what it carries over."""
        self.measures: Final = measures
        """What is known of calls; it stays the same while the call is decided."""
        self.unlooked: dict[str, Account] = {}
        """By their names, the accounts of which nobody has looked whether they count the run of the call."""
        self.beginning: set[str] = set()
        """The names of the accounts that hold the run of the call as one that is about to begin."""
        self._run = run
        self._begun = begun
        self.balances: dict[Place, AccountBalance] = {}
        """What decisions are made on, of each account that was looked at."""
        self.looked_at: list[Place] = []
        """Accounts of recent charges that decisions looked at: no hold verifies them."""
        self.is_complete = True
        """Whether the store has reported every balance that was looked at, at some time, and those of earlier periods
        lately: no hold verifies them."""
        self._accounts = accounts
        self._now = now
        self._found: dict[Place, Known | None] = {}
        self._times: dict[Place, float] = {}
        self._oldest = oldest
        self._earlier: dict[Place, list[tuple[AccountBalance, float]]] = {}
        """Of budgets that carry over, what earlier periods have used, the latest first, and when that was reported."""

    def find(self, place: Place) -> Known | None:
        """Return what is known of the current account of a budget and scope key; None where it has none now."""
        if place in self._found:
            return self._found[place]
        known = self._found[place] = self._accounts.known(place, self._now)
        if known is not None:
            at = self._times[place] = known.at
            if at == NEVER:
                self.is_complete = False
            self.balances[place] = known.balance
            if known.earlier:
                times = [item.at for item in known.earlier]  # read before the balances
                self._earlier[place] = [(item.balance, at) for item, at in zip(known.earlier, times, strict=True)]
                if min(times) == NEVER or min(times) < self._oldest:
                    self.is_complete = False
        return known

    def unread(self, places: Iterable[Place], verified: Collection[Place], oldest: float) -> list[Account]:
        """Return the accounts of which the store reported no balance yet, or none since ``oldest``.

        What was reported during this call is never too old, nor is what is ``verified`` by a hold.
        """
        times, found = self._times, []
        for place in places:
            if (at := times.get(place, _FRESH)) == NEVER or (at < oldest and place not in verified):
                found.append(self.balances[place].account)
            for balance, at in self._earlier.get(place, ()):
                if at == NEVER or at < oldest:
                    found.append(balance.account)
        return found

    def put(self, balances: Iterable[AccountBalance], at: float) -> None:
        """Take over what the store has reported just now."""
        balances = list(balances)
        for balance in balances:
            place = (balance.account.budget, balance.account.key)
            earlier = self._earlier.get(place, ())
            index = next((at for at, (item, _) in enumerate(earlier) if item.account == balance.account), None)
            if index is None:
                self.balances[place] = balance
                self._times[place] = _FRESH
            else:
                self._earlier[place][index] = balance, _FRESH
        self._accounts.put(balances, at)

    def __getitem__(self, place: Place) -> Balance:
        balance: Balance = self.get(place, _NOTHING)
        return balance

    def get(self, place: Place, default: Any = None) -> Any:
        """Return the balance; the engine asks for each budget of each call, and a mapping's own way takes longer."""
        if self.find(place) is None:
            return default
        account, used, held, grants = self.balances[place]
        recent = self._recent(place) if place[0] in self._accounts.measuring else ()
        unit, override, topup = account.unit, grants.override, grants.topup
        if unit == "runs" and self._counts_run(account):
            used, held = (used - 1, held) if used else (0, max(0, held - 1))
        return Balance.of_ledger(
            decimal_of(used, unit) if used else ZERO,
            decimal_of(held, unit) if held else ZERO,
            None if override is None else decimal_of(override, unit),
            decimal_of(topup, unit) if topup else ZERO,
            account.period.starts_at if account.period.first_use is not None else None,
            recent,
            tuple([_approval(item, unit) for item in grants.approvals]) if grants.approvals else (),
            earlier=self._counted(place) if place in self._earlier else (),
        )

    def _recent(self, place: Place) -> tuple[tuple[str, Decimal], ...]:
        """Return what was charged lately, where there is anything, and remember that it was looked at."""
        found = []
        for at in self._accounts.recent_places(*place):
            known = self.find(at)
            if known is None:
                continue
            self.looked_at.append(at)
            balance = self.balances[at]
            if balance.used:
                found.append((recent_time(at[0]), decimal_of(balance.used, balance.account.unit)))
        return tuple(found)

    def _counted(self, place: Place) -> tuple[Decimal, ...]:
        """Return what earlier periods have used; what no store has reported yet carries nothing over."""
        if any(at == NEVER for _, at in self._earlier[place]):
            return ()
        return earlier_amounts(self._accounts.steps[place[0]], [balance for balance, _ in self._earlier[place]])

    def _counts_run(self, account: Account) -> bool:
        if self._run is None or self._begun is None:
            return False
        if self._begun.knows(account, self._run) or account.name in self.beginning:
            return True
        self.unlooked.setdefault(account.name, account)
        return False

    def __iter__(self) -> Iterator[Place]:
        return iter(())  # the engine asks for balances by name only

    def __len__(self) -> int:
        return 0


def _approval(item: Approved, unit: Unit) -> Approval:
    up_to = None if item.up_to is None else decimal_of(item.up_to, unit)
    return Approval(item.threshold, up_to, None if item.until is None else instant_of(item.until))


def seen_line(line: LineState, asked: HoldLine, known: AccountBalance) -> AccountBalance:
    """Return the balance that an answer to a hold reports: ``known`` itself where that is it.

    A limit other than asked for was adjusted manually.
    """
    account, _, limit, used, held = line
    grants = known.grants
    if limit is not None and asked.limit is not None and limit != grants.applied_to(asked.limit):
        grants = Grants(override=limit, approvals=grants.approvals)
    elif used == known.used and held == known.held:
        return known
    return AccountBalance(account, used, held, grants)
