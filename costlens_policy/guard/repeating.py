"""A call that is asked for again by its id: the same hold, or a clear answer why there is none."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from itertools import chain, count, islice
from typing import Final

from costlens_policy.compiler.plan import Plan
from costlens_policy.engine.decision import Decision, DeniedError
from costlens_policy.guard.accounts import Accounts
from costlens_policy.guard.balances import Snapshot
from costlens_policy.guard.lines import holds_of
from costlens_policy.guard.link import Link
from costlens_policy.guard.replay import decide_again
from costlens_policy.guard.reserving import Asked, Reserved, Reserver
from costlens_policy.ledger import CallConflictError, CallState, Reservation, UnknownCallError
from costlens_policy.ledger.account import checked_text

__all__ = ["hold_names", "recall", "reserve_again"]

_MOST_TRIES: Final = 100


def hold_names(id: str) -> Iterator[str]:
    """Yield the ids under which the ledger may know a call: its own, then with a number."""
    yield id
    for number in count(2):
        yield f"{id}~{number}"


def reserve_again(
    plan: Plan, accounts: Accounts, link: Link, reserver: Reserver, asked: Asked, snapshot: Snapshot
) -> Reserved:
    """Reserve a call whose id the caller chose.

    What is held under the id already is that call, decided as it was. Where its hold was released, or nobody came
    back before the lease ended, it is held anew under the id with a number. Raises ``DeniedError``, and
    ``CallConflictError`` for a call that is settled: whoever wants another one needs another id.
    """
    names = hold_names(asked.id)
    for name in islice(names, _MOST_TRIES):
        try:
            answer = reserver.reserve(asked, chain((name,), names), snapshot)
            if isinstance(answer, Reserved):
                return answer
        except (DeniedError, CallConflictError):
            if _state(link, name, asked) == "unknown":
                raise
        state = _state(link, name, asked)
        if state == "settled":
            raise CallConflictError(f"the call `{asked.id}` is settled; use a new id for a new call")
        if state == "held":
            return _resumed(plan, accounts, link, name, asked)
    raise CallConflictError(f"the call `{asked.id}` was held {_MOST_TRIES} times and never settled; use a new id")


def recall(link: Link, id: str, now: datetime) -> Reservation:
    """Return the hold of a call as the ledger has it: the one that stands, else the settled one, else the last.

    Raises ``UnknownCallError`` where nothing was ever held under the id, ``AmountError`` for an id that no ledger can
    keep, ``LedgerUnavailableError``.
    """
    checked_text(id, "the id of a call")
    last: Reservation | None = None
    for name in islice(hold_names(id), _MOST_TRIES):
        found = _known(link, name, now)
        if found is None:
            break
        if found.lines or found.settled is not None:
            last = found
        if found.state in ("held", "settled"):
            return found
    if last is None:
        raise UnknownCallError(f"no call `{id}` was held in this ledger, or it is forgotten by now")
    return last


def _state(link: Link, name: str, asked: Asked) -> CallState:
    """Return what the ledger knows of a call; the lease of one that is held begins anew."""
    try:
        return link.ask(lambda store: store.extend(name, asked.lease, asked.now)).state
    except UnknownCallError:
        return "unknown"


def _resumed(plan: Plan, accounts: Accounts, link: Link, name: str, asked: Asked) -> Reserved:
    found = _find(link, name, asked)
    decision = None if found is None else decide_again(plan, asked.request, found.facts)
    if found is None or decision is None or not _holds(found, decision, accounts):
        raise CallConflictError(
            f"the id `{asked.id}` is that of another call, or of another version of the policies; to charge what it"
            f" holds, settle it by its id: `guard.settle({asked.id!r}, usage)`"
        )
    if not decision.allowed:
        raise DeniedError(decision)
    return Reserved(decision, name, holds_of(decision, accounts), found.expires_at)


def _known(link: Link, name: str, now: datetime) -> Reservation | None:
    return link.ask(lambda store: store.reservation(name, now))


def _find(link: Link, name: str, asked: Asked) -> Reservation | None:
    found = _known(link, name, asked.now)
    return found if found is not None and found.state == "held" else None


def _holds(found: Reservation, decision: Decision, accounts: Accounts) -> bool:
    lines = {line.account.name: line.ask.amount for line in holds_of(decision, accounts)}
    return lines == {line.account.name: line.amount for line in found.lines}
