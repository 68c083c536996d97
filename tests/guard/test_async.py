"""The guard for code that awaits: the same, and nothing stays held when a task is cancelled."""

from __future__ import annotations

import asyncio
import threading
import time
from decimal import Decimal

import pytest

from costlens_policy import AsyncGuard, DeniedError
from costlens_policy.ledger import MemoryStore
from tests.guard.company import REQUEST, START, TEAM
from tests.guard.stream_shapes import STREAMS

CHAT = STREAMS["openai chat"]
USAGE = {"prompt_tokens": 1000, "completion_tokens": 50}


@pytest.fixture
def run(company, ledger, clock):
    """Return a function that runs a coroutine function with a guard."""

    def with_guard(body, policy=TEAM, **options):
        async def main():
            async with AsyncGuard(company(policy), ledger, **{"clock": clock, "alert_sinks": [], **options}) as guard:
                return await body(guard)

        return asyncio.run(main())

    return with_guard


async def state(guard):
    (line,) = await guard.spend("team", "red")
    return line.used, line.held


def test_held_then_settled(run):
    async def body(guard):
        async with guard.call(REQUEST) as call:
            assert call.model == "nano"
            assert await state(guard) == (0, Decimal("0.0012"))
            charged = await call.settle(USAGE)
            assert (await call.settle(None)) == charged._replace(repeated=True)
        assert await state(guard) == (Decimal("0.0011"), 0)

    run(body)


def test_settling_needs_no_await(run):
    async def body(guard):
        async with guard.call(REQUEST) as call:
            call.settle(USAGE)
        assert call.charged.cost == Decimal("0.0011")
        assert await state(guard) == (Decimal("0.0011"), 0)

    run(body)


def test_without_a_block(run):
    async def body(guard):
        call = await guard.call(REQUEST, id="batch")
        again = await guard.call(REQUEST, id="batch")
        await again.extend()
        await again.settle(USAGE)
        assert await state(guard) == (Decimal("0.0011"), 0)
        other = await guard.call(REQUEST)
        await other.release()
        assert call.charged is again.charged
        assert await state(guard) == (Decimal("0.0011"), 0)

    run(body)


def test_denied(run):
    async def body(guard):
        for _ in range(8):
            await guard.call(REQUEST)
        with pytest.raises(DeniedError) as denied:
            async with guard.call(REQUEST):
                raise AssertionError("never entered")
        assert denied.value.budget == "p/team"

    run(body)


@pytest.mark.parametrize(("on_exception", "used"), [("release", 0), ("charge_hold", Decimal("0.0012"))])
def test_a_cancelled_task_holds_nothing(run, on_exception, used):
    async def body(guard):
        entered = asyncio.Event()

        async def work():
            async with guard.call(REQUEST):
                entered.set()
                await asyncio.sleep(60)

        task = asyncio.create_task(work())
        await entered.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await state(guard) == (used, 0)

    run(body, on_exception=on_exception)


def test_cancelled_while_the_store_is_asked(company, clock):
    """The store answers after the task is gone; what it then holds is given back."""
    store, asked, go, held = MemoryStore(), threading.Event(), threading.Event(), []
    reserve = store.reserve

    def slow(hold):
        asked.set()
        go.wait(10)
        answer = reserve(hold)
        held.append(answer)
        return answer

    store.reserve = slow

    class Slow:
        """Not a ``MemoryStore``, so that it is asked in a thread."""

        def __getattr__(self, name):
            return getattr(store, name)

    async def main():
        async with AsyncGuard(company(TEAM), Slow(), clock=clock, alert_sinks=[]) as guard:
            task = asyncio.ensure_future(guard.call(REQUEST).__aenter__())
            await asyncio.to_thread(asked.wait, 10)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            go.set()
            deadline = time.monotonic() + 10
            while (await state(guard)) != (0, 0) or not held:
                assert time.monotonic() < deadline
                await asyncio.sleep(0.01)
            await asyncio.sleep(0.05)
            assert await state(guard) == (0, 0)

    asyncio.run(main())


def test_the_loop_never_waits_for_a_store(company, clock):
    """Another task goes on while a store in a thread takes its time."""
    store = MemoryStore()

    class Slow:
        def __getattr__(self, name):
            if name == "reserve":
                time.sleep(0.2)
            return getattr(store, name)

    async def main():
        async with AsyncGuard(company(TEAM), Slow(), clock=clock, alert_sinks=[]) as guard:
            opening = asyncio.ensure_future(guard.call(REQUEST).__aenter__())
            ticks = 0
            while not opening.done():
                await asyncio.sleep(0.001)
                ticks += 1
            assert ticks > 3

    asyncio.run(main())


def test_streams(run):
    async def chunks():
        for chunk in CHAT:
            yield chunk

    async def body(guard):
        async with guard.call(REQUEST) as call:
            assert [chunk async for chunk in call.stream(chunks())] == CHAT
        assert call.charged.cost == Decimal("0.0011")
        async with guard.call(REQUEST) as call:
            stream = call.stream(chunks())
            await anext(stream)
            await anext(stream)
            await stream.aclose()
        assert call.charged.basis == "estimated"

    run(body)


def test_many_tasks_never_pass_the_limit(run):
    async def body(guard):
        async def work():
            done = 0
            for _ in range(6):
                try:
                    async with guard.call(REQUEST) as call:
                        await asyncio.sleep(0)
                        await call.settle({"prompt_tokens": 1000, "completion_tokens": 100})
                        done += 1
                except DeniedError:
                    await asyncio.sleep(0)
            return done

        done = sum(await asyncio.gather(*(work() for _ in range(8))))
        assert await state(guard) == (done * Decimal("0.0012"), 0)
        assert done == 8

    run(body)


def test_a_long_request_is_decided_beside_the_event_loop(run, ledger):
    in_loop = isinstance(ledger, MemoryStore)
    asked, decided = [], []

    def clock():
        asked.append(threading.current_thread() is threading.main_thread())
        return START

    async def body(guard):
        for request in (REQUEST, {**REQUEST, "prompt": "a" * 30_000}, {**REQUEST, "metadata": {"x": ["a" * 30_000]}}):
            asked.clear()
            async with guard.call(request) as call:
                decided.append(asked[0])
                await call.settle(USAGE)

    run(body, clock=clock)
    assert decided == [in_loop, False, False]
