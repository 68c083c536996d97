"""Balances as one call reads them: those that the guard saw last, and what the store reports during the call."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from costlens_policy.engine.decision import Balance
from costlens_policy.engine.facts import Approval
from costlens_policy.guard.accounts import NEVER, Accounts, Known, Place, shown_amount
from costlens_policy.guard.recent import recent_time
from costlens_policy.guard.run_records import BegunRuns
from costlens_policy.ledger.account import Account, AccountBalance, Approved, Grants
from costlens_policy.ledger.amounts import Unit, decimal_of, instant_of
from costlens_policy.ledger.calls import Carry, HoldLine, LineState, Share
from costlens_policy.ledger.carrying import amounts_before, carried
from costlens_policy.money import ZERO
from costlens_policy.quantiles import Measures

__all__ = ["Snapshot", "seen_line", "seen_shares"]

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
        "_accounts", "_begun", "_earlier", "_found", "_now", "_run", "_times", "balances", "beginning", "is_complete",
        "looked_at", "measures", "unlooked",
    )  # fmt: skip

    def __init__(
        self,
        accounts: Accounts,
        now: datetime,
        run: str | None = None,
        begun: BegunRuns | None = None,
        measures: Measures | None = None,
    ) -> None:
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
        """Whether the store has reported every balance that was looked at, at some time."""
        self._accounts = accounts
        self._now = now
        self._found: dict[Place, Known | None] = {}
        self._times: dict[Place, float] = {}
        self._earlier: dict[Place, tuple[tuple[int, ...], float]] = {}
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
            if known.carry is not None:
                at = known.earlier_at  # read before the amounts
                self._earlier[place] = known.earlier, at
                if at == NEVER:
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
            if place in self._earlier:
                _, at = self._earlier[place]
                if at == NEVER or (at < oldest and place not in verified):
                    found += self._carry(place).earlier
        return found

    def put(self, balances: Iterable[AccountBalance], at: float) -> None:
        """Take over what the store has reported just now."""
        current: list[AccountBalance] = []
        earlier: dict[Place, list[AccountBalance]] = {}
        for balance in balances:
            account = balance.account
            place = (account.budget, account.key)
            if place in self._earlier and account != self.balances[place].account:
                earlier.setdefault(place, []).append(balance)
                continue
            current.append(balance)
            self.balances[place] = balance
            self._times[place] = _FRESH
        self._accounts.put(current, at)
        for place, found in earlier.items():
            self.put_earlier(place, amounts_before(self._carry(place).rule, found), at)

    def put_earlier(self, place: Place, amounts: tuple[int, ...], at: float) -> bool:
        """Take over what earlier periods have used, as a store has reported it; return whether that was not known."""
        known, _ = self._earlier[place]
        self._earlier[place] = amounts, _FRESH
        found = self._found[place]
        if found is not None:
            self._accounts.put_earlier(found, amounts, at)
        return amounts != known

    def carried(self, place: Place, limit: int | None) -> int:
        """Return what is carried over into a budget's limit, in the ledger's units."""
        if limit is None or place not in self._earlier:
            return 0
        amounts, _ = self._earlier[place]
        return carried(self._carry(place).rule, limit, amounts)

    def __getitem__(self, place: Place) -> Balance:
        balance: Balance = self.get(place, _NOTHING)
        return balance

    def get(self, place: Place, default: Any = None) -> Any:
        """Return the balance; the engine asks for each budget of each call, and a mapping's own way takes longer."""
        if self.find(place) is None:
            return default
        account, used, held, grants, aside, share = self.balances[place]
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
            self._counted(place, unit) if place in self._earlier else (),
            decimal_of(aside, unit) if aside else ZERO,
            None if share is None else decimal_of(share, unit),
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

    def _carry(self, place: Place) -> Carry:
        found = self._found[place]
        assert found is not None
        assert found.carry is not None, "the budget carries over"
        return found.carry

    def _counted(self, place: Place, unit: Unit) -> tuple[Decimal, ...]:
        """Return what earlier periods have used; nothing where no store has reported it yet."""
        amounts, _ = self._earlier[place]
        return tuple([shown_amount(amount, unit) for amount in amounts])

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


def seen_line(line: LineState, asked: HoldLine, known: AccountBalance, carried: int | None = 0) -> AccountBalance:
    """Return the balance that an answer to a hold reports: ``known`` itself where that is it.

    A limit other than asked for, with what is carried over, was adjusted manually. None where nobody knows what was.
    """
    account, _, limit, used, held, *_ = line
    grants = known.grants
    if (
        limit is not None
        and asked.limit is not None
        and carried is not None
        and limit != grants.applied_to(asked.limit + carried)
    ):
        grants = Grants(override=limit, approvals=grants.approvals)
    elif used == known.used and held == known.held:
        return known
    return AccountBalance(account, used, held, grants, known.set_aside, known.share)


def seen_shares(
    lines: Sequence[LineState], seen: Sequence[AccountBalance], shares: Sequence[Share], changed: bool
) -> tuple[list[AccountBalance], bool]:
    """Return the balances that an answer to a hold reports, with what is left of shares, and whether any was unknown.

    Where two shares draw on one account, nobody reports what each has left: the ledger alone knows.
    """
    found = list(seen)
    places = {line.account.name: place for place, line in enumerate(lines)}
    drawing = Counter(share.of.name for share in shares)
    for share in shares:
        place, line = places[share.account.name], lines[places[share.of.name]]
        left = None if line.aside else line.own
        known = found[place].share
        if drawing[share.of.name] == 1 and left != known and (left or known):
            found[place] = found[place]._replace(share=left)
            changed = True
    return found, changed
