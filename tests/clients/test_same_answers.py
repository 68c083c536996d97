"""The corpus of decisions through library, service and Node.js. The command line has a test of its own."""

from __future__ import annotations

import json
from collections import defaultdict
from functools import cache
from typing import Any

import pytest

from tests.corpus.semantic_cases import CATALOGUE, Question, engine_of, questions
from tests.corpus.test_semantics_corpus import _json
from tests.service.asking import Asked, running

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
        {
            "budget": budget,
            "key": key,
            "used": str(balance.used),
            "held": str(balance.held),
            "topup": str(balance.topup),
        }
        | ({} if balance.override is None else {"override": str(balance.override)})
        for (budget, key), balance in question.balances.items()
    ]
    facts = {"request": question.request, "now": question.now.isoformat(), "balances": balances}
    return _json(facts).encode()


def _decided(question: Question) -> dict[str, Any]:
    engine = engine_of(question.policy_set)
    return engine.decide(question.request, balances=question.balances, now=question.now).to_dict()


def _short(full: dict[str, Any]) -> dict[str, Any]:
    """Return what the short answer has to say, from the full one."""
    first = [] if full["model"] is None else [{name: full[name] for name in ("model", *_SENT)}]
    calls = first + [{name: call[name] for name in ("model", *_SENT)} for call in full["fallback_calls"]]
    names = ("model", "fallbacks", "rule", "reasons", "shares", "alerts", "policy_digest", "catalogue_digest")
    excluded = [{name: item[name] for name in ("model", "reason", "by")} for item in full["excluded"]]
    return {name: full[name] for name in names} | {
        "allow": full["effect"] == "allow",
        "ways_out": [item["way"] for item in full["ways_out"]],
        "excluded": excluded,
        "calls": calls,
    }


_SENT = ("prompt", "system", "messages", "params", "estimate")


@pytest.mark.parametrize("policy_set", _by_set(), ids=lambda path: path.parent.name)
def test_the_service_gives_the_answers_of_the_library(policy_set):
    with Asked(policy_set, CATALOGUE) as asked:
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
