"""A call in the ledger: what is held before it is sent, and charged after, with the answers to both.

Answers are named tuples, not data classes: several are made for every call, and a frozen class takes three times as
long.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import field
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any, Final, Literal, NamedTuple, TypeAlias

from costlens_policy.carry_over import CarryOver
from costlens_policy.frozen import frozen
from costlens_policy.ledger.account import Account, checked_text, lease_end
from costlens_policy.ledger.amounts import MAX_LIMIT, SECOND, checked_amount, instant_of
from costlens_policy.ledger.errors import AmountError

__all__ = [
    "CallState",
    "Carry",
    "Charge",
    "ChargedLine",
    "Extended",
    "Facts",
    "Held",
    "Hold",
    "HoldLine",
    "LineState",
    "Refused",
    "Released",
    "Settled",
    "Settlement",
    "Share",
    "facts_text",
    "facts_value",
    "json_text",
]


Facts: TypeAlias = Mapping[str, Any]
"""JSON data kept with a call for reports: model, policy digest, request tags, usage."""

CallState: TypeAlias = Literal["held", "expired", "released", "settled", "unknown"]
"""``expired``: the lease has passed. ``released``: given back. Both can still be settled, once."""

_MAX_LINES: Final = 64
_NO_FACTS: Final[Facts] = {}


@frozen
class Carry:
    """The windows that take over from one another, the latest first, of which the one at ``place`` is held.

    ``rule`` is in the integers of the ledger. As many windows come before and after as the rule has periods, or
    fewer where the calendar ends.
    """

    windows: tuple[Account, ...]
    place: int
    rule: CarryOver

    @property
    def earlier(self) -> tuple[Account, ...]:
        """The windows from which the one that is held takes over, the latest first."""
        return self.windows[self.place + 1 :]

    @property
    def counting(self) -> int:
        """How many of the windows count even if nothing was used in them: so many from the latest on."""
        since, starts = self.rule.since, [window.period.starts_at for window in self.windows]
        return 0 if since is None else sum(start is not None and start >= since for start in starts)


@frozen
class HoldLine:
    """What the call may cost at most on one account.

    ``limit`` is the policy's, and None where nothing may be refused (shadow). ``carry`` says from which windows the
    account takes over what they left unused: the store adds that to the limit, from its own records.
    """

    account: Account
    amount: int
    limit: int | None
    carry: Carry | None = None

    def __post_init__(self) -> None:
        checked_amount(self.amount)
        if self.limit is not None and (self.limit.__class__ is not int or not 0 <= self.limit <= MAX_LIMIT):
            raise AmountError(f"a limit must be a whole number from 0 to {MAX_LIMIT}, got `{self.limit!r}`")
        if self.carry is not None and self.carry.windows[self.carry.place] != self.account:
            raise AmountError("a line must carry over into the window of its account")


@frozen
class Share:
    """What one account of a call is given of another one, ``of``: all that it may still spend is set aside there.

    That begins with the first call that asks for it, and lasts as long as the ``lease`` that each further call, and
    its settlement, begins anew, or until one of the calls ``ends`` is voided. A call takes what it holds of ``of`` from
    what is set aside for it; what that lacks must have room as that of any other call.
    """

    account: Account
    of: Account
    lease: timedelta
    ends: tuple[str, ...] = ()


@frozen
class Hold:
    """Asks for room on every line, for as long as the lease.

    ``call`` is the id of the call and makes repeating it harmless. Nothing is held where one of the calls ``unless`` is
    on record, such as the end of what the call belongs to. ``shares`` are those that the call belongs to; an account
    without a limit has none.
    """

    call: str
    lines: tuple[HoldLine, ...]
    now: datetime
    lease: timedelta
    facts: Facts = field(default_factory=lambda: _NO_FACTS)
    unless: tuple[str, ...] = ()
    shares: tuple[Share, ...] = ()

    def __post_init__(self) -> None:
        if not self.call:
            raise AmountError("a call must have an id")
        checked_text(self.call, "the id of a call")
        if len(self.lines) > 1:
            _check_distinct([line.account for line in self.lines])
        if self.unless:
            _check_unless(self.unless)
        if self.shares:
            _check_shares(self)


class LineState(NamedTuple):
    """A line as the ledger saw it.

    ``limit`` is the one in force, with grants and what is carried over; ``used`` and ``held`` are before the call.
    ``own`` is what of ``held`` was set aside for shares of the call, and is in its way nowhere; ``drawn`` is what the
    call takes of it, ``aside`` what is set aside in addition, for shares that begin with it.
    """

    account: Account
    amount: int
    limit: int | None
    used: int
    held: int
    own: int = 0
    drawn: int = 0
    aside: int = 0

    @property
    def has_room(self) -> bool:
        return self.limit is None or self.used + self.held - self.own + self.amount + self.aside <= self.limit

    @property
    def held_after(self) -> int:
        """What is held once this line is."""
        return self.held - self.drawn + self.amount + self.aside


class Held(NamedTuple):
    """Every line is held. Where the call had been reserved before, this is the first answer again.

    ``state`` is what became of the call since. ``end`` is the end of the lease in seconds since 1970. ``earlier`` is
    what the earlier windows of each line have used that counted for what it took over, the latest first; empty where no
    line carries over, and in an answer that is given again.
    """

    call: str
    lines: tuple[LineState, ...]
    end: int
    state: CallState = "held"
    repeated: bool = False
    earlier: tuple[tuple[int, ...], ...] = ()

    @property
    def expires_at(self) -> datetime:
        """When the hold ends by itself, in UTC."""
        return _end_of_lease(self.end)


@lru_cache(maxsize=256)
def _end_of_lease(second: int) -> datetime:
    """Return the instant; the leases of many calls end in the same second."""
    return instant_of(second * SECOND)


class Refused(NamedTuple):
    """At least one line has no room, so nothing is held, and nothing remembers the call.

    ``barred`` is the first of the calls on record without which alone it would be held; then there are no lines.
    ``earlier`` is that of ``Held``.
    """

    call: str
    lines: tuple[LineState, ...]
    barred: str = ""
    earlier: tuple[tuple[int, ...], ...] = ()

    @property
    def without_room(self) -> tuple[LineState, ...]:
        return tuple(line for line in self.lines if not line.has_room)


@frozen
class Released:
    """``state`` is ``released``, or ``settled`` where the charge came first, or ``unknown`` for a call that was never
    held.
    """

    call: str
    state: CallState


@frozen
class Extended:
    """``state`` is ``held`` where the lease now lasts until ``expires_at``; otherwise the hold had ended and nothing
    changed.
    """

    call: str
    state: CallState
    expires_at: datetime


@frozen
class Charge:
    """What the call cost on one account."""

    account: Account
    amount: int

    def __post_init__(self) -> None:
        checked_amount(self.amount)


@frozen
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
            raise AmountError("a call must have an id")
        checked_text(self.call, "the id of a call")
        if len(self.charges) > 1 and len({charge.account.scope for charge in self.charges}) < len(self.charges):
            raise AmountError("the charges of a call must be on different budgets or keys")


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


def _check_distinct(accounts: list[Account]) -> None:
    if len(accounts) > _MAX_LINES:
        raise AmountError(f"a call must have at most {_MAX_LINES} accounts, got {len(accounts)}")
    if len({account.scope for account in accounts}) < len(accounts):
        raise AmountError("the lines of a call must be on different budgets or keys")


def _check_shares(hold: Hold) -> None:
    names = {line.account.name for line in hold.lines}
    above = {share.account.name: share.of.name for share in hold.shares}
    if len(above) < len(hold.shares):
        raise AmountError("an account must be a share of at most one other")
    for share in hold.shares:
        if share.account.name not in names or share.of.name not in names or share.account.unit != share.of.unit:
            raise AmountError("a share must be of two accounts of the call, in one unit")
        if not set(share.ends).issubset(hold.unless):
            raise AmountError("the calls that end a share must bar the call")
        lease_end(0, share.lease)
        _check_above(share.account.name, above)


def _check_above(name: str, above: Mapping[str, str]) -> None:
    """Raise where an account is a share of its own shares."""
    at = above.get(name, "")
    for _ in above:
        if at == name:
            raise AmountError("an account must not be a share of its own shares")
        at = above.get(at, "")


def _check_unless(calls: tuple[str, ...]) -> None:
    if len(calls) > _MAX_LINES:
        raise AmountError(f"a call must name at most {_MAX_LINES} calls that bar it, got {len(calls)}")
    for call in calls:
        checked_text(call, "the id of a call")


_LONGEST: Final = 65_536
_ENCODE: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode


def json_text(value: Any) -> str:
    """Return compact JSON of what the ledger itself has made."""
    return _ENCODE(value)


def facts_text(facts: Facts) -> str:
    """Return facts as JSON. Raises ``AmountError`` for what is not JSON, or longer than 64 KiB."""
    if not facts:
        return "{}"
    try:
        text = _ENCODE(facts)
        length = len(text.encode())
    except (TypeError, ValueError, RecursionError) as error:
        raise AmountError(f"the facts of a call must be JSON data: {error}") from None
    if length > _LONGEST:
        raise AmountError(f"the facts of a call must be at most {_LONGEST} bytes long, got {length}")
    return text


def facts_value(text: str) -> dict[str, Any]:
    """Return the facts of a text."""
    value: dict[str, Any] = json.loads(text)
    return value
