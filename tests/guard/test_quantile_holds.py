"""Budgets that hold a quantile of what such calls have cost, in the guard: measured, held, charged, bounded."""

from __future__ import annotations

import asyncio
import json
from decimal import Decimal

import pytest
from click.testing import CliRunner

from costlens_policy import AsyncGuard, DeniedError, Guard
from costlens_policy.cli.app import app
from costlens_policy.decision_log import decide_again
from costlens_policy.decision_log.entries import decision_entry
from costlens_policy.engine.mask import Mask
from costlens_policy.ledger import LedgerUnavailableError, MemoryStore
from costlens_policy.ledger.measured import CallHistory
from costlens_policy.ledger.overspend import beyond_holds
from tests.guard.company import REQUEST, Breakable, Timer, write_company

DAILY = """
budgets:
  - {id: daily, hard_limit_usd: 0.1, hold: {quantile: 0.9, cases: 10}, window: {calendar: day}}
"""
CODING = {**REQUEST, "task": "coding", "max_output_tokens": 1000}
"""On `nano` at most $0.003, of which $0.001 are for the prompt."""
WORST = Decimal("0.003")


def usage(output):
    return {"prompt_tokens": 1000, "completion_tokens": output}


def settle_some(guard, count=10, output=100, **more):
    for _ in range(count):
        with guard.call({**CODING, **more}) as call:
            call.settle(usage(output))
    guard.measure()


def held(guard, **more):
    with guard.call({**CODING, **more}) as call:
        (line,) = guard.spend()
        call.release()
    return line.held


class TestMeasuring:
    def test_the_worst_case_is_held_until_there_are_enough_cases(self, guard_of):
        guard = guard_of(DAILY)
        settle_some(guard, 9)
        assert held(guard) == WORST
        settle_some(guard, 1)
        assert held(guard) == Decimal("0.0012")  # 0.4 of the worst case

    def test_each_kind_by_itself(self, guard_of):
        guard = guard_of(DAILY)
        settle_some(guard)
        assert held(guard, max_output_tokens=600) < Decimal("0.0022")  # the same band, another worst case
        for other in ({"task": "chat"}, {"task": None}, {"max_output_tokens": 500}):
            assert held(guard, **other) == 1000 * Decimal("1e-6") + other.get("max_output_tokens", 1000) * Decimal(
                "2e-6"
            )

    def test_a_worst_case_that_is_held_is_history_too(self, guard_of):
        guard = guard_of(DAILY.replace("{quantile: 0.9, cases: 10}", "worst_case"), models="mini, nano")
        settle_some(guard)
        later = guard_of(DAILY, models="mini, nano")  # a guard that is new, on the same ledger
        with later.call(CODING) as call:
            assert call.decision.balances[0].hold == Decimal("0.0028")  # of $0.01 on `mini`
            call.release()

    def test_an_assumed_charge_counts_as_its_worst_case(self, guard_of):
        guard = guard_of(DAILY)
        settle_some(guard, 9)
        with guard.call(CODING) as call:
            call.settle(None)
        guard.measure()
        assert held(guard) == WORST

    def test_what_answers_is_measured_by_its_own_worst_case(self, guard_of):
        guard = guard_of(DAILY, models="mini, nano")
        for _ in range(10):
            with guard.call(CODING) as call:
                call.settle(usage(100), model="nano")
        guard.measure()
        (kind,) = guard._shared.measuring.known
        assert (kind.model, guard._shared.measuring.known[kind].ratio) == ("nano", Decimal("0.4"))

    def test_a_ledger_that_is_lost_is_no_reason_to_hold_less(self, company, clock):
        store, timer = Breakable(MemoryStore()), Timer()
        with Guard(company(DAILY), store, clock=clock, timer=timer, alert_sinks=[]) as guard:
            settle_some(guard)
            store.broken = True
            with pytest.raises(LedgerUnavailableError):
                guard.measure()
            store.broken = False
            timer.seconds += 60
            assert held(guard) == Decimal("0.0012")

    def test_what_is_read_is_bounded(self, guard_of):
        guard = guard_of(DAILY)
        settle_some(guard, 25, task="a")
        history, pages = CallHistory({"p/daily": "usd"}), []

        def entries(query):
            pages.append(query)
            return guard._shared.link.ask(lambda store: store.entries(query))

        history.read(entries)
        assert [known.cases for known in history.measures({"p/daily": Decimal("0.9")}).values()] == [25]
        history.read(entries)
        assert len(pages) == 2
        assert [known.cases for known in history.measures({"p/daily": Decimal("0.9")}).values()] == [25]


class TestHolding:
    def test_what_is_not_known_is_charged_at_its_worst(self, guard_of):
        guard = guard_of(DAILY)
        settle_some(guard)
        call = guard.call(CODING)
        assert call.settle(None).cost == WORST
        open_call = guard.call(CODING)  # its id is random, and another process may settle it
        assert guard.settle(open_call.id, None).cost == WORST

    def test_a_named_call_is_decided_again_as_it_was(self, guard_of, ledger, company, clock):
        guard = guard_of(DAILY)
        settle_some(guard)
        with guard.call(CODING, id="one") as call:
            settle_some(guard, 30, 900)  # what is known now would hold more
            again = Guard(company(DAILY), ledger, clock=clock, alert_sinks=[]).call(CODING, id="one")
            assert again.decision == call.decision
            assert again.decision.balances[0].hold == Decimal("0.0012")
            entry = json.loads(json.dumps(decision_entry(call.decision, "one", True, Mask(), record=True)))
            assert decide_again(guard._engine, entry).verdict == "same"
            call.settle(usage(1))

    def test_a_batch_and_streams(self, guard_of):
        guard = guard_of(DAILY, models="mini")
        settle_some(guard, output=50)  # 0.24 of $0.01; a batch costs half as much, and so does its worst case
        batch = guard.submit({"a": CODING, "b": CODING}, id="night")
        (line,) = guard.spend()
        assert line.held == 2 * Decimal("0.0012")
        assert batch.calls["a"].decision.balances[0].hold == Decimal("0.0012")
        chunks = [{"choices": [{"delta": {"content": "x"}}]}, {"choices": [], "usage": usage(900)}]
        with guard.call(CODING) as call:
            assert list(call.stream(iter(chunks))) == chunks
        assert call.charged is not None
        assert call.charged.budgets[0].overdraft == Decimal("0.0092") - Decimal("0.0024")

    def test_an_overflow_counts_what_it_would_hold(self, guard_of):
        policy = """
budgets:
  - {id: daily, hard_limit_usd: 0.03, hold: {quantile: 0.9, cases: 10}, overflow: pool, window: {calendar: day}}
  - {id: pool, hard_limit_tokens: 5000, hold: {quantile: 0.9, cases: 2}, window: {calendar: day}}
"""
        guard = guard_of(policy)
        settle_some(guard)
        settle_some(guard, 14)  # $0.0288 used, so that $0.0012 has room, just so
        first, second = guard.call(CODING), guard.call(CODING)
        assert [item.budget for item in first.decision.holds] == ["p/daily"]
        assert [(item.budget, item.hold) for item in second.decision.holds] == [("p/pool", None)]
        for call in (first, second):
            call.settle(usage(100))
        guard.measure()

    def test_async_guards_measure_too(self, company, clock):
        async def main():
            async with AsyncGuard(company(DAILY), MemoryStore(), clock=clock, alert_sinks=[]) as guard:
                for _ in range(10):
                    async with guard.call(CODING) as call:
                        await call.settle(usage(100))
                await guard.measure()
                async with guard.call(CODING) as call:
                    return call.decision.balances[0].hold

        assert asyncio.run(main()) == Decimal("0.0012")

    def test_a_refusal_names_what_would_be_held(self, guard_of):
        guard = guard_of(DAILY.replace("0.1", "0.0145"))
        settle_some(guard)  # $0.012 used
        under_way = [guard.call(CODING), guard.call(CODING)]
        with pytest.raises(DeniedError, match=r"no room for \$0.0012: \$0.012 used and \$0.0024 held of \$0.0145"):
            guard.call(CODING)
        with pytest.raises(DeniedError, match="worst case is held, since the request has no task"):
            guard.call({**CODING, "task": None})
        assert all(call.release() is None for call in under_way)


class TestTheBound:
    def test_calls_under_way_are_part_of_it(self, tmp_path):
        url = f"sqlite:///{tmp_path / 'spend.db'}"
        engine = write_company(tmp_path / "p", DAILY)
        with Guard(engine, url, alert_sinks=[]) as guard:
            settle_some(guard)
            calls = [guard.call(CODING) for _ in range(3)]
            (status,) = [self._run("status", str(tmp_path / "p"), url)]
            assert "`p/daily`: calls under way may come to $0.0054 more than is held for them" in status
            assert self._bounds(url) == [(3, Decimal("0.0054"), Decimal("0.0054"))]
            calls[0].settle(usage(1000))  # its worst case: $0.0018 above its hold
            calls[1].settle(usage(50))
            assert self._bounds(url) == [(1, Decimal("0.0018"), Decimal("0.0036"))]
            calls[2].release()
            assert self._bounds(url) == [(0, Decimal(0), Decimal("0.0018"))]

    def test_worst_cases_that_are_held_add_nothing(self, guard_of, clock):
        policy = """
budgets:
  - {id: all, hard_limit_usd: 1, window: {calendar: day}}
  - {id: of-nano, when: 'model.name == "nano"', hard_limit_usd: 1, window: {calendar: day}}
"""
        guard = guard_of(policy, models="mini, nano")  # a fallback costs less than the model, and counts on both
        call = guard.call(CODING)
        assert beyond_holds(guard._shared.link.ask(lambda store: store), None, None, clock()) == {}
        call.release()

    def _bounds(self, url):
        found = json.loads(self._run("bound", url, "--format", "json"))
        return [
            (item["under_way"], Decimal(item["under_way_amount"]), Decimal(item["bound"])) for item in found["bounds"]
        ]

    def _run(self, command, *arguments):
        *rest, url = [item for item in arguments if not item.startswith(("--", "json"))]
        options = ["--format", "json"] if "--format" in arguments else []
        result = CliRunner().invoke(app, ["budget", command, *rest, "--ledger", url, *options])
        assert result.exit_code == 0, result.output
        return result.stdout + (result.stderr if not options else "")


@pytest.mark.parametrize(("model", "least"), [("nano", "0.05"), ("large", "0.025")])
def test_no_less_is_held_than_the_prompt_costs(model, least, guard_of):
    """At its cheapest price: on `large`, all of it is read from a cache."""
    guard = guard_of(DAILY.replace("0.1,", "9,"), models=model)
    for _ in range(10):
        with guard.call(CODING) as call:
            call.settle({"prompt_tokens": 1, "completion_tokens": 1})
    guard.measure()
    assert held(guard, prompt_tokens=50_000) == Decimal(least)
