"""Everything that the calls of one guard share: the plan, the way to the ledger, the alerts, the allowance."""

from __future__ import annotations

import logging
import os
import time
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from threading import Lock
from typing import Any, Final, Literal, TypeAlias
from weakref import WeakSet, WeakValueDictionary

from costlens_policy.compiler.plan import Plan
from costlens_policy.compiler.rules import key_problem
from costlens_policy.engine.decide import decide
from costlens_policy.engine.decision import Decision, DeniedError
from costlens_policy.guard.accounts import Accounts
from costlens_policy.guard.alerts import Alerts, Standing
from costlens_policy.guard.allowance import Allowance
from costlens_policy.guard.balances import LastSeen, Snapshot
from costlens_policy.guard.delivery import Delivery
from costlens_policy.guard.dialects import DIALECTS
from costlens_policy.guard.errors import GuardError
from costlens_policy.guard.events import Sink
from costlens_policy.guard.held_call import HeldCall
from costlens_policy.guard.lines import HeldLine, holds_of
from costlens_policy.guard.link import Link
from costlens_policy.guard.outcome import Charged
from costlens_policy.guard.recalled import Recalled
from costlens_policy.guard.repeating import hold_names, recall, reserve_again
from costlens_policy.guard.reserving import Asked, Reserved, Reserver
from costlens_policy.guard.sinks import LoggingSink
from costlens_policy.ledger import (
    CallConflictError,
    HoldLine,
    LedgerBusyError,
    LedgerError,
    LedgerUnavailableError,
    MemoryStore,
    Store,
    open_ledger,
)
from costlens_policy.ledger.account import MAX_LEASE
from costlens_policy.money import format_usd

__all__ = ["OnException", "Options", "Service"]

OnException: TypeAlias = Literal["release", "charge_hold"]

_LOG: Final = logging.getLogger("costlens_policy.guard")
_MAX_AGE: Final = 1.0
_CLOSING: Final = 5.0


@dataclass(frozen=True, slots=True)
class Options:
    """How a guard behaves; ``Guard`` says what each of them means."""

    lease: timedelta
    on_exception: OnException
    dialect: str
    clock: Callable[[], datetime]
    max_age: float | None
    retry_delay: float

    def __post_init__(self) -> None:
        checked_lease(self.lease)
        if not callable(self.clock):
            raise GuardError(f"`clock` is a function that returns the present, not `{self.clock!r}`")
        if self.max_age is not None and not self.max_age >= 0:
            raise GuardError(f"`max_age` is a number of seconds from 0 on, not `{self.max_age}`")
        if not self.retry_delay > 0:
            raise GuardError(f"`retry_delay` is a number of seconds above 0, not `{self.retry_delay}`")
        if self.on_exception not in ("release", "charge_hold"):
            raise GuardError(f"`on_exception` is `release` or `charge_hold`, not `{self.on_exception}`")
        if self.dialect not in DIALECTS:
            raise GuardError(f"no dialect `{self.dialect}`; there are {', '.join(f'`{name}`' for name in DIALECTS)}")


def checked_lease(lease: timedelta) -> timedelta:
    """Return a lease that a ledger can keep. Raises ``GuardError``."""
    if not isinstance(lease, timedelta):
        raise GuardError(f"a lease is a `timedelta`, such as `timedelta(minutes=10)`, not `{lease!r}`")
    if not timedelta(0) < lease <= MAX_LEASE:
        raise GuardError(f"a lease is longer than nothing and at most {MAX_LEASE.days} days, not `{lease}`")
    return lease


def _checked_sinks(sinks: Any) -> tuple[Sink, ...]:
    if callable(sinks) or not isinstance(sinks, Iterable):
        raise GuardError("`alert_sinks` is a list of functions, also where there is only one")
    for sink in sinks:
        if not callable(sink):
            raise GuardError(f"a sink is a function that takes an event, not `{sink!r}`")
    return tuple(sinks)


class Service:
    """Opens calls. Safe for any number of threads."""

    def __init__(self, plan: Plan, ledger: str | Store, sinks: Sequence[Sink] | None, options: Options) -> None:
        self.plan: Final = plan
        self.options: Final = options
        self.accounts: Final = Accounts(plan)
        self.seen: Final = LastSeen()
        self.timer: Final = time.monotonic
        self.in_memory: Final = isinstance(ledger, MemoryStore) or ledger == "memory:"
        self.link: Final = Link(_opener(ledger), self.timer, self._ledger_changed)
        sinks = (LoggingSink(),) if sinks is None else _checked_sinks(sinks)
        self.delivery: Final = Delivery(self.link, sinks, options.clock, first_delay=options.retry_delay)
        self.alerts: Final = Alerts(plan, self.link, self.delivery, options.clock)
        limit = plan.defaults.allowance_usd
        self.allowance: Final = None if limit is None else Allowance(limit)
        if self.allowance is not None:
            self.link.on_written = self.allowance.renew
        age = options.max_age
        self._reserver = Reserver(
            plan,
            self.accounts,
            self.seen,
            self.link,
            max_age=(0.0 if self.in_memory else _MAX_AGE) if age is None else age,
            timer=self.timer,
        )
        self._named: WeakValueDictionary[str, HeldCall] = WeakValueDictionary()
        self.streaming: Final[WeakSet[HeldCall]] = WeakSet()
        """Calls that have streams, which may be under way when the guard is closed."""
        self._lock = Lock()
        self._opens_ledger = isinstance(ledger, str)
        self._closed = False
        self._open_now()

    def now(self) -> datetime:
        return self.options.clock()

    def open(self, request: Mapping[str, Any], id: str | None, lease: timedelta | None) -> HeldCall:
        """Decide a request and hold its worst case. The same id gives the same call while it is held.

        Raises ``RequestError``, ``DeniedError``, ``CallConflictError``, and ``GuardError`` once it is closed.
        """
        self.check_open()
        if id is not None and not (isinstance(id, str) and id):
            raise GuardError(f"the id of a call is a text, and not empty, not `{id!r}`")
        if id is not None and (problem := key_problem(id)):
            raise GuardError(f"the id of a call {problem}")
        lease = self.options.lease if lease is None else checked_lease(lease)
        asked = Asked(request, id or os.urandom(16).hex(), id is not None, lease, self.now())
        if id is None:
            return HeldCall(self, asked, self._reserved(asked))
        with self._lock:
            known = self._named.get(id)
        if known is not None and known.is_open:
            if known.asked.request != request:
                raise CallConflictError(f"the id `{id}` is that of another call, which is under way")
            return known
        call = HeldCall(self, asked, self._reserved(asked))
        with self._lock:
            self._named[id] = call
        return call

    def settle(
        self, id: str, response: Any, model: str | None, output_text: str | Iterable[str] | None, shape: str | None
    ) -> Charged:
        """Charge a call by its id, as its hold remembers it, without deciding anything.

        Raises ``UnknownCallError``, ``LedgerUnavailableError`` where the hold cannot be read, and ``GuardError``.
        """
        self.check_open()
        if not (isinstance(id, str) and id):
            raise GuardError(f"the id of a call must be a text that is not empty, got `{id!r}`")
        if problem := key_problem(id):
            raise GuardError(f"the id of a call {problem}")
        with self._lock:
            known = self._named.get(id)
        call = known if known is not None and known.state != "released" else self._recalled(id)
        decision = call.decision
        if output_text is not None and isinstance(decision, Recalled) and not decision.tells_tokens:
            return call.settle_with_hold("the hold does not tell how long the prompt was")
        return call.settle(response, model, output_text, shape)

    def check_open(self) -> None:
        """Raise ``GuardError`` once the guard is closed."""
        if self._closed:
            raise GuardError("the guard is closed")

    def close(self) -> None:
        """Deliver what is under way, write what waits, and close a ledger that was opened here."""
        self._closed = True
        self._leave_streams()
        self.delivery.close(_CLOSING)
        lost = self.link.close(store_too=self._opens_ledger, patience=_CLOSING)
        if lost:
            _LOG.error("%d charges are lost: the ledger could not be reached until the end", lost)

    def _leave_streams(self) -> None:
        """Charge the streams under way, of calls without a block."""
        for call in list(self.streaming):
            try:
                call.leave(None)
            except LedgerError as error:
                _LOG.error("the streams of call `%s` are not charged: %s", call.asked.id, error)

    def _recalled(self, id: str) -> HeldCall:
        found = recall(self.link, id, self.now())
        decision = Recalled(self.plan, found)
        lines = tuple(
            HeldLine(seen, HoldLine(line.account, line.amount, None))
            for seen, line in zip(decision.holds, found.lines, strict=True)
        )
        asked = Asked({}, id, True, self.options.lease, found.reserved_at)
        return HeldCall(self, asked, Reserved(decision, found.call, lines, found.expires_at))

    def _open_now(self) -> None:
        """Open the store before the first call, so that a wrong URL shows at once."""
        try:
            self.link.ask(lambda _: None)
        except LedgerUnavailableError:
            if self.allowance is None:
                raise
            return
        if not self.in_memory:
            self.delivery.start()

    def _reserved(self, asked: Asked) -> Reserved:
        snapshot = self._reserver.snapshot(asked.now)
        try:
            if asked.named:
                reserved = reserve_again(self.plan, self.accounts, self.link, self._reserver, asked, snapshot)
            else:
                answer = self._reserver.reserve(asked, hold_names(asked.id), snapshot)
                assert isinstance(answer, Reserved), "a new id was never held before"
                reserved = answer
        except LedgerUnavailableError as fault:
            return self._without_ledger(asked, snapshot, fault)
        except DeniedError as denied:
            self._tell_denied(denied.decision, snapshot)
            raise
        self._tell_reached(reserved)
        return reserved

    def _without_ledger(self, asked: Asked, snapshot: Snapshot, fault: LedgerUnavailableError) -> Reserved:
        """Decide on the balances seen last, and let the call through only within the allowance."""
        decision = decide(self.plan, asked.request, snapshot, asked.now)
        if not decision.allowed:
            raise DeniedError(decision) from fault
        word = "is busy" if isinstance(fault, LedgerBusyError) else "cannot be reached"
        reason = f"ledger: it {word}: {fault}"
        if self.allowance is None:
            raise DeniedError(decision.refused(reason)) from fault
        estimates = [decision.estimate, *(call.estimate for call in decision.fallback_calls)]
        costs = [None if item is None else item.worst_cost for item in estimates]
        known = [cost for cost in costs if cost is not None]
        if len(known) < len(costs):
            unpriced = "ledger: a call without a price has no place in the allowance"
            raise DeniedError(decision.refused(reason, unpriced)) from fault
        worst, room = max(known), self.allowance
        taken = f"{format_usd(room.taken)} of the allowance of {format_usd(room.limit)} are taken"
        if not room.take(asked.id, worst):
            full = f"ledger: the allowance has no room for {format_usd(worst)}: {taken}"
            raise DeniedError(decision.refused(reason, full)) from fault
        lines = holds_of(decision, self.accounts)
        self.seen.hold([line.ask for line in lines])
        alone = f"ledger: counted by this process alone, {taken}"
        hold = f"{asked.id}~{uuid.uuid4()}" if asked.named else asked.id  # the ledger may know the id already
        may_be_held = self.link.keep_hold(hold)
        return Reserved(decision.noted(reason, alone), hold, lines, None, local=True, asked=may_be_held)

    def _tell_reached(self, reserved: Reserved) -> None:
        decision = reserved.decision
        if not decision.alerts:
            return
        for line in decision.balances:
            account = self.accounts.account(line.budget, line.key, decision.now)
            if account is not None:
                self.alerts.reached(Standing(account, line.used, line.held, line.limit, line.call))

    def _tell_denied(self, decision: Decision, snapshot: Snapshot) -> None:
        reasons: dict[tuple[str, str], str] = {}
        for item in decision.excluded:
            if item.key is not None:
                reasons.setdefault((item.by, item.key), item.reason)
        for (budget, key), reason in reasons.items():
            account = snapshot.account((budget, key))
            if account is not None:
                self.alerts.denied(snapshot.known(account), reason)

    def _ledger_changed(self, fault: str, written: int) -> None:
        if not fault and self.allowance is not None:
            self.allowance.renew()
        self.alerts.ledger_changed(fault, written)
        if fault:
            self.delivery.look_soon()


def _opener(ledger: str | Store) -> Callable[[], Store]:
    if not isinstance(ledger, str) and not hasattr(ledger, "reserve"):
        raise GuardError(f"`ledger` is a URL such as `sqlite:///spend.db`, or an open store, not `{ledger!r}`")
    return (lambda: open_ledger(ledger)) if isinstance(ledger, str) else (lambda: ledger)
