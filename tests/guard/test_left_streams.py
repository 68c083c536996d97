"""Streams and settlements that somebody leaves: by `break`, by cancelling, in a variable, in another thread."""

from __future__ import annotations

import asyncio
import gc
import threading
import time
from decimal import Decimal

import pytest

from costlens_policy import AsyncGuard, Guard
from costlens_policy.guard import GuardError
from costlens_policy.ledger import MemoryStore
from tests.guard.company import REQUEST, TEAM

TEXT = {"choices": [{"delta": {"content": "word "}}]}
END = {"choices": [], "usage": {"prompt_tokens": 1000, "completion_tokens": 50}}
PLENTY = TEAM.replace("0.01", "10")
COST = Decimal("0.0011")


class Provider:
    """A stream that says when it was closed, and may stall at its fourth chunk."""

    def __init__(self, *, stalls: bool = False) -> None:
        self.closed = False
        self.stalls = stalls

    async def chunks(self):
        try:
            for number in range(40):
                if self.stalls and number == 3:
                    await asyncio.sleep(60)
                yield TEXT
            yield END
        finally:
            self.closed = True


class SlowStore:
    """A store in memory that takes its time, and is asked in threads."""

    def __init__(self, delay: float = 0.02) -> None:
        self._store = MemoryStore()
        self._delay = delay

    def __getattr__(self, name):
        time.sleep(self._delay)
        return getattr(self._store, name)


@pytest.fixture
def run(company, ledger, clock):
    """Return a function that runs a coroutine function with a guard, and gives what is used and held after it."""

    def with_guard(body, store=None, **options):
        async def main():
            async with AsyncGuard(company(PLENTY), store or ledger, clock=clock, alert_sinks=[], **options) as guard:
                await body(guard)
                return await state(guard)

        return asyncio.run(main())

    return with_guard


async def state(guard):
    lines = await guard.spend("team", "red")
    return (lines[0].used, lines[0].held) if lines else (0, 0)


async def read(stream, most):
    count = 0
    async for _ in stream:
        count += 1
        if count == most:
            break


async def charge_of(call):
    """Wait, not for ever, until a call is charged."""
    for _ in range(500):
        if call.charged is not None:
            return
        await asyncio.sleep(0.01)


def test_left_by_break_it_is_charged_at_the_end_of_the_block(run):
    async def body(guard):
        provider = Provider()
        async with guard.call(REQUEST) as call:
            stream = call.stream(provider.chunks())
            await read(stream, 20)
            assert call.charged is None, "a helper may still tell the whole answer"
        assert call.charged.basis == "estimated"
        assert not call.charged.late
        assert 20 <= call.charged.usage.output <= 25
        assert provider.closed
        assert (await state(guard)) == (call.charged.cost, 0)
        with pytest.raises(GuardError, match="within the block"):
            await anext(stream)
        await stream.aclose()

    assert run(body)[1] == 0


@pytest.mark.parametrize("stalls", [False, True])
def test_left_by_a_cancelled_task(run, stalls):
    """In the middle of a chunk, or while its reader does something else."""

    async def body(guard):
        provider, begun, calls = Provider(stalls=stalls), asyncio.Event(), []

        async def work():
            async with guard.call(REQUEST) as call:
                calls.append(call)
                async for _ in call.stream(provider.chunks()):
                    begun.set()
                    if not stalls:
                        await asyncio.sleep(60)

        task = asyncio.create_task(work())
        await begun.wait()
        await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert calls[0].charged.basis == "estimated"
        assert provider.closed

    used, held = run(body)
    assert held == 0
    assert Decimal("0.001") < used < COST


def test_left_by_the_timeout_of_its_reader(run):
    async def body(guard):
        with pytest.raises(TimeoutError):
            async with guard.call(REQUEST) as call, asyncio.timeout(0.05):
                await read(call.stream(Provider(stalls=True).chunks()), 40)
        assert call.charged.basis == "estimated"

    assert run(body)[1] == 0


def test_without_a_block_it_is_charged_when_nobody_keeps_it(run):
    async def body(guard):
        call = await guard.call(REQUEST)
        await read(call.stream(Provider().chunks()), 5)
        gc.collect()
        await charge_of(call)
        assert call.charged.basis == "estimated"

    assert run(body)[1] == 0


def test_kept_without_a_block_it_is_charged_when_the_guard_is_closed(company, ledger, clock):
    kept = []

    async def main():
        async with AsyncGuard(company(PLENTY), ledger, clock=clock, alert_sinks=[]) as guard:
            kept.append(await guard.call(REQUEST))
            kept.append(kept[0].stream(Provider().chunks()))
            await anext(kept[1])

    asyncio.run(main())
    assert kept[0].charged.basis == "estimated"
    guard = Guard(company(PLENTY), ledger, clock=clock, alert_sinks=[])
    call = guard.call(REQUEST)
    kept.append(call.stream(iter([TEXT, TEXT, END])))
    next(kept[-1])
    guard.close()
    assert call.charged.basis == "estimated"


def test_handed_over_and_never_read(run):
    async def body(guard):
        async with guard.call(REQUEST) as call:
            call.stream(Provider().chunks())
        assert (call.charged.basis, call.charged.cost) == ("assumed", Decimal("0.0012"))

    assert run(body)[1] == 0


def test_cancelled_settlements_are_all_charged(run):
    """Whenever the cancelling comes, and however often: one charge for each settlement that was asked for."""
    asked = []

    async def body(guard):
        async def work(number):
            async with guard.call(REQUEST) as call:
                await asyncio.sleep(0)
                asked.append(number)
                await call.settle({"prompt_tokens": 1000, "completion_tokens": 50})

        tasks = [asyncio.create_task(work(number)) for number in range(30)]
        for _ in range(3):
            await asyncio.sleep(0.04)
            for task in tasks[::2]:
                task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    used, held = run(body, store=SlowStore(0.005))
    assert len(asked) >= 15
    assert (used, held) == (len(asked) * COST, 0)


def test_waiting_for_a_settlement_has_an_end(run):
    async def body(guard):
        async with guard.call(REQUEST) as call:
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(call.settle({"prompt_tokens": 1000, "completion_tokens": 50}), 0.01)
            assert call.charged is None
        assert call.charged.cost == COST
        outside = await guard.call(REQUEST)
        outside.settle({"prompt_tokens": 1000, "completion_tokens": 50}).cancel()
        await charge_of(outside)

    assert run(body, store=SlowStore(0.05)) == (2 * COST, 0)


def test_a_release_that_is_cancelled_is_made(run):
    async def body(guard):
        for leave in (lambda call: call.release(), lambda call: call.__aexit__(None, None, None)):
            task = asyncio.ensure_future(leave(await guard.call(REQUEST)))
            await asyncio.sleep(0.005)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    assert run(body, store=SlowStore(0.05)) == (0, 0)


def test_an_event_loop_that_ends_while_a_call_is_held(company, clock):
    """The thread that holds it finds that nobody waits, and gives it back."""
    store, engine = SlowStore(0.1), company(PLENTY)
    guards = []

    async def main():
        guards.append(AsyncGuard(engine, store, clock=clock, alert_sinks=[]))
        task = asyncio.ensure_future(guards[0].call(REQUEST).__aenter__())
        await asyncio.sleep(0.05)
        task.cancel()

    asyncio.run(main())
    asyncio.run(guards[0].close())
    lines = Guard(engine, store, clock=clock, alert_sinks=[]).spend("team", "red")
    assert [(line.used, line.held) for line in lines] in ([], [(0, 0)])


def test_read_in_another_thread(company, ledger, clock):
    """What that thread does after the block is over ends with an error, not with chunks that nobody counts."""
    guard = Guard(company(PLENTY), ledger, clock=clock, alert_sinks=[])
    begun, go, ended = threading.Event(), threading.Event(), []

    def chunks():
        for _ in range(10):
            yield TEXT
            begun.set()
            go.wait(10)

    def work(stream):
        try:
            ended.append(len(list(stream)))
        except GuardError as error:
            ended.append(error)

    with guard.call(REQUEST) as call:
        thread = threading.Thread(target=work, args=(call.stream(chunks()),))
        thread.start()
        begun.wait(10)
    go.set()
    thread.join(10)
    assert isinstance(ended[0], GuardError)
    assert call.charged.basis == "estimated"
    assert guard.spend("team", "red")[0].held == 0


def test_several_streams_of_one_call_at_once(run):
    """All are charged, whichever ends first."""

    async def body(guard):
        async with guard.call(REQUEST) as call:
            await asyncio.gather(*(read(call.stream(Provider().chunks()), None) for _ in range(3)))
        assert call.charged.basis == "reported"

    assert run(body) == (3 * COST, 0)


def test_a_stream_that_the_collector_closes_waits_for_no_lock(company, clock):
    """The collector may begin where this thread holds the lock of the store, which charging takes."""
    store = MemoryStore()
    with Guard(company(PLENTY), store, clock=clock, alert_sinks=[]) as guard:
        cycle = [guard.call(REQUEST).stream([TEXT] * 3)]
        cycle.append(cycle)
        next(cycle[0])

        def collect():
            with store._lock:
                gc.collect()

        gc.collect()
        del cycle
        collecting = threading.Thread(target=collect, daemon=True)
        collecting.start()
        collecting.join(10)
        assert not collecting.is_alive()
        for _ in range(1000):
            (spend,) = guard.spend()
            if spend.used:
                break
            time.sleep(0.01)
        assert spend.used > 0
        assert spend.held == 0
