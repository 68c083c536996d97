"""Calls that wait for an approval hold nothing, and nobody up."""

from __future__ import annotations

import asyncio
import logging
from datetime import timedelta
from pathlib import Path

import pytest

from costlens_policy import ApprovalNeededError, AsyncGuard
from tests.guard.company import REQUEST, write_company

POLICY = """
budgets:
  - id: team
    scope: request.?team.orValue("nobody")
    hard_limit_usd: 1
    window: {calendar: month}
    thresholds: [{at_usd: 0.001, needs_approval: {reason: Ann decides, wait: 10m}}]
"""


def test_calls_that_wait_keep_no_others_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """More of them than there are threads, and once they are cancelled nothing of them is left."""
    caplog.set_level(logging.CRITICAL)
    engine = write_company(tmp_path / "p", POLICY.replace("0.001", "0.0015"))

    async def waits(guard: AsyncGuard) -> None:
        async with guard.call({**REQUEST, "team": "red"}):
            raise AssertionError("nobody has approved it")

    async def tried() -> None:
        guard = AsyncGuard(engine, f"sqlite:///{tmp_path / 'spend.db'}", alert_sinks=[])
        async with guard.call({**REQUEST, "team": "red"}) as call:
            await call.settle({"prompt_tokens": 1000, "completion_tokens": 100})
        waiting = [asyncio.create_task(waits(guard)) for _ in range(80)]
        await asyncio.sleep(0.2)
        async with asyncio.timeout(60), guard.call({**REQUEST, "team": "blue"}) as call:
            await call.settle({"prompt_tokens": 1000, "completion_tokens": 100})
        assert not any(task.done() for task in waiting)
        for task in waiting:
            task.cancel()
        assert {type(found) for found in await asyncio.gather(*waiting, return_exceptions=True)} == {
            asyncio.CancelledError
        }
        (red,) = await guard.spend("team", "red")
        assert red.held == 0
        await guard.close()

    asyncio.run(tried())


def test_a_call_waits_no_longer_than_it_may(tmp_path: Path) -> None:
    engine = write_company(tmp_path / "p", POLICY)

    async def tried() -> None:
        guard = AsyncGuard(engine, "memory:", alert_sinks=[], longest_wait=timedelta(milliseconds=20))
        with pytest.raises(ApprovalNeededError):
            await guard.call({**REQUEST, "team": "red"})
        await guard.close()

    asyncio.run(tried())
