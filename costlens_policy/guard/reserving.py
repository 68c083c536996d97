"""Deciding and reserving: one decision, one round trip, and once more where others were quicker."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple, TypeVar

from costlens_policy.compiler.plan import Plan
from costlens_policy.engine.decide import decide
from costlens_policy.engine.decision import Decision, DeniedError, Exclusion
from costlens_policy.engine.denial import RunEndedError
from costlens_policy.guard.accounts import Place, ToHold, holds_of
from costlens_policy.guard.balances import Snapshot, seen_line, seen_shares
from costlens_policy.guard.hold_facts import REQUEST, facts_of, request_digest
from costlens_policy.guard.run_records import ended_by, ends_of, has_begun
from costlens_policy.guard.shared import Shared
from costlens_policy.ledger import (
    Account,
    AccountBalance,
    Held,
    Hold,
    LedgerUnavailableError,
    Refused,
    decimal_of,
)
from costlens_policy.ledger.calls import Facts
from costlens_policy.runs import RUN
from costlens_policy.units import show_amount

__all__ = ["Asked", "Reserved", "ask_now", "overtaken", "reserve", "run_ended", "run_of"]

_Answer = TypeVar("_Answer")

_NOW: Final = float("inf")
"""The oldest that a balance may be which has to be read for what is asked."""
_MOST_TURNS: Final = 3
"""How often a hold is given back because the balances that it met would have decided otherwise."""
_MOST_REFUSALS: Final = 8
"""How often others may take the room that balances had shown, before the call is refused."""


class Asked(NamedTuple):
    """A call that is asked for. ``named``: the caller chose the id, so the call may be asked for again."""

    request: Mapping[str, Any]
    id: str
    named: bool
    lease: timedelta
    now: datetime


class Reserved(NamedTuple):
    """A call that may proceed.

    ``hold`` is the id under which the ledger holds it, ``expires_at`` the end of its lease, None where the ledger does
    not hold it. ``local``: the ledger cannot be reached, and only this process counts the call; ``asked``: the ledger
    may know it, since it was asked to hold it. ``counts``: what is held is part of the balances; it is not of a call
    that has ended, and is remembered only to be charged. ``repeated``: it was held before under the id of its caller.
    """

    decision: Decision
    hold: str
    held: ToHold
    expires_at: datetime | None
    local: bool = False
    asked: bool = True
    counts: bool = True
    repeated: bool = False


def run_of(request: Any) -> str | None:
    """Return the run that a request names; None for one outside of runs."""
    run = request.get(RUN) if isinstance(request, Mapping) else None
    return run if isinstance(run, str) else None


def reserve(shared: Shared, asked: Asked, names: Iterator[str], snapshot: Snapshot) -> Reserved | Held:
    """Reserve the worst case of a call under the first of the names, and under a further one for each more turn.

    What is reserved is compared with the ledger in any case, and nothing is refused but on balances read for that very
    call. An answer ``Held`` means that the call had been reserved before, which only one with an id of the caller's
    can have been: of another it is the answer that was lost when the store was asked first. A call that counts on no
    budget is held with its facts alone, so that it can be settled by the id of its caller; one without such an id is
    not, and costs no round trip. Raises ``DeniedError``, ``CallConflictError``, ``LedgerUnavailableError``.
    """
    turns = refusals = 0
    name, plan = next(names), _plan_for(shared, asked, snapshot)
    run = run_of(asked.request)
    ends = () if run is None or not plan.decision.allowed else ends_of(run)
    while True:
        decision = plan.decision
        if not decision.allowed:
            raise DeniedError(decision)
        if not plan.lines and not asked.named and not ends:
            return Reserved(decision, name, plan, None, asked=False)
        try:
            hold = Hold(name, plan.lines, asked.now, asked.lease, _facts(shared, asked, plan), ends, plan.shares)
            answer = shared.link.reserve(hold)
        except LedgerUnavailableError:
            if plan.lines or shared.ended.over(run) is not None:
                raise
            shared.link.keep_hold(name)  # it counts on no budget, so that nothing has to wait for the ledger
            return Reserved(decision, name, plan, None)
        if isinstance(answer, Refused):
            if answer.barred:
                raise run_ended(decision, ended_by(answer.barred))
            refusals += 1
            _take_over(shared, answer, plan, snapshot)
            plan = _plan_for(shared, asked, snapshot)
            if refusals == _MOST_REFUSALS and plan.decision.allowed:
                plan = ToHold(overtaken(plan.decision, answer))
            continue
        if answer.repeated and asked.named:
            return answer
        changed = _take_over(shared, answer, plan, snapshot)
        again = _plan_for(shared, asked, snapshot) if changed else plan
        if again is plan or (again.decision.allowed and again.lines == plan.lines):
            return _reserved(shared, again, answer)
        if again.decision.allowed and turns == _MOST_TURNS:
            return _reserved(shared, plan, answer)  # right on the balances just before, and within every limit
        shared.link.release(name, asked.now)
        turns += 1
        name, plan = next(names), again


def run_ended(decision: Decision, run: str) -> RunEndedError:
    """Return the denial of a call whose run has ended."""
    return RunEndedError(decision.refused(f"run: `{run}` has ended"), run)


def _facts(shared: Shared, asked: Asked, plan: ToHold) -> Facts:
    facts = facts_of(plan.decision, plan.seen, shared.recorded, replayable=asked.named)
    return {**facts, REQUEST: request_digest(asked.request, asked.id)} if asked.named else facts


def ask_now(
    shared: Shared, ask: Callable[[Plan, Snapshot, datetime], _Answer], run: str | None, *, may_read: bool = True
) -> _Answer | None:
    """Return what the engine answers on the balances of the ledger, and hold nothing. ``run`` is that of the request.

    A decision that allows may look at balances that are as old as the guard lets them be; all else is answered on
    balances read for it. Without ``may_read`` None is returned where the ledger has to be read, so that who must not
    wait can leave that to a thread. Raises ``RequestError``, ``LedgerUnavailableError``.
    """
    now = shared.clock()
    snapshot = Snapshot(shared.accounts, now, run, shared.begun, shared.measuring.now_known())
    while True:
        answer = ask(shared.plan, snapshot, now)
        if not snapshot.balances:
            return answer
        if snapshot.unlooked:
            if not may_read:
                return None
            if run is not None and _look(shared, run, snapshot, now):
                continue
        allows = isinstance(answer, Decision) and answer.allowed
        unread = snapshot.unread(list(snapshot.balances), (), shared.timer() - shared.max_age if allows else _NOW)
        if not unread:
            return answer
        if not may_read:
            return None
        snapshot.put(_read(shared, unread, now), shared.timer())


def _plan_for(shared: Shared, asked: Asked, snapshot: Snapshot) -> ToHold:
    """Decide on balances that are known well enough, reading those that are not."""
    while True:
        decision = decide(shared.plan, asked.request, snapshot, asked.now, snapshot.measures)
        if snapshot.unlooked:
            run = run_of(asked.request)
            if run is not None and _look(shared, run, snapshot, asked.now):
                continue
        plan = holds_of(decision, snapshot.find) if decision.allowed else ToHold(decision)
        read = decision.balances_read
        verified = len(read) == len(plan.seen) and snapshot.is_complete and not snapshot.looked_at
        if verified and not (decision.excluded or decision.despite or _is_approved(shared, decision)):
            return plan  # as nearly always: the hold itself verifies whatever was read
        unread = _unread(shared, plan, snapshot)
        if not unread:
            return plan
        snapshot.put(_read(shared, unread, asked.now), shared.timer())


def _is_approved(shared: Shared, decision: Decision) -> bool:
    return shared.accounts.approving and decision.rests_on_approval


def _look(shared: Shared, run: str, snapshot: Snapshot, now: datetime) -> bool:
    """Look which accounts count a run already, of those where nobody has; return whether one does."""
    unlooked, snapshot.unlooked = snapshot.unlooked, {}
    found = False
    for account in unlooked.values():
        state = has_begun(shared.link, account, run, now)
        if state == "settled":
            shared.begun.add(account, run)
        elif state == "held":  # by a process that may have been killed: whoever holds a call of the run charges it
            snapshot.beginning.add(account.name)
        found = found or state is not None
    return found


def _read(shared: Shared, accounts: list[Account], now: datetime) -> tuple[AccountBalance, ...]:
    return shared.link.ask(lambda store: store.balances(accounts, now))


def _unread(shared: Shared, plan: ToHold, snapshot: Snapshot) -> list[Account]:
    """Return the accounts whose balances are not known well enough for what was decided on them."""
    decision = plan.decision
    barred = any(item.by in shared.accounts.steps for item in (*decision.excluded, *decision.despite))
    gave_way = decision.overflowed or (barred and decision.ways_out)
    approved = _is_approved(shared, decision)  # no hold verifies what people answered
    final = not decision.allowed or gave_way or approved  # all of this is read for this very call
    oldest = _NOW if final else shared.timer() - shared.max_age
    verified: Collection[Place] = ()
    if not (barred or approved):
        verified = {(seen.budget, seen.key) for seen in plan.seen}
    return snapshot.unread((*decision.balances_read, *dict.fromkeys(snapshot.looked_at)), verified, oldest)


def _take_over(shared: Shared, answer: Held | Refused, plan: ToHold, snapshot: Snapshot) -> bool:
    """Take over the balances that the ledger answered with; return whether they are others than were known."""
    reported, changed = [], False
    for index, (state, line) in enumerate(zip(answer.lines, plan.lines, strict=True)):
        place = (line.account.budget, line.account.key)
        known, carried = snapshot.balances[place], 0 if line.carry is None else None
        if line.carry is not None and answer.earlier:
            changed = snapshot.put_earlier(place, answer.earlier[index], shared.timer()) or changed
            carried = snapshot.carried(place, line.limit)
        balance = seen_line(state, line, known, carried)
        changed = changed or balance is not known
        reported.append(balance)
    if plan.shares:
        reported, changed = seen_shares(answer.lines, reported, plan.shares, changed)
    if changed or isinstance(answer, Refused):
        snapshot.put(reported, shared.timer())
    return changed


def _reserved(shared: Shared, plan: ToHold, held: Held) -> Reserved:
    shared.accounts.put_held(plan, held.lines, shared.timer())
    return Reserved(plan.decision, held.call, plan, held.expires_at)


def overtaken(decision: Decision, refused: Refused) -> Decision:
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
