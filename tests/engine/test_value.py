"""A decision is a value: equal inputs give equal decisions, which are copied, pickled and sent to other processes."""

from __future__ import annotations

import copy
import json
import pickle
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings

from costlens_policy import Balance, Decision, DeniedError, PolicyError, RequestError, load, load_plan
from costlens_policy.quantiles import CallKind, Measured, band_of
from tests.engine.generated import balances, policy_texts, requests
from tests.engine.test_shortcuts import NOW, _loaded, _text

ROOT = Path(__file__).resolve().parent.parent.parent
REQUEST = {"task": "chat", "team": "support", "prompt": "Where is my parcel?"}
WAYS: dict[str, Callable[[Any], Any]] = {
    "copied": copy.copy,
    "copied deeply": copy.deepcopy,
    "pickled": lambda value: pickle.loads(pickle.dumps(value)),
    "pickled by protocol 2": lambda value: pickle.loads(pickle.dumps(value, 2)),
}


def decide(**more: Any) -> Decision:
    return load(ROOT / "examples" / "guarded-service", cache=False).decide(REQUEST | more, now=NOW)


def answers(decision: Decision) -> dict[str, Any]:
    """Return all that a decision answers."""
    named = [name for name, value in vars(Decision).items() if isinstance(value, property) and name[0] != "_"]
    values = {name: getattr(decision, name) for name in named if name != "plan"}
    return values | {"record": decision.record(), "text": json.dumps(decision.to_dict())}


@settings(max_examples=25, suppress_health_check=list(HealthCheck))
@given(policy_texts().map(_text), requests(), balances())
def test_equal_inputs_give_equal_decisions_in_every_way(
    text: str, request: dict[str, Any], spent: dict[tuple[str, str], Balance]
) -> None:
    engine = _loaded(text)
    assume(engine is not None)
    assert engine is not None
    known = {key: value for key, value in spent.items() if key[0] in engine.plan.budget_ids}
    try:
        decision, again = (engine.decide(request, balances=known, now=NOW) for _ in range(2))
    except RequestError:
        return
    assert decision == again
    assert hash(decision) == hash(again)
    for way in WAYS.values():
        twin = way(decision)
        assert twin == decision
        assert hash(twin) == hash(decision)
        assert answers(twin) == answers(decision)


@pytest.mark.parametrize("way", WAYS)
def test_what_was_noted_and_refused_goes_along(way: str) -> None:
    for decision in (decide().noted("the ledger is away"), decide().refused("no room")):
        twin = WAYS[way](decision)
        assert answers(twin) == answers(decision)
        assert twin == decision


def test_other_decisions_are_not_equal() -> None:
    engine = load(ROOT / "examples" / "guarded-service", cache=False)
    first = engine.decide(REQUEST, now=NOW)
    others = [
        engine.decide(REQUEST, now=NOW + timedelta(seconds=1)),
        engine.decide(REQUEST | {"prompt": "Where is it?"}, now=NOW),
        engine.decide(REQUEST, balances={("spend/team-day", "support"): Balance(used=Decimal("0.01"))}, now=NOW),
        first.noted("seen"),
        first.refused("no"),
    ]
    assert first not in others
    assert len({first, *others}) == 1 + len(others)
    assert first != "a decision"


def test_no_code_is_in_a_pickle_and_another_process_reads_it(tmp_path: Path) -> None:
    decision = decide()
    path = tmp_path / "decision.pickle"
    path.write_bytes(pickle.dumps(decision))
    assert b"evaluate" not in path.read_bytes()
    code = (
        "import json, pickle, sys; decision = pickle.load(open(sys.argv[1], 'rb'));"
        "print(json.dumps(decision.to_dict())); again = decision.plan;"
        "from costlens_policy import Engine;"
        "print(Engine(again).decide(json.loads(sys.argv[2]), now=decision.now).model)"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code, str(path), json.dumps(REQUEST)], capture_output=True, check=True, cwd=ROOT
    )
    told, model = ran.stdout.decode().splitlines()
    assert json.loads(told) == decision.to_dict()
    assert model == decision.model


def test_a_decision_of_a_saved_plan_and_an_error_travel_too(tmp_path: Path) -> None:
    engine = load(ROOT / "examples" / "guarded-service", cache=False)
    engine.save(tmp_path / "plan")
    decision = load_plan(tmp_path / "plan").decide(REQUEST, now=NOW)
    assert decision == engine.decide(REQUEST, now=NOW)
    assert answers(pickle.loads(pickle.dumps(decision))) == answers(decision)
    error = DeniedError(decision.refused("no room"))
    twin = pickle.loads(pickle.dumps(error))
    assert (str(twin), twin.decision) == (str(error), error.decision)


@pytest.mark.parametrize("number", [0, 3])
def test_many_decisions_share_one_plan_in_a_pickle(number: int) -> None:
    decision = decide()
    alone, many = (len(pickle.dumps([decision] * (1 + count))) for count in (0, number))
    assert many <= alone + 10 * number


def test_errors_travel() -> None:
    with pytest.raises(RequestError) as refused:
        load(ROOT / "examples" / "guarded-service", cache=False).decide({"teem": 1}, now=NOW)
    twin = pickle.loads(pickle.dumps(refused.value))
    assert (str(twin), twin.problems) == (str(refused.value), refused.value.problems)
    with pytest.raises(PolicyError) as wrong:
        load(ROOT / "nowhere", cache=False)
    again = pickle.loads(pickle.dumps(wrong.value))
    assert (str(again), again.diagnostics) == (str(wrong.value), wrong.value.diagnostics)


def test_a_decision_that_held_a_quantile_travels_too() -> None:
    engine = load(ROOT / "tests/corpus/semantics/sets/holds")
    kind = CallKind("holds/dollars", "nano", "chat", band_of(600))
    decision = engine.decide(
        {"task": "chat", "prompt_tokens": 1000, "max_output_tokens": 600},
        now=datetime(2026, 5, 1, tzinfo=UTC),
        measured={kind: Measured(50, Decimal("0.5"))},
    )
    assert decision.measured
    again = pickle.loads(pickle.dumps(decision))
    assert again == decision
    assert again.to_dict() == decision.to_dict()
