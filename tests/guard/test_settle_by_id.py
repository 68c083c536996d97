"""A held call is charged by its id: in any process, whatever the policies and prices have become since."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from costlens_policy import AsyncGuard, DeniedError, Guard
from costlens_policy.catalogue.price_list import listed_model, matching
from costlens_policy.guard import GuardError, hold_facts
from costlens_policy.ledger import (
    CallConflictError,
    Charge,
    Hold,
    HoldLine,
    LedgerUnavailableError,
    MemoryStore,
    Settlement,
    UnknownCallError,
    open_ledger,
)
from tests.guard.company import CATALOGUE, REQUEST, START, TEAM, Breakable, Timer, touched, write_company

USAGE = {"prompt_tokens": 1000, "completion_tokens": 50}
COST = Decimal("0.0011")
ALL = """
budgets:
  - {id: team, scope: request.team, hard_limit_usd: 1, window: {calendar: day}}
  - {id: tokens, hard_limit_tokens: 1000000, window: {lifetime: true}}
  - {id: calls, hard_limit_requests: 1000, window: {rolling: 1h}}
  - {id: dear, when: model.name == "large", hard_limit_usd: 10, window: {lifetime: true}}
  - {id: one, hard_limit_usd: 1, window: {per_call: true}}
"""


def balances(guard):
    return {(line.budget, line.key): (line.used, line.held) for line in guard.spend()}


DEARER = CATALOGUE.replace("input: ", "input: 1").replace("output: ", "output: 1")
GONE = CATALOGUE.replace("nano:", "pico:")


class TestAnyProcess:
    def test_the_process_that_holds_it(self, guard_of):
        guard = guard_of(TEAM)
        call = guard.call(REQUEST, id="job-1")
        charged = guard.settle("job-1", USAGE)
        assert (charged.cost, charged.basis, charged.late) == (COST, "reported", False)
        assert call.charged is charged
        assert call.settle(USAGE) == guard.settle("job-1") == charged._replace(repeated=True)

    def test_another_process(self, guard_of):
        guard_of(TEAM).call(REQUEST, id="job-1")
        there = guard_of(TEAM)
        charged = there.settle("job-1", USAGE)
        assert (charged.call, charged.model, charged.cost, charged.recorded) == ("job-1", "nano", COST, True)
        assert charged.budgets[0].held == Decimal("0.0012")
        assert balances(there) == {("p/team", "red"): (COST, 0)}

    def test_an_id_that_the_guard_made(self, guard_of):
        id = guard_of(TEAM).call(REQUEST).id
        there = guard_of(TEAM)
        assert there.settle(id, USAGE).cost == COST
        assert balances(there) == {("p/team", "red"): (COST, 0)}

    def test_again_it_is_not_charged_again(self, guard_of):
        guard_of(TEAM).call(REQUEST, id="job-1")
        there = guard_of(TEAM)
        assert not there.settle("job-1", USAGE).repeated
        for guard in (there, guard_of(TEAM)):
            again = guard.settle("job-1", {"prompt_tokens": 9, "completion_tokens": 9})
            assert again.repeated
            assert (again.model, again.basis, again.cost) == ("nano", "reported", COST)
            assert (again.usage.input, again.usage.output) == (1000, 50), "what was charged, not what is asked now"
            assert again.budgets[0].amount == COST
        assert balances(there) == {("p/team", "red"): (COST, 0)}

    def test_with_asyncio(self, company, ledger, clock, guard_of):
        guard_of(TEAM).call(REQUEST, id="job-1")

        async def work():
            async with AsyncGuard(company(TEAM), ledger, clock=clock, alert_sinks=[]) as guard:
                charged = await guard.settle("job-1", USAGE)
                return charged, await guard.spend()

        charged, (line,) = asyncio.run(work())
        assert (charged.cost, line.used, line.held) == (COST, COST, 0)


class TestWithoutBudget:
    """A call that no budget counts is held by its id all the same, so that it can be charged and given back."""

    FREE = TEAM.replace("id: team", "id: team\n    when: request.prompt_tokens > 5000")

    @pytest.mark.parametrize("policy", ["", FREE], ids=["no budget", "none of its budgets"])
    def test_it_is_charged_once(self, guard_of, policy):
        assert guard_of(policy).call(REQUEST, id="job-1").expires_at is not None
        there = guard_of(policy)
        charged = there.settle("job-1", USAGE)
        assert (charged.model, charged.cost, charged.budgets, charged.repeated) == ("nano", COST, (), False)
        again = guard_of(policy).settle("job-1", model="large")
        assert again == charged._replace(repeated=True)
        with pytest.raises(CallConflictError, match="is settled"):
            guard_of(policy).call(REQUEST, id="job-1")

    def test_it_is_given_back_and_extended(self, guard_of, clock):
        guard_of("").call(REQUEST, id="job-1")
        there = guard_of("")
        assert there.extend("job-1") == clock() + timedelta(minutes=10)
        there.release("job-1")
        there.release("job-1")
        assert there.settle("job-1", USAGE).late
        with pytest.raises(CallConflictError, match="is settled"):
            there.release("job-1")

    def test_one_of_an_id_that_the_guard_made_asks_no_ledger(self, company, clock):
        store = Breakable(MemoryStore())
        guard = Guard(company(""), store, clock=clock, alert_sinks=[])
        store.broken = True
        assert guard.call(REQUEST).settle(USAGE).recorded

    def test_a_ledger_that_cannot_be_reached_stops_nothing(self, company, clock):
        store, timer = Breakable(MemoryStore()), Timer()
        guard = Guard(company(""), store, clock=clock, timer=timer, alert_sinks=[])
        store.broken = True
        charged = guard.call(REQUEST, id="job-1").settle(USAGE)
        assert (charged.cost, charged.recorded) == (COST, False)
        store.broken = False
        timer.seconds += 60
        again = guard.settle("job-1", USAGE)
        assert (again.repeated, again.cost, again.model) == (True, COST, "nano")

    def test_the_model_in_use_counts_on_no_budget(self, guard_of, tmp_path, ledger, clock):
        policy = TEAM.replace("id: team", 'id: team\n    when: model.name == "large"')
        models = "nano, large"
        engine = write_company(tmp_path / "two", policy, models=models)
        guard, there = (Guard(engine, ledger, clock=clock, alert_sinks=[]) for _ in range(2))
        guard.call(REQUEST, id="job-1")
        assert balances(guard) == {("p/team", "red"): (0, Decimal("0.008"))}
        charged = there.settle("job-1", USAGE)
        assert (charged.model, charged.cost) == ("nano", COST)
        assert balances(guard) == {("p/team", "red"): (0, 0)}
        assert there.settle("job-1", model="large").cost == COST


class TestTheFirstCharge:
    """Who settles again learns what was charged, never what would be charged now."""

    @pytest.mark.parametrize("policy", [TEAM, ""], ids=["one budget", "none"])
    @pytest.mark.parametrize(
        ("first", "basis"),
        [
            ({"response": USAGE}, "reported"),
            ({"output_text": "Hello there"}, "estimated"),
            ({}, "assumed"),
            ({"response": USAGE, "model": "nosuch"}, "reported"),
        ],
        ids=["usage", "text", "nothing", "unknown model"],
    )
    def test_as_it_was(self, guard_of, policy, first, basis):
        call = guard_of(policy).call(REQUEST, id="job-1")
        charged = guard_of(policy).settle("job-1", **first)
        assert charged.basis == basis
        for guard in (guard_of(policy), guard_of(policy)):
            again = guard.settle("job-1", {"prompt_tokens": 9, "completion_tokens": 9}, model="large")
            assert again._replace(notes=()) == charged._replace(repeated=True, notes=())
        late = call.settle({"prompt_tokens": 9, "completion_tokens": 9})
        assert late._replace(notes=()) == charged._replace(repeated=True, notes=())

    def test_amounts_alone_where_the_ledger_has_no_more(self, guard_of, ledger):
        guard_of(TEAM).call(REQUEST, id="job-1")
        store = open_ledger(ledger) if isinstance(ledger, str) else ledger
        found = store.reservation("job-1", START)
        store.charge(Settlement("job-1", tuple(Charge(line.account, 5) for line in found.lines), START))
        again = guard_of(TEAM).settle("job-1", USAGE)
        assert (again.cost, again.usage, again.repeated) == (None, None, True)
        assert [line.amount for line in again.lines] == [5]
        assert again.notes == ("the ledger keeps no more of this charge than its amounts",)

    def test_the_balances_of_that_time_are_not_taken_for_those_of_now(self, guard_of):
        here, there = guard_of(TEAM), guard_of(TEAM)
        call = here.call(REQUEST, id="job-1")
        there.settle("job-1", USAGE)
        there.call(REQUEST).settle(USAGE)
        here.call(REQUEST)  # sees what was charged since
        call.settle(USAGE)
        assert here.decide(REQUEST).balances[0].used == 2 * COST


class TestLog:
    def test_each_is_told_once(self, company, ledger, clock):
        told = []

        class Told:
            def decided(self, decision, id, held):
                told.append(("decided", id))

            def charged(self, decision, charge, at):
                told.append(("charged", charge.call, charge.cost, dict(decision.request)))

            def released(self, decision, id, at):
                told.append(("released", id))

        guards = [Guard(company(TEAM), ledger, clock=clock, alert_sinks=[], log=Told()) for _ in range(2)]
        for guard in guards:
            guard.call(REQUEST, id="a")
            guard.call(REQUEST, id="b")
        for guard in guards * 2:
            guard.settle("a", USAGE)
            guard.release("b")
        label = {"team": "red"}
        assert told == [("decided", "a"), ("decided", "b"), ("charged", "a", COST, label), ("released", "b")]


class TestLater:
    """What the hold remembers counts, not what the policies have become."""

    @pytest.mark.parametrize(
        "policy",
        [
            TEAM + "    reason: a friendlier text\n",
            TEAM.replace("0.01", "0.0001"),
            TEAM + "  - {id: more, hard_limit_usd: 0, window: {lifetime: true}}\n",
            TEAM.replace("id: team", "id: teams"),
            "",
            "on_error: deny\naccess: [{id: a, when: request.prompt_tokens > 5, effect: deny, reason: too long}]",
        ],
        ids=["a reason", "a lower limit", "a further budget", "another budget", "no budget", "denied"],
    )
    def test_other_policies(self, guard_of, policy):
        held = guard_of(TEAM)
        held.call(REQUEST, id="job-1")
        assert guard_of(policy).settle("job-1", USAGE).cost == COST
        assert balances(held) == {("p/team", "red"): (COST, 0)}

    def test_asking_for_the_call_again_says_what_to_do(self, guard_of):
        guard_of(TEAM).call(REQUEST, id="job-1")
        with pytest.raises(CallConflictError, match=r"other policies decided.*settle it by its id"):
            guard_of("").call(REQUEST, id="job-1")

    def test_other_prices(self, guard_of, tmp_path, ledger, clock):
        guard = guard_of(TEAM)
        guard.call(REQUEST, id="job-1")
        unnamed = guard.call(REQUEST).id
        later = Guard(write_company(tmp_path / "later", TEAM, catalogue=DEARER), ledger, clock=clock, alert_sinks=[])
        assert later.settle("job-1", USAGE).cost == COST
        assert later.settle(unnamed, USAGE).cost == Decimal("0.0116"), "docs/guard.md: at the prices at hand"

    def test_a_model_that_is_gone(self, guard_of, tmp_path, ledger, clock):
        guard_of(TEAM).call(REQUEST, id="job-1")
        engine = write_company(tmp_path / "later", TEAM, models="pico", catalogue=GONE)
        later = Guard(engine, ledger, clock=clock, alert_sinks=[])
        assert later.settle("job-1", USAGE).cost == COST

    def test_a_period_that_is_over(self, guard_of, clock):
        guard = guard_of(TEAM)
        guard.call(REQUEST, id="job-1", lease=timedelta(days=3))
        clock.move(days=2)
        charged = guard_of(TEAM).settle("job-1", USAGE)
        assert not charged.late
        (line,) = charged.lines
        assert line.account.period.id.startswith("day:2026-05-10")

    def test_a_lease_that_has_ended_and_a_call_that_was_released(self, guard_of, clock):
        guard = guard_of(TEAM)
        guard.call(REQUEST, id="expired")
        guard.call(REQUEST, id="released").release()
        clock.move(hours=1)
        for id in ("expired", "released"):
            assert guard_of(TEAM).settle(id, USAGE).late
        assert balances(guard) == {("p/team", "red"): (2 * COST, 0)}

    def test_a_call_that_is_given_back_twice_counts_once(self, guard_of):
        for id in ("job-1", "job-2"):
            guard_of(TEAM).call(REQUEST, id=id)
        there = guard_of(TEAM, max_age=3600)
        there.call(REQUEST, id="job-3")
        for _ in range(3):
            there.release("job-1")
            (seen,) = there.decide(REQUEST).balances
            assert seen.held == Decimal("0.0024")

    def test_the_hold_that_stands_is_charged(self, guard_of):
        guard = guard_of(TEAM)
        for _ in range(3):
            guard.call(REQUEST, id="job-1").release()
        guard.call(REQUEST, id="job-1")
        assert not guard_of(TEAM).settle("job-1", USAGE).late
        assert balances(guard) == {("p/team", "red"): (COST, 0)}


class TestWorst:
    """What cannot be read or was not kept is never charged as nothing."""

    @pytest.mark.parametrize("named", [True, False])
    def test_no_usage(self, guard_of, named):
        id = guard_of(TEAM).call(REQUEST, id="job-1" if named else None).id
        charged = guard_of(TEAM).settle(id)
        assert (charged.basis, charged.cost, charged.budgets[0].amount) == (
            "assumed", Decimal("0.0012"), Decimal("0.0012"),
        )  # fmt: skip

    @pytest.mark.parametrize("named", [True, False])
    def test_the_text_of_the_answer(self, guard_of, named):
        id = guard_of(TEAM).call(REQUEST, id="job-1" if named else None).id
        charged = guard_of(TEAM).settle(id, output_text="one two three")
        assert charged.basis == "estimated"
        assert Decimal("0.001") < charged.cost < Decimal("0.0012")

    @pytest.mark.parametrize("named", [True, False])
    def test_a_model_that_the_hold_does_not_name(self, guard_of, named):
        guard = guard_of(ALL)
        id = guard.call(REQUEST, id="job-1" if named else None).id
        charged = guard_of(ALL).settle(id, USAGE, model="large")
        assert charged.cost == Decimal("0.00575")
        assert balances(guard)["p/team", "red"] == (Decimal("0.00575"), 0)

    def test_a_model_without_a_price(self, guard_of):
        guard = guard_of(TEAM)
        guard.call(REQUEST, id="job-1")
        guard_of(TEAM).settle("job-1", USAGE, model="free")
        assert balances(guard) == {("p/team", "red"): (Decimal("0.0012"), 0)}

    @pytest.mark.parametrize(
        "facts",
        [
            {},
            {"model": "nano"},
            {"model": "nano", "calls": [{"model": "nano"}]},
            {"model": "nano", "calls": [None], "tokens": None},
            {"model": "nano", "calls": "all"},
        ],
        ids=repr,
    )
    @pytest.mark.parametrize(
        "told",
        [
            {"response": USAGE},
            {},
            {"output_text": "one"},
            {"response": "unread"},
            {"response": USAGE, "output_text": "one"},
        ],
        ids=repr,
    )
    def test_a_hold_of_another_version_or_program(self, guard_of, ledger, clock, facts, told):
        guard = guard_of(TEAM)
        guard.call(REQUEST).release()
        account = touched(ledger, "p/team", clock())
        hold = Hold("job-1", (HoldLine(account, 1_200_000_000_000, None),), clock(), timedelta(minutes=5), facts)
        (open_ledger(ledger) if isinstance(ledger, str) else ledger).reserve(hold)
        charged = guard.settle("job-1", **told)
        is_priced = "model" in facts and told.get("response") is USAGE
        assert charged.budgets[0].amount == (COST if is_priced else Decimal("0.0012"))


class TestErrors:
    def test_an_id_that_nobody_held(self, guard_of):
        guard = guard_of(TEAM)
        with pytest.raises(UnknownCallError, match="no call `job-1` was held in this ledger"):
            guard.settle("job-1", USAGE)
        with pytest.raises(DeniedError):
            guard.call({**REQUEST, "prompt_tokens": 10**6}, id="job-2")
        with pytest.raises(UnknownCallError):
            guard.settle("job-2", USAGE)

    @pytest.mark.parametrize("id", ["", 7, None])
    def test_what_is_no_id(self, guard_of, id):
        with pytest.raises(GuardError, match="the id of a call must be a non-empty string"):
            guard_of(TEAM).settle(id, USAGE)

    @pytest.mark.parametrize("id", ["a\x00b", "\udcff", "x" * 2000])
    def test_an_id_that_no_store_can_keep(self, guard_of, id):
        with pytest.raises(GuardError, match="the id of a call"):
            guard_of(TEAM).settle(id, USAGE)

    def test_a_closed_guard(self, guard_of):
        guard = guard_of(TEAM)
        guard.close()
        with pytest.raises(GuardError, match="closed"):
            guard.settle("job-1", USAGE)

    def test_a_ledger_that_cannot_be_reached(self, guard_of, ledger):
        guard_of(TEAM).call(REQUEST, id="job-1")
        store = Breakable(open_ledger(ledger) if isinstance(ledger, str) else ledger)
        timer = Timer()
        guard = guard_of(TEAM, ledger=store, timer=timer)
        store.broken = True
        with pytest.raises(LedgerUnavailableError):
            guard.settle("job-1", USAGE)
        store.broken = False
        timer.seconds += 1
        assert guard.settle("job-1", USAGE).recorded


def test_every_price_of_the_list_is_remembered_as_it_is():
    """Tiers, long prompts, times of day and prices of each request: what a hold keeps is what it was made with."""
    periods = [period for name in matching("*") for period in listed_model(name).periods]
    assert len(periods) > 500
    assert any(period.service_tiers for period in periods)
    assert any(period.long_context for period in periods)
    for period in periods:
        kept = json.loads(json.dumps(hold_facts.facts_of_prices(period)))
        assert hold_facts.prices_of_facts(kept) == undated(period)


def undated(period):
    hours = tuple((minute, undated(part)) for minute, part in period.hours)
    return replace(period, effective=None, hours=hours)


USAGES = st.fixed_dictionaries(
    {"prompt_tokens": st.integers(0, 5000), "completion_tokens": st.integers(1, 900)},
    optional={
        "prompt_tokens_details": st.fixed_dictionaries({"cached_tokens": st.integers(0, 100)}),
        "service_tier": st.sampled_from(["flex", "priority", "batch", "default", "new"]),
    },
) | st.sampled_from([None, {}, "unreadable", {"usage": {"prompt_tokens": -1}}])


@given(
    usage=USAGES,
    model=st.sampled_from([None, "nano", "mini", "mini-latest", "large"]),
    tier=st.sampled_from([None, "flex", "batch", "auto"]),
)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_it_is_charged_as_the_process_that_holds_it_would(tmp_path_factory, usage, model, tier):
    engine = write_company(tmp_path_factory.getbasetemp() / "engine", ALL, models="mini, nano, large")
    request = {**REQUEST, **({"params": {"service_tier": tier}} if tier else {})}
    came = []
    for by_id in (False, True):
        guard = Guard(engine, MemoryStore(), alert_sinks=[])
        call = guard.call(request, id="job-1")
        if by_id:
            del call
            charged = guard.settle("job-1", usage, model=model)
        else:
            charged = call.settle(usage, model=model)
        came.append((charged.cost, charged.basis, charged.model, charged.notes, balances(guard)))
    assert came[0] == came[1]
