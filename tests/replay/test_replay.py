"""What a replay counts: costs, budgets, windows, caches, denials."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest

from costlens_policy.replay import READY, Settings, files, replay
from costlens_policy.replay.tables import result_verdict
from tests.replay.conftest import SET, call

TEAM = READY["plain"].with_columns({"request.team": "team"}, {})
DAILY = """
budgets:
  - id: day
    scope: request.?team.orValue("none")
    hard_limit_usd: 0.04
    window: {calendar: day, zone: UTC}
    thresholds:
      - {at_ratio: 0.5, alert: half is gone}
"""


def test_cost_is_exact_and_the_range_moves_the_output_alone(plan_of, traffic_of):
    plan = plan_of()
    result = replay(plan, traffic_of(plan, [call(), call()]), Settings())
    assert result.cost == Decimal("0.015")
    assert result.cost_range() == (Decimal("0.014"), Decimal("0.016"))


def test_answers_longer_than_the_limit_are_priced_in_full_and_noted(plan_of, traffic_of):
    plan = plan_of()
    at_the_limit, beyond = call(output_tokens=1000), call(output_tokens=1001)
    assert "longer than" not in result_verdict(replay(plan, traffic_of(plan, [call(), at_the_limit]), Settings()))
    result = replay(plan, traffic_of(plan, [at_the_limit, beyond, beyond]), Settings())
    assert result.longer == 2
    assert result.cost == 3 * Decimal("0.005") + (1000 + 2 * 1001) * Decimal("0.000025")
    assert result_verdict(result).splitlines()[-1] == (
        "2 recorded answers are longer than the output limit of the call; priced in full"
    )


def test_prices_are_those_of_the_day(plan_of, traffic_of):
    plan = plan_of()
    rows = [call(), {**call(), "time": "2026-07-01T00:00:00Z"}]
    assert replay(plan, traffic_of(plan, rows), Settings()).cost == Decimal("0.0075") + Decimal("0.006")


def test_a_budget_denies_until_its_window_ends(plan_of, traffic_of):
    plan = plan_of(DAILY)
    rows = [call(f"10:00:0{second}", team="a", prompt_tokens=1000, output_tokens=100) for second in range(3)]
    rows += [{**call(team="a"), "time": "2026-06-02T00:00:00Z"}, call("11:00:00", team="b")]
    result = replay(plan, traffic_of(plan, rows, TEAM), Settings())
    # each call may cost 0.03 (1,000 tokens of output) and is charged with 0.0075: the third one has no room
    assert result.denied == {("p/day", "budget"): 1}
    assert sum(result.allowed.values()) == 4
    assert {item["key"] for item in result.alerts} == {"a", "b"}
    assert result.alert_count == 3, "once in each period for each key, not on every call"


def test_a_rolling_budget_forgets(plan_of, traffic_of):
    plan = plan_of(DAILY.replace("{calendar: day, zone: UTC}", "{rolling: 1h}"))
    rows = [call(at, team="a") for at in ("10:00:00", "10:30:00", "10:59:59", "11:00:00")]
    result = replay(plan, traffic_of(plan, rows, TEAM), Settings())
    assert result.denied == {("p/day", "budget"): 1}
    assert sum(result.allowed.values()) == 3


def test_unused_money_is_carried_over(plan_of, traffic_of):
    plan = plan_of(DAILY.replace("thresholds", "carry_over: {share: 0.5}\n    thresholds"))
    first = call("10:00:00", team="a", prompt_tokens=1000, output_tokens=100)
    later = [{**first, "time": f"2026-06-02T10:00:0{second}Z"} for second in range(6)]
    result = replay(plan, traffic_of(plan, [first, *later], TEAM), Settings())
    # a call may cost 0.03 and is charged with 0.0075; half of the 0.0325 that the first day left leaves room for four
    assert (sum(result.allowed.values()), result.denied) == (5, {("p/day", "budget"): 2})
    assert not files._in_columns(plan, TEAM, ["calls.jsonl"]), "columns know no earlier periods"


def test_what_fits_no_window_is_counted_and_not_priced(plan_of, traffic_of):
    plan = plan_of()
    result = replay(plan, traffic_of(plan, [call(prompt_tokens=99_500), call()]), Settings())
    assert result.denied == {("default", "unservable"): 1}
    assert result.cost == Decimal("0.0075")


@pytest.mark.parametrize(
    ("access", "denied"),
    [
        ("[{id: far, effect: deny, reason: far, when: 'model.provider == \"p\"'}]", ("p/far", "access")),
        ("[{id: far, effect: allow, reason: far, when: 'model.provider == \"z\"'}]", ("default", "access")),
    ],
)
def test_an_access_rule_about_models_denies_and_is_no_budget(plan_of, traffic_of, access, denied):
    default = "deny" if "allow" in access else "allow"
    plan = plan_of(f"access: {access}\n", policy_set=SET.replace("access: allow", f"access: {default}"))
    result = replay(plan, traffic_of(plan, [call()]), Settings())
    assert result.denied == {denied: 1}


def test_unpriced_models_are_counted(plan_of, traffic_of):
    plan = plan_of("routes:\n  - {id: r, model: free-of-price}\n")
    result = replay(plan, traffic_of(plan, [call()]), Settings())
    assert (result.unpriced, result.cost) == (1, 0)
    assert result.models["free-of-price"].unpriced == 1


def test_the_comparison_is_about_rows_with_a_price_on_both_sides(plan_of, traffic_of):
    plan = plan_of("routes:\n  - {id: r, model: small}\n")
    rows = [call(model="large"), call(model="of-somebody-else"), call()]
    result = replay(plan, traffic_of(plan, rows), Settings())
    assert (result.compared, result.recorded_cost, result.compared_cost) == (1, Decimal("0.0075"), Decimal("0.0015"))
    assert result.unknown_models == {"of-somebody-else": 1}


def test_what_denials_save_is_said_apart(plan_of, traffic_of):
    plan = plan_of(
        "access:\n  - {id: no, when: '!(\"open\" in request.?tags.orValue([]))', effect: deny, reason: closed}\n"
    )
    result = replay(plan, traffic_of(plan, [call(model="large")]), Settings())
    assert result.saved_by_denying == Decimal("0.0075")


def test_a_second_turn_reads_what_the_first_one_wrote(plan_of, traffic_of):
    plan = plan_of()
    rows = [call("10:00:00", session="s", prompt_tokens=10_000), call("10:05:00", session="s", prompt_tokens=12_000)]
    alive = replay(plan, traffic_of(plan, rows), Settings(cache_lifetime=timedelta(seconds=301))).cost
    ended = replay(plan, traffic_of(plan, rows), Settings()).cost
    ignored = replay(plan, traffic_of(plan, rows), Settings(cache=False)).cost
    output = Decimal("0.005")
    assert ignored == Decimal("0.11") + output
    assert ended == Decimal("0.1375") + output
    assert alive == (10_000 + 2_000) * Decimal("0.00001") + 10_000 * Decimal("0.0000005") + output


def test_compaction_and_another_session_read_nothing(plan_of, traffic_of):
    plan = plan_of()
    rows = [call("10:00:00", session="s", prompt_tokens=10_000), call("10:00:10", session="s", prompt_tokens=9_000),
            call("10:00:20", session="t", prompt_tokens=9_000)]  # fmt: skip
    assert replay(plan, traffic_of(plan, rows), Settings()).models["large"].cached_tokens == 0


def test_shared_prefixes_are_read_across_requests(plan_of, traffic_of):
    plan = plan_of()
    rows = [
        {"timestamp": at, "input_length": 2048, "output_length": 1, "hash_ids": blocks}
        for at, blocks in ((0, [1, 2, 3, 4]), (1000, [1, 2, 9, 4]), (2000, [7, 2, 3, 4]))
    ]
    mapping = READY["mooncake"]
    result = replay(plan, traffic_of(plan, rows, mapping), Settings(), mapping.block_tokens)
    assert result.models["large"].cached_tokens == 2 * 512


def test_recorded_cached_tokens_stay_with_the_recorded_model(plan_of, traffic_of):
    rows = [call(model="large", cached_tokens=800)]
    same, other = plan_of(), plan_of("routes:\n  - {id: r, model: small}\n", "other")
    result = replay(same, traffic_of(same, rows), Settings())
    assert result.cost == result.recorded_cost == Decimal("0.0039")
    assert replay(other, traffic_of(other, rows), Settings()).cost == Decimal("0.0015")
