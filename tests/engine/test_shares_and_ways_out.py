"""Shares of splits are exact, and splits inside splits independent; ways out of choices lead where they say."""

from __future__ import annotations

import hashlib
import tempfile
from collections import Counter
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from costlens_policy import Engine
from costlens_policy.engine.routes import split_position
from tests.engine.conftest import Write, writer

NOW: Final = datetime(2026, 5, 1, tzinfo=UTC)
KEYS: Final = 4000


@given(st.text(), st.text(max_size=5), st.lists(st.integers(0, 1_000_000), min_size=2, max_size=6).filter(any))
def test_a_share_is_the_first_whose_bound_is_above(key: str, salt: str, weights: list[int]) -> None:
    bounds = tuple(sum(weights[: place + 1]) for place in range(len(weights)))
    text = f"{salt}\0{key}".encode("utf-8", "surrogatepass")
    drawn = int(hashlib.sha256(text).hexdigest()[:16], 16) * bounds[-1] // 2**64
    place = split_position(key, salt, bounds)
    assert weights[place] > 0
    assert bounds[place] > drawn >= bounds[place] - weights[place]


def _drawn(engine: Engine, keys: int = KEYS) -> Counter[tuple[str, ...]]:
    return Counter(engine.decide({"user": f"user-{n}", "prompt_tokens": 9}, now=NOW).shares for n in range(keys))


@pytest.mark.parametrize(
    "salts", [("", ""), ("salt: same, ", "salt: same, "), ("salt: p0/r, ", ""), ("", "salt: p0/r, ")]
)
def test_a_split_inside_draws_independently_of_the_one_around_it(company: Write, salts: tuple[str, str]) -> None:
    """With the same key, and even the same salt, each inner share has its part of each outer one."""
    inner = f"split: {{key: request.user, {salts[1]}targets: [{{model: nano, weight: 1}}, {{model: mini, weight: 1}}]}}"
    shares = ", ".join(f"{{id: {name}, weight: 1, {inner}}}" for name in "ab")
    engine = company(f"routes: [{{id: r, split: {{key: request.user, {salts[0]}targets: [{shares}]}}}}]\n")
    drawn = _drawn(engine)
    assert set(drawn) == {(outer, name) for outer in "ab" for name in ("nano", "mini")}
    assert all(abs(count - KEYS / 4) < 5 * (KEYS * 3 / 16) ** 0.5 for count in drawn.values()), drawn


def test_shares_have_their_weights_and_do_not_depend_on_names(company: Write) -> None:
    split = "routes: [{id: r, split: {key: request.user, targets: [%s]}}]\n"
    plain = _drawn(company(split % "{model: nano, weight: 9}, {model: mini, weight: 1}"))
    named = _drawn(company(split % "{id: x, model: nano, weight: 9}, {id: y, models: [mini, large], weight: 1}"))
    assert abs(plain["mini",] - KEYS / 10) < 5 * (KEYS * 9 / 100) ** 0.5
    assert (named["x",], named["y",]) == (plain["nano",], plain["mini",])


def test_a_split_without_a_key_spreads_the_calls_of_one_user(company: Write) -> None:
    engine = company("routes: [{id: r, split: {targets: [{model: nano, weight: 1}, {model: mini, weight: 1}]}}]\n")
    request = {"user": "one", "prompt_tokens": 9}
    models = Counter(engine.decide({**request, "id": f"call-{n}"}, now=NOW).model for n in range(KEYS))
    assert abs(models["mini"] - KEYS / 2) < 5 * (KEYS / 4) ** 0.5
    assert len({engine.decide({**request, "id": "call-1"}, now=NOW).model for _ in range(9)}) == 1
    assert not engine.plan.reads_now


def test_no_share_that_is_drawn_changes_what_another_gets(company: Write) -> None:
    """What shares of one route apply has one name, and is kept apart."""
    apply = "apply: [{set_params: {seed: %d}}]"
    targets = ", ".join(f"{{model: {name}, weight: 1, {apply % n}}}" for n, name in enumerate(("nano", "mini")))
    engine = company(f"routes: [{{id: r, split: {{key: request.user, targets: [{targets}]}}}}]\n")
    found = {
        (decision.model, decision.params["seed"])
        for n in range(50)
        for decision in [engine.decide({"user": f"user-{n}", "prompt_tokens": 9}, now=NOW)]
    }
    assert found == {("nano", 0), ("mini", 1)}


@given(st.sampled_from(["cheapest", "best"]), st.integers(1, 90_000), st.sampled_from([[], ["image"], ["audio"]]))
def test_the_way_out_is_the_plain_order(way: str, tokens: int, modalities: list[str]) -> None:
    engine = _ways_out()
    decision = engine.decide({"task": way, "prompt_tokens": tokens, "modalities": modalities}, now=NOW)
    fitting = {"nano": 7900, "mini": 31_900, "large": 99_900}
    able = {"image": {"mini"}, "audio": set()}.get("".join(modalities), set(fitting))
    left = [name for name, most in fitting.items() if name in able and tokens <= most]
    expected = left if way == "cheapest" else left[::-1]
    assert [*([] if decision.model is None else [decision.model]), *decision.fallbacks] == expected
    assert [item.way for item in decision.ways_out] == [way]
    assert not {item.model for item in decision.excluded} & set(expected)
    assert {item.model for item in decision.excluded} == set(fitting) - set(expected)


@lru_cache(maxsize=1)
def _ways_out() -> Engine:
    rest = """'model.quality["chat"]', models: [nano, mini, large], limits: {max_cost_usd: 0}"""
    routes = "".join(
        f"  - {{id: {way}, when: request.task == '{way}', choose: {{maximize: {rest}, on_none: {way}}}}}\n"
        for way in ("cheapest", "best")
    )
    with tempfile.TemporaryDirectory() as folder:
        return writer(Path(folder))(f"routes:\n{routes}")


def test_the_next_route_may_go_on_too_and_the_default_ends_it(company: Write) -> None:
    none = "choose: {models: [nano], minimize: estimate.cost_usd, limits: {max_cost_usd: 0}, on_none: next}"
    engine = company(f"routes: [{{id: a, {none}}}, {{id: b, {none}}}]\n", f"routes: [{{id: c, {none}}}]\n")
    decision = engine.decide({"prompt_tokens": 9}, now=NOW)
    assert (decision.model, decision.rule) == ("nano", "default")
    assert [item.rule for item in decision.ways_out] == ["p0/a", "p0/b", "p1/c"]
    routes = decision.record().stages[2].rules
    assert [(rule.id, str(rule.outcome)) for rule in routes] == [(name, "matched") for name in ("p0/a", "p0/b", "p1/c")]
    assert engine.models({"prompt_tokens": 9}, now=NOW).may_serve == ("nano",)


def test_a_refusal_on_the_way_out_names_the_rule_that_refused(company: Write) -> None:
    engine = company(
        "on_error: skip\nroutes:\n"
        "  - id: a\n    choose:\n      models: [nano]\n      minimize: estimate.cost_usd\n"
        "      limits: {max_cost_usd: 0}\n"
        "      on_none: {split: {key: 'string(request.metadata[\"n\"])', "
        "targets: [{model: nano, weight: 1}, {model: mini, weight: 1}]}}\n"
    )
    decision = engine.decide({"prompt_tokens": 9, "metadata": {}}, now=NOW)
    assert (decision.effect, decision.rule) == ("deny", "p0/a")
    assert decision.reasons[-1].startswith("routes: the target of `p0/a` failed")
    assert [item.way for item in decision.ways_out] == ["target"]
    assert [item.model for item in decision.excluded] == ["nano"]


def test_why_a_model_was_excluded_is_told_once_however_many_choices_said_it(company: Write) -> None:
    choice = "models: [nano], minimize: estimate.cost_usd, limits: {max_cost_usd: 0}"
    inner = f"{{choose: {{{choice}, on_none: cheapest}}}}"
    engine = company(f"routes: [{{id: a, choose: {{{choice}, on_none: {inner}}}}}]\n")
    decision = engine.decide({"prompt_tokens": 9}, now=NOW)
    assert [item.way for item in decision.ways_out] == ["target", "cheapest"]
    assert sum("serves all the same" in reason for reason in decision.reasons) == len(decision.despite) == 1
