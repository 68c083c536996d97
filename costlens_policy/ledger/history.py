"""Reading the ledger page by page: entries, reservations, accounts."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Generic, Literal, TypeAlias, TypeVar

from costlens_policy.frozen import frozen
from costlens_policy.ledger.account import AFTER_SEPARATOR, LAST_NAME, SEPARATOR, Account, AccountBalance
from costlens_policy.ledger.adjustments import AdjustmentKind
from costlens_policy.ledger.amounts import SECOND, Unit, micros
from costlens_policy.ledger.calls import CallState, Charge, Facts, Held, Hold, LineState, Settled
from costlens_policy.ledger.errors import AmountError, CallConflictError, UnknownCallError

__all__ = [
    "AccountQuery",
    "Entry",
    "EntryKind",
    "EntryQuery",
    "Page",
    "Reservation",
    "ReservationQuery",
    "ReservedLine",
    "call_state",
    "charged_without_hold",
    "held_again",
    "match_charges",
    "no_page",
    "place_number",
    "unknown_call",
]


EntryKind: TypeAlias = Literal["charge"] | AdjustmentKind

_Item = TypeVar("_Item", AccountBalance, "Entry", "Reservation")


@frozen
class Page(Generic[_Item]):
    """Part of a listing. ``next`` is what ``after`` must be for the following part, and empty at the end."""

    items: tuple[_Item, ...]
    next: str = ""


@frozen
class Entry:
    """One change of one account, never altered.

    What is spent is the sum of the amounts of kinds ``charge``, ``set`` and ``correct``.

    ``id`` is where the entry stands in the history, and can be an ``after``. ``call`` is the id of the call or of the
    adjustment. For ``set`` and ``correct`` the amount is the difference it made, for ``topup`` and ``override`` what
    was granted, for ``release`` what had been held.
    """

    id: str
    at: datetime
    kind: EntryKind
    call: str
    account: Account
    amount: int
    was_held: int
    late: bool
    facts: Facts

    @property
    def is_of_call(self) -> bool:
        """Whether it is the charge of a call of a model: a run that was counted is none."""
        return self.kind == "charge" and self.account.unit != "runs"

    @property
    def counts(self) -> bool:
        """Whether the amount is part of what is spent."""
        return self.kind in ("charge", "set", "correct")

    @property
    def overdraft(self) -> int:
        """How much more a charge became than had been held."""
        return max(0, self.amount - self.was_held) if self.kind == "charge" else 0


@frozen
class EntryQuery:
    """Which entries, in the order in which they were made.

    Whoever reads on from the last entry of a page, also later, passes over none that was made meanwhile.

    ``account`` is exact; ``budget`` and ``key`` hold for all periods.
    """

    account: Account | None = None
    budget: str | None = None
    key: str | None = None
    call: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    newest_first: bool = False
    after: str = ""
    limit: int = 100

    def covers_account(self, account: Account) -> bool:
        """Whether entries of an account are asked for."""
        return (
            (self.account is None or account == self.account)
            and (self.budget is None or account.budget == self.budget)
            and (self.key is None or account.key == self.key)
        )

    def covers(self, entry: Entry) -> bool:
        """Whether the entry is one of those asked for, pages aside."""
        return (
            self.covers_account(entry.account)
            and (self.call is None or entry.call == self.call)
            and (self.since is None or entry.at >= self.since)
            and (self.until is None or entry.at < self.until)
        )


@frozen
class ReservedLine:
    """What a reservation holds on one account."""

    account: Account
    amount: int


@frozen
class Reservation:
    """A call, what was held for it, and what became of it.

    ``lines`` and ``expires_at`` are those of the hold, also once it has ended. A call that was charged without a hold
    has no lines, and was reserved and has expired when it was charged. ``settled`` is the answer to its settlement.
    """

    call: str
    state: CallState
    lines: tuple[ReservedLine, ...]
    reserved_at: datetime
    expires_at: datetime
    facts: Facts
    settled: Settled | None = None


@frozen
class ReservationQuery:
    """Which open reservations, by the end of their lease. ``expired`` asks for those whose client never came back."""

    budget: str | None = None
    key: str | None = None
    expired: bool = False
    after: str = ""
    limit: int = 100

    @property
    def state(self) -> CallState:
        return "expired" if self.expired else "held"

    def place(self) -> tuple[int, str]:
        """Return the end of the lease, in seconds since 1970, and the call after which the page begins."""
        second, _, call = self.after.partition(":")
        return (place_number(second) if second else -1), call

    def following(self, last: Reservation) -> str:
        """Return the ``after`` of the page that begins behind the reservation."""
        return f"{micros(last.expires_at) // SECOND}:{last.call}"

    def covers(self, reservation: Reservation) -> bool:
        """Whether one of its lines is on the budget and key asked for."""
        return any(
            (self.budget is None or line.account.budget == self.budget)
            and (self.key is None or line.account.key == self.key)
            for line in reservation.lines
        ) or (self.budget is None and self.key is None)


@frozen
class AccountQuery:
    """Which accounts, by name. ``budget`` with ``period`` is the fast way to all keys of the current period."""

    budget: str | None = None
    period: str | None = None
    unit: Unit | None = None
    key: str | None = None
    after: str = ""
    limit: int = 100

    def names(self) -> tuple[str, str]:
        """Return between which names the accounts lie; the second is beyond the last one."""
        known = [self.budget]
        if self.budget is not None and self.period is not None:
            known += [self.period] if self.unit is None else [self.period, self.unit]
        prefix = SEPARATOR.join(part for part in known if part is not None)
        return (prefix + SEPARATOR, prefix + AFTER_SEPARATOR) if prefix else ("", LAST_NAME)

    def covers(self, account: Account) -> bool:
        """Whether the account is one of those asked for, pages aside."""
        return (
            (self.budget is None or account.budget == self.budget)
            and (self.period is None or account.period.id == self.period)
            and (self.unit is None or account.unit == self.unit)
            and (self.key is None or account.key == self.key)
        )


def place_number(after: str) -> int:
    """Return the number in an ``after``; raises ``AmountError`` for a text that no page has given."""
    if not after.isascii() or not after.isdigit():
        raise no_page(after)
    return int(after)


def no_page(after: str) -> AmountError:
    return AmountError(f"`{after}` is not the start of a page; use `next` of the page before it")


def call_state(end: int | None, released: bool, settled: bool, now: int) -> CallState:
    """Return what became of a call; ``end`` is in seconds and None where it was never held, ``now`` in microseconds."""
    if settled or end is None:
        return "settled"
    if released:
        return "released"
    return "expired" if now >= end * SECOND else "held"


def held_again(hold: Hold, lines: tuple[LineState, ...], end: int, state: CallState) -> Held:
    """Return the first answer to a call that is reserved again.

    Raises ``CallConflictError`` where it asks for something else.
    """
    if not lines and state == "released":
        return Held(hold.call, (), end, state, repeated=True)  # it was voided before it came
    first = [(line.account.scope, line.amount) for line in lines]
    if first != [(line.account.scope, line.amount) for line in hold.lines]:
        raise CallConflictError(f"the call id `{hold.call}` is already used by a call with other amounts; use a new id")
    return Held(hold.call, lines, end, state, repeated=True)


def charged_without_hold(call: str) -> CallConflictError:
    return CallConflictError(
        f"the call id `{call}` is already used by a call that was charged without a hold; use a new id"
    )


def unknown_call(call: str) -> UnknownCallError:
    return UnknownCallError(
        f"the call `{call}` was never held in this ledger; use `charge` to record it without a hold"
    )


def match_charges(
    held: Sequence[LineState | ReservedLine], charges: Sequence[Charge]
) -> tuple[list[int | None], Sequence[Charge]]:
    """Return what is charged on each line held, None where nothing is, and the charges on other accounts."""
    if len(held) == len(charges):
        amounts: list[int | None] = []
        for line, charge in zip(held, charges, strict=True):
            if line.account.name != charge.account.name:
                break
            amounts.append(charge.amount)
        else:
            return amounts, ()
    left = {charge.account.scope: charge for charge in charges}
    found = [left.pop(line.account.scope, None) for line in held]
    return [None if charge is None else charge.amount for charge in found], tuple(left.values())
