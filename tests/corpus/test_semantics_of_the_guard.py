"""The sentences of docs/semantics.md about the guard, each in its plainest case. A test is named after its sentence."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextvars import copy_context
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from costlens_policy import (
    ApprovalNeededError,
    DeniedError,
    Guard,
    LivePolicies,
    RunEndedError,
    RunLimitError,
    ShareRefusedError,
    run,
)
from costlens_policy.engine.decide import decide
from costlens_policy.guard import GuardError, reserving
from costlens_policy.ledger import Adjustment, CallConflictError, Entry, EntryQuery, MemoryStore, Refused, decimal_of
from costlens_policy.ledger.overspend import overspends
from tests.corpus.semantic_cases import SETS, engine_of
from tests.guard.company import REQUEST, Breakable, Clock, Timer, write_company

POLICY = """
budgets:
  - {id: dollars, hard_limit_usd: 0.01, window: {calendar: day}, thresholds: [{at_ratio: 0.5, alert: half}]}
  - {id: calls, hard_limit_requests: 3, window: {calendar: day}}
  - {id: of-mini, when: 'model.name == "mini"', hard_limit_tokens: 100000, window: {calendar: day}}
"""
SESSION = {"session": "s", "prompt": "go on", "max_output_tokens": 100}
USAGE = {"prompt_tokens": 1000, "completion_tokens": 50}
MUCH = {"prompt_tokens": 20_000, "completion_tokens": 0}

Make = Callable[..., Guard]


class World:
    """A store that can be broken, a clock, and guards over both."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.clock = Clock()
        self.timer = Timer()
        self.store = Breakable(MemoryStore())
        self.events: list[Any] = []
        self.guards: list[Guard] = []

    def guard(self, policy: str = POLICY, models: str = "nano", more: str = "", **options: Any) -> Guard:
        engine = write_company(self.folder / "policies", policy, models=models, more=more)
        options = {"clock": self.clock, "timer": self.timer, "alert_sinks": [self.events.append]} | options
        guard = Guard(engine, self.store, **options)
        self.guards.append(guard)
        return guard

    def mend(self) -> None:
        """Repair the store, and let the pause of every guard be over."""
        self.store.broken = False
        self.timer.seconds += 60


@pytest.fixture
def caches(world: World) -> Callable[[], Guard]:
    """Return a function that makes guards over one store, whose rules read what is warm."""
    engine = engine_of(SETS / "caches")

    def made() -> Guard:
        guard = Guard(engine, world.store, clock=world.clock, timer=world.timer, alert_sinks=[])
        world.guards.append(guard)
        return guard

    return made


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    yield made
    for guard in made.guards:
        guard.close()


def used(guard: Guard) -> dict[str, tuple[Decimal, Decimal]]:
    return {line.budget.removeprefix("p/"): (line.used, line.held) for line in guard.spend()}


def test_s_grd_22_what_is_full_is_read_for_the_very_call(world: World) -> None:
    policy = (
        "budgets: [{id: a, hard_limit_requests: 1, overflow: b, window: {calendar: day}},"
        " {id: b, hard_limit_requests: 9, window: {calendar: day}}]"
    )
    here, there = world.guard(policy), world.guard(policy, max_age=10_000)
    first = here.call(REQUEST)
    there.call(REQUEST)
    assert used(there) == {"a": (0, 1), "b": (0, 1)}
    first.release()
    there.call(REQUEST)
    assert used(there) == {"a": (0, 1), "b": (0, 1)}


WEIGHTED = "budgets: [{id: b, hard_limit_tokens: 10000, count: %s, window: {calendar: day}}]"


def test_s_bud_33_a_charge_weighs_each_kind(world: World) -> None:
    guard = world.guard(WEIGHTED % "{input: 1, cached_input: 0.1, output: 6, reasoning: 7}")
    usage = {
        "prompt_tokens": 1000,
        "completion_tokens": 50,
        "prompt_tokens_details": {"cached_tokens": 401},
        "completion_tokens_details": {"reasoning_tokens": 20},
    }
    with guard.call(REQUEST) as call:
        assert used(guard)["b"] == (0, 1700)
        call.settle(usage)
    assert used(guard)["b"] == (Decimal("959.1"), 0)  # 599 + 401 * 0.1 + 30 * 6 + 20 * 7
    with guard.call(REQUEST) as call:
        call.settle({**usage, "holographic_tokens": 3})
    assert used(guard)["b"][0] == 2 * Decimal("959.1") + 21
    with guard.call(REQUEST) as call:
        call.settle(output_text="word " * 20)
    assert Decimal(1000) < used(guard)["b"][0] - (2 * Decimal("959.1") + 21) <= 1700


def test_s_bud_34_a_balance_belongs_to_its_weights(world: World) -> None:
    before = world.guard(WEIGHTED % "{input: 1, output: 6}")
    under_way = before.call(REQUEST)
    alike = world.guard(WEIGHTED % "{input: 1.0, cached_input: 1, reasoning: 6, output: 6}")
    assert used(alike)["b"] == (0, 1600)
    other = world.guard(WEIGHTED % "{input: 1, output: 5}")
    assert "b" not in used(other) or used(other)["b"] == (0, 0)
    other.settle(under_way.id, USAGE)
    assert used(alike)["b"] == (1300, 0)
    with other.call(REQUEST):
        assert used(other)["b"] == (0, 1500)


QUANTILE = """
budgets:
  - {id: b, hard_limit_usd: 0.02, hold: {quantile: 0.5, cases: 2}, window: {calendar: day}}
"""
CHAT = {**REQUEST, "task": "chat"}
"""On `nano` at most $0.0012."""


def _settled(guard: Guard, *usages: Any, **more: Any) -> None:
    for usage in usages:
        with guard.call(CHAT) as call:
            call.settle(usage, **more)
    guard.measure()


def test_s_hld_8_a_guard_knows_what_calls_have_come_to(world: World) -> None:
    guard = world.guard(QUANTILE, models="mini, nano")
    _settled(guard, *[{"prompt_tokens": 300, "completion_tokens": 0}] * 2, model="nano")
    guard.call(CHAT).release()
    (known,) = world.guard(QUANTILE)._shared.measuring.known.values()
    assert known == (2, Decimal("0.25"))  # $0.0003 of the $0.0012 of `nano`, of which $0.0028 were held
    cheap = world.guard(QUANTILE)
    for count, ratio in ((3, Decimal("0.25")), (4, 1)):  # the second of three, the third of four
        _settled(cheap, None)
        (known,) = cheap._shared.measuring.known.values()
        assert known == (count, ratio)


def test_s_hld_9_the_unknown_is_charged_at_its_worst(world: World) -> None:
    guard = world.guard(QUANTILE)
    _settled(guard, *[{"prompt_tokens": 300, "completion_tokens": 0}] * 2)
    before, call = used(guard)["b"][0], guard.call(CHAT)
    assert used(guard)["b"] == (before, Decimal("0.001"))  # what the prompt costs
    call.settle(None)
    assert used(guard)["b"] == (before + Decimal("0.0012"), 0)


def test_s_hld_10_by_how_much_a_limit_is_exceeded(world: World) -> None:
    guard = world.guard(QUANTILE.replace("0.02", "0.0086"))
    _settled(guard, *[{"prompt_tokens": 300, "completion_tokens": 0}] * 2)
    calls = [guard.call(CHAT) for _ in range(8)]  # 2 * $0.0003 used, 8 * $0.001 held
    with pytest.raises(DeniedError):
        guard.call(CHAT)
    (bound,) = overspends(world.store, EntryQuery(), world.clock())
    assert decimal_of(bound.bound, "usd") == 8 * Decimal("0.0002")
    for call in calls:
        call.settle(None)
    assert used(guard)["b"][0] == Decimal("0.0086") + 8 * Decimal("0.0002")


def test_s_grd_1_held_on_every_budget_or_on_none(world: World) -> None:
    guard = world.guard()
    for _ in range(3):
        guard.call(REQUEST)
    with pytest.raises(DeniedError) as denied:
        guard.call(REQUEST)
    assert denied.value.budget == "p/calls"
    assert used(guard)["dollars"] == (0, Decimal("0.0036"))


def test_s_grd_2_decided_anew_on_what_the_ledger_tells(world: World) -> None:
    threshold = "thresholds: [{at_ratio: 0.5, downgrade: {models: [nano], exclude: 'model.name == \"large\"'}}]"
    policy = f"budgets: [{{id: b, hard_limit_usd: 0.02, window: {{lifetime: true}}, {threshold}}}]"
    here, there = (world.guard(policy, models="large", max_age=60.0) for _ in range(2))
    here.call(REQUEST)
    assert there.call(REQUEST).model == "nano"
    assert here.call(REQUEST).model == "nano"
    assert used(here)["b"][1] == Decimal("0.0104")


def test_s_grd_3_refused_on_balances_read_for_the_call(world: World) -> None:
    here, there = world.guard(), world.guard()
    for _ in range(3):
        here.call(REQUEST).settle(USAGE)
    with pytest.raises(DeniedError) as denied:
        there.call(REQUEST)
    decision = denied.value.decision
    assert decision.balances_read["p/calls", ""].used == 3
    assert not decide(decision.plan, REQUEST, decision.balances_read, decision.now).allowed


def test_s_grd_3_or_others_were_quicker_each_time(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    guard = world.guard()

    def overtaken(hold: Any) -> Refused:
        answer = MemoryStore().reserve(hold)
        return Refused(hold.call, tuple(line._replace(used=line.limit) for line in answer.lines))

    world.store.inner.reserve = overtaken
    monkeypatch.setattr(reserving, "_take_over", lambda *_: True)  # what is read always shows room
    with pytest.raises(DeniedError, match="budget `p/dollars` had no room for") as denied:
        guard.call(REQUEST)
    assert denied.value.budget == "p/dollars"
    assert world.store.asked.count("reserve") == 8


def test_s_grd_4_charged_once(world: World) -> None:
    guard = world.guard()
    call = guard.call(REQUEST)
    first = call.settle(USAGE)
    assert call.settle(MUCH) == first._replace(repeated=True)
    assert used(guard)["dollars"] == (Decimal("0.0011"), 0)


def test_s_grd_5_the_model_that_answered(world: World) -> None:
    guard = world.guard(models="nano, mini")
    usage = {"input_tokens": 1000, "output_tokens": 50, "iterations": [{"model": "large", "input_tokens": 100}]}
    guard.call(REQUEST).settle(usage, model="mini")
    assert used(guard)["dollars"] == (Decimal("0.0029"), 0)
    assert used(guard)["of-mini"] == (1050, 0)
    assert used(guard)["calls"] == (1, 0)


def test_s_grd_6_without_usage(world: World) -> None:
    guard = world.guard()
    assert guard.call(REQUEST).settle(output_text="Hello").basis == "estimated"
    assert guard.call(REQUEST).settle({"odd": 1}).cost == Decimal("0.0012")
    assert guard.call(REQUEST).settle().basis == "assumed"


@pytest.mark.parametrize(("usage", "basis"), [(USAGE, "reported"), ({"odd": 1}, "assumed")])
def test_s_grd_6_a_usage_and_a_text(world: World, usage: Any, basis: str) -> None:
    charged = world.guard().call(REQUEST).settle(usage, output_text="Hello")
    assert charged.basis == basis
    assert charged.cost == (Decimal("0.0011") if basis == "reported" else Decimal("0.0012"))


class _RefusedError(Exception):
    status_code = 400


@pytest.mark.parametrize(
    ("on_exception", "error", "charged"),
    [("release", OSError, 0), ("charge_hold", OSError, Decimal("0.0012")), ("charge_hold", _RefusedError, 0)],
)
def test_s_grd_7_the_end_of_the_block(
    world: World, on_exception: Any, error: type[Exception], charged: Decimal
) -> None:
    guard = world.guard(on_exception=on_exception)
    with guard.call(REQUEST):
        pass
    with pytest.raises(error), guard.call(REQUEST):
        raise error
    assert used(guard)["dollars"] == (charged, 0)


def test_s_grd_7_what_was_added_is_charged(world: World) -> None:
    guard = world.guard()
    with guard.call(REQUEST) as call:
        call.add(USAGE)
    assert used(guard)["dollars"] == (Decimal("0.0011"), 0)


def test_s_grd_8_leases(world: World) -> None:
    guard = world.guard()
    call = guard.call(REQUEST, lease=timedelta(minutes=1))
    world.clock.move(minutes=2)
    assert used(guard)["dollars"] == (0, 0)
    assert call.settle(USAGE).late
    assert used(guard)["dollars"] == (Decimal("0.0011"), 0)


def test_s_grd_9_no_overspend(world: World) -> None:
    guards = [world.guard(POLICY.replace("_requests: 3", "_requests: 1000")) for _ in range(4)]

    def work(guard: Guard) -> None:
        for _ in range(20):
            try:
                with guard.call(REQUEST) as call:
                    assert used(guard)["dollars"][0] <= Decimal("0.01")
                    call.settle({"prompt_tokens": 1000, "completion_tokens": 100})
            except DeniedError:
                pass

    threads = [threading.Thread(target=work, args=(guard,)) for guard in guards]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert used(guards[0])["dollars"] == (Decimal("0.0096"), 0)


def test_s_grd_10_what_is_charged_above_the_hold_is_seen(world: World) -> None:
    guard = world.guard()
    charged = guard.call(REQUEST).settle(MUCH)
    assert charged.budgets[0].overdraft == Decimal("0.0188")
    assert used(guard)["dollars"] == (Decimal("0.02"), 0)
    with pytest.raises(DeniedError):
        guard.call(REQUEST)


@pytest.mark.parametrize("more", ["", "ledger: {unreachable: allow, allowance_usd: 0.0025}"])
def test_s_grd_11_without_the_ledger(world: World, more: str) -> None:
    guard = world.guard(more=more)
    world.store.broken = True
    if more:
        guard.call(REQUEST)
        guard.call(REQUEST).settle(USAGE)
    with pytest.raises(DeniedError, match="ledger: it cannot be reached"):
        guard.call(REQUEST)
    world.mend()  # or else closing the guard would wait


def test_s_grd_12_charges_wait(world: World) -> None:
    guard = world.guard()
    call = guard.call(REQUEST)
    world.store.broken = True
    assert not call.settle(USAGE).recorded
    world.mend()
    assert used(guard)["dollars"] == (Decimal("0.0011"), 0)


def test_s_grd_13_alerts(world: World) -> None:
    here, there = world.guard(), world.guard()
    here.call(REQUEST).settle({"prompt_tokens": 6000, "completion_tokens": 0})
    there.call(REQUEST)
    assert here.flush()
    assert there.flush()
    assert [(event.budget, event.threshold) for event in world.events] == [("p/dollars", "0.5")]


def test_s_grd_14_asked_for_again(world: World) -> None:
    here, there = world.guard(), world.guard()
    first = here.call(REQUEST, id="a")
    assert there.call(REQUEST, id="a").decision.to_dict() == first.decision.to_dict()
    with pytest.raises(CallConflictError):
        world.guard().call({**REQUEST, "prompt": "other"}, id="a")
    assert (
        world.guard(POLICY + "  - {id: more, hard_limit_usd: 1, window: {per_call: true}}\n")
        .call(REQUEST, id="a")
        .repeated
    )
    with pytest.raises(CallConflictError):
        world.guard("").call(REQUEST, id="a")
    first.release()
    there.call(REQUEST, id="a").settle(USAGE)
    with pytest.raises(CallConflictError):
        here.call(REQUEST, id="a")


def test_s_grd_15_the_service_tier_that_served_the_call(world: World) -> None:
    guard = world.guard(models="mini")

    def cost(asked: str | None, reported: str | None) -> tuple[Decimal | None, bool]:
        params = {} if asked is None else {"service_tier": asked}
        charged = guard.call({**REQUEST, "params": params}).settle({"service_tier": reported, "usage": USAGE})
        return charged.cost, bool(charged.notes)

    assert cost(None, "priority") == (Decimal("0.0048"), False)
    world.clock.move(days=1)
    assert cost("priority", "default") == (Decimal("0.0024"), False)
    assert cost("flex", None) == (Decimal("0.0012"), False)
    world.clock.move(days=1)
    assert cost("auto", None) == (Decimal("0.0048"), True)
    assert cost(None, "ultrafast") == (Decimal("0.0024"), True)


_TEXT = {"choices": [{"delta": {"content": "some words"}}]}


@pytest.mark.parametrize(
    ("chunks", "basis", "cost"),
    [
        ([_TEXT, {"choices": [], "usage": USAGE}, {"odd": 1}], "reported", "0.0011"),
        ([_TEXT, {"odd": 1}], "assumed", "0.0012"),
        ([_TEXT], "assumed", "0.0012"),
        ([_TEXT, {"choices": [], "usage": {**USAGE, "completion_tokens": 0}}], "assumed", "0.0012"),
    ],
)
def test_s_grd_16_streams(world: World, chunks: list[Any], basis: str, cost: str) -> None:
    with world.guard().call(REQUEST) as call:
        assert list(call.stream(chunks)) == chunks
    assert call.charged is not None
    assert (call.charged.basis, call.charged.cost) == (basis, Decimal(cost))
    assert bool(call.charged.notes) == (basis == "assumed")


def test_s_grd_17_streams_that_are_cut_short(world: World) -> None:
    start = {"type": "message_start", "message": {"usage": {"input_tokens": 900, "output_tokens": 1}}}
    thought = {"type": "content_block_delta", "delta": {"type": "thinking_delta", "thinking": "word " * 20}}
    with world.guard().call(REQUEST) as call:
        for chunk in call.stream([start, thought, thought]):
            if chunk is thought:
                break
    assert call.charged is not None
    assert call.charged.basis == "estimated"
    assert call.charged.usage is not None
    assert call.charged.usage.input == 900
    assert 20 <= call.charged.usage.reasoning <= 25


def test_s_grd_17_one_that_breaks_off_before_its_first_chunk(world: World) -> None:
    class Response:
        status_code = 200

        def lines(self) -> Iterator[str]:
            raise ConnectionResetError
            yield ""

    with pytest.raises(ConnectionResetError), world.guard().call(REQUEST) as call:
        list(call.stream(Response().lines()))
    assert call.charged is not None
    assert call.charged.cost == Decimal("0.0012")


def test_s_grd_18_streams_under_way_at_the_end_of_the_block(world: World) -> None:
    guard = world.guard()
    with guard.call(REQUEST) as begun:
        stream = begun.stream(iter([_TEXT, _TEXT]))
        next(stream)
    with guard.call(REQUEST) as unread:
        unread.stream(iter([_TEXT]))
    assert [call.charged.basis for call in (begun, unread) if call.charged is not None] == ["estimated", "assumed"]
    with pytest.raises(GuardError):
        next(stream)


@pytest.mark.parametrize(
    ("more", "cost", "note"),
    [
        ({}, "0.0011", ""),
        ({"queue_time": 0.5, "cost": 3}, "0.0011", ""),
        ({"dream_tokens": 10}, "0.00112", "`dream_tokens` (10) is unknown"),
        ({"dream_tokens": 10, "total_tokens": 1050}, "0.0011", "is part of what was read"),
        ({"total_tokens": 1060}, "0.00112", "10 tokens that nothing names"),
        ({"total_tokens": 900}, "0.0011", "the larger counts"),
        ({"num_search_queries": 3}, "0.0011", "has no price by tokens"),
    ],
)
def test_s_grd_19_every_number_of_a_usage(world: World, more: dict[str, Any], cost: str, note: str) -> None:
    charged = world.guard().call(REQUEST).settle({**USAGE, **more})
    assert (charged.basis, charged.cost) == ("reported", Decimal(cost))
    assert note in " ".join(charged.notes)
    assert bool(note) == bool(charged.notes)


def test_s_grd_20_another_model_answered(world: World) -> None:
    charged = world.guard(models="nano").call(REQUEST).settle({"model": "mini", "usage": USAGE})
    assert (charged.model, charged.cost) == ("mini", Decimal("0.0024"))
    assert "`mini`" in charged.notes[0]
    guard = world.guard(models="nano", named_models="ignore")
    charged = guard.call(REQUEST).settle({"model": "mini", "usage": USAGE})
    assert (charged.model, charged.cost, charged.notes) == ("nano", Decimal("0.0011"), ())
    call = guard.call(REQUEST)
    chunks = [{"model": "mini", "choices": [{"delta": {"content": "word"}}]}, {"model": "mini", "usage": USAGE}]
    for _ in call.stream(chunks):
        pass
    assert call.charged is not None
    assert (call.charged.model, call.charged.cost, call.charged.notes) == ("nano", Decimal("0.0011"), ())


@pytest.mark.parametrize(("model", "basis"), [("nano", "estimated"), ("thinker", "assumed"), ("stranger", "assumed")])
def test_s_grd_21_models_that_may_reason_in_secret(world: World, model: str, basis: str) -> None:
    thought = {"choices": [{"delta": {"reasoning_content": "word"}}]}
    guard = world.guard(models=model)
    for chunks, expected in (([_TEXT, _TEXT], basis), ([thought, _TEXT, _TEXT], "estimated")):
        with guard.call(REQUEST) as call:
            for number, _ in enumerate(call.stream(chunks), 2):
                if number == len(chunks):
                    break
        assert call.charged is not None
        assert call.charged.basis == expected


def test_s_grd_23_policies_that_are_replaced(world: World) -> None:
    write_company(world.folder / "policies", POLICY)
    live = LivePolicies(world.folder / "policies", interval=None)
    guard = Guard(live, world.store, clock=world.clock, alert_sinks=[])
    world.guards.append(guard)
    held = guard.call(REQUEST)
    catalogue = world.folder / "policies" / "catalogue.yaml"
    catalogue.write_text(catalogue.read_text().replace("input: 1, output: 2", "input: 10, output: 20"))
    assert live.refresh().loads == 2
    assert held.settle(USAGE).cost == Decimal("0.0011")
    (spend,) = guard.spend("p/dollars")
    assert (spend.used, spend.held) == (Decimal("0.0011"), 0)
    with pytest.raises(DeniedError):  # at the new prices, on what the old ones have left
        guard.call(REQUEST)


def test_s_grd_24_a_call_that_no_budget_counts(world: World) -> None:
    here, there = world.guard(""), world.guard("")
    for id in "ab":
        assert here.call(REQUEST, id=id).expires_at is not None
    charged = there.settle("a", USAGE)
    assert (charged.cost, charged.budgets, charged.repeated) == (Decimal("0.0011"), (), False)
    assert here.settle("a", MUCH).cost == charged.cost
    there.release("b")
    assert here.settle("b", USAGE).late
    world.store.broken = True
    assert here.call(REQUEST, id="c").decision.allowed


def test_s_grd_26_the_run_of_a_block(world: World) -> None:
    policy = (
        "budgets: [{id: run, scope: 'runAt(request.?run.orValue(\"none\"), 1)', hard_limit_requests: 9,"
        " window: {lifetime: true}}]"
    )
    guard = world.guard(policy)
    with run("nightly"), run("search"):
        inside = copy_context()
        guard.call(REQUEST)
        guard.call({**REQUEST, "run": "other/own"})
    guard.call(REQUEST)
    assert {line.key: line.held for line in guard.spend()} == {"nightly": 1, "other": 1, "none": 1}
    with pytest.raises(RunEndedError, match="`nightly/search` has ended"):
        inside.run(guard.call, REQUEST)


def test_s_fee_2_uses_are_charged_as_reported() -> None:
    engine = engine_of(SETS / "tool-fees")
    tools = [{"type": "web_search_20250305", "name": "web_search", "max_uses": 3}]
    request = {"prompt": "Hi", "prompt_tokens": 1000, "max_output_tokens": 100, "tools": tools}
    usage = {"input_tokens": 1000, "output_tokens": 100}
    searched = {**usage, "server_tool_use": {"web_search_requests": 2}}
    with Guard(engine, MemoryStore(), alert_sinks=[]) as guard:
        assert guard.call(request).settle(searched).cost == Decimal("0.0212")
        assert guard.call({**request, "tools": None}).settle(searched).cost == Decimal("0.0212")
        unknown = guard.call(request).settle({"prompt_tokens": 1000, "completion_tokens": 100})
        bare = guard.call(request).settle(usage)
        listed = guard.call(request).settle({"usage": usage, "content": [{"type": "text"}]})
        odd = guard.call(request).settle({**usage, "server_tool_use": {"web_search_requests": -1}})
    for charged in (unknown, bare, odd):
        assert charged.cost == Decimal("0.0312")
        assert "counts as 3 times" in " ".join(charged.notes)
    assert listed.cost == Decimal("0.0012")


def test_s_run_2_a_run_counts_at_its_first_call(world: World) -> None:
    policy = """
budgets:
  - {id: agents, scope: 'runAt(request.?run.orValue(""), 1)', hard_limit_runs: 2, window: {lifetime: true}}
  - {id: calls, hard_limit_requests: 4, window: {lifetime: true}}
"""
    guard = world.guard(policy)
    for path in ("n", "n/a", "n"):
        guard.call({**REQUEST, "run": path})
    with pytest.raises(RunLimitError, match="p/agents"):
        guard.call({**REQUEST, "run": "n/b"})
    held = guard.call({**REQUEST, "run": "m"})
    with pytest.raises(DeniedError, match="p/calls"):
        guard.call({**REQUEST, "run": "o"})
    held.release()
    assert {line.key: line.used for line in guard.spend("agents")} == {"n": 2, "m": 1}


def test_s_run_3_the_end_of_a_run(world: World) -> None:
    here, there = world.guard(), world.guard()
    held = here.call({**REQUEST, "run": "nightly/search"})
    there.end_run("nightly")
    with pytest.raises(RunEndedError, match="`nightly` has ended"):
        here.call({**REQUEST, "run": "nightly/search"})
    assert held.settle(USAGE).recorded


RESERVED = """
budgets:
  - {id: whole, scope: 'runAt(request.?run.orValue(""), 1)', hard_limit_requests: 5, window: {lifetime: true}}
  - id: share
    when: runDepth(request.?run.orValue("")) > 1
    scope: runAt(request.?run.orValue(""), 2)
    hard_limit_requests: 3
    reserved_from: whole
    reserved_for: 10m
    window: {lifetime: true}
"""


def standing(guard: Guard) -> dict[str, tuple[int, ...]]:
    """Return what each scope key has used, holds, and has set aside."""
    shown = guard.spend()
    return {line.key: (int(line.used), int(line.held), int(line.set_aside)) for line in shown}


def test_s_rsv_7_calls_draw_on_what_is_set_aside(world: World) -> None:
    guard = world.guard(RESERVED)
    calls = [guard.call({**REQUEST, "run": "n/a"}) for _ in range(2)]
    assert standing(guard)["n"] == (0, 3, 1)
    with pytest.raises(ShareRefusedError, match="2 requests to set aside") as refused:
        guard.call({**REQUEST, "run": "n/b"})
    said = refused.value
    assert (said.share, said.share_key, said.budget, said.key) == ("p/share", "n/b", "p/whole", "n")
    assert (said.used, said.held, said.set_aside, said.limit) == (0, 3, 1, 5)
    calls[0].settle(USAGE)
    calls[1].release()
    assert standing(guard)["n"] == (1, 2, 2)
    for _ in range(2):
        guard.call({**REQUEST, "run": "n"})
    with pytest.raises(RunLimitError, match=r"2 requests of it set aside"):
        guard.call({**REQUEST, "run": "n"})
    for _ in range(2):
        guard.call({**REQUEST, "run": "n/a"})
    assert standing(guard)["n"] == (1, 4, 0)


def test_s_rsv_8_what_is_left_is_free_again(world: World) -> None:
    guard = world.guard(RESERVED)
    with guard.run("n"), guard.run("a"):
        held = guard.call(REQUEST)
        assert standing(guard)["n"] == (0, 3, 2)
    with pytest.raises(RunEndedError):
        guard.call({**REQUEST, "run": "n/a"})
    assert standing(guard)["n"] == (0, 1, 0)
    held.settle(USAGE)
    assert standing(guard)["n"] == (1, 0, 0)
    guard.call({**REQUEST, "run": "m/a"}, lease=timedelta(minutes=1)).settle(USAGE)
    world.clock.now += timedelta(minutes=9)
    assert standing(guard)["m"] == (1, 2, 2)
    world.clock.now += timedelta(minutes=2)
    assert standing(guard)["m"] == (1, 0, 0)


def test_s_grd_25_what_a_refusal_states(world: World) -> None:
    guard = world.guard()
    with guard.call(REQUEST) as call:
        call.settle(USAGE)
    held = [guard.call(REQUEST, lease=timedelta(minutes=minutes)) for minutes in (20, 10)]
    with pytest.raises(DeniedError) as caught:
        guard.call(REQUEST)
    refused = caught.value
    assert (refused.budget, refused.used, refused.held, refused.limit) == ("p/calls", 1, 2, 3)
    assert refused.hold_ends_at == held[1].expires_at
    held[0].settle(USAGE)
    held[1].settle(USAGE)
    with pytest.raises(DeniedError) as caught:
        guard.call(REQUEST)
    assert (caught.value.used, caught.value.held, caught.value.hold_ends_at) == (3, 0, None)


def test_s_grd_27_items_of_a_batch(world: World) -> None:
    guard = world.guard(models="mini")
    with pytest.raises(DeniedError):
        guard.submit(dict.fromkeys("abcd", REQUEST), id="whole", whole=True)
    assert {line.budget: line.held for line in guard.spend()}.get("p/calls", 0) == 0
    batch = guard.submit(dict.fromkeys("abcd", REQUEST) | {"odd": {**REQUEST, "service_tier": "flex"}}, id="night")
    assert (list(batch.calls), sorted(batch.refused)) == (["a", "b", "c"], ["d", "odd"])
    assert batch.calls["a"].id == "night/a"


def test_s_grd_28_results_of_a_batch(world: World) -> None:
    guard = world.guard(models="mini")
    guard.submit(dict.fromkeys("abc", REQUEST), id="night")
    answer = {"type": "succeeded", "message": {"model": "mini", "usage": {"input_tokens": 1000, "output_tokens": 50}}}
    results = [
        {"custom_id": "a", "result": answer}, {"custom_id": "b", "result": {"type": "expired"}},
        {"custom_id": "c", "result": {"type": "unheard-of"}}, {"result": answer},
    ]  # fmt: skip
    settled = guard.settle_batch("night", results)
    assert (list(settled.charged), list(settled.released), len(settled.problems)) == (["a", "c"], ["b"], 1)
    assert settled.charged["a"].cost < settled.charged["c"].cost
    assert {line.budget: line.held for line in guard.spend()} == {"p/dollars": 0, "p/calls": 0, "p/of-mini": 0}


FIRST_USE = "budgets: [{id: plan, hard_limit_requests: 2, window: {from_first_use: 5h}}]"


def test_s_win_1_a_window_begins_with_its_first_use(world: World) -> None:
    guard = world.guard(FIRST_USE)
    world.clock.move(minutes=10)
    start = world.clock()
    guard.call(REQUEST).settle(USAGE)
    world.clock.move(hours=4)
    guard.call(REQUEST).settle(USAGE)
    with pytest.raises(DeniedError) as caught:
        guard.call(REQUEST)
    assert caught.value.resets_at == start + timedelta(hours=5)
    world.clock.move(hours=1)
    assert [line.starts_at for line in guard.spend()] == [None]
    guard.call(REQUEST)
    assert [line.starts_at for line in guard.spend()] == [world.clock()]


def test_s_win_2_charges_and_holds_over_the_end_of_a_window(world: World) -> None:
    guard = world.guard(FIRST_USE, lease=timedelta(hours=9))
    call = guard.call(REQUEST)
    world.clock.move(hours=6)
    assert used(guard) == {"plan": (0, 1)}
    call.settle(USAGE)
    assert [(line.starts_at, line.used) for line in guard.spend()] == [(world.clock(), 1)]


def test_s_win_3_clocks_that_differ(world: World) -> None:
    ahead, behind = world.guard(FIRST_USE), world.guard(FIRST_USE, clock=lambda: world.clock() - timedelta(hours=1))
    ahead.call(REQUEST).settle(USAGE)
    behind.call(REQUEST).settle(USAGE)
    with pytest.raises(DeniedError):
        behind.call(REQUEST)
    assert [(line.starts_at, line.used) for line in behind.spend()] == [(world.clock(), 2)]


def test_s_cch_7_what_a_guard_knows_of_caches(caches: Callable[[], Guard], world: World) -> None:
    guard = caches()

    def turn(tokens: int, read: int, written: int, model: str = "big") -> Any:
        with guard.call({**SESSION, "prompt_tokens": tokens}) as call:
            usage = {"input_tokens": tokens - read - written, "output_tokens": 9}
            caches = {"cache_read_input_tokens": read, "cache_creation_input_tokens": written}
            call.settle({**usage, **caches}, model=model)
        return call.decision.request.get("warm_tokens")

    assert turn(10_000, 0, 9_900) is None
    world.clock.now += timedelta(minutes=4)
    assert turn(11_000, 9_900, 1_000) == {"big": 9_900}
    world.clock.now += timedelta(minutes=5) - timedelta(microseconds=1)
    assert turn(12_000, 0, 0) == {"big": 10_900}  # no cache was used, so that what there was only grows older
    world.clock.now += timedelta(microseconds=1)
    assert turn(13_000, 0, 0, model="own") is None
    assert turn(13_000, 0, 0) == {"own": 13_000}
    assert guard.decide({**SESSION, "session": "other"}).request.get("warm_tokens") is None
    assert guard.decide({**SESSION, "warm_tokens": {"small": 1}}).request["warm_tokens"] == {"small": 1}


def test_s_cch_8_a_call_stays_the_same_call(caches: Callable[[], Guard], world: World) -> None:
    guard, elsewhere = caches(), caches()
    asked = {**SESSION, "task": "cheapest", "prompt_tokens": 10_000}
    cold = guard.call(asked, id="cold")
    with guard.call(asked) as call:
        call.settle({"input_tokens": 100, "cache_creation_input_tokens": 9_900, "output_tokens": 9}, model="big")
    warm = guard.call(asked, id="warm")
    assert (cold.decision.model, warm.decision.model) == ("small", "big")
    for one in (guard, elsewhere):
        assert [one.call(asked, id=id).decision.model for id in ("cold", "warm")] == ["small", "big"]
    elsewhere.settle("warm", {"input_tokens": 100, "cache_creation_input_tokens": 9_900, "output_tokens": 9})
    assert elsewhere.decide(asked).request["warm_tokens"] == {"big": 9_900}


def test_s_thr_7_what_was_charged_lately(world: World) -> None:
    """Each call costs a little more than the share of an hour, and two come to twice that."""
    guard = world.guard(
        "budgets: [{id: b, hard_limit_usd: 0.024, window: {calendar: day}, thresholds:"
        " [{at_burn_rate: {rate: 2, long: 1h, short: 5m}, alert: too fast}]}]"
    )

    def spend(**later: float) -> list[str]:
        world.clock.move(**later)
        with guard.call(REQUEST) as call:
            call.settle(USAGE)
        assert guard.flush()
        return [event.threshold for event in world.events]

    assert spend(hours=23 - world.clock.now.hour, minutes=58 - world.clock.now.minute) == []
    assert spend(minutes=3) == []  # it is another day
    assert spend(minutes=1) == ["burn_rate:2/1h"]


def test_s_thr_7_the_window_before_counts_where_windows_begin_with_their_first_use(world: World) -> None:
    guard = world.guard(
        "budgets: [{id: b, hard_limit_usd: 0.005, window: {from_first_use: 5h}, thresholds:"
        " [{at_burn_rate: {rate: 2, long: 1h, short: 59m}, alert: too fast}]}]"
    )
    for hours in (0, 4.9):
        world.clock.move(hours=hours)
        guard.call(REQUEST).settle(USAGE)
    assert guard.flush()
    assert world.events == []
    world.clock.move(hours=0.2)
    guard.call(REQUEST).settle(USAGE)
    assert guard.flush()
    assert [event.threshold for event in world.events] == ["burn_rate:2/1h"]
    assert [line.starts_at for line in guard.spend()] == [world.clock()], "one call alone is in this window"


CARRIED = "budgets: [{id: day, hard_limit_requests: 10, window: {calendar: day}, carry_over: {periods: 2%s}}]"


def test_s_car_3_what_comes_late(world: World) -> None:
    guard = world.guard(CARRIED % "", max_age=0)
    guard.call(REQUEST).settle(USAGE)
    late, given = (guard.call(REQUEST, lease=timedelta(days=2)) for _ in range(2))
    world.clock.move(days=1)
    assert [line.carried for line in guard.spend()] == [7]
    given.release()
    assert [line.carried for line in guard.spend()] == [8]
    late.settle(USAGE)
    assert [line.carried for line in guard.spend()] == [8]


def test_s_car_4_periods_of_which_nothing_is_known(world: World) -> None:
    guard, since = world.guard(CARRIED % ""), world.guard(CARRIED % ", since: 2026-05-09T00:00:00Z")
    assert [line.carried for made in (guard, since) for line in made.spend()] == [0, 10]
    guard.call(REQUEST).settle(USAGE)
    world.clock.move(days=2)
    assert [line.carried for made in (guard, since) for line in made.spend()] == [19, 19]


def test_s_car_9_clocks_that_differ_spend_once_what_was_left(world: World) -> None:
    guard = world.guard(CARRIED % "")
    for _ in range(6):
        guard.call(REQUEST).settle(USAGE)
    world.clock.move(days=1)
    for _ in range(13):
        guard.call(REQUEST).settle(USAGE)
    world.clock.move(days=-1)
    guard.call(REQUEST).settle(USAGE)
    with pytest.raises(DeniedError, match="7 requests used and 0 requests held of 7 requests"):
        guard.call(REQUEST)
    world.clock.move(days=1)
    with pytest.raises(DeniedError, match="of 13 requests, 3 requests of it carried over"):
        guard.call(REQUEST)


APPROVED = (
    "budgets: [{id: b, hard_limit_usd: 0.01, window: {calendar: day}, thresholds:"
    " [{at_ratio: 0.2, needs_approval: {reason: Ann decides, wait: WAIT}}]}]"
)


def _answer(world: World, error: ApprovalNeededError, kind: Any, **more: Any) -> None:
    """Answer an approval as ``budget approve`` and ``budget deny`` do."""
    (entry,) = world.store.entries(EntryQuery(call=error.approval)).items
    name = f"{kind} {world.clock()}"
    world.store.adjust(
        Adjustment(name, kind, entry.account, 10**13, "Ann", "fine", world.clock(), threshold="0.2", **more)
    )


def test_s_apr_3_approvals_are_on_record(world: World) -> None:
    guard = world.guard(APPROVED.replace("WAIT", "0s"))
    guard.call(REQUEST).settle(USAGE)
    with pytest.raises(DeniedError, match="no room") as refused:  # it would ask for more than anybody may approve
        guard.call({**REQUEST, "prompt_tokens": 50_000})
    assert not isinstance(refused.value, ApprovalNeededError)
    for _ in range(2):
        with pytest.raises(ApprovalNeededError) as caught:
            guard.call(REQUEST)
    error = caught.value
    assert error.command == f"costlens-policy budget approve {error.approval}"
    assert error.command in str(error)
    (entry,) = world.store.entries(EntryQuery(call=error.approval)).items
    assert (entry.kind, entry.facts["threshold"]) == ("ask", "0.2")
    assert guard.flush()
    assert [(event.kind, event.approval) for event in world.events] == [("denied", ""), ("approval", error.approval)]
    _answer(world, error, "approve", expires_at=world.clock() + timedelta(hours=1))
    with guard.call(REQUEST) as call:
        assert call.decision.allowed
    world.clock.move(hours=1)
    with pytest.raises(ApprovalNeededError):
        guard.call(REQUEST)
    _answer(world, error, "approve")
    guard.call(REQUEST).release()
    _answer(world, error, "deny", expires_at=world.clock() + timedelta(hours=1))
    with pytest.raises(ApprovalNeededError, match="was denied"):
        guard.call(REQUEST)


def test_s_apr_4_a_call_waits_for_an_approval(world: World) -> None:
    guard = world.guard(APPROVED.replace("WAIT", "10m"))
    guard.call(REQUEST).settle(USAGE)
    with pytest.raises(ApprovalNeededError):  # a guard that does not let calls wait
        world.guard(APPROVED.replace("WAIT", "10m"), longest_wait=timedelta(0)).call(REQUEST)
    served: list[str] = []

    def ask() -> None:
        try:
            with guard.call(REQUEST) as call:
                served.append(str(call.decision.model))
        except ApprovalNeededError:
            served.append("refused")

    def answered(kind: Any) -> None:
        thread = threading.Thread(target=ask)
        thread.start()
        entries: tuple[Entry, ...] = ()
        while not any(entry.kind == "ask" for entry in entries):
            time.sleep(0.005)
            entries = world.store.entries(EntryQuery(newest_first=True)).items
        asked = next(entry for entry in entries if entry.kind == "ask")
        ends = world.clock() + timedelta(minutes=1)
        world.store.adjust(
            Adjustment(kind, kind, asked.account, 10**13, "Ann", "fine", world.clock(), ends, threshold="0.2")
        )
        thread.join(timeout=60)

    answered("approve")
    assert served == ["nano"]
    world.clock.move(minutes=1)
    answered("deny")
    assert served == ["nano", "refused"]
    assert {line.budget: line.held for line in guard.spend()} == {"p/b": 0}
    brief = world.guard(APPROVED.replace("WAIT", "50ms"))
    account = world.store.entries(EntryQuery(limit=1)).items[0].account
    world.store.adjust(Adjustment("none", "approve", account, 0, "Ann", "no", world.clock(), threshold="0.2"))
    with pytest.raises(ApprovalNeededError):
        brief.call(REQUEST)
