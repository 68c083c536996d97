"""The law of the guard: whatever runs at one time, no limit is passed, and nothing is refused without cause."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from costlens_policy import AsyncGuard, DeniedError, Engine, Guard
from costlens_policy.engine.decision import Decision
from costlens_policy.ledger import MemoryStore
from tests.guard.company import Clock, write_company

POLICY = """
budgets:
  - id: team
    scope: request.?team.orValue("nobody")
    hard_limit_usd: 0.02
    window: {calendar: day}
    thresholds:
      - {at_ratio: 0.5, downgrade: {models: [nano], exclude: 'model.name == "large"'}}
      - {at_ratio: 0.8, downgrade: {models: [nano]}, rewrite: [{clamp_params: {max_output_tokens: {max: 200}}}]}
  - {id: all, hard_limit_tokens: 20000, overflow: spare, window: {rolling: 1h}}
  - {id: spare, scope: request.?team.orValue("nobody"), hard_limit_usd: 0.006, window: {lifetime: true}}
  - {id: calls, when: 'model.name == "large"', hard_limit_requests: 3, window: {lifetime: true}}
  - id: quota
    hard_limit_tokens: 25000
    count: {input: 1, cached_input: 0.1, cache_write: 1.25, output: 6, reasoning: 6.5}
    window: {rolling: 1h}
  - {id: watched, hard_limit_usd: 0.001, window: {lifetime: true}, shadow: true}
"""
LIMITS = {
    "p/team": Decimal("0.02"),
    "p/all": Decimal(20000),
    "p/spare": Decimal("0.006"),
    "p/calls": Decimal(3),
    "p/quota": Decimal(25000),
}


@dataclass(frozen=True)
class Job:
    """One call: what it asks for, how much of that it uses, and how it ends."""

    team: str
    prompt: int
    output: int
    used: float
    end: str
    tier: str | None = None
    """The service tier that is asked for; the provider serves the call at it, or at the usual one."""
    served: str | None = None


JOBS = st.builds(
    Job,
    team=st.sampled_from(["red", "blue"]),
    prompt=st.integers(1, 3000),
    output=st.integers(1, 1000),
    used=st.sampled_from([0.0, 0.1, 0.5, 1.0]),
    end=st.sampled_from(["settle", "settle", "settle", "release", "raise", "assume"]),
    tier=st.sampled_from([None, None, "flex", "priority", "auto"]),
    served=st.sampled_from([None, "default", "asked"]),
)
WORK = st.lists(st.lists(JOBS, min_size=1, max_size=8), min_size=2, max_size=5)
SETTINGS = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def request_of(job: Job) -> dict[str, Any]:
    request = {"prompt": "x", "prompt_tokens": job.prompt, "max_output_tokens": job.output, "team": job.team}
    return request if job.tier is None else {**request, "params": {"service_tier": job.tier}}


def usage_of(job: Job, decision: Decision) -> dict[str, Any]:
    limit = min(job.output, decision.params["max_output_tokens"])
    written = int(limit * job.used)
    usage = {
        "prompt_tokens": job.prompt,
        "completion_tokens": written,
        "prompt_tokens_details": {"cached_tokens": job.prompt // 3, "cache_write_tokens": job.prompt // 2},
        "completion_tokens_details": {"reasoning_tokens": written // 2},
    }
    served = {"asked": "priority" if job.tier == "auto" else job.tier}.get(job.served or "", job.served)
    return {"usage": usage, "service_tier": served}


class Failed(Exception):  # noqa: N818 - stands for any error of a provider
    pass


def work(guard: Guard, jobs: list[Job], refused: list[Decision]) -> None:
    for job in jobs:
        try:
            with guard.call(request_of(job)) as call:
                if job.end == "settle":
                    call.settle(usage_of(job, call.decision))
                elif job.end == "assume":
                    call.settle(None)
                elif job.end == "raise":
                    raise Failed
        except DeniedError as denied:
            refused.append(denied.decision)
        except Failed:
            pass


async def work_async(guard: AsyncGuard, jobs: list[Job], refused: list[Decision]) -> None:
    for job in jobs:
        try:
            async with guard.call(request_of(job)) as call:
                await asyncio.sleep(0)
                if job.end == "settle":
                    await call.settle(usage_of(job, call.decision))
                elif job.end == "assume":
                    call.settle(None)
                elif job.end == "raise":
                    raise Failed
        except DeniedError as denied:
            refused.append(denied.decision)
        except Failed:
            pass


class Watched(MemoryStore):
    """A store that looks at every balance that it ever answers with."""

    def reserve(self, hold):
        answer = super().reserve(hold)
        for line in answer.lines:
            assert line.limit is None or line.used + line.held <= line.limit
        return answer

    def charge(self, settlement):
        settled = super().charge(settlement)
        for line in settled.lines:
            assert line.overdraft == 0
        return settled


def examine(engine: Engine, spends: Any, refused: list[Decision]) -> None:
    """Check limits, and that each refusal is what the engine says to the balances that it was refused on."""
    for line in spends:
        assert line.held == 0
        assert line.used <= LIMITS.get(line.budget, Decimal(10))
    for decision in refused:
        again = engine.decide(decision.request, balances=decision.balances_read, now=decision.now)
        assert not again.allowed or decision.notes  # others took the room in each of several turns
        assert decision.excluded


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Engine:
    return write_company(tmp_path_factory.mktemp("set") / "policies", POLICY, models="large, mini")


@SETTINGS
@given(plans=WORK)
def test_threads(engine, plans):
    guard, refused = Guard(engine, Watched(), clock=Clock(), alert_sinks=[]), []
    run_threads([(work, guard, jobs, refused) for jobs in plans])
    examine(engine, guard.spend(), refused)


@SETTINGS
@given(plans=WORK)
def test_tasks(engine, plans):
    async def main():
        refused: list[Decision] = []
        async with AsyncGuard(engine, Watched(), clock=Clock(), alert_sinks=[]) as guard:
            await asyncio.gather(*(work_async(guard, jobs, refused) for jobs in plans))
            examine(engine, await guard.spend(), refused)

    asyncio.run(main())


@settings(SETTINGS, max_examples=8)
@given(plans=WORK)
def test_processes_of_one_file(engine, plans, tmp_path_factory):
    """Several guards on one file know no more of each other than several processes do."""
    url = f"sqlite:///{tmp_path_factory.mktemp('ledger') / 'spend.db'}"
    guards = [Guard(engine, url, clock=Clock(), alert_sinks=[]) for _ in plans]
    refused: list[Decision] = []
    run_threads([(work, guard, jobs, refused) for guard, jobs in zip(guards, plans, strict=True)])
    examine(engine, guards[0].spend(), refused)
    for guard in guards:
        guard.close()


def test_a_hot_budget_is_used_to_its_end(engine):
    """Many threads that want the same: as many get through as one after the other would."""
    guard, refused = Guard(engine, MemoryStore(), clock=Clock(), alert_sinks=[]), []
    jobs = [Job("red", 100, 100, 1.0, "settle")] * 30
    run_threads([(work, guard, jobs, refused) for _ in range(8)])
    (line,) = guard.spend("team", "red")
    assert line.left < Decimal("0.0003")  # less than the cheapest of these calls
    examine(engine, guard.spend(), refused)


def run_threads(tasks: list[tuple[Callable[..., None], Any, list[Job], list[Decision]]]) -> None:
    problems: list[BaseException] = []

    def run(function: Callable[..., None], *arguments: Any) -> None:
        try:
            function(*arguments)
        except BaseException as error:
            problems.append(error)

    threads = [threading.Thread(target=run, args=task) for task in tasks]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if problems:
        raise problems[0]
