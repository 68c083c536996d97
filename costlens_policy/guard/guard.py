"""``Guard``: a decision that is held to. What a call may cost is reserved before it, what it did cost is charged."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from types import TracebackType
from typing import Any, TypeVar

from costlens_policy.engine.decide import Models
from costlens_policy.engine.decision import Decision, DeniedError
from costlens_policy.errors import CostlensPolicyError, RequestError
from costlens_policy.guard import batches
from costlens_policy.guard.any_guard import AnyGuard
from costlens_policy.guard.approvals import Waiting, Waits
from costlens_policy.guard.batches import Batch, BatchSettled
from costlens_policy.guard.held_call import HeldCall
from costlens_policy.guard.recording import Charged
from costlens_policy.guard.runs import RecordedRun, in_run, place_of, run_now
from costlens_policy.guard.spending import Spend
from costlens_policy.guard.streams import StreamMeter
from costlens_policy.guard.streams.meter import Ending, check_not_over, close_stream, opened
from costlens_policy.ledger import CallConflictError

__all__ = ["Call", "CallFacts", "Guard"]

_Chunk = TypeVar("_Chunk")


class Guard(AnyGuard):
    """Decides calls of one policy set and keeps its budgets in a ledger. Safe for any number of threads.

    ``ledger`` is a URL (``sqlite:///spend.db``, ``redis://``, ``postgresql://``, ``memory:``) or an open store.
    ``lease`` is how long a call stays held if its client does not come back. ``on_exception`` decides what happens when
    the block of a call is left by an exception: ``release`` gives back what is held, ``charge_hold`` charges it, if
    over-counting is safer than under-counting. ``dialect`` is the API for which a call gives its messages and
    parameters. ``alert_sinks`` are functions that take each ``Event``; by default, events are logged. ``clock`` returns
    the current time, with a zone; ``timer`` returns steady seconds, by which pauses and the age of balances are
    measured. ``max_age`` is how many seconds old a balance may be that rules only look at; what is reserved or refused
    is always fresh. ``retry_delay`` is how many seconds pass before a sink that failed is called again, doubled each
    time. ``named_models`` says whether the model that a response names is compared with the one in use, and the more
    expensive one charged, or ignored: gateways put the name that their client asked for into what they pass on.
    ``longest_wait`` is how long a call waits for an approval at most, whatever the policy says. ``log``
    is told of each decision and charge, beside that of the engine: a ``DecisionLog``, or another ``Observer``, several
    as a list. ``engine`` may be ``LivePolicies``. ``signals`` are functions that give the values of external signals by
    their names; each is asked before the decision, if a rule reads it and the request comes without it.

    Raises ``LedgerUnavailableError`` if the ledger cannot be opened, unless the policy set lets calls through then.
    """

    def call(self, request: Mapping[str, Any], *, id: str | None = None, lease: timedelta | None = None) -> Call:
        """Decide a request and reserve its worst case on every budget that it counts against.

        Use it as a context manager, or settle or release the call yourself. ``id`` makes asking again harmless: the
        same id gives the same hold, across processes and restarts, and a conflict once the call is settled. Raises
        ``RequestError``, ``DeniedError`` and ``CallConflictError``.
        """
        waits = Waits()
        while True:
            try:
                return Call(*self._call(request, id, lease, run_now(), waits))
            except Waiting as waiting:
                time.sleep(waiting.pause)

    def settle(
        self,
        id: str,
        response: Any = None,
        *,
        model: str | None = None,
        output_text: str | Iterable[str] | None = None,
        shape: str | None = None,
    ) -> Charged:
        """Charge a held call by its id, as ``Call.settle`` does, and without deciding it again.

        The call may have been made in another process, and policies and prices may have changed since: what counts is
        what its hold remembers. If it is settled already, it is not charged again, and ``repeated`` is true. Raises
        ``UnknownCallError`` for an id under which nothing was ever held, ``LedgerUnavailableError`` if the hold
        cannot be read: ask again later.
        """
        return self._settle(id, response, model, output_text, shape)

    def submit(
        self,
        requests: Mapping[str, Mapping[str, Any]],
        *,
        id: str,
        lease: timedelta | None = None,
        whole: bool = False,
    ) -> Batch[Call]:
        """Hold a batch at batch prices before it is handed in: each request is a call, by the ids of its items.

        ``id`` is the batch's: submitted again with it, an item that is held is the same hold. ``lease`` is how long the
        batch may take until its results are settled, 2 days unless given, at most 31. An item that is refused does not
        keep others from being held; with ``whole``, all of them are held or none, and the first refusal is raised.
        Raises ``GuardError`` for what is no batch, ``LedgerUnavailableError``: submit again, what is held stays held.
        """
        calls: dict[str, Call] = {}
        refused: dict[str, CostlensPolicyError] = {}
        for item, request in batches.checked_items(requests).items():
            try:
                at_batch_prices = batches.item_request(request)
                calls[item] = self.call(at_batch_prices, id=batches.call_id(id, item), lease=lease or batches.LEASE)
            except (DeniedError, RequestError, CallConflictError) as error:
                if whole:
                    for call in calls.values():
                        if not call.repeated:  # what was held before may have been handed in before
                            call.release()
                    raise
                refused[item] = error
        return Batch(id, calls, refused)

    def settle_batch(self, id: str, results: str | bytes | Iterable[Any]) -> BatchSettled:
        """Charge or give back the items of a batch whose results are there, in whatever process, as often as you like.

        ``results`` are the text or the lines of OpenAI's output or error file, or the results of Anthropic's message
        batches. What was answered is charged at the usage it reports, what failed, expired or was canceled is given
        back, and what is not understood is charged at its worst. Raises ``LedgerUnavailableError`` if a hold cannot be
        read: ask again later, nothing counts twice.
        """
        return self._settle_batch(id, batches.read_results(results))

    def run(self, name: str | None = None, *, parent: str | None = None) -> RecordedRun:
        """Begin a run as ``costlens_policy.run`` does, whose end is on record: ``with guard.run("fix-4711"):``.

        Once the block is left, the run and all within it are over for every process that uses the ledger: see
        ``end_run``. Raises ``GuardError`` for what is not a path.
        """
        return RecordedRun(*place_of(name, parent), self._end_run)

    def end_run(self, path: str) -> None:
        """End a run, for every process and for good: its calls, and those of runs within it, are refused from now on.

        Calls that are held may go on, and are charged. The ledger knows the end as long as it remembers calls. While it
        cannot be reached, this process refuses the run by itself, and the end waits in memory, as charges do. Raises
        ``GuardError`` for what is not a path.
        """
        self._end_run(path)

    def decide(self, request: Mapping[str, Any]) -> Decision:
        """Decide a request on the balances of the ledger, and hold nothing: what it allows may be gone a moment later.

        Raises ``RequestError``, and ``LedgerUnavailableError`` where balances have to be read and cannot be.
        """
        decision = self._decide(in_run(request, run_now()))
        assert decision is not None, "the ledger was read"
        return decision

    def models(self, request: Mapping[str, Any]) -> Models:
        """Return which models may serve a request on the balances of the ledger, and for each other one why not.

        Raises ``RequestError``, and ``LedgerUnavailableError`` where balances have to be read and cannot be.
        """
        return self._models(in_run(request, run_now()))

    def release(self, id: str) -> None:
        """Give back what is held under an id, from any process, as ``Call.release`` does.

        Raises ``UnknownCallError`` for an id under which nothing was ever held, ``CallConflictError`` for a call that
        is settled, ``LedgerUnavailableError``.
        """
        self._release(id)

    def extend(self, id: str, lease: timedelta | None = None) -> datetime | None:
        """Let the lease of a held call begin anew, from any process; return when it ends.

        A hold that has ended stays ended, and its charge counts all the same. Without ``lease`` it is the guard's.
        Raises ``UnknownCallError``, ``CallConflictError`` for a call that is not held any more: released, settled, or
        ended with its lease, ``LedgerUnavailableError``.
        """
        return self._extend(id, lease)

    def spend(self, budget: str | None = None, key: str | None = None) -> tuple[Spend, ...]:
        """Return what budgets have used, hold and have left now; all of them, or one, or one scope key.

        ``budget`` is ``policy/budget``, or the budget's id where only one policy has it. Raises ``GuardError`` for an
        unknown budget, ``RequestError`` for a key that no ledger could keep, ``LedgerUnavailableError``.
        """
        return self._spend(budget, key)

    def measure(self) -> None:
        """Read from the ledger what calls have come to, for budgets that hold a quantile of that.

        A guard does so by itself: when it is made, and every few seconds while it is asked for calls. Raises
        ``LedgerError``.
        """
        self._measure()

    def ledger_answers(self) -> bool:
        """Ask whether the ledger can be reached. Shortly after it could not, it is left alone and the answer is no."""
        return self._ledger_answers()

    def flush(self, timeout: float = 5.0) -> bool:
        """Wait until every alert was taken to every sink once; return whether that was within ``timeout`` seconds."""
        return self._shared.delivery.flush(timeout)

    def close(self) -> None:
        """Deliver the alerts under way, write charges that wait, and close the ledger if it was given as a URL."""
        self._close()

    def __enter__(self) -> Guard:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


class CallFacts:
    """What to send, for the model in use."""

    __slots__ = ("__weakref__", "_held", "repeated")

    def __init__(self, held: HeldCall, repeated: bool = False) -> None:
        self._held = held
        self.repeated = repeated
        """Whether the id had been asked for before, so that this is that same hold."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}(id={self.id!r}, model={self.model!r}, {self._held.state})"

    @property
    def id(self) -> str:
        """The id of the call: asked for again with it, the guard gives the same hold."""
        return self._held.asked.id

    @property
    def decision(self) -> Decision:
        return self._held.decision

    @property
    def model(self) -> str:
        """The model in use: the decided one, or the fallback that ``use`` moved to."""
        return self._held.sending.model

    @property
    def provider(self) -> str | None:
        """The provider of the model in use, where the catalogue names it."""
        return self._held.sending.provider

    @property
    def fallbacks(self) -> tuple[str, ...]:
        """Models for the case that the call fails, in order."""
        return self._held.decision.fallbacks

    @property
    def prompt(self) -> str | None:
        """The prompt as the policies rewrote it; None for a request with messages."""
        return self._held.sending.content.prompt

    @property
    def system(self) -> str | None:
        """The system text that the policies gave to a request with a prompt."""
        return self._held.sending.content.system

    @property
    def messages(self) -> Any:
        """The messages in the guard's dialect, system text included; a prompt is one message of the user."""
        return self._held.sending.spoken(None).messages

    @property
    def params(self) -> dict[str, Any]:
        """All other parameters of the policies in the guard's dialect, the output limit among them."""
        return self._held.sending.spoken(None).params

    @property
    def tools(self) -> tuple[Any, ...] | None:
        """The tools as the policies left them, in the shape in which they came; None where there are none."""
        return self._held.sending.content.tools

    @property
    def arguments(self) -> dict[str, Any]:
        """Model, messages, parameters and tools in one, as the SDK of the guard's dialect takes them."""
        return self.arguments_for(None)

    @property
    def charged(self) -> Charged | None:
        """The charge, once the call is settled."""
        return self._held.charged

    @property
    def expires_at(self) -> datetime | None:
        """When the hold ends by itself; None where nothing is held in a ledger."""
        return self._held.expires_at

    def messages_for(self, dialect: str) -> Any:
        return self._held.sending.spoken(dialect).messages

    def params_for(self, dialect: str) -> dict[str, Any]:
        return self._held.sending.spoken(dialect).params

    def arguments_for(self, dialect: str | None) -> dict[str, Any]:
        return self._held.sending.spoken(dialect).arguments(self.model, self.tools)

    def use(self, model: str) -> None:
        """Move to another model that the decision lists: what to send is then what was rewritten for that one.

        Raises ``GuardError`` for a model that it does not list.
        """
        self._held.sending.use(model)

    def add(self, usage: Any, *, model: str | None = None, shape: str | None = None) -> None:
        """Count the usage of an attempt that failed and was charged by its provider nevertheless.

        It goes on top of what the call is settled with. Raises ``GuardError`` for what is no usage.
        """
        self._held.add(usage, model, shape)


class Call(CallFacts):
    """A call whose worst case is held. As a context manager it gives back what is not settled at its end."""

    __slots__ = ()

    def settle(
        self,
        response: Any = None,
        *,
        model: str | None = None,
        output_text: str | Iterable[str] | None = None,
        shape: str | None = None,
    ) -> Charged:
        """Charge the call, once; asked again, the first charge is returned, as ``repeated``.

        ``response`` is the usage that the provider reports, or the response that carries it; ``shape`` names its
        shape where it is ambiguous. ``model`` is who answered, where that is not the model in use. Without usage,
        ``output_text`` (one text for each answer) estimates it; without either, all that was held is charged. The
        charge says which of the three it is. Nothing raises for a usage that cannot be read: it counts at its worst.
        """
        return self._held.settle(response, model, output_text, shape)

    def release(self) -> None:
        """Give back what is held: the provider has not charged for the call. A settled call stays settled.

        Usage that was added is charged.
        """
        self._held.release()

    def extend(self, lease: timedelta | None = None) -> None:
        """Let the lease begin anew, for a call that takes longer than it. Raises ``LedgerUnavailableError``."""
        self._held.extend(lease)

    def stream(self, chunks: Iterable[_Chunk]) -> Iterator[_Chunk]:
        """Pass on the chunks of a streamed response, then settle the call with the usage that came with them.

        Read it within the block of the call; its end charges what had arrived, and closes the stream. The lease is
        extended on the way. A stream that is not understood, or that ends without its usage, is charged at its worst;
        one that is cut short by what arrived. See ``docs/guard.md``. Raises ``GuardError`` once the call is settled.
        """
        return self._passed_on(chunks, self._held.open_stream(chunks))

    def _passed_on(self, chunks: Iterable[_Chunk], meter: StreamMeter) -> Iterator[_Chunk]:
        ending: Ending = "ended"
        try:
            with opened(chunks) as source:
                meter.begin(source)
                for chunk in source:
                    meter.see(chunk)
                    self._held.extend_in_time()
                    yield chunk
                    check_not_over(meter)
        except Exception:
            ending = "failed"
            raise
        except BaseException:  # the reader has left
            ending = "left"
            raise
        finally:
            self._held.end_stream(meter, ending)

    def __enter__(self) -> Call:
        self._held.enter()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._held.leave(error)
        for source in self._held.open_sources:
            close_stream(source)
