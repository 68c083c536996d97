"""Deciding and reserving: one decision, one round trip, and once more where others were quicker."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple

from costlens_policy.compiler.plan import Plan
from costlens_policy.engine.decide import decide
from costlens_policy.engine.decision import Decision, DeniedError, Exclusion
from costlens_policy.engine.facts import show_amount
from costlens_policy.guard.accounts import Accounts
from costlens_policy.guard.balances import LastSeen, Snapshot, seen_line
from costlens_policy.guard.lines import HeldLine, holds_of
from costlens_policy.guard.link import Link
from costlens_policy.guard.replay import facts_of
from costlens_policy.ledger import Account, Held, Hold, Refused, decimal_of

__all__ = ["Asked", "Reserved", "Reserver"]

_MOST_TURNS: Final = 3
"""How often a hold is given back because the balances that it met would have decided otherwise."""
_MOST_REFUSALS: Final = 8
"""How often others may take the room that balances had shown, before the call is refused."""
_NEVER: Final = float("inf")


@dataclass(frozen=True, slots=True)
class Asked:
    """A call that is asked for. ``named``: the caller chose the id, so the call may be asked for again."""

    request: Mapping[str, Any]
    id: str
    named: bool
    lease: timedelta
    now: datetime


@dataclass(frozen=True, slots=True)
class Reserved:
    """A call that may proceed.

    ``hold`` is the id under which the ledger holds it, ``expires_at`` the end of its lease, None where nothing had to
    be held. ``local``: the ledger cannot be reached, and only this process counts the call; ``asked``: the ledger may
    hold it all the same, since it was asked to.
    """

    decision: Decision
    hold: str
    lines: tuple[HeldLine, ...]
    expires_at: datetime | None
    local: bool = False
    asked: bool = True


class _Tentative(NamedTuple):
    """A decision, and what it asks the ledger to hold."""

    decision: Decision
    lines: tuple[HeldLine, ...]

    def asks_same(self, other: _Tentative) -> bool:
        return self is other or (
            self.decision.allowed and [line.ask for line in self.lines] == [line.ask for line in other.lines]
        )


class Reserver:
    """Decides calls and reserves their worst case. Safe for threads.

    ``max_age`` is how many seconds old a balance may be that a decision only looks at. What is reserved is compared
    with the ledger in any case, and nothing is refused but on balances read for that very call.
    """

    def __init__(
        self, plan: Plan, accounts: Accounts, seen: LastSeen, link: Link, max_age: float, timer: Callable[[], float]
    ) -> None:
        self._policies = plan
        self._accounts = accounts
        self._seen = seen
        self._link = link
        self._max_age = max_age
        self._timer = timer

    def snapshot(self, now: datetime) -> Snapshot:
        return Snapshot(self._accounts, self._seen, now)

    def reserve(self, asked: Asked, names: Iterator[str], snapshot: Snapshot) -> Reserved | Held:
        """Reserve the worst case of a call under the first of the names, and under a further one for each more turn.

        An answer ``Held`` says that the call had been reserved before, which only one with an id of the caller's can
        have been: of another it is the answer that was lost when the store was asked first. Raises ``DeniedError``,
        ``CallConflictError``, ``LedgerUnavailableError``.
        """
        turns = refusals = 0
        name, plan = next(names), self._plan_for(asked, snapshot)
        while True:
            if not plan.decision.allowed:
                raise DeniedError(plan.decision)
            if not plan.lines:
                return Reserved(plan.decision, name, (), None)
            answer = self._ask(asked, name, plan)
            if isinstance(answer, Refused):
                refusals += 1
                plan = self._after_refusal(asked, snapshot, answer, plan, last=refusals == _MOST_REFUSALS)
                continue
            if answer.repeated and asked.named:
                return answer
            again = self._plan_for(asked, snapshot) if self._compare(answer, plan.lines, snapshot) else plan
            if again.asks_same(plan):
                return self._reserved(again, answer)
            if again.decision.allowed and turns == _MOST_TURNS:
                return self._reserved(plan, answer)  # right on the balances of a moment ago, and within every limit
            self._release(name, asked)
            turns += 1
            name, plan = next(names), again

    def _plan_for(self, asked: Asked, snapshot: Snapshot) -> _Tentative:
        """Decide on balances that are known well enough, reading those that are not."""
        while True:
            decision = decide(self._policies, asked.request, snapshot, asked.now)
            plan = _Tentative(decision, holds_of(decision, self._accounts) if decision.allowed else ())
            unread = list(self._unread(plan, snapshot))
            if not unread:
                return plan
            snapshot.told(self._read(unread, asked.now), self._timer())

    def _read(self, accounts: list[Account], now: datetime) -> Iterator[Any]:
        return iter(self._link.ask(lambda store: store.balances(accounts, now)))

    def _ask(self, asked: Asked, name: str, plan: _Tentative) -> Held | Refused:
        facts = facts_of(plan.decision, replayable=asked.named)
        hold = Hold(name, tuple(line.ask for line in plan.lines), asked.now, asked.lease, facts)
        return self._link.reserve(hold)

    def _release(self, name: str, asked: Asked) -> None:
        self._link.release(name, asked.now)

    def _after_refusal(
        self, asked: Asked, snapshot: Snapshot, answer: Refused, plan: _Tentative, *, last: bool
    ) -> _Tentative:
        """Decide anew on the balances that the ledger refused the hold with."""
        self._compare(answer, plan.lines, snapshot)
        again = self._plan_for(asked, snapshot)
        return _Tentative(_overtaken(again.decision, answer), ()) if last and again.decision.allowed else again

    def _reserved(self, plan: _Tentative, held: Held) -> Reserved:
        self._seen.put_held(held.lines, self._timer())
        return Reserved(plan.decision, held.call, plan.lines, held.expires_at)

    def _compare(self, answer: Held | Refused, lines: tuple[HeldLine, ...], snapshot: Snapshot) -> bool:
        """Take over the balances that the ledger answered with; say whether they are others than were known."""
        told, changed = [], False
        for state, line in zip(answer.lines, lines, strict=True):
            known = snapshot.known(line.account)
            balance = seen_line(state, line.ask, known)
            changed = changed or balance is not known
            told.append(balance)
        if changed or isinstance(answer, Refused):
            snapshot.told(told, self._timer())
        return changed

    def _unread(self, plan: _Tentative, snapshot: Snapshot) -> Iterator[Account]:
        """Yield the accounts whose balances are not known well enough for what was decided on them."""
        decision = plan.decision
        oldest = self._max_age if decision.allowed else -1.0
        verified: set[tuple[str, str]] = set()
        if not any(item.by in self._accounts.steps for item in decision.excluded):
            verified = {(line.seen.budget, line.seen.key) for line in plan.lines}
        for name in decision.balances_read:
            account = snapshot.account(name)
            if account is None or account.name in snapshot.fresh:
                continue
            age = snapshot.age_of(account, self._timer())
            if age == _NEVER or (name not in verified and age > oldest):
                yield account


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
