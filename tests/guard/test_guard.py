"""What a guard does around one call, on every store."""

from __future__ import annotations

import contextlib
from datetime import timedelta
from decimal import Decimal

import pytest

from costlens_policy import DeniedError, Guard, RequestError
from costlens_policy.guard import GuardError
from costlens_policy.ledger import MemoryStore
from tests.guard.company import REQUEST, TEAM, Breakable

USAGE = {"prompt_tokens": 1000, "completion_tokens": 50}


def state(guard, **which):
    (spend,) = guard.spend(**which)
    return spend.used, spend.held


class TestOneCall:
    def test_is_held_then_settled(self, guard_of):
        guard = guard_of(TEAM)
        with guard.call(REQUEST) as call:
            assert (call.model, call.prompt, call.fallbacks) == ("nano", "Hello", ())
            assert call.messages == [{"role": "user", "content": "Hello"}]
            assert call.params == {"max_completion_tokens": 100}
            assert state(guard, key="red", budget="team") == (0, Decimal("0.0012"))
            charged = call.settle(USAGE)
        assert (charged.cost, charged.basis, charged.recorded) == (Decimal("0.0011"), "reported", True)
        assert charged.budgets[0].held == Decimal("0.0012")
        assert charged.budgets[0].overdraft == 0
        assert state(guard) == (Decimal("0.0011"), 0)

    def test_unsettled_is_given_back(self, guard_of):
        guard = guard_of(TEAM)
        with guard.call(REQUEST):
            pass
        assert state(guard) == (0, 0)

    def test_an_exception_gives_back(self, guard_of):
        guard = guard_of(TEAM)
        with pytest.raises(ZeroDivisionError), guard.call(REQUEST):
            raise ZeroDivisionError
        assert state(guard) == (0, 0)

    def test_an_exception_charges_where_that_is_wanted(self, guard_of):
        guard = guard_of(TEAM, on_exception="charge_hold")
        with pytest.raises(ConnectionError), guard.call(REQUEST):
            raise ConnectionError
        assert state(guard) == (Decimal("0.0012"), 0)

    def test_a_refusal_of_the_provider_is_never_charged(self, guard_of):
        class TooManyRequestsError(Exception):
            status_code = 429

        guard = guard_of(TEAM, on_exception="charge_hold")
        with pytest.raises(TooManyRequestsError), guard.call(REQUEST):
            raise TooManyRequestsError
        assert state(guard) == (0, 0)

    def test_settles_once(self, guard_of):
        guard = guard_of(TEAM)
        with guard.call(REQUEST) as call:
            first = call.settle(USAGE)
            assert call.settle({"prompt_tokens": 9, "completion_tokens": 9}) == first._replace(repeated=True)
            call.release()
        assert state(guard) == (Decimal("0.0011"), 0)

    def test_a_released_call_can_still_be_settled(self, guard_of):
        guard = guard_of(TEAM)
        with guard.call(REQUEST) as call:
            call.release()
        assert call.settle(USAGE).late
        assert state(guard) == (Decimal("0.0011"), 0)

    def test_more_than_was_held_is_recorded(self, guard_of):
        guard = guard_of(TEAM)
        with guard.call(REQUEST) as call:
            charged = call.settle({"prompt_tokens": 5000, "completion_tokens": 5000})
        assert charged.budgets[0].overdraft == Decimal("0.0138")
        with pytest.raises(DeniedError, match=r"\$0.015 used"):
            guard.call(REQUEST)

    def test_without_budgets_nothing_is_asked(self, company, clock):
        store = Breakable(MemoryStore())
        guard = Guard(company(""), store, clock=clock)
        with guard.call(REQUEST) as call:
            assert call.settle(USAGE).cost == Decimal("0.0011")
        assert store.asked == []
        assert guard.spend() == ()

    def test_a_wrong_request(self, guard_of):
        with pytest.raises(RequestError):
            guard_of(TEAM).call({"promt": "x"})


class TestLimits:
    def test_denial_carries_decision_and_budget(self, guard_of):
        guard = guard_of(TEAM)
        for _ in range(8):
            guard.call(REQUEST)
        with pytest.raises(
            DeniedError, match=r"no room for \$0.0012: \$0.00 used and \$0.0096 held of \$0.01"
        ) as denied:
            guard.call(REQUEST)
        assert denied.value.budget == "p/team"
        assert not denied.value.decision.allowed
        guard.call({**REQUEST, "team": "blue"})

    def test_room_comes_back(self, guard_of, clock):
        guard = guard_of(TEAM)
        calls = [guard.call(REQUEST) for _ in range(8)]
        calls[0].release()
        guard.call(REQUEST)
        with pytest.raises(DeniedError):
            guard.call(REQUEST)
        clock.move(minutes=11)
        guard.call(REQUEST)
        clock.move(days=1)
        assert guard.spend() == ()

    def test_every_unit(self, guard_of):
        policy = """
budgets:
  - {id: tokens, hard_limit_tokens: 3000, window: {lifetime: true}}
  - {id: requests, hard_limit_requests: 5, window: {rolling: 1h}}
"""
        guard = guard_of(policy)
        with guard.call(REQUEST) as call:
            assert [(line.budget, line.held) for line in guard.spend()] == [("p/tokens", 1100), ("p/requests", 1)]
            call.settle(USAGE)
        assert [line.used for line in guard.spend()] == [1050, 1]
        guard.call(REQUEST)
        with pytest.raises(DeniedError) as denied:
            guard.call(REQUEST)
        assert denied.value.budget == "p/tokens"

    def test_shadow_budgets_count_and_never_refuse(self, guard_of):
        guard = guard_of(TEAM + "    shadow: true\n")
        for _ in range(20):
            with guard.call(REQUEST) as call:
                call.settle(USAGE)
        (spend,) = guard.spend()
        assert (spend.used, spend.left, spend.shadow) == (Decimal("0.022"), 0, True)

    def test_a_limit_by_expression(self, guard_of):
        policy = """
budgets:
  - id: team
    scope: request.?team.orValue("")
    hard_limit_requests: 'request.?team.orValue("") == "red" ? 2 : 1'
    window: {lifetime: true}
"""
        guard = guard_of(policy)
        guard.call(REQUEST), guard.call(REQUEST)
        with pytest.raises(DeniedError):
            guard.call(REQUEST)
        guard.call({**REQUEST, "team": "blue"})
        with pytest.raises(DeniedError):
            guard.call({**REQUEST, "team": "blue"})
        assert [(line.key, line.limit) for line in guard.spend()] == [("blue", None), ("red", None)]


class TestModels:
    POLICY = """
budgets:
  - {id: all, hard_limit_usd: 1, window: {lifetime: true}}
  - {id: model, scope: model.name, hard_limit_tokens: 1000000, window: {lifetime: true}}
"""

    def test_the_dearest_fallback_is_held(self, guard_of):
        guard = guard_of(self.POLICY, models="nano, mini")
        guard.call(REQUEST)
        held = {(line.budget, line.key): line.held for line in guard.spend()}
        assert held == {("p/all", ""): Decimal("0.0028"), ("p/model", "nano"): 1100, ("p/model", "mini"): 1100}

    @pytest.mark.parametrize(("how", "model"), [("use", "mini"), ("settle", "mini-latest"), ("response", "mini")])
    def test_the_model_that_answered_is_charged(self, guard_of, how, model):
        guard = guard_of(self.POLICY, models="nano, mini")
        with guard.call(REQUEST) as call:
            if how == "use":
                call.use(model)
                assert (call.model, call.params) == ("mini", {"max_completion_tokens": 100})
            response = {"usage": USAGE, "model": "mini"} if how == "response" else USAGE
            charged = call.settle(response, model=model if how == "settle" else None)
        assert (charged.model, charged.cost) == ("mini", Decimal("0.0024"))
        used = {(line.budget, line.key): line.used for line in guard.spend()}
        assert used == {("p/all", ""): Decimal("0.0024"), ("p/model", "nano"): 0, ("p/model", "mini"): 1050}

    def test_a_model_that_was_not_listed_is_charged_at_its_price(self, guard_of):
        guard = guard_of(self.POLICY)
        with guard.call(REQUEST) as call:
            with pytest.raises(GuardError, match="`large` is not among the models"):
                call.use("large")
            assert call.settle(USAGE, model="large").cost == Decimal("0.00575")
        assert {line.key: line.used for line in guard.spend("model")} == {"nano": 0, "large": 1050}

    def test_a_model_without_a_price_is_charged_what_was_held(self, guard_of):
        guard = guard_of(self.POLICY)
        with guard.call(REQUEST) as call:
            charged = call.settle(USAGE, model="free")
        assert charged.notes == ("`free`: it has no price on this day",)
        assert guard.spend("all")[0].used == Decimal("0.0012")

    @pytest.mark.parametrize("model", ["free", "nobody", "", 5, ["mini"], b"mini"])
    def test_more_than_was_held_is_charged_on_one_as_on_the_model_that_was_decided(self, guard_of, model):
        guard = guard_of(self.POLICY)
        with guard.call(REQUEST) as call:
            call.settle({"prompt_tokens": 3000, "completion_tokens": 50}, model=model)
        assert guard.spend("all")[0].used == Decimal("0.0031")

    def test_a_failed_attempt_is_added(self, guard_of):
        guard = guard_of(self.POLICY, models="nano, mini")
        with guard.call(REQUEST) as call:
            call.add({"prompt_tokens": 1000, "completion_tokens": 0})
            call.use("mini")
            call.settle(USAGE)
        assert guard.spend("all")[0].used == Decimal("0.0034")

    def test_rewrites_differ_by_model(self, guard_of):
        policy = """
rewrites: [{id: short, when: 'model.name == "mini"', apply: [{prefix: {text: "Briefly: "}}]}]
"""
        guard = guard_of(policy, models="nano, mini")
        with guard.call(REQUEST) as call:
            assert call.prompt == "Hello"
            call.use("mini")
            assert call.prompt.startswith("Briefly: ")
            assert call.messages == [{"role": "user", "content": call.prompt}]


class TestLeases:
    def test_a_lease_that_has_ended_counts_when_it_is_settled(self, guard_of, clock):
        guard = guard_of(TEAM)
        call = guard.call(REQUEST, lease=timedelta(minutes=1))
        clock.move(minutes=2)
        assert state(guard) == (0, 0)
        assert call.settle(USAGE).late
        assert state(guard) == (Decimal("0.0011"), 0)

    def test_extended(self, guard_of, clock):
        guard = guard_of(TEAM)
        call = guard.call(REQUEST, lease=timedelta(minutes=1))
        clock.move(seconds=50)
        call.extend()
        clock.move(seconds=50)
        assert state(guard) == (0, Decimal("0.0012"))
        assert not call.settle(USAGE).late

    def test_a_charge_counts_in_the_period_of_its_decision(self, guard_of, clock):
        guard = guard_of(TEAM)
        clock.move(hours=11, minutes=59)
        call = guard.call(REQUEST)
        clock.move(minutes=2)
        call.settle(USAGE)
        assert guard.spend() == ()


class TestThresholds:
    POLICY = """
budgets:
  - id: team
    hard_limit_usd: 0.01
    window: {calendar: day}
    thresholds:
      - at_ratio: 0.5
        downgrade: {models: [nano], exclude: 'model.name == "mini"'}
"""

    def test_downgrade_then_denial(self, guard_of):
        guard = guard_of(self.POLICY, models="mini")
        models = []
        with contextlib.suppress(DeniedError):
            while True:
                models.append(guard.call(REQUEST).model)
        assert models == ["mini"] + ["nano"] * 6

    def test_another_process_is_seen(self, guard_of):
        here, there = guard_of(self.POLICY, models="mini"), guard_of(self.POLICY, models="mini")
        assert here.call(REQUEST).model == "mini"
        assert there.call(REQUEST).model == "nano"
        assert here.call(REQUEST).model == "nano"


class TestRoundTrips:
    def test_one_to_reserve_and_one_to_settle(self, company, clock):
        store = Breakable(MemoryStore())
        guard = Guard(company(TEAM), store, clock=clock, max_age=1.0)
        with guard.call(REQUEST) as call:
            call.settle(USAGE)
        store.asked.clear()
        with guard.call(REQUEST) as call:
            call.settle(USAGE)
        assert store.asked == ["reserve", "charge"]


def test_closed(company, clock):
    store = MemoryStore()
    with Guard(company(TEAM), store, clock=clock) as guard:
        guard.call(REQUEST).settle(USAGE)
    with pytest.raises(GuardError, match="the guard is closed"):
        guard.call(REQUEST)
    with pytest.raises(GuardError, match="the guard is closed"):
        guard.spend()
    assert Guard(company(TEAM), store, clock=clock).spend()[0].used == Decimal("0.0011")


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"lease": timedelta(0)}, "a lease must be positive"),
        ({"lease": 600}, "a lease must be a `timedelta`"),
        ({"on_exception": "ignore"}, "`on_exception` must be"),
        ({"dialect": "latin"}, "unknown dialect `latin`"),
        ({"ledger": 3}, "`ledger` must be a URL"),
        ({"clock": 3}, "`clock` must be a function"),
        ({"timer": 3}, "`timer` must be a function"),
        ({"max_age": -1.0}, "`max_age` must be"),
        ({"retry_delay": 0.0}, "`retry_delay` must be"),
        ({"alert_sinks": print}, "`alert_sinks` must be a list"),
        ({"alert_sinks": [3]}, "an alert sink must be a function"),
    ],
)
def test_wrong_options(company, options, problem):
    with pytest.raises(GuardError, match=problem):
        Guard(company(TEAM), **options)


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"id": 3}, "the id of a call must be a non-empty string"),
        ({"id": ""}, "the id of a call must be a non-empty string"),
        ({"lease": 600}, "a lease must be a `timedelta`"),
        ({"lease": timedelta(days=90)}, "at most 31 days"),
    ],
)
def test_wrong_options_of_a_call(guard_of, options, problem):
    guard = guard_of(TEAM)
    with pytest.raises(GuardError, match=problem):
        guard.call(REQUEST, **options)
    assert guard.spend() == ()


def test_a_call_tells_what_it_is(guard_of):
    guard = guard_of(TEAM)
    call = guard.call(REQUEST, id="one")
    assert repr(call) == "Call(id='one', model='nano', held)"
    call.release()
    assert repr(call) == "Call(id='one', model='nano', released)"
    call.settle(USAGE)
    assert repr(call) == "Call(id='one', model='nano', settled)"


def test_the_reason_of_a_budget_is_told(guard_of):
    guard = guard_of(TEAM.rstrip() + "\n    reason: ask Ann for more\n")
    with pytest.raises(DeniedError, match=r"has no room for .* \(ask Ann for more\)"):
        guard.call({**REQUEST, "prompt_tokens": 10**6})


class TestDrawnByTheCall:
    SPLIT = "routes: [{id: r, split: {targets: [{model: nano, weight: 1}, {model: mini, weight: 1}]}}]\n"

    def test_each_call_is_drawn_by_its_own_id(self, guard_of):
        guard, request = guard_of(self.SPLIT + TEAM), dict(REQUEST)
        models = set()
        for _ in range(40):
            with guard.call(request) as call:
                assert call.decision.request["id"] == call.id
                models.add(call.model)
        assert models == {"nano", "mini"}
        assert request == REQUEST

    def test_a_call_that_is_asked_for_again_is_drawn_alike(self, guard_of):
        guard = guard_of(self.SPLIT + TEAM)
        for number in range(10):
            first = guard.call(REQUEST, id=f"call-{number}")
            assert guard.call(REQUEST, id=f"call-{number}").model == first.model
            first.release()
            with guard.call(REQUEST, id=f"call-{number}") as again:
                assert again.model == first.model

    def test_an_id_of_the_request_counts_before_that_of_the_call(self, guard_of):
        guard = guard_of(self.SPLIT + TEAM)
        calls = [guard.call({**REQUEST, "id": "mine"}) for _ in range(6)]
        assert {call.model for call in calls} == {calls[0].model}
        assert {call.decision.request["id"] for call in calls} == {"mine"}

    def test_no_id_is_added_where_none_is_read(self, guard_of):
        with guard_of(TEAM).call(REQUEST) as call:
            assert "id" not in call.decision.request


def test_a_way_out_is_not_taken_on_a_balance_that_others_have_freed(guard_of, ledger):
    """A budget that seemed full is read for this very call before another model serves in its place."""
    policy = """
routes:
  - {id: r, choose: {models: [nano], minimize: estimate.cost_usd, on_none: {model: mini}}}
budgets:
  - {id: team, when: model.name == "nano", hard_limit_usd: 0.0012, window: {calendar: day}}
"""
    one, other = guard_of(policy), guard_of(policy)
    held = other.call(REQUEST)
    with one.call(REQUEST) as call:
        assert (call.model, [item.way for item in call.decision.ways_out]) == ("mini", ["target"])
    held.release()
    with one.call(REQUEST) as call:
        assert (call.model, call.decision.ways_out) == ("nano", ())
