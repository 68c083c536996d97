"""What ``Guard`` and ``AsyncGuard`` have in common: all but their handles."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from threading import Lock
from typing import Any, ClassVar, Final
from weakref import WeakValueDictionary

from costlens_policy.api import Engine
from costlens_policy.clock import system_now
from costlens_policy.compiler.plan import Plan
from costlens_policy.compiler.rules import key_problem
from costlens_policy.engine.decide import Models, decide, models_for
from costlens_policy.engine.decision import Decision, DeniedError
from costlens_policy.engine.denial import ApprovalNeededError, RunEndedError
from costlens_policy.guard.approvals import Waiting, Waits
from costlens_policy.guard.batches import BatchResult, BatchSettled, call_id
from costlens_policy.guard.dialects import Dialect
from costlens_policy.guard.errors import GuardError
from costlens_policy.guard.events import Sink
from costlens_policy.guard.held_call import HeldCall
from costlens_policy.guard.holding import hold_call, recall_call, run_over
from costlens_policy.guard.recording import Charged
from costlens_policy.guard.reserving import Asked, Reserved, ask_now, run_of
from costlens_policy.guard.run_records import RESERVED, end_run_soon
from costlens_policy.guard.runs import Run, in_run
from costlens_policy.guard.shared import NamedModels, OnException, Options, Shared, checked_lease
from costlens_policy.guard.signals import AsyncSignalSource, SignalSource, Sources, as_asked
from costlens_policy.guard.spending import Spend, spend_of
from costlens_policy.guard.warmth import with_warmth
from costlens_policy.ledger import CallConflictError, LedgerError, LedgerUnavailableError, Store, UnknownCallError
from costlens_policy.observers import Observer, observers_of, together
from costlens_policy.runs import run_problem

__all__ = ["DEFAULT_LEASE", "AnyGuard"]

DEFAULT_LEASE: Final = timedelta(minutes=10)

_LOG: Final = logging.getLogger("costlens_policy.guard")
_MOST_VERSIONS: Final = 2
_NOBODY: Final = "is-anybody-there"
"""An id of no call."""
_CLOSING: Final = 5.0
"""Seconds for which closing waits for alerts, and for the ledger."""


class AnyGuard:
    """Opens calls, and settles them by their ids. Safe for any number of threads."""

    _awaits: ClassVar = False
    """Whether signals may come from asynchronous functions."""

    def __init__(
        self,
        engine: Engine,
        ledger: str | Store = "memory:",
        *,
        lease: timedelta = DEFAULT_LEASE,
        on_exception: OnException = "release",
        dialect: Dialect = "openai-chat",
        alert_sinks: Sequence[Sink] | None = None,
        clock: Callable[[], datetime] = system_now,
        timer: Callable[[], float] = time.monotonic,
        max_age: float | None = None,
        retry_delay: float = 1.0,
        named_models: NamedModels = "compare",
        longest_wait: timedelta | None = None,
        log: Observer | Sequence[Observer] | None = None,
        signals: Mapping[str, SignalSource | AsyncSignalSource] | None = None,
    ) -> None:
        options = Options(
            lease, on_exception, dialect, alert_sinks, clock, timer, max_age, retry_delay, named_models, longest_wait
        )
        self._engine: Final = engine
        plan = engine.plan
        self._sources: Final = Sources({} if signals is None else signals, plan, awaits=self._awaits)
        self._shared = Shared.make(plan, ledger, options, together(engine.log, observers_of(log, plan)))
        self._versions: tuple[Shared, ...] = (self._shared,)
        """One for each of the plans that decided last: policies may be replaced, and two versions may be at work."""
        self._named: Final[WeakValueDictionary[str, HeldCall]] = WeakValueDictionary()
        """Calls whose ids their callers chose."""
        self._lock: Final = Lock()
        self._opens_ledger: Final = isinstance(ledger, str)
        self._closed = False
        self._open_ledger()
        self._prepare()

    @property
    def plan(self) -> Plan:
        """The policies that decide now, of which live ones are replaced."""
        return self._engine.plan

    def _prepare(self) -> None:
        """Make what the handles of this kind of guard need besides."""

    def _open_ledger(self) -> None:
        """Open the store before the first call, so that a wrong URL shows at once."""
        shared = self._shared
        try:
            shared.link.ask(lambda _: None)
        except LedgerUnavailableError:
            if shared.allowance is None:
                raise
            return
        shared.measuring.read_if_possible()
        if not shared.in_memory:
            shared.delivery.start()

    def _shared_for(self, plan: Plan) -> Shared:
        """Return what calls of a version of the policies share; only the first call of a version makes it."""
        shared = self._shared
        if shared.plan is plan:
            return shared
        with self._lock:
            shared = next((one for one in self._versions if one.plan is plan), None) or self._shared.with_plan(plan)
            others = [one for one in self._versions if one is not shared]
            self._versions = (shared, *others[: _MOST_VERSIONS - 1])
            if plan is self._engine.plan:
                self._shared = shared
        return shared

    def _call(
        self, request: Mapping[str, Any], id: str | None, lease: timedelta | None, run: Run | None, waits: Waits
    ) -> tuple[HeldCall, bool]:
        """Decide a request and hold its worst case. The same id gives the same call while it is held.

        ``run`` is that of the code that asks. Returned is also whether the call had been held before. Raises
        ``Waiting`` while it waits for an approval; ask again with the same ``waits``.
        """
        self._check_open()
        if run is not None:
            request = in_run(request, run)
            if run.ended is not None:
                raise self._ended(request, id, run.ended)
        shared = self._shared_for(self._engine.plan_for(request))
        request = self._completed(shared, request)
        lease = shared.options.lease if lease is None else checked_lease(lease)
        if id is None:
            id = os.urandom(16).hex()
            asked = Asked(self._identified(request, id), id, False, lease, shared.clock())
            return HeldCall(shared, asked, _held(shared, asked, waits)[1]), False
        known, request = self._known(id), self._identified(request, id)
        if known is not None and known.is_open:
            if as_asked(known.asked.request) != as_asked(request):
                raise CallConflictError(f"the id `{id}` belongs to another call, which is under way")
            return known, True
        asked = Asked(request, id, True, lease, shared.clock())
        shared, reserved = _held(shared, asked, waits, self._versions)
        call = HeldCall(shared, asked, reserved)
        with self._lock:
            self._named[id] = call
        return call, reserved.repeated

    def _completed(self, shared: Shared, request: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the request with what rules read of it that the guard knows, or asks for."""
        resolved = self._sources.resolved(shared.plan, request)
        return with_warmth(shared.plan, resolved, shared.warm, shared.clock()) if shared.plan.reads_warmth else resolved

    def _ended(self, request: Mapping[str, Any], id: str | None, run: str) -> RunEndedError:
        """Return the denial of a call whose run has ended, which nothing is held for."""
        shared = self._shared_for(self._engine.plan_for(request))
        ended = run_over(shared, self._completed(shared, request), shared.clock(), run)
        if self._shared.log is not None:
            self._shared.log.decided(ended.decision, id or "")
        return ended

    def _end_run(self, path: str) -> None:
        """Put the end of a run on record; this process knows it at once. Raises ``GuardError`` for no path."""
        self._check_open()
        if not isinstance(path, str):
            raise GuardError(f"a run must be a string, got `{path!r}`")
        if problem := run_problem(path):
            raise GuardError(f"the run `{path[:300]}` {problem}")
        shared = self._shared
        shared.ended.add(path)
        end_run_soon(shared.link, path, shared.clock())

    def _identified(self, request: Mapping[str, Any], id: str) -> Mapping[str, Any]:
        """Return the request with the id of its call, where a rule reads that and the request has none of its own."""
        if not self._shared.plan.reads_id or not isinstance(request, Mapping) or request.get("id") is not None:
            return request
        return {**request, "id": id}

    def _settle(
        self, id: str, response: Any, model: str | None, output_text: str | Iterable[str] | None, shape: str | None
    ) -> Charged:
        """Charge a call by its id, as its hold remembers it, without deciding anything."""
        self._check_open()
        known = self._known(id)
        call = known if known is not None and known.state != "released" else None
        if call is None:
            shared = self._shared_for(self._engine.plan)
            call = HeldCall(shared, *recall_call(shared, id))
        return call.settle(response, model, output_text, shape)

    def _release(self, id: str) -> None:
        """Give back what is held under an id. Raises ``CallConflictError`` where it is settled."""
        self._check_open()
        if self._held_by(id).release() == "settled":
            raise CallConflictError(f"the call `{id}` is settled; nothing of it is held that could be given back")

    def _settle_batch(self, id: str, results: Iterable[BatchResult]) -> BatchSettled:
        """Charge or give back each item of a batch whose result is there."""
        charged: dict[str, Charged] = {}
        released: dict[str, str] = {}
        problems: list[str] = []
        for item, kind, response, problem in results:
            if not item:
                problems.append(problem)
                continue
            try:
                if kind == "failed":
                    self._release(call_id(id, item))
                    released[item] = problem
                else:
                    charge = self._settle(call_id(id, item), response, None, None, None)
                    failed = released.pop(item, "")
                    problem = problem or (f"another line reports that it failed (`{failed}`)" if failed else "")
                    if problem:
                        charge = charge._replace(notes=(*charge.notes, problem))
                    charged.setdefault(item, charge)
            except (UnknownCallError, CallConflictError) as error:
                problems.append(f"item `{item}`: {error}")
        return BatchSettled(id, charged, released, tuple(problems))

    def _extend(self, id: str, lease: timedelta | None) -> datetime | None:
        """Let the lease of an id begin anew; return when it ends. Raises ``CallConflictError`` where it has ended."""
        self._check_open()
        call = self._held_by(id)
        state = call.extend(None if lease is None else checked_lease(lease))
        if state != "held":
            ended = "has ended with its lease" if state == "expired" else f"is {state}"
            raise CallConflictError(f"the call `{id}` {ended}; nothing is held for it any more")
        return call.expires_at

    def _held_by(self, id: str) -> HeldCall:
        """Return the call of an id: the one that was opened here, else as its hold remembers it."""
        known = self._known(id)
        if known is not None:
            return known
        shared = self._shared_for(self._engine.plan)
        return HeldCall(shared, *recall_call(shared, id))

    def _known(self, id: str) -> HeldCall | None:
        """Return the call of an id that this guard opened, if somebody has it. Raises ``GuardError`` for no id."""
        if not (isinstance(id, str) and id):
            raise GuardError(f"the id of a call must be a non-empty string, got `{id!r}`")
        if problem := key_problem(id):
            raise GuardError(f"the id of a call {problem}")
        if id.startswith(RESERVED):
            raise GuardError(f"the id of a call must not begin with `{RESERVED}`, got `{id[:300]}`")
        with self._lock:
            return self._named.get(id)

    def _decide(self, request: Mapping[str, Any], may_read: bool = True, *, logs: bool = True) -> Decision | None:
        self._check_open()
        shared = self._shared_for(self._engine.plan_for(request))
        request = self._completed(shared, request)
        decision: Decision | None
        if not shared.accounts.steps:  # no budget has a balance
            decision = decide(shared.plan, request, None, shared.clock())
        else:
            asked = request
            decision = ask_now(
                shared,
                lambda plan, seen, now: decide(plan, asked, seen, now, seen.measures),
                run_of(request),
                may_read=may_read,
            )
        if logs and shared.log is not None and decision is not None:
            shared.log.decided(decision)
        return decision

    def _models(self, request: Mapping[str, Any]) -> Models:
        self._check_open()
        shared = self._shared_for(self._engine.plan_for(request))
        request = self._completed(shared, request)
        models = ask_now(
            shared, lambda plan, seen, now: models_for(plan, request, seen, now, seen.measures), run_of(request)
        )
        assert models is not None, "the ledger was read"
        return models

    def _spend(self, budget: str | None, key: str | None) -> tuple[Spend, ...]:
        self._check_open()
        shared = self._shared_for(self._engine.plan)
        return spend_of(shared.plan, shared.accounts, shared.link, shared.clock(), budget, key)

    def _measure(self) -> None:
        self._check_open()
        self._shared_for(self._engine.plan).measuring.read()

    def _ledger_answers(self) -> bool:
        """Ask the ledger something that writes nothing."""
        self._check_open()
        shared = self._shared
        try:
            shared.link.ask(lambda store: store.reservation(_NOBODY, shared.clock()))
        except LedgerUnavailableError:
            return False
        return True

    @property
    def ledger_fault(self) -> bool:
        """Whether the ledger could not be reached when it was asked last."""
        return self._shared.link.is_broken

    def watch_ledger(self, observe: Callable[[float], None]) -> None:
        """Call a function with the seconds that each answer of the ledger took. It must be quick, and not fail."""
        self._shared.link.on_answer = observe

    def _check_open(self) -> None:
        if self._closed:
            raise GuardError("the guard is closed")

    def _close(self) -> None:
        """Deliver what is under way, write what waits, and close a ledger that was opened here."""
        self._closed = True
        shared = self._shared
        for call in list(shared.streaming):  # those under way of calls without a block
            try:
                call.leave(None)
            except LedgerError as error:
                _LOG.error("the streams of call `%s` are not charged: %s", call.id, error)
        for version in self._versions:
            version.measuring.close(_CLOSING)
        shared.delivery.close(_CLOSING)
        lost = shared.link.close(store_too=self._opens_ledger, patience=_CLOSING)
        if lost:
            _LOG.error("%d charges or ends of runs are lost: the ledger could not be reached until the end", lost)


def _held(shared: Shared, asked: Asked, waits: Waits, versions: Sequence[Shared] = ()) -> tuple[Shared, Reserved]:
    """Decide and hold, and tell whoever logs it, once for each call. Raises ``Waiting`` where it waits."""
    log = shared.log
    try:
        shared, reserved = hold_call(shared, asked, versions)
    except DeniedError as denied:
        if isinstance(denied, ApprovalNeededError):
            pause = waits.after(denied, shared.options.longest_wait)
            if pause is not None:
                raise Waiting(pause) from denied
        if log is not None:
            log.decided(denied.decision, asked.id)
        raise
    if log is not None and not reserved.repeated:
        log.decided(reserved.decision, asked.id, held=True)
    return shared, reserved
