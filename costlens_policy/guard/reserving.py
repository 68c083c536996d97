"""Deciding and reserving: one decision, one round trip, and once more where others were quicker."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple

from costlens_policy.engine.decide import decide
from costlens_policy.engine.decision import Decision, DeniedError, Exclusion
from costlens_policy.engine.facts import show_amount
from costlens_policy.guard.accounts import Place, ToHold, holds_of
from costlens_policy.guard.balances import Snapshot, seen_line
from costlens_policy.guard.hold_facts import facts_of
from costlens_policy.guard.shared import Shared
from costlens_policy.ledger import Account, AccountBalance, Held, Hold, HoldLine, Refused, decimal_of

__all__ = ["Asked", "Reserved", "reserve"]

_MOST_TURNS: Final = 3
"""How often a hold is given back because the balances that it met would have decided otherwise."""
_MOST_REFUSALS: Final = 8
"""How often others may take the room that balances had shown, before the call is refused."""
_NOTHING: Final = ToHold()


class Asked(NamedTuple):
    """A call that is asked for. ``named``: the caller chose the id, so the call may be asked for again."""

    request: Mapping[str, Any]
    id: str
    named: bool
    lease: timedelta
    now: datetime


class Reserved(NamedTuple):
    """A call that may proceed.

    ``hold`` is the id under which the ledger holds it, ``expires_at`` the end of its lease, None where nothing had to
    be held. ``local``: the ledger cannot be reached, and only this process counts the call; ``asked``: the ledger may
    hold it all the same, since it was asked to.
    """

    decision: Decision
    hold: str
    held: ToHold
    expires_at: datetime | None
    local: bool = False
    asked: bool = True


class _Tentative(NamedTuple):
    """A decision, and what it asks the ledger to hold."""

    decision: Decision
    to_hold: ToHold

    def asks_same(self, other: _Tentative) -> bool:
        return self is other or (self.decision.allowed and self.to_hold.lines == other.to_hold.lines)


def reserve(shared: Shared, asked: Asked, names: Iterator[str], snapshot: Snapshot) -> Reserved | Held:
    """Reserve the worst case of a call under the first of the names, and under a further one for each more turn.

    What is reserved is compared with the ledger in any case, and nothing is refused but on balances read for that very
    call. An answer ``Held`` means that the call had been reserved before, which only one with an id of the caller's
    can have been: of another it is the answer that was lost when the store was asked first. Raises ``DeniedError``,
    ``CallConflictError``, ``LedgerUnavailableError``.
    """
    turns = refusals = 0
    name, plan = next(names), _plan_for(shared, asked, snapshot)
    while True:
        decision, to_hold = plan
        if not decision.allowed:
            raise DeniedError(decision)
        if not to_hold.lines:
            return Reserved(decision, name, to_hold, None)
        facts = facts_of(decision, shared.recorded, replayable=asked.named)
        answer = shared.link.reserve(Hold(name, to_hold.lines, asked.now, asked.lease, facts))
        changed = _take_over(shared, answer, to_hold.lines, snapshot)
        if isinstance(answer, Refused):
            refusals += 1
            plan = _plan_for(shared, asked, snapshot)
            if refusals == _MOST_REFUSALS and plan.decision.allowed:
                plan = _Tentative(_overtaken(plan.decision, answer), _NOTHING)
            continue
        if answer.repeated and asked.named:
            return answer
        again = _plan_for(shared, asked, snapshot) if changed else plan
        if again.asks_same(plan):
            return _reserved(shared, again, answer)
        if again.decision.allowed and turns == _MOST_TURNS:
            return _reserved(shared, plan, answer)  # right on the balances just before, and within every limit
        shared.link.release(name, asked.now)
        turns += 1
        name, plan = next(names), again


def _plan_for(shared: Shared, asked: Asked, snapshot: Snapshot) -> _Tentative:
    """Decide on balances that are known well enough, reading those that are not."""
    while True:
        decision = decide(shared.plan, asked.request, snapshot, asked.now)
        to_hold = holds_of(decision, snapshot.find) if decision.allowed else _NOTHING
        unread = _unread(shared, decision, to_hold, snapshot) if decision.balances_read else None
        if not unread:
            return _Tentative(decision, to_hold)
        snapshot.put(_read(shared, unread, asked.now), shared.timer())


def _read(shared: Shared, accounts: list[Account], now: datetime) -> tuple[AccountBalance, ...]:
    return shared.link.ask(lambda store: store.balances(accounts, now))


def _unread(shared: Shared, decision: Decision, to_hold: ToHold, snapshot: Snapshot) -> list[Account]:
    """Return the accounts whose balances are not known well enough for what was decided on them."""
    oldest = shared.timer() - shared.max_age if decision.allowed else float("inf")
    verified: Collection[Place] = ()
    if not decision.excluded or not any(item.by in shared.accounts.steps for item in decision.excluded):
        verified = {(seen.budget, seen.key) for seen in to_hold.seen}
    return snapshot.unread(decision.balances_read, verified, oldest)


def _take_over(shared: Shared, answer: Held | Refused, lines: tuple[HoldLine, ...], snapshot: Snapshot) -> bool:
    """Take over the balances that the ledger answered with; return whether they are others than were known."""
    told, changed = [], False
    for state, line in zip(answer.lines, lines, strict=True):
        account = line.account
        known = snapshot.balances[account.budget, account.key]
        balance = seen_line(state, line, known)
        changed = changed or balance is not known
        told.append(balance)
    if changed or isinstance(answer, Refused):
        snapshot.put(told, shared.timer())
    return changed


def _reserved(shared: Shared, plan: _Tentative, held: Held) -> Reserved:
    decision, to_hold = plan
    shared.accounts.put_held(to_hold.known, held.lines, shared.timer())
    return Reserved(decision, held.call, to_hold, held.expires_at)


def _overtaken(decision: Decision, refused: Refused) -> Decision:
    """Refuse a call because others took the room each time, on the balances that the ledger refused it with."""
    excluded = []
    for line in refused.without_room:
        unit = line.account.unit
        call, used, held, limit = (
            show_amount(decimal_of(amount, unit), unit)
            for amount in (line.amount, line.used, line.held, line.limit or 0)
        )
        reason = f"budget `{line.account.budget}` had no room for {call}: {used} used and {held} held of {limit}"
        excluded.append(Exclusion(decision.model or "", reason, line.account.budget, line.account.key))
    return decision.refused("candidates: none is left", excluded=tuple(excluded))
