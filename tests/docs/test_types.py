"""What is public has precise types: mypy reads this file, and the assertions run, too."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal, assert_type

from anthropic import Anthropic
from openai import AsyncOpenAI, OpenAI

from costlens_policy import AsyncGuard, Balance, Decision, Engine, Guard, Router, load, wrap
from costlens_policy.guard import AsyncCall, Call, Charged, Event
from costlens_policy.ledger import Account, AccountBalance, Period, Store, open_ledger
from costlens_policy.testing import Run, run_suites

ROOT = Path(__file__).resolve().parent.parent.parent
REQUEST: dict[str, Any] = {"task": "chat", "team": "support", "prompt": "Where is my parcel?"}


def engine() -> Engine:
    return assert_type(load(ROOT / "examples" / "guarded-service", cache=False), Engine)


def test_a_decision() -> None:
    balances = {("spend/team-day", "support"): Balance(used=Decimal("0.01"))}
    decision = assert_type(engine().decide(REQUEST, balances=balances, now=datetime(2026, 6, 1, tzinfo=UTC)), Decision)
    assert_type(decision.allowed, bool)
    assert_type(decision.effect, Literal["allow", "deny"])
    assert_type(decision.model, str | None)
    assert_type(decision.fallbacks, tuple[str, ...])
    assert_type(decision.messages, tuple[dict[str, Any], ...] | None)
    assert_type(decision.params, Mapping[str, Any])
    assert_type(decision.to_dict(), dict[str, Any])
    if decision.estimate is not None:
        assert_type(decision.estimate.cost, Decimal | None)
    assert_type(Router(engine()).get_optimal_model(task="chat", team="support", prompt="Hello").name, str)


def test_a_guarded_call() -> None:
    events: list[Event] = []
    guard = Guard(engine(), alert_sinks=[events.append])
    with guard.call(REQUEST) as call:
        assert_type(call, Call)
        assert_type(call.model, str)
        charged = assert_type(call.settle({"prompt_tokens": 10, "completion_tokens": 8}), Charged)
    assert_type(charged.cost, Decimal | None)
    guard.close()


def test_a_wrapped_client() -> None:
    with Guard(engine()) as guard:
        client = assert_type(wrap(OpenAI(api_key="none"), guard=guard), OpenAI)
        others = {"house": OpenAI(api_key="none")}
        assert_type(wrap(OpenAI(api_key="none"), guard=guard, clients=others), OpenAI)
        assert_type(wrap(Anthropic(api_key="none"), guard=guard), Anthropic)
        assert_type(client.with_options(max_retries=1), OpenAI)


def wrapped_asynchronously(guard: AsyncGuard) -> None:
    assert_type(wrap(AsyncOpenAI(api_key="none"), guard=guard), AsyncOpenAI)
    wrap(AsyncOpenAI(api_key="none"), guard=Guard(engine()))  # type: ignore[call-overload]


async def asynchronously(guard: AsyncGuard) -> None:
    async with guard.call(REQUEST) as call:
        assert_type(call, AsyncCall)
        assert_type(await call.settle({"prompt_tokens": 10}), Charged)


def test_a_ledger_and_suites() -> None:
    store = assert_type(open_ledger("memory:"), Store)
    account = Account("spend/team-day", "support", "usd", Period("lifetime"))
    assert_type(store.balances([account], datetime(2026, 6, 1, tzinfo=UTC)), tuple[AccountBalance, ...])
    assert assert_type(run_suites([ROOT / "examples" / "guarded-service"]), Run).exit_code == 0
