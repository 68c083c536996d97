"""Stretches that are charged at once come to what their rows come to one by one, wherever limits and alerts lie."""

from __future__ import annotations

import json
import os
import random
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from costlens_policy import load
from costlens_policy.compiler.plan import Plan
from costlens_policy.periods import schedule_of
from costlens_policy.replay import Settings, Traffic, replay
from costlens_policy.replay.columns import budgeted, comparing
from costlens_policy.replay.columns.accounts import Account
from costlens_policy.replay.columns.at_once import AtOnce, Stretch
from costlens_policy.replay.difference import diff
from tests.replay.columns.test_comparing import facts_of
from tests.replay.columns.test_comparing import in_columns as compared
from tests.replay.columns.traffic import facts, in_columns, random_traffic
from tests.replay.conftest import SHARED, folder_of

SOAK = bool(os.environ.get("COSTLENS_SOAK"))
ATTRIBUTES = {"team": ["a", "b", "vip"], "task": ["coding", "chat"], "max_output_tokens": [10, 1000]}
LIMITS = st.one_of(
    st.builds(lambda most: {"hard_limit_usd": most}, st.sampled_from([0.3, 2, 10, 40, 150, 10_000])),
    st.builds(lambda most: {"hard_limit_requests": most}, st.sampled_from([1, 20, 100, 100_000])),
    st.builds(lambda most: {"hard_limit_tokens": most}, st.sampled_from([1_000, 300_000, 4_000_000, 10**9])),
    st.just({"hard_limit_tokens": 900_000, "count": {"input": 1, "cached_input": 0.1, "output": 6}}),
)
WINDOWS = st.sampled_from([
    {"calendar": "day"}, {"calendar": "day", "zone": "Europe/Berlin"}, {"calendar": "week"}, {"rolling": "10m"},
    {"rolling": "2h"}, {"rolling": "24h"}, {"from_first_use": "5h"}, {"lifetime": True}, {"per_call": True},
])  # fmt: skip
ALERTS = st.lists(
    st.sampled_from([{"at_ratio": 0.1, "alert": "some"}, {"at_ratio": 0.6, "alert": "more"}]),
    max_size=2, unique_by=lambda threshold: threshold["at_ratio"],
)  # fmt: skip
BUDGETS = st.lists(
    st.builds(
        lambda limit, window, alerts, more: {**limit, "window": window, "thresholds": alerts, **more},
        LIMITS, WINDOWS, ALERTS,
        st.fixed_dictionaries({}, optional={
            "scope": st.just("request.?team.orValue('none')"), "shadow": st.booleans(),
            "when": st.just("request.?task.orValue('') == 'coding'"),
        }),
    ),
    min_size=1, max_size=3,
)  # fmt: skip
ROUTES = st.sampled_from([
    [], [{"id": "vip", "when": "request.?team.orValue('') == 'vip'", "model": "small", "fallbacks": ["large"]}],
    [{"id": "long", "when": "request.prompt_tokens > 1024", "model": "large", "fallbacks": ["free-of-price"]}],
])  # fmt: skip


def _plan(budgets, routes) -> Plan:
    rules = [{"id": f"b{place}", **budget} for place, budget in enumerate(budgets)]
    with TemporaryDirectory() as folder:
        text = f"budgets: {json.dumps(rules)}\n" + (f"routes: {json.dumps(routes)}\n" if routes else "")
        return load(folder_of(Path(folder), text, SHARED)).plan


def _traffic(seed: int, prompts: int, simple: bool) -> Traffic:
    traffic = random_traffic(seed, 1_500 if SOAK else 220, ["large", "small"], ATTRIBUTES, prompts)
    if not simple:
        return traffic
    return replace(traffic, rows=tuple(replace(row, other_models=()) for row in traffic.rows))


@settings(max_examples=2_000 if SOAK else 25)
@given(BUDGETS, ROUTES, st.integers(0, 1_000), st.booleans(), st.sampled_from([3, 30]), st.sampled_from([900, 60_000]))
def test_replayed_alike(budgets, routes, seed, cache, few, prompts):
    plan, traffic = _plan(budgets, routes), _traffic(seed, prompts, few == 3)
    assumed = Settings(cache=cache)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(budgeted, "FEW", few)
        got = in_columns(plan, traffic, tuple(ATTRIBUTES), assumed, size=110, written=bool(seed % 2))
    assert facts(got) == facts(replay(plan, traffic, assumed))


@settings(max_examples=800 if SOAK else 8)
@given(BUDGETS, BUDGETS, ROUTES, st.integers(0, 1_000), st.booleans(), st.sampled_from([900, 60_000]))
def test_compared_alike(old, new, routes, seed, cache, prompts):
    plans, traffic = (_plan(old, routes), _plan(new, [])), _traffic(seed, prompts, simple=True)
    assumed = Settings(cache=cache)
    with pytest.MonkeyPatch.context() as patch:
        for module in (budgeted, comparing):
            patch.setattr(module, "FEW", 3)
        got = compared(*plans, traffic, tuple(ATTRIBUTES), assumed, 90)
    assert facts_of(got) == facts_of(diff(*plans, traffic, assumed))


@pytest.fixture
def stretches(monkeypatch) -> list[int]:
    """How many rows each look found to be charged at once: 0 where they are not."""
    found, look = [], AtOnce.look

    def noted(self, frame, held):
        stretch = look(self, frame, held)
        found.append(frame.height if isinstance(stretch, Stretch) else 0)
        return stretch

    monkeypatch.setattr(AtOnce, "look", noted)
    return found


@pytest.mark.parametrize(("most", "denied"), [(10**9, False), (0.1, True)])
def test_batches_are_stretches_where_budgets_are_wide_or_used_up(stretches, most, denied):
    budgets = [
        {"hard_limit_usd": most, "window": {"calendar": "week"}},
        {"hard_limit_requests": 10**6, "window": {"rolling": "24h"}},
    ]
    plan, traffic = _plan(budgets, []), random_traffic(7, 1_500, ["large"], {}, 900)
    result = in_columns(plan, traffic, (), Settings(), size=750)
    assert max(stretches) > 600
    assert bool(result.denied) is denied


@pytest.mark.parametrize(("most", "denied"), [(130, False), (84, True), (40, True)])
def test_what_a_rolling_window_forgets_makes_room_within_a_stretch(stretches, most, denied):
    plan = _plan([{"hard_limit_requests": most, "window": {"rolling": "2h"}}], [])
    traffic = random_traffic(11, 1_500, ["large"], {}, 900)
    result = in_columns(plan, traffic, (), Settings(), size=750)
    assert facts(result) == facts(replay(plan, traffic, Settings()))
    assert bool(result.denied) is denied
    if not denied:
        assert max(stretches) > 5 * most


@pytest.mark.parametrize("terms", [{"rolling": "10s"}, {"lifetime": True}])
@pytest.mark.parametrize("seed", range(5))
def test_the_peak_is_what_charges_one_by_one_come_to(terms, seed):
    chance, account, now = random.Random(seed), Account(schedule_of(terms), 0), 86_400_000_000
    for _ in range(10):
        charges = []
        for _ in range(chance.randrange(1, 12)):
            now += chance.choice([0, 1, 1_000_000, 4_000_000])
            charges.append((now, chance.choice([0, 3, 2**70])))
        highest = account.at(charges[0][0])
        times, amounts = zip(*charges, strict=True)
        peak = account.peak(sum(amounts), pl.Series(times, dtype=pl.Int64), pl.Series(amounts, dtype=pl.Int128))
        for time, amount in charges:
            account.at(time)
            account.charge(time, amount)
            highest = max(highest, account.used)
        assert peak == highest, f"seed {seed}"
