"""``AsyncGuard``: the guard for code that awaits."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Generator, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import datetime, timedelta
from functools import partial
from threading import Event
from types import TracebackType
from typing import Any, Final, TypeVar

from costlens_policy.engine.decide import Models
from costlens_policy.engine.decision import Decision, DeniedError
from costlens_policy.errors import CostlensPolicyError, RequestError
from costlens_policy.guard import batches
from costlens_policy.guard.any_guard import AnyGuard
from costlens_policy.guard.approvals import Waiting, Waits
from costlens_policy.guard.batches import Batch, BatchSettled
from costlens_policy.guard.guard import CallFacts
from costlens_policy.guard.held_call import HeldCall
from costlens_policy.guard.recording import Charged
from costlens_policy.guard.runs import AsyncRecordedRun, in_run, place_of, run_now
from costlens_policy.guard.spending import Spend
from costlens_policy.guard.streams import StreamMeter
from costlens_policy.guard.streams.meter import Ending, aclose_stream, aopened, check_not_over
from costlens_policy.ledger import CallConflictError
from costlens_policy.rewrites import is_longer

__all__ = ["AsyncCall", "AsyncGuard", "Opening"]

_Chunk = TypeVar("_Chunk")

_MOST_IN_LOOP: Final = 20_000
"""Characters of a request that may be rewritten and counted in the event loop: some milliseconds at most."""
_MOST_THREADS: Final = 64
"""Threads do little but wait for a store: if they were few, calls whose budget is locked would keep all others out."""


class AsyncGuard(AnyGuard):
    """As ``Guard``, with ``async with guard.call(request) as call`` and ``await call.settle(usage)``.

    A store is asked in threads, so that the event loop never waits for it; one in memory answers at once, unless a
    request is long: what has more than 20,000 characters is rewritten and counted in a thread, too. A task that
    is cancelled gives back what its call holds.
    """

    _awaits = True
    _worker: _Worker

    def _prepare(self) -> None:
        self._worker = _Worker(inline=self._shared.in_memory)

    def call(self, request: Mapping[str, Any], *, id: str | None = None, lease: timedelta | None = None) -> Opening:
        """Decide a request and reserve its worst case, once the result is entered or awaited; see ``Guard.call``."""
        run = run_now()
        request = in_run(request, run)
        plan = self._engine.plan_for(request)
        asks = self._sources.asks(plan, request)
        asking = partial(self._sources.resolved_async, plan, request) if asks else None
        opening = partial(self._call, id=id, lease=lease, run=run)
        return Opening(opening, self._worker, request, asking, apart=is_longer(request, _MOST_IN_LOOP))

    async def settle(
        self,
        id: str,
        response: Any = None,
        *,
        model: str | None = None,
        output_text: str | Iterable[str] | None = None,
        shape: str | None = None,
    ) -> Charged:
        """Charge a held call by its id; see ``Guard.settle``. What has begun is done, also in a cancelled task."""
        settling = self._worker.run(self._settle, id, response, model, output_text, shape)
        charged: Charged = await asyncio.shield(settling)
        return charged

    async def submit(
        self,
        requests: Mapping[str, Mapping[str, Any]],
        *,
        id: str,
        lease: timedelta | None = None,
        whole: bool = False,
    ) -> Batch[AsyncCall]:
        """Hold a batch at batch prices before it is handed in; see ``Guard.submit``."""
        calls: dict[str, AsyncCall] = {}
        refused: dict[str, CostlensPolicyError] = {}
        for item, request in batches.checked_items(requests).items():
            try:
                at_batch_prices = batches.item_request(request)
                opening = self.call(at_batch_prices, id=batches.call_id(id, item), lease=lease or batches.LEASE)
                calls[item] = await opening
            except (DeniedError, RequestError, CallConflictError) as error:
                if whole:
                    for call in calls.values():
                        if not call.repeated:  # what was held before may have been handed in before
                            await call.release()
                    raise
                refused[item] = error
        return Batch(id, calls, refused)

    async def settle_batch(self, id: str, results: str | bytes | Iterable[Any]) -> BatchSettled:
        """Charge or give back the items of a batch whose results are there; see ``Guard.settle_batch``.

        What has begun is done, also in a cancelled task.
        """
        settling = self._worker.run(self._settle_batch, id, batches.read_results(results), apart=True)
        settled: BatchSettled = await asyncio.shield(settling)
        return settled

    def run(self, name: str | None = None, *, parent: str | None = None) -> AsyncRecordedRun:
        """Begin a run whose end is on record, ``async with guard.run("fix-4711"):``; see ``Guard.run``."""
        return AsyncRecordedRun(*place_of(name, parent), self.end_run)

    async def end_run(self, path: str) -> None:
        """End a run, for every process and for good; see ``Guard.end_run``. What has begun is done."""
        await asyncio.shield(self._worker.run(self._end_run, path))

    async def decide(self, request: Mapping[str, Any]) -> Decision:
        """Decide a request on the balances of the ledger, and hold nothing; see ``Guard.decide``.

        Balances that are known well enough are not read again: then the answer is made at once, unless the request is
        long.
        """
        request = in_run(request, run_now())
        request = await self._sources.resolved_async(self._engine.plan_for(request), request)
        decision = self.decide_at_once(request)
        if decision is not None:
            return decision
        read: Decision = await self._worker.run(self._decide, request, apart=True)
        return read

    def decide_at_once(self, request: Mapping[str, Any], *, short: bool = False) -> Decision | None:
        """Decide as ``decide`` does where that takes no waiting.

        None where something has to be read or asked for, or the request is long: then ``decide`` leaves it to a
        thread. ``short`` says that it is known not to be long.
        """
        if not short and is_longer(request, _MOST_IN_LOOP):
            return None
        request = in_run(request, run_now())
        if self._sources.asks(self._engine.plan_for(request), request):
            return None
        return self._decide(request, self._shared.in_memory)

    async def models(self, request: Mapping[str, Any]) -> Models:
        """Return which models may serve a request on the balances of the ledger; see ``Guard.models``."""
        request = in_run(request, run_now())
        request = await self._sources.resolved_async(self._engine.plan_for(request), request)
        models: Models = await self._worker.run(self._models, request, apart=True)
        return models

    async def release(self, id: str) -> None:
        """Give back what is held under an id, from any process; see ``Guard.release``."""
        await asyncio.shield(self._worker.run(self._release, id))

    async def extend(self, id: str, lease: timedelta | None = None) -> datetime | None:
        """Let the lease of a held call begin anew, from any process; see ``Guard.extend``."""
        ends: datetime | None = await asyncio.shield(self._worker.run(self._extend, id, lease))
        return ends

    async def spend(self, budget: str | None = None, key: str | None = None) -> tuple[Spend, ...]:
        """Return what budgets have used, hold and have left now; see ``Guard.spend``."""
        spends: tuple[Spend, ...] = await self._worker.run(self._spend, budget, key)
        return spends

    async def measure(self) -> None:
        """Read from the ledger what calls have come to; see ``Guard.measure``."""
        await self._worker.run(self._measure)

    async def ledger_answers(self) -> bool:
        """Ask whether the ledger can be reached; see ``Guard.ledger_answers``."""
        answers: bool = await self._worker.run(self._ledger_answers)
        return answers

    async def flush(self, timeout: float = 5.0) -> bool:
        """Wait until every alert was taken to every sink once; say whether that happened within ``timeout`` seconds."""
        return await asyncio.to_thread(self._shared.delivery.flush, timeout)

    async def close(self) -> None:
        """Deliver the alerts under way, write charges that wait, and close the ledger if it was given as a URL."""
        await _apart(self._worker.close)
        await _apart(self._close)

    async def __aenter__(self) -> AsyncGuard:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()


class AsyncCall(CallFacts):
    """A call whose worst case is held. As an async context manager it gives back what is not settled at its end.

    Settling begins when it is asked for: ``await`` it for the charge; the end of the block waits for it in any case,
    and whoever stops awaiting it stops nothing.
    """

    def __init__(self, held: HeldCall, worker: _Worker, repeated: bool = False) -> None:
        super().__init__(held, repeated)
        self._worker = worker
        self._settling: asyncio.Future[Charged] | None = None
        self._asked_to_settle = Event()

    def settle(
        self,
        response: Any = None,
        *,
        model: str | None = None,
        output_text: str | Iterable[str] | None = None,
        shape: str | None = None,
    ) -> asyncio.Future[Charged]:
        """Charge the call, once, as ``Call.settle`` does."""
        if self._settling is not None:
            return asyncio.ensure_future(_again(self._settling))
        self._settling = self._worker.run(self._settle, response, model, output_text, shape)
        return asyncio.shield(self._settling)  # a future that is awaited is cancelled with the task that awaits it

    def _settle(self, *arguments: Any) -> Charged:
        try:
            return self._held.settle(*arguments)
        finally:
            self._asked_to_settle.set()

    async def release(self) -> None:
        """Give back what is held: the provider has not charged for the call. A settled call stays settled."""
        await asyncio.shield(self._worker.run(self._held.release))

    async def extend(self, lease: timedelta | None = None) -> None:
        """Let the lease begin anew, for a call that takes longer than it. Raises ``LedgerUnavailableError``."""
        await asyncio.shield(self._worker.run(self._held.extend, lease))

    def stream(self, chunks: AsyncIterable[_Chunk]) -> AsyncIterator[_Chunk]:
        """Pass on the chunks of a streamed response, then settle the call with the usage that came with them.

        All is as in ``Call.stream``.
        """
        return self._passed_on(chunks, self._held.open_stream(chunks))

    async def _passed_on(self, chunks: AsyncIterable[_Chunk], meter: StreamMeter) -> AsyncIterator[_Chunk]:
        ending: Ending = "ended"
        try:
            async with aopened(chunks) as source:
                meter.begin(source)
                async for chunk in source:
                    meter.see(chunk)
                    if self._held.is_half_over:
                        await asyncio.shield(self._worker.run(self._held.extend_in_time))
                    yield chunk
                    check_not_over(meter)
        except Exception:
            ending = "failed"
            raise
        except BaseException:  # the reader has left, or its task was cancelled
            ending = "left"
            raise
        finally:
            await asyncio.shield(self._worker.run(self._held.end_stream, meter, ending))

    def enter(self) -> AsyncCall:
        """Begin the block of the call."""
        self._held.enter()
        return self

    async def __aenter__(self) -> AsyncCall:
        return self.enter()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await asyncio.shield(self._worker.run(self._leave, error))
        if self._settling is not None:
            await asyncio.shield(self._settling)
        for source in self._held.open_sources:
            await aclose_stream(source)

    def _leave(self, error: BaseException | None) -> None:
        if self._settling is not None:
            self._asked_to_settle.wait()  # it was handed to the threads before this was
        self._held.leave(error)


class Opening:
    """A call that is being decided and reserved: ``async with`` it, or ``await`` it."""

    def __init__(
        self,
        open_call: Callable[..., tuple[HeldCall, bool]],
        worker: _Worker,
        request: Mapping[str, Any],
        asking: Callable[[], Awaitable[Mapping[str, Any]]] | None,
        *,
        apart: bool = False,
    ) -> None:
        """Open the call of a request; ``asking`` gives the request with what has to be asked for before."""
        self._open_call = open_call
        self._request = request
        self._asking = asking
        self._apart = apart
        self._worker = worker
        self._call: AsyncCall | None = None

    def __await__(self) -> Generator[Any, None, AsyncCall]:
        return self._open().__await__()

    async def __aenter__(self) -> AsyncCall:
        self._call = await self._open()
        return self._call.enter()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        assert self._call is not None, "the block was entered"
        await self._call.__aexit__(kind, error, traceback)

    async def _open(self) -> AsyncCall:
        if self._asking is not None:
            self._request = await self._asking()
        given_up, waits = Event(), Waits()
        opening: asyncio.Future[tuple[HeldCall, bool]]
        while True:
            opening = self._worker.run(self._open_unless, given_up, waits, apart=self._apart)
            try:
                held, repeated = await asyncio.shield(opening)
                return AsyncCall(held, self._worker, repeated)
            except Waiting as waiting:
                await asyncio.sleep(waiting.pause)  # without a thread, which others need
            except asyncio.CancelledError:
                given_up.set()
                opening.add_done_callback(self._undo)  # the thread goes on and may still reserve
                raise

    def _open_unless(self, given_up: Event, waits: Waits) -> tuple[HeldCall, bool]:
        """Reserve in a thread, which gives the hold back itself where the event loop may be closed by then."""
        held, repeated = self._open_call(self._request, waits=waits)
        if given_up.is_set() and not repeated:  # what was held before is not given back by who asked again
            held.release()
        return held, repeated

    def _undo(self, opening: asyncio.Future[tuple[HeldCall, bool]]) -> None:
        if not opening.cancelled() and opening.exception() is None:
            held, repeated = opening.result()
            if not repeated:
                self._worker.run(held.release)


async def _again(settling: asyncio.Future[Charged]) -> Charged:
    """Return the first charge to who settles a call again."""
    charged = await asyncio.shield(settling)
    return charged._replace(repeated=True)


async def _apart(work: Callable[[], None]) -> None:
    """Do something that may wait in a thread; once the interpreter ends, when no thread starts any more, do it here."""
    try:
        doing = asyncio.get_running_loop().run_in_executor(None, work)
    except RuntimeError:
        work()
    else:
        await doing


class _Worker:
    """Runs functions that may wait for a store: in a thread, or at once where the store is in memory."""

    def __init__(self, *, inline: bool) -> None:
        self._threads = None if inline else ThreadPoolExecutor(_MOST_THREADS, "costlens-policy")

    def run(self, function: Any, *arguments: Any, apart: bool = False) -> asyncio.Future[Any]:
        """Begin at once; the future is done when the function is. Cancelling whoever awaits it stops nothing.

        With ``apart``, which is for what takes long by itself, a thread does it in any case.
        """
        loop = asyncio.get_running_loop()
        if self._threads is not None or apart:
            with suppress(RuntimeError):  # the guard was closed, and what is left over is done here
                return loop.run_in_executor(self._threads, partial(function, *arguments))
        future: asyncio.Future[Any] = loop.create_future()
        try:
            future.set_result(function(*arguments))
        except Exception as error:
            future.set_exception(error)
        return future

    def close(self) -> None:
        if self._threads is not None:
            self._threads.shutdown(wait=True)
