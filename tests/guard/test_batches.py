"""Batches: held at their submission at batch prices, settled item by item from the providers' result files."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
from datetime import timedelta
from decimal import Decimal

import pytest

from costlens_policy import AsyncGuard, CallConflictError, DeniedError, Guard, RequestError, load
from costlens_policy.guard import GuardError
from costlens_policy.guard.batches import read_results
from costlens_policy.ledger import LedgerUnavailableError, MemoryStore
from tests.conftest import ROOT
from tests.guard.company import REQUEST, TEAM, Breakable

HELD = Decimal("0.0014")
"""What a request of the company holds on `mini` at batch prices, of $0.0028 without."""
USAGE = {"prompt_tokens": 1000, "completion_tokens": 50}
COST = Decimal("0.0012")
THREE = dict.fromkeys(("a", "b", "c"), REQUEST)


KILLED = """
import os, signal, sys
from costlens_policy import Guard, load
from tests.guard.company import REQUEST

class Dying(dict):
    def items(self):
        for number, item in enumerate(super().items()):
            if number == 5:
                os.kill(os.getpid(), signal.SIGKILL)
            yield item

guard = Guard(load(sys.argv[1]), sys.argv[2], alert_sinks=[])
guard.submit(Dying({f"{number}": REQUEST for number in range(20)}), id="night")
"""


def openai(item, status=200, error=None, **body):
    """Return a line as OpenAI writes it."""
    response = {"status_code": status, "request_id": "r", "body": {"model": "mini", "service_tier": "default", **body}}
    line = {"id": "batch_req", "custom_id": item, "response": None if error else response, "error": error}
    return json.dumps(line)


def anthropic(item, kind, **more):
    return {"custom_id": item, "result": {"type": kind, **more}}


def standing(guard):
    (line,) = guard.spend("team", "red")
    return line.used, line.held


@pytest.fixture
def guard(guard_of):
    return guard_of(TEAM, models="mini")


class TestSubmitting:
    def test_each_item_is_held_at_batch_prices(self, guard):
        batch = guard.submit(THREE, id="night")
        assert (list(batch.calls), batch.refused) == (["a", "b", "c"], {})
        assert standing(guard) == (0, 3 * HELD)
        call = batch.calls["a"]
        assert (call.id, call.model) == ("night/a", "mini")
        assert "service_tier" not in call.arguments, "no provider takes it as a parameter of a batch"
        assert call.expires_at - call.decision.now >= timedelta(days=2)

    def test_what_is_refused_keeps_no_other_item_from_being_held(self, guard):
        requests = {**{f"{number}": REQUEST for number in range(9)}, "odd": {**REQUEST, "teem": "red"}}
        batch = guard.submit(requests, id="night")
        assert list(batch.calls) == [f"{number}" for number in range(7)]
        assert {item: type(error) for item, error in batch.refused.items()} == {
            "7": DeniedError, "8": DeniedError, "odd": RequestError,
        }  # fmt: skip
        assert standing(guard) == (0, 7 * HELD)

    def test_as_a_whole_it_is_held_or_not(self, guard):
        with pytest.raises(DeniedError):
            guard.submit({f"{number}": REQUEST for number in range(9)}, id="night", whole=True)
        assert standing(guard) == (0, 0)
        assert len(guard.submit(THREE, id="night", whole=True).calls) == 3

    def test_submitted_again_it_is_the_same_hold_in_any_process(self, guard_of):
        guard_of(TEAM, models="mini").submit({"a": REQUEST}, id="night")  # and then its process dies
        there = guard_of(TEAM, models="mini")
        batch = there.submit(THREE, id="night")
        assert [call.repeated for call in batch.calls.values()] == [True, False, False]
        assert standing(there) == (0, 3 * HELD)
        there.settle_batch("night", [openai("a", usage=USAGE)])
        assert isinstance(there.submit(THREE, id="night").refused["a"], CallConflictError)

    def test_a_whole_that_fails_keeps_what_was_held_before(self, guard):
        guard.submit({"a": REQUEST}, id="night")
        with pytest.raises(DeniedError):
            guard.submit({"a": REQUEST, **{f"{number}": REQUEST for number in range(8)}}, id="night", whole=True)
        assert standing(guard) == (0, HELD)

    @pytest.mark.parametrize("odd", [{}, [], {"": REQUEST}, {1: REQUEST}])
    def test_what_is_no_batch_is_an_error(self, guard, odd):
        with pytest.raises(GuardError, match="must be a non-empty"):
            guard.submit(odd, id="night")

    @pytest.mark.parametrize("odd", ["", "a/b", 7])
    def test_a_batch_without_an_id_of_its_own_is_an_error(self, guard, odd):
        with pytest.raises(GuardError, match="the id of a batch must be"):
            guard.submit(THREE, id=odd)
        with pytest.raises(GuardError, match="the id of a batch must be"):
            guard.settle_batch(odd, [openai("a", usage=USAGE)])
        assert standing(guard) == (0, 0)

    def test_another_tier_or_no_request_is_refused(self, guard):
        batch = guard.submit({"flex": {**REQUEST, "params": {"service_tier": "flex"}}, "none": 1}, id="night")
        assert "must be `batch`, got `flex`" in str(batch.refused["flex"])
        assert isinstance(batch.refused["none"], RequestError)

    def test_a_model_without_a_price_for_batches_is_held_at_the_usual_one(self, guard_of):
        guard = guard_of(TEAM)
        assert list(guard.submit({"a": REQUEST}, id="night").calls) == ["a"]
        assert standing(guard) == (0, Decimal("0.0012"))

    def test_a_process_that_is_killed_on_the_way_leaves_holds_that_count_once(self, company, tmp_path):
        """The next one submits the same batch, and all of it is held exactly once."""
        company(TEAM.replace("0.01", "1"), models="mini")
        url = f"sqlite:///{tmp_path / 'killed.db'}"
        ended = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path / "policies"), url], cwd=ROOT, check=False)
        assert ended.returncode == -signal.SIGKILL
        with Guard(load(tmp_path / "policies"), url, alert_sinks=[]) as guard:
            assert guard.spend("team", "red")[0].held == 5 * HELD
            batch = guard.submit({f"{number}": REQUEST for number in range(20)}, id="night")
            assert sum(call.repeated for call in batch.calls.values()) == 5
            assert guard.spend("team", "red")[0].held == 20 * HELD


class TestSettling:
    def test_results_of_openai(self, guard):
        guard.submit({**THREE, "d": REQUEST}, id="night")
        text = "\n".join([
            openai("a", usage=USAGE),
            openai("b", status=400, error=None) .replace('"service_tier": "default"', '"error": {"code": "bad"}'),
            openai("c", error={"code": "batch_expired", "message": "too late"}),
        ])  # fmt: skip
        settled = guard.settle_batch("night", text)
        charged = settled.charged["a"]
        assert (charged.cost, charged.basis, charged.late) == (COST, "reported", False), "bodies report no batch tier"
        assert settled.released == {"b": "bad", "c": "batch_expired: too late"}
        assert (settled.cost, settled.problems) == (COST, ())
        assert standing(guard) == (COST, HELD), "the last has no result yet"

    def test_results_of_anthropic(self, guard):
        guard.submit({**THREE, "d": REQUEST}, id="night")
        message = {"model": "mini", "usage": {"input_tokens": 1000, "output_tokens": 50, "service_tier": "batch"}}
        results = [
            anthropic("a", "succeeded", message=message),
            anthropic("b", "errored", error={"type": "error", "error": {"type": "invalid_request", "message": "no"}}),
            anthropic("c", "expired"),
            anthropic("d", "canceled"),
        ]
        settled = guard.settle_batch("night", results)
        assert settled.charged["a"].cost == COST
        assert settled.released == {"b": "invalid_request: no", "c": "expired", "d": "canceled"}
        assert standing(guard) == (COST, 0)

    @pytest.mark.parametrize(
        "line",
        [
            {"response": {"status_code": 200, "body": {"model": "mini", "usage": USAGE}}, "error": {"code": "x"}},
            {"response": {"status_code": 500, "body": {"model": "mini", "usage": USAGE}}, "error": None},
            {"result": {"type": "errored", "message": {"model": "mini", "usage": USAGE}}},
            {"result": {"type": "expired", "message": {"model": "mini", "usage": USAGE}}},
        ],
    )
    def test_an_error_that_comes_with_a_usage_is_charged(self, guard, line):
        guard.submit({"a": REQUEST}, id="night")
        settled = guard.settle_batch("night", [{"custom_id": "a", **line}])
        assert (settled.charged["a"].cost, settled.released) == (COST, {})
        assert "and an answer; the answer is charged" in settled.charged["a"].notes[-1]

    def test_a_usage_of_zeros_is_none_of_a_failed_item(self, guard):
        guard.submit({"a": REQUEST}, id="night")
        zeros = {**dict.fromkeys(USAGE, 0), "prompt_tokens_details": {"cached_tokens": 0}}
        assert guard.settle_batch("night", [openai("a", status=500, usage=zeros)]).released == {"a": "status 500"}

    def test_an_item_that_failed_and_was_answered_is_charged(self, guard):
        guard.submit({"a": REQUEST}, id="night")
        lines = [openai("a", error={"code": "batch_expired"}), openai("a", usage=USAGE)]
        settled = guard.settle_batch("night", lines)
        assert (settled.charged["a"].cost, settled.released) == (COST, {})
        assert "another line reports that it failed (`batch_expired`)" in settled.charged["a"].notes

    def test_results_of_gemini(self, guard):
        guard.submit({**THREE, "d": REQUEST}, id="night")
        answer = {"candidates": [], "usageMetadata": {"promptTokenCount": 1000, "candidatesTokenCount": 50}}
        lines = [
            json.dumps({"key": "a", "response": answer}),
            json.dumps({"key": "b", "error": {"code": 8, "message": "out of quota"}}),
            {"metadata": {"key": "c"}, "response": answer},
            {"key": "d"},
            {"status": "", "request": {}, "response": answer},
        ]
        settled = guard.settle_batch("night", lines)
        costs = {item: (charged.cost, charged.basis) for item, charged in settled.charged.items()}
        assert costs == {"a": (COST, "reported"), "c": (COST, "reported"), "d": (HELD, "assumed")}
        assert settled.released == {"b": "8: out of quota"}
        assert settled.problems == ("line 5 has no `custom_id`, `key` or `recordId`",)

    def test_results_of_bedrock(self, guard):
        guard.submit({**THREE, "d": REQUEST}, id="night")
        lines = [
            {"recordId": "a", "modelInput": {}, "modelOutput": {"usage": {"input_tokens": 1000, "output_tokens": 50}}},
            {"recordId": "b", "modelInput": {}, "error": {"errorCode": 400, "errorMessage": "bad request"}},
            {"recordId": "c", "modelOutput": {"usage": {"inputTokens": 1000, "outputTokens": 50, "totalTokens": 1050}}},
            {"recordId": "d", "modelOutput": {"generation": "no usage"}},
        ]
        settled = guard.settle_batch("night", lines)
        costs = {item: (charged.cost, charged.basis) for item, charged in settled.charged.items()}
        assert costs == {"a": (COST, "reported"), "c": (COST, "reported"), "d": (HELD, "assumed")}
        assert settled.released == {"b": "400: bad request"}

    def test_in_another_process_and_again_it_counts_once(self, guard_of):
        guard_of(TEAM, models="mini").submit(THREE, id="night")
        lines = [openai("a", usage=USAGE), openai("a", usage=USAGE), openai("b", error={"code": "batch_expired"})]
        for repeated in (False, True):
            there = guard_of(TEAM, models="mini")
            settled = there.settle_batch("night", lines)
            assert (settled.charged["a"].repeated, settled.problems) == (repeated, ())
            assert standing(there) == (COST, HELD)

    def test_what_is_not_understood_is_charged_at_its_worst(self, guard):
        guard.submit(THREE, id="night")
        settled = guard.settle_batch("night", [openai("a"), anthropic("b", "postponed"), {"custom_id": "c"}])
        assert {item: (charged.cost, charged.basis) for item, charged in settled.charged.items()} == dict.fromkeys(
            "abc", (HELD, "assumed")
        )
        assert "not understood: `postponed`" in settled.charged["b"].notes[-1]
        assert standing(guard) == (3 * HELD, 0)

    def test_lines_of_no_item_are_problems(self, guard):
        guard.submit(THREE, id="night")
        settled = guard.settle_batch("night", ["{", '{"custom_id": 1}', "", "[]", openai("z", usage=USAGE)])
        assert [problem[:22] for problem in settled.problems] == [
            "line 1 is not JSON: Ex", "line 2 has no `custom_", "line 4 has no `custom_", "item `z`: no call `nig",
        ]  # fmt: skip
        assert standing(guard) == (0, 3 * HELD)

    def test_what_is_settled_is_not_given_back(self, guard):
        guard.submit({"a": REQUEST}, id="night")
        settled = guard.settle_batch("night", [openai("a", usage=USAGE), anthropic("a", "expired")])
        assert "is settled" in settled.problems[0]
        assert standing(guard) == (COST, 0)

    def test_results_that_come_after_the_lease_count_as_late(self, guard, clock):
        guard.submit({"a": REQUEST}, id="night", lease=timedelta(hours=1))
        clock.move(hours=3)
        assert guard.settle_batch("night", [openai("a", usage=USAGE)]).charged["a"].late
        assert standing(guard) == (COST, 0)

    def test_a_ledger_that_is_away_loses_nothing(self, company, clock):
        store = Breakable(MemoryStore())
        with Guard(company(TEAM, models="mini"), store, clock=clock, alert_sinks=[]) as guard:
            guard.submit(THREE, id="night")
        with Guard(
            company(TEAM, models="mini"), store, clock=clock, alert_sinks=[], timer=iter(range(0, 9**9, 60)).__next__
        ) as guard:
            store.broken = True
            with pytest.raises(LedgerUnavailableError):
                guard.settle_batch("night", [openai("a", usage=USAGE)])
            store.broken = False
            assert guard.settle_batch("night", [openai("a", usage=USAGE)]).cost == COST
            assert standing(guard) == (COST, 2 * HELD)


def test_code_that_awaits_has_the_same(company, ledger, clock):
    async def run():
        async with AsyncGuard(company(TEAM, models="mini"), ledger, clock=clock, alert_sinks=[]) as guard:
            with pytest.raises(DeniedError):
                await guard.submit({f"{number}": REQUEST for number in range(9)}, id="night", whole=True)
            batch = await guard.submit({**THREE, "odd": {**REQUEST, "teem": "red"}}, id="night")
            assert (list(batch.calls), list(batch.refused)) == (["a", "b", "c"], ["odd"])
            settled = await guard.settle_batch("night", [openai("a", usage=USAGE), anthropic("b", "expired")])
            assert (settled.cost, list(settled.released)) == (COST, ["b"])
            (line,) = await guard.spend("team", "red")
            assert (line.used, line.held) == (COST, HELD)

    asyncio.run(run())


def test_objects_of_an_sdk_are_read():
    class Result:
        def model_dump(self):
            return anthropic("a", "succeeded", message={"usage": {}})

    (result,) = read_results([Result()])
    assert (result.item, result.kind) == ("a", "answered")
