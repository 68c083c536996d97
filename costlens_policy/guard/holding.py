"""The hold of a call: from the ledger, again by its id, within the allowance, or as the ledger remembers it."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from itertools import chain, count, islice
from typing import Any, Final

from costlens_policy.engine.decide import decide
from costlens_policy.engine.decision import Decision, DeniedError
from costlens_policy.engine.denial import RunEndedError, denial_of
from costlens_policy.guard.accounts import ToHold, holds_of, line_limit
from costlens_policy.guard.alerts import Standing
from costlens_policy.guard.approvals import approval_error
from costlens_policy.guard.balances import Snapshot, seen_line
from costlens_policy.guard.hold_facts import REQUEST, Recalled, decide_again, is_of_plan, request_digest
from costlens_policy.guard.link import Link
from costlens_policy.guard.recording import release_call
from costlens_policy.guard.reserving import Asked, Reserved, overtaken, reserve, run_ended, run_of
from costlens_policy.guard.run_records import begin_run, begin_run_later, has_ended
from costlens_policy.guard.shared import Shared
from costlens_policy.ledger import (
    CallConflictError,
    CallState,
    HoldLine,
    LedgerBusyError,
    LedgerError,
    LedgerUnavailableError,
    Refused,
    Reservation,
    UnknownCallError,
)
from costlens_policy.ledger.account import checked_text
from costlens_policy.ledger.calls import Charge
from costlens_policy.money import format_usd
from costlens_policy.runs import lineage_of

__all__ = ["hold_call", "recall", "recall_call", "run_over"]

_MOST_TRIES: Final = 100
_MOST_REFUSALS: Final = 8
"""How often others may take the room for a run that balances had shown, before its call is refused."""


def hold_call(shared: Shared, asked: Asked, versions: Sequence[Shared] = ()) -> tuple[Shared, Reserved]:
    """Decide a request and hold its worst case, and report the alerts that are due with it.

    ``versions`` are what calls of earlier policies share, one of which may have decided a call that is held already;
    returned is that of the policies which decided. Raises ``RequestError``, ``DeniedError`` and ``CallConflictError``.
    """
    over = None if asked.named else shared.ended.over(run_of(asked.request))  # a named one may be held already
    if over is not None:
        raise run_over(shared, asked.request, asked.now, over)
    snapshot = _seen_last(shared, asked)
    try:
        shared, reserved = _hold_with_run(shared, asked, snapshot, versions)
    except LedgerUnavailableError as fault:
        return shared, _hold_without_ledger(shared, asked, fault)
    except RunEndedError as ended:
        if ended.over is not None:
            shared.ended.add(ended.over)
        raise
    except DeniedError as denied:
        _report_denied(shared, denied.decision, snapshot)
        if over := _ended_run(shared, asked):
            shared.ended.add(over)
            raise run_ended(denied.decision, over) from denied.__cause__
        if denied.decision.approvals:
            raise approval_error(shared, denied.decision, snapshot) from denied.__cause__
        ends_at = _next_end(shared, denied, asked.now)
        raise denial_of(denied.decision, ends_at) from denied.__cause__
    if reserved.decision.alerts:
        _report_reached(shared, reserved.decision)
    return shared, reserved


def _hold_with_run(
    shared: Shared, asked: Asked, snapshot: Snapshot, versions: Sequence[Shared]
) -> tuple[Shared, Reserved]:
    """Hold a call, and let the budgets that count runs count its run; decided anew where others took the room."""
    names = _hold_names(asked.id)
    shared, reserved = _hold(shared, asked, names, snapshot, versions)
    for turn in count() if shared.accounts.counts_runs else ():
        refused = _begin_run(shared, asked, reserved)
        if refused is None:
            break
        if turn == _MOST_REFUSALS:
            raise DeniedError(overtaken(reserved.decision, refused))
        shared, reserved = _hold(shared, asked, names, _seen_last(shared, asked), versions)
    return shared, reserved


def _hold(
    shared: Shared, asked: Asked, names: Iterator[str], snapshot: Snapshot, versions: Sequence[Shared]
) -> tuple[Shared, Reserved]:
    if asked.named:
        return _hold_again(shared, asked, snapshot, versions)
    answer = reserve(shared, asked, names, snapshot)
    assert isinstance(answer, Reserved), "a new id was never held before"
    return shared, answer


def _ended_run(shared: Shared, asked: Asked) -> str | None:
    """Return the run of a refused call, or the one around it, that has ended; None where none has, or nobody knows."""
    run = run_of(asked.request)
    try:
        ended = (path for path in lineage_of(run or "") if run and _has_ended(shared, path, asked.now))
        return next(ended, None)
    except LedgerError:  # the call is refused all the same
        return None


def _has_ended(shared: Shared, run: str, now: datetime) -> bool:
    return shared.link.ask(lambda store: has_ended(store, run, now))


def _begin_run(shared: Shared, asked: Asked, reserved: Reserved) -> Refused | None:
    """Let the budgets that count runs count that of a call which is held, each once.

    Where one has no room after all, the call is given back, and its refusal returned. So a run that counts has a call
    that was held, and a call that goes on has a run that counts.
    """
    run, decision = run_of(asked.request), reserved.decision
    for seen in decision.holds if run is not None else ():
        known = shared.accounts.known((seen.budget, seen.key), decision.now) if seen.unit == "runs" else None
        if run is None or known is None or shared.begun.knows(known.account, run):
            continue
        try:
            limit = line_limit(seen, known, decision)
            answer = begin_run(shared.link, known.account, limit, run, asked.now)
        except LedgerUnavailableError:
            release_call(shared, asked, reserved)
            raise
        if isinstance(answer, Refused):
            release_call(shared, asked, reserved)
            (line,) = answer.lines
            shared.accounts.put([seen_line(line, HoldLine(line.account, 1, limit), known.balance)], shared.timer())
            return answer
        shared.begun.add(known.account, run)
        if not answer.repeated:
            shared.accounts.put_charged((known,), answer.lines, shared.timer())
    return None


def recall_call(shared: Shared, id: str) -> tuple[Asked, Reserved, Reservation]:
    """Return a call by its id as its hold remembers it, to be charged without deciding anything; see ``recall``.

    The last is what became of it.
    """
    found = recall(shared.link, id, shared.clock())
    decision = Recalled(shared.plan, found)
    lines = tuple(HoldLine(line.account, line.amount, None) for line in found.lines)
    asked = Asked({}, id, True, shared.options.lease, found.reserved_at)
    to_hold = ToHold(decision, decision.holds, lines)
    return asked, Reserved(decision, found.call, to_hold, found.expires_at, counts=found.state == "held"), found


def _hold_names(id: str) -> Iterator[str]:
    """Return the ids under which the ledger may know a call: its own, then with a number."""
    return chain((id,), (f"{id}~{number}" for number in count(2)))


def recall(link: Link, id: str, now: datetime) -> Reservation:
    """Return the hold of a call as the ledger has it: the one that stands, else the settled one, else the last.

    Raises ``UnknownCallError`` where nothing was ever held under the id, ``AmountError`` for an id that no ledger can
    keep, ``LedgerUnavailableError``.
    """
    checked_text(id, "the id of a call")
    last: Reservation | None = None
    for name in islice(_hold_names(id), _MOST_TRIES):
        found = _reservation(link, name, now)
        if found is None:
            break
        if found.lines or found.facts or found.settled is not None:  # else it was given back before it was held
            last = found
        if found.state in ("held", "settled"):
            return found
    if last is None:
        raise UnknownCallError(f"no call `{id}` was held in this ledger, or it has been forgotten")
    return last


def _reservation(link: Link, name: str, now: datetime) -> Reservation | None:
    return link.ask(lambda store: store.reservation(name, now))


def _hold_again(
    shared: Shared, asked: Asked, snapshot: Snapshot, versions: Sequence[Shared]
) -> tuple[Shared, Reserved]:
    """Reserve a call whose id the caller chose.

    What is held under the id already is that call, decided as it was. Where its hold was released, or nobody came
    back before the lease ended, it is held anew under the id with a number. Raises ``DeniedError``, and
    ``CallConflictError`` for a call that is settled: whoever wants another one needs another id.
    """
    names = _hold_names(asked.id)
    for name in islice(names, _MOST_TRIES):
        try:
            answer = reserve(shared, asked, chain((name,), names), snapshot)
            if isinstance(answer, Reserved):
                return shared, answer
        except (DeniedError, CallConflictError):
            if _state(shared, name, asked) == "unknown":
                raise
        state = _state(shared, name, asked)
        if state == "settled":
            raise CallConflictError(f"the call `{asked.id}` is settled; use a new id for a new call")
        if state == "held":
            return _resumed(shared, name, asked, versions)
    raise CallConflictError(f"the call `{asked.id}` was held {_MOST_TRIES} times and never settled; use a new id")


def _state(shared: Shared, name: str, asked: Asked) -> CallState:
    """Return what the ledger knows of a call; the lease of one that is held begins anew."""
    try:
        return shared.link.ask(lambda store: store.extend(name, asked.lease, asked.now)).state
    except UnknownCallError:
        return "unknown"


def _resumed(shared: Shared, name: str, asked: Asked, versions: Sequence[Shared]) -> tuple[Shared, Reserved]:
    """Return the call that is held, decided as it was: by the policies that decided it, where they are at hand.

    Else by those of today, if these come to the same model and hold the same.
    """
    found = _reservation(shared.link, name, asked.now)
    if found is None or found.state != "held" or not _is_same(asked, found):
        raise CallConflictError(
            f"the id `{asked.id}` belongs to another call; settle it by its id to charge what it holds, and use a new"
            " id for a new call"
        )
    made = next((one for one in (shared, *versions) if is_of_plan(found.facts, one.plan)), shared)
    decision = decide_again(made.plan, asked.request, found.facts)
    if decision is None or not _is_held(made, found, decision):
        raise CallConflictError(
            f"the id `{asked.id}` belongs to a call that other policies decided, which are not at hand; settle it by"
            " its id to charge what it holds, and use a new id for a new call"
        )
    if not decision.allowed:
        raise DeniedError(decision)
    return made, Reserved(decision, name, _to_hold(made, decision), found.expires_at, repeated=True)


def _is_same(asked: Asked, found: Reservation) -> bool:
    """Whether a hold is that of the request. One of an earlier version does not tell."""
    known = found.facts.get(REQUEST)
    return not known or known == request_digest(asked.request, asked.id)


def _to_hold(shared: Shared, decision: Decision) -> ToHold:
    return holds_of(decision, lambda place: shared.accounts.known(place, decision.now))


def _is_held(shared: Shared, found: Reservation, decision: Decision) -> bool:
    if decision.model != found.facts.get("model"):
        return False
    lines = {line.account.name: line.amount for line in _to_hold(shared, decision).lines}
    return lines == {line.account.name: line.amount for line in found.lines}


def _hold_without_ledger(shared: Shared, asked: Asked, fault: LedgerUnavailableError) -> Reserved:
    """Decide on the balances seen last, and let the call through only within the allowance."""
    if (over := shared.ended.over(run_of(asked.request))) is not None:
        raise run_over(shared, asked.request, asked.now, over) from fault
    decision = _decide_on_last(shared, asked.request, asked.now)
    if not decision.allowed:
        raise denial_of(decision) from fault
    word = "is busy" if isinstance(fault, LedgerBusyError) else "cannot be reached"
    reason, room = f"ledger: it {word}: {fault}", shared.allowance
    if room is None:
        raise DeniedError(decision.refused(reason)) from fault
    estimates = [decision.estimate, *(call.estimate for call in decision.fallback_calls)]
    known = [item.worst_cost for item in estimates if item is not None and item.worst_cost is not None]
    if len(known) < len(estimates):
        unpriced = "ledger: a call without a price cannot count against the allowance"
        raise DeniedError(decision.refused(reason, unpriced)) from fault
    worst = max(known)
    taken = f"{format_usd(room.taken)} of the allowance of {format_usd(room.limit)} is taken"
    if not room.take(asked.id, worst):
        full = f"ledger: the allowance has no room for {format_usd(worst)}: {taken}"
        raise DeniedError(decision.refused(reason, full)) from fault
    to_hold = _to_hold(shared, decision)
    shared.accounts.hold(to_hold)
    _begin_run_later(shared, asked, decision)
    alone = f"ledger: counted by this process alone, {taken}"
    hold = f"{asked.id}~{os.urandom(16).hex()}" if asked.named else asked.id  # the ledger may know the id already
    may_be_held = shared.link.keep_hold(hold)
    return Reserved(decision.noted(reason, alone), hold, to_hold, None, local=True, asked=may_be_held)


def _seen_last(shared: Shared, asked: Asked) -> Snapshot:
    return Snapshot(shared.accounts, asked.now, run_of(asked.request), shared.begun, shared.measuring.now_known())


def _decide_on_last(shared: Shared, request: Mapping[str, Any], now: datetime) -> Decision:
    """Decide on the balances seen last, asking no ledger."""
    seen = Snapshot(shared.accounts, now, run_of(request), shared.begun, shared.measuring.now_known())
    return decide(shared.plan, request, seen, now, seen.measures)


def run_over(shared: Shared, request: Mapping[str, Any], now: datetime, over: str) -> RunEndedError:
    """Return the denial of a call whose run, or the one around it, this process knows to have ended; no ledger is
    asked. Raises ``RequestError``."""
    return run_ended(_decide_on_last(shared, request, now), over)


def _begin_run_later(shared: Shared, asked: Asked, decision: Decision) -> None:
    """Let the budgets that count runs count that of a call which goes on without the ledger: here now, there later."""
    run = run_of(asked.request)
    for seen in decision.holds if run is not None else ():
        known = shared.accounts.known((seen.budget, seen.key), decision.now) if seen.unit == "runs" else None
        if run is None or known is None or shared.begun.knows(known.account, run):
            continue
        shared.begun.add(known.account, run)
        shared.accounts.add((Charge(known.account, 1),))
        begin_run_later(shared.link, known.account, run, asked.now)


def _next_end(shared: Shared, denied: DeniedError, now: datetime) -> datetime | None:
    """Return when the next hold ends on the budget that refused a call; None where nothing is held there."""
    if not denied.held or denied.budget is None or denied.key is None:
        return None
    account = shared.accounts.account(denied.budget, denied.key, now)
    if account is None:
        return None
    try:
        return shared.link.ask(lambda store: store.next_end(account, now))
    except LedgerError:  # the call is refused all the same
        return None


def _report_reached(shared: Shared, decision: Decision) -> None:
    for line in (*decision.balances, *(item.seen for item in decision.overflowed)):
        account = shared.accounts.account(line.budget, line.key, decision.now)
        if account is not None:
            recent = shared.accounts.recent(line.budget, line.key, decision.now)
            shared.alerts.reached(Standing(account, line.used, line.held, line.limit, line.call, recent))


def _report_denied(shared: Shared, decision: Decision, snapshot: Snapshot) -> None:
    reasons: dict[tuple[str, str], str] = {}
    for item in decision.excluded:
        if item.key is not None and item.needs is None:
            reasons.setdefault((item.by, item.key), item.reason)
    for (budget, key), reason in reasons.items():
        if snapshot.find((budget, key)) is not None:
            shared.alerts.denied(snapshot.balances[budget, key], reason)
