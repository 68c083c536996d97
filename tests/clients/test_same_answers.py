"""The corpus of decisions, and calls, through library, service and clients. The command line has a test of its own."""

from __future__ import annotations

import json
from collections import defaultdict
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from costlens_policy import DeniedError, Guard, load
from costlens_policy.engine.states import state_of
from tests.corpus.semantic_cases import CATALOGUE, Question, engine_of, questions
from tests.corpus.test_semantics_corpus import _json
from tests.guard.company import REQUEST, TEAM, write_company
from tests.service.asking import Asked, running

msgspec = pytest.importorskip("msgspec")
pytest.importorskip("httpx")

import costlens_policy.service.answers as answers  # noqa: E402 (they are of extras)
from costlens_policy.client import Client, ServiceDeniedError  # noqa: E402

_SAMPLE = 5
"""Every so manieth question of the largest policy set also comes from Node.js, through a real service."""


@cache
def _by_set() -> dict[Any, list[Question]]:
    found = defaultdict(list)
    for question in questions():
        found[question.policy_set].append(question)
    return dict(found)


def _body(question: Question) -> bytes:
    balances = [
        {"budget": budget, "key": key, **state_of(balance)} for (budget, key), balance in question.balances.items()
    ]
    facts = {"request": question.request, "now": question.now.isoformat(), "balances": balances}
    return _json(facts).encode()


def _decided(question: Question) -> dict[str, Any]:
    engine = engine_of(question.policy_set)
    return engine.decide(question.request, balances=question.balances, now=question.now).to_dict()


def _short(full: dict[str, Any]) -> dict[str, Any]:
    """Return what the short answer has to say, from the full one."""
    first = [] if full["model"] is None else [full]
    calls = [_short_call(call) for call in (*first, *full["fallback_calls"])]
    names = ("model", "fallbacks", "rule", "reasons", "shares", "alerts", "policy_digest", "catalogue_digest")
    excluded = [{name: item[name] for name in ("model", "reason", "by")} for item in full["excluded"]]
    return {name: full[name] for name in names} | {
        "allow": full["effect"] == "allow",
        "ways_out": [item["way"] for item in full["ways_out"]],
        "excluded": excluded,
        "calls": calls,
    }


def _short_call(call: dict[str, Any]) -> dict[str, Any]:
    """Return what the short answer says of a call: what it likely costs even where caches make no difference."""
    estimate = {"likely_cost_usd": call["estimate"]["cost_usd"], **call["estimate"]}
    return {name: call[name] for name in ("model", "prompt", "system", "messages", "params")} | {"estimate": estimate}


@pytest.mark.parametrize("policy_set", _by_set(), ids=lambda path: path.parent.name)
def test_the_service_gives_the_answers_of_the_library(policy_set):
    with Asked(policy_set, CATALOGUE, trusts_signals=True) as asked:
        for question in _by_set()[policy_set]:
            explained = asked.post("/v1/explain", _body(question))
            decided = asked.post("/v1/decide", _body(question))
            if not question.acceptable:
                assert (explained.status, decided.status) == (400, 400), question.label
                continue
            full = _decided(question)
            assert explained.json["decision"] == full, question.label
            answer = decided.json
            for call in answer["calls"]:
                del call["provider"], call["arguments"]
            assert answer == _short(full), question.label


def test_node_gives_the_answers_of_the_library(run_script, tmp_path):
    policy_set, asked = max(_by_set().items(), key=lambda item: len(item[1]))
    asked = [question for question in asked if question.acceptable][::_SAMPLE]
    (tmp_path / "asked.json").write_text("[" + ",".join(_body(question).decode() for question in asked) + "]")
    script = """
import { readFileSync } from "node:fs";
import { Router } from "costlens-policy";
const router = new Router({ url: process.env.COSTLENS_URL });
const answers = [];
for (const body of JSON.parse(readFileSync("asked.json"))) answers.push((await router._post("explain", body)).decision);
console.log(JSON.stringify(answers));
router.close();
"""
    with running(str(policy_set), str(CATALOGUE), folder=tmp_path) as service:
        answers = run_script(script, COSTLENS_URL=f"http://127.0.0.1:{service.port}")
    assert answers == json.loads(json.dumps([_decided(question) for question in asked]))


_CALLS = [
    ({"id": "plain", "request": REQUEST}, {"usage": {"prompt_tokens": 900, "completion_tokens": 70}}),
    (
        {"id": "cached", "request": REQUEST | {"team": "blue"}},
        {"usage": {"prompt_tokens": 900, "completion_tokens": 7, "prompt_tokens_details": {"cached_tokens": 800}}},
    ),
    ({"id": "anthropic", "request": REQUEST | {"team": "blue"}}, {"usage": {"input_tokens": 11, "output_tokens": 7}}),
    ({"id": "text", "request": REQUEST | {"team": "green"}}, {"output_text": "An answer of some length."}),
    ({"id": "assumed", "request": REQUEST | {"team": "green"}}, {}),
    (
        {"id": "fallback", "request": REQUEST},
        {"usage": {"prompt_tokens": 900, "completion_tokens": 70}, "model": "mini"},
    ),
    ({"id": "held", "request": REQUEST}, None),
    ({"id": "dear", "request": REQUEST | {"max_output_tokens": 90_000}}, None),
]
"""What is reserved, and how it is settled: calls that stay held, and one for which there is no room, among them."""


def _by_library(folder: Path) -> tuple[list[Any], Any]:
    """Return what each call came to, and the ledger, as the service would say it."""
    answered: list[Any] = []
    with Guard(load(folder, cache=False), alert_sinks=[]) as guard:
        for reserving, settling in _CALLS:
            try:
                call = guard.call(reserving["request"], id=reserving["id"])
            except DeniedError as denied:
                answered.append([denied.budget, denied.key])
                continue
            usage = (settling or {}).get("usage")
            rest = {name: value for name, value in (settling or {}).items() if name != "usage"}
            charge = None if settling is None else answers.charge_of(guard.settle(call.id, usage, **rest))
            answered.append([answers.held_lines(call.decision), call.model, charge])
        return msgspec.to_builtins(answered), msgspec.to_builtins(answers.spends_of(guard.spend()).budgets)


def _by_client(url: str) -> tuple[list[Any], Any]:
    answered: list[Any] = []
    with Client(url) as client:
        for reserving, settling in _CALLS:
            try:
                reserved = client.reserve(reserving["request"], id=reserving["id"])
            except ServiceDeniedError as denied:
                answered.append([denied.budget, denied.key])
                continue
            charge = None if settling is None else client.settle(reserved.id, **settling)
            answered.append([reserved.held, reserved.decision.model, charge])
        return msgspec.to_builtins(answered), msgspec.to_builtins(client.spend())


_NODE = """
import { readFileSync } from "node:fs";
import { Router } from "costlens-policy";
const router = new Router({ url: process.env.COSTLENS_URL });
const answers = [];
for (const [reserving, settling] of JSON.parse(readFileSync("calls.json"))) {
  try {
    const call = await router.reserve(reserving.request, { id: reserving.id });
    let charge = null;
    if (settling) {
      const { usage, model, output_text: outputText } = settling;
      charge = await router.settle(call.id, usage, { model, outputText });
    }
    answers.push([call.held, call.model.name, charge]);
  } catch (error) {
    answers.push([error.budget, error.key]);
  }
}
console.log(JSON.stringify([answers, await router.spend()]));
router.close();
"""


def test_calls_are_held_and_charged_alike_through_library_service_and_node(run_script, tmp_path):
    write_company(tmp_path / "policies", TEAM, models="nano, mini")
    expected = _by_library(tmp_path / "policies")
    assert [len(item) for item in expected[0]] == [3] * 7 + [2]
    assert {item[2]["basis"] for item in expected[0] if len(item) == 3 and item[2]} == {
        "reported", "estimated", "assumed",
    }  # fmt: skip
    with running("policies", folder=tmp_path) as service:
        assert _by_client(f"http://127.0.0.1:{service.port}") == expected
    (tmp_path / "calls.json").write_text(json.dumps(_CALLS))
    with running("policies", folder=tmp_path) as service:
        assert tuple(run_script(_NODE, COSTLENS_URL=f"http://127.0.0.1:{service.port}")) == expected
