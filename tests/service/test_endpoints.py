"""What each endpoint answers, and how each bad request is refused."""

from __future__ import annotations

import asyncio
import json
import re
from decimal import Decimal

import pytest

from costlens_policy import load
from costlens_policy.service.settings import Limits
from tests.conftest import ROOT
from tests.guard.company import REQUEST, TEAM, write_company
from tests.service.asking import Asked

USAGE = {"prompt_tokens": 1000, "completion_tokens": 100, "total_tokens": 1100}


def test_a_decision_is_that_of_the_library(asked, tmp_path):
    answer = asked.post("/v1/decide", {"request": REQUEST}).json
    decision = load(tmp_path / "policies", cache=False).decide(REQUEST)
    assert (answer["allow"], answer["model"], answer["rule"]) == (True, decision.model, decision.rule)
    assert answer["calls"][0]["prompt"] == "Hello"
    assert answer["calls"][0]["params"] == dict(decision.params)
    assert Decimal(answer["calls"][0]["estimate"]["cost_usd"]) == decision.estimate.cost
    assert answer["policy_digest"] == decision.policy_digest


def test_a_dialect_gives_the_arguments_of_an_sdk(asked):
    body = {"request": REQUEST, "dialect": "anthropic"}
    arguments = asked.post("/v1/decide", body).json["calls"][0]["arguments"]
    assert arguments == {"model": "nano", "messages": [{"role": "user", "content": "Hello"}], "max_tokens": 100}


def test_a_denial_is_an_answer_of_decide_and_an_error_of_reserve(asked):
    request = REQUEST | {"prompt_tokens": 90_000}
    decided = asked.post("/v1/decide", {"request": request})
    assert (decided.status, decided.json["allow"], decided.json["calls"]) == (200, False, [])
    refused = asked.post("/v1/reserve", {"request": request})
    assert (refused.status, refused.code) == (402, "budget_exceeded")
    assert refused.headers["x-should-retry"] == "false"
    assert refused.json["error"]["budget"] == "p/team"


def test_a_call_is_held_settled_once_and_counted(asked):
    reserved = asked.post("/v1/reserve", {"request": REQUEST, "id": "job-1", "lease": "5m"}).json
    assert reserved["held"] == [{"budget": "p/team", "key": "red", "unit": "usd", "amount": "0.0012"}]
    (line,) = asked.get("/v1/spend?budget=p/team&key=red").json["budgets"]
    assert (line["used"], line["held"], line["left"]) == ("0", "0.0012", "0.0088")
    charge = asked.post("/v1/settle", {"id": "job-1", "usage": USAGE}).json
    assert (charge["cost_usd"], charge["basis"], charge["repeated"]) == ("0.0012", "reported", False)
    again = asked.post("/v1/settle", {"id": "job-1", "usage": USAGE | {"completion_tokens": 5}, "model": "large"}).json
    assert again == charge | {"repeated": True}
    (line,) = asked.get("/v1/spend").json["budgets"]
    assert (line["used"], line["held"]) == ("0.0012", "0")
    taken = asked.post("/v1/reserve", {"request": REQUEST, "id": "job-1"})
    assert (taken.status, taken.code) == (409, "call_conflict")


def test_the_same_id_gives_the_same_hold(asked):
    first = asked.post("/v1/reserve", {"request": REQUEST, "id": "job-1"}).json
    again = asked.post("/v1/reserve", {"request": REQUEST, "id": "job-1"}).json
    assert again["held"] == first["held"]
    assert again["decision"] == first["decision"]
    (line,) = asked.get("/v1/spend").json["budgets"]
    assert line["held"] == "0.0012"


def test_a_call_that_no_budget_counts_is_settled_and_released_by_its_id(tmp_path):
    write_company(tmp_path / "free", "")
    with Asked(tmp_path / "free") as asked:
        reserved = asked.post("/v1/reserve", {"request": REQUEST, "id": "job-1"}).json
        assert (reserved["held"], reserved["expires_at"] is None) == ([], False)
        other = asked.post("/v1/reserve", {"request": REQUEST | {"prompt": "other"}, "id": "job-1"})
        assert (other.status, other.code) == (409, "call_conflict")
        charge = asked.post("/v1/settle", {"id": "job-1", "usage": USAGE}).json
        assert (charge["cost_usd"], charge["budgets"], charge["repeated"]) == ("0.0012", [], False)
        assert asked.post("/v1/settle", {"id": "job-1"}).json == charge | {"repeated": True}
        asked.post("/v1/reserve", {"request": REQUEST, "id": "job-2"})
        assert [asked.post("/v1/release", {"id": "job-2"}).status for _ in range(2)] == [200, 200]


def test_what_is_repeated_is_logged_and_counted_once(tmp_path):
    write_company(tmp_path / "policies", TEAM)
    log = tmp_path / "log.jsonl"
    with Asked(tmp_path / "policies", decision_log=log) as asked:
        before = _numbers(asked)
        for _ in range(2):
            for id in ("a", "b"):
                assert asked.post("/v1/reserve", {"request": REQUEST, "id": id}).status == 200
        for number in range(2):
            asked.post("/v1/settle", {"id": "a", "usage": USAGE, "model": ["nano", "large"][number]})
            asked.post("/v1/release", {"id": "b"})
        after = _numbers(asked)
    grown = {name: after[name] - before.get(name, 0) for name in after if after[name] != before.get(name, 0)}
    assert grown == {
        'costlens_policy_decisions_total{outcome="allow",rule="default"}': 2,
        'costlens_policy_reserved_usd_total{budget="p/team"}': pytest.approx(0.0024),
        'costlens_policy_settled_usd_total{budget="p/team"}': pytest.approx(0.0012),
    }
    entries = [json.loads(line) for line in log.read_text().splitlines()]
    assert [(entry["kind"], entry["id"]) for entry in entries] == [
        ("hold", "a"), ("hold", "b"), ("charge", "a"), ("release", "b"),
    ]  # fmt: skip
    assert entries[2]["request"] == {"team": "red"}


def _numbers(asked):
    text = asked.get("/metrics").body.decode()
    lines = [
        line.rpartition(" ") for line in text.splitlines() if re.match(r"costlens_policy_(deci|reserv|settl)", line)
    ]
    return {name: float(number) for name, _, number in lines if "_created" not in name}


def test_a_call_is_released_and_extended_by_its_id(asked):
    asked.post("/v1/reserve", {"request": REQUEST, "id": "job-1", "lease": "1m"})
    extended = asked.post("/v1/extend", {"id": "job-1", "lease": "1h"})
    assert extended.status == 200
    assert extended.json["expires_at"] is not None
    assert asked.post("/v1/release", {"id": "job-1"}).json == {"id": "job-1"}
    (line,) = asked.get("/v1/spend").json["budgets"]
    assert line["held"] == "0"
    for path in ("/v1/settle", "/v1/release", "/v1/extend"):
        unknown = asked.post(path, {"id": "nobody"})
        assert (unknown.status, unknown.code) == (404, "unknown_call"), path


def test_what_is_not_held_is_neither_extended_nor_given_back(asked):
    for id, end in (("settled", "/v1/settle"), ("released", "/v1/release")):
        asked.post("/v1/reserve", {"request": REQUEST, "id": id})
        assert asked.post(end, {"id": id}).status == 200
        extended = asked.post("/v1/extend", {"id": id})
        assert (extended.status, extended.code) == (409, "call_conflict")
        assert f"the call `{id}` is {id}" in extended.json["error"]["message"]
    assert asked.post("/v1/release", {"id": "released"}).status == 200  # as a repeated request
    settled = asked.post("/v1/release", {"id": "settled"})
    assert (settled.status, settled.code) == (409, "call_conflict")
    asked.post("/v1/reserve", {"request": REQUEST, "id": "ended", "lease": "1s"})
    asked.loop.run_until_complete(asyncio.sleep(2.1))  # a ledger counts a lease by whole seconds
    ended = asked.post("/v1/extend", {"id": "ended"})
    assert (ended.status, ended.code) == (409, "call_conflict"), ended.body
    assert "ended with its lease" in ended.json["error"]["message"]


def test_attributes_in_a_body_are_refused(asked):
    body = {"model": "nano", "messages": [{"role": "user", "content": "Hi"}], "costlens": {"team": "red"}}
    refused = asked.post("/v1/reserve", {"body": body, "dialect": "openai-chat"})
    assert (refused.status, refused.code) == (400, "invalid_request")
    assert "give `attributes`" in refused.json["error"]["message"]


@pytest.mark.parametrize(
    ("dialect", "body", "missing"),
    [
        ("openai-chat", {}, "messages"),
        ("openai-chat", {"model": "nano", "messages": []}, "messages"),
        ("openai-chat", {"model": "nano", "messages": None}, "messages"),
        ("openai-responses", {"model": "nano"}, "input"),
        ("openai-embeddings", {"model": "nano"}, "input"),
        ("anthropic", {"max_tokens": 10}, "messages"),
        ("anthropic", {"messages": [{"role": "user", "content": "Hi"}]}, "max_tokens"),
    ],
)
def test_a_body_without_what_its_provider_needs_is_refused(asked, dialect, body, missing):
    refused = asked.post("/v1/reserve", {"id": "lacking", "body": body, "dialect": dialect})
    assert (refused.status, refused.code) == (400, "invalid_request")
    assert f"`{missing}` is missing in the body, which `{dialect}` needs" in refused.json["error"]["message"]
    assert asked.post("/v1/release", {"id": "lacking"}).code == "unknown_call"


@pytest.mark.parametrize(
    ("path", "body", "place"),
    [
        ("decide", '{"request": {"prompt": "x", "cost_budget": 1e400}}', "request.cost_budget"),
        ("reserve", '{"request": {"params": {"stop": ["a", -1e400]}}}', "request.params.stop[1]"),
        ("decide/batch", '{"requests": [{}, {"cost_budget": 1e999}]}', "requests[1].cost_budget"),
    ],
)
def test_a_number_that_is_too_large_is_refused_with_its_place(asked, path, body, place):
    refused = asked.post(f"/v1/{path}", body.encode())
    assert (refused.status, refused.code) == (400, "invalid_request")
    assert refused.json["error"]["message"].startswith(f"`{place}` must be a number of 64 bits")


def test_what_is_wrong_with_the_request_has_the_code_of_it(asked):
    answers = [asked.post("/v1/reserve", {"request": REQUEST, "lease": lease}) for lease in ("soon", "300d")]
    answers += [asked.post("/v1/extend", {"id": "x", "lease": "soon"}), asked.get("/v1/spend?budget=none")]
    assert [(item.status, item.code) for item in answers] == [(400, "invalid_request")] * 4


def test_decisions_see_what_the_ledger_has(asked):
    body = {"request": REQUEST | {"prompt_tokens": 7000}}
    assert asked.post("/v1/decide", body).json["allow"] is True
    asked.post("/v1/reserve", {"request": REQUEST | {"prompt_tokens": 5000}})
    assert asked.post("/v1/decide", body).json["allow"] is False
    assert asked.post("/v1/models", body).json["may_serve"] == []
    supposed = {"balances": [{"budget": "team", "key": "red", "used": 0}]}
    assert asked.post("/v1/decide", body | supposed).json["allow"] is True
    assert "nano" in asked.post("/v1/models", body | supposed).json["may_serve"]
    assert asked.post("/v1/decide", body | {"now": "2030-01-01T00:00:00Z"}).json["allow"] is True


def test_decisions_know_what_is_warm_of_a_session(tmp_path):
    """Whoever sends the session of a request, and settles with the usage, need not keep anything else."""
    with Asked(ROOT / "examples" / "warm-sessions") as service:
        request = {"session": "4711", "task": "design", "prompt": "go on", "prompt_tokens": 100_000}
        held = service.post("/v1/reserve", {"request": request}).json
        usage = {"input_tokens": 10, "cache_creation_input_tokens": 99_990, "output_tokens": 500}
        service.post("/v1/settle", {"id": held["id"], "usage": usage})
        edit = request | {"task": "edit", "prompt_tokens": 101_000}
        told = [service.post("/v1/decide", {"request": edit | more}).json for more in ({}, {"session": "4712"})]
        assert [item["model"] for item in told] == ["claude-opus-4-5", "claude-sonnet-4-5"]
        warm, cold = (item["calls"][0]["estimate"] for item in told)
        assert Decimal(warm["likely_cost_usd"]) < Decimal(warm["cost_usd"])
        assert cold["likely_cost_usd"] == cold["cost_usd"]
        explained = service.post("/v1/explain", {"request": edit}).json["decision"]
        assert explained["request"]["warm_tokens"] == {"claude-opus-4-5": 99_990}


def test_a_batch_answers_in_order_and_rejects_one_by_one(asked):
    requests = [REQUEST, {"prompt": "x", "teem": "red"}, REQUEST | {"prompt_tokens": 90_000}]
    good, bad, denied = asked.post("/v1/decide/batch", {"requests": requests}).json["answers"]
    assert good["decision"]["allow"] is True
    assert bad["decision"] is None
    assert "did you mean `team`" in bad["problems"][0]
    assert denied["decision"]["allow"] is False
    assert (good["model"], denied["model"], bad["allow"]) == ("nano", None, False)
    brief = asked.post("/v1/decide/batch", {"requests": requests, "brief": True}).json["answers"]
    assert brief == [item | {"decision": None} for item in (good, bad, denied)]


def test_explain_is_the_whole_decision(asked, tmp_path):
    now = "2026-05-10T12:00:00Z"
    answer = asked.post("/v1/explain", {"request": REQUEST, "now": now}).json
    from datetime import datetime

    decision = load(tmp_path / "policies", cache=False).decide(REQUEST, now=datetime.fromisoformat(now))
    assert answer == {"allow": True, "decision": decision.to_dict()}


def test_policies_health_readiness_and_metrics(asked):
    policies = asked.get("/v1/policies").json
    assert policies["policies"][0]["budgets"] == ["p/team"]
    assert asked.get("/health").json == {"status": "ok"}
    assert asked.get("/ready").json["problems"] == []
    asked.post("/v1/reserve", {"request": REQUEST})
    asked.post("/v1/reserve", {"request": REQUEST | {"prompt_tokens": 90_000}})
    text = asked.get("/metrics").body.decode()
    assert 'costlens_policy_decisions_total{outcome="allow",rule="default"} 1.0' in text
    assert 'costlens_policy_budget_denials_total{budget="p/team"} 1.0' in text
    assert 'budget="team"' not in text  # one name for one budget
    assert 'costlens_policy_reserved_usd_total{budget="p/team"} 0.0012' in text
    assert 'costlens_policy_http_requests_total{endpoint="/v1/reserve",status="402"} 1.0' in text


@pytest.mark.parametrize(
    ("path", "body", "status", "said"),
    [
        ("/v1/decide", b"", 400, "the body must be a JSON object, got nothing"),
        ("/v1/decide", b"{", 400, "it ends too early"),
        ("/v1/decide", b"nope", 400, "the body must be JSON in UTF-8: invalid character"),
        ("/v1/decide", b'{"request": {"prompt": "\\ud83d"}}', 400, "half of a character"),
        ("/v1/decide", b'{"request": {"prompt": "\\udE00"}}', 400, "half of a character"),
        ("/v1/decide", b"\xff\xfe", 400, "must be JSON"),
        ("/v1/decide", b'{"request": {"prompt": NaN}}', 400, "must be JSON"),
        ("/v1/decide", b"[]", 400, "expected `object`"),
        ("/v1/decide", b'{"request": {}, "extra": 1}', 400, "extra"),
        ("/v1/decide", b'{"request": {"prompt": "a", "prompt": "b"}}', 400, "key `prompt` appears twice"),
        ("/v1/decide/batch", b'{"requests": [{"prompt": "a", "prompt": "b"}]}', 400, "key `prompt` appears twice"),
        ("/v1/decide/batch", b'{"requests": [{}], "brief": false, "brief": true}', 400, "key `brief` appears twice"),
        ("/v1/settle", b'{"id": "{", "output_text": ["a"], "id": "b"}', 400, "key `id` appears twice"),
        ("/v1/decide", b'{"request" : {}, "request":{}}', 400, "key `request` appears twice"),
        ("/v1/decide", b'{"request": ' + b"[" * 100_000, 400, ""),
        ("/v1/decide", {"request": {"prompt": 3}}, 400, "`prompt`"),
        ("/v1/decide", {"request": REQUEST, "dialect": "klingon"}, 400, "klingon"),
        ("/v1/decide", {"request": REQUEST, "balances": [{"budget": "none"}]}, 400, "there is no budget `none`"),
        ("/v1/decide", {"request": REQUEST, "balances": [{"budget": "team", "used": -1}]}, 400, "balances"),
        ("/v1/decide", {"request": REQUEST, "now": "2026-01-01T00:00:00"}, 400, "timezone"),
        ("/v1/decide", {"request": REQUEST, "now": "0001-01-01T00:00:00+10:00"}, 400, "`now` must be in the years"),
        ("/v1/decide", {"request": dict.fromkeys(map(str, range(5_000)), 1)}, 400, "4,950 more names are unknown"),
        ("/v1/decide/batch", {"requests": []}, 400, "length"),
        ("/v1/decide/batch", {"requests": [{}] * 1001}, 400, "length"),
        ("/v1/batch/submit", {"id": "b", "requests": {}}, 400, "length"),
        ("/v1/batch/submit", {"id": "a/b", "requests": {"a": REQUEST}}, 400, "without `/`"),
        ("/v1/batch/submit", b'{"id": "b", "requests": {"a": {}, "a": {}}}', 400, "key `a` appears twice"),
        ("/v1/batch/settle", {"id": "b", "results": 1}, 400, "results"),
        ("/v1/runs/end", {"run": "a//b"}, 400, "none of them empty"),
        ("/v1/reserve", {"request": REQUEST, "id": "~run-end:a"}, 400, "must not begin with"),
        ("/v1/reserve", {"request": REQUEST, "id": ""}, 400, "length"),
        ("/v1/reserve", {"request": REQUEST, "id": "a\0b"}, 400, "id"),
        ("/v1/reserve", {"request": REQUEST, "lease": "soon"}, 400, "lease"),
        ("/v1/reserve", {"request": REQUEST, "lease": "300d"}, 400, "lease"),
        ("/v1/settle", {"id": "x", "usage": [1]}, 400, "expected `object"),
        ("/v1/settle", {"id": "x", "shape": "opneai"}, 400, "`shape` must be one of"),
        ("/v1/nothing", {}, 404, "no such endpoint"),
        ("/metrics", {}, 405, "another method"),
        ("/health", {}, 405, "another method"),
    ],
)
def test_what_is_wrong_is_said(asked, path, body, status, said):
    answer = asked.post(path, body)
    assert answer.status == status, answer.body
    assert said in answer.json["error"]["message"]
    assert answer.json["type"] == "error"


@pytest.mark.parametrize("query", ["budget=none", "budgets=x", "key=%ff", "key=a&key=b", "=", "key=" + "k" * 1000])
def test_what_is_wrong_with_a_query_is_said(asked, query):
    answer = asked.get(f"/v1/spend?{query}")
    assert answer.status == 400, answer.body


def test_pairs_of_surrogates_are_fine(asked):
    body = b'{"request": {"task": "chat", "prompt": "\\ud83d\\ude00"}}'
    answer = asked.post("/v1/decide", body)
    assert answer.status == 200, answer.body
    assert answer.json["calls"][0]["prompt"] == "\U0001f600"


def test_texts_that_look_like_keys_are_fine(asked):
    prompt = 'say "a": then "a": again'
    answer = asked.post("/v1/decide", {"request": REQUEST | {"prompt": prompt}})
    assert answer.json["calls"][0]["prompt"] == prompt


def test_a_large_body_a_slow_client_and_a_crowd_are_refused(tmp_path):
    write_company(tmp_path / "policies", TEAM)
    limits = Limits(body_bytes=2000, seconds=0.3, at_once=2)
    with Asked(tmp_path / "policies", limits=limits) as asked:
        large = asked.post("/v1/decide", b"x" * 2001)
        assert (large.status, large.code) == (413, "body_too_large")

        async def crowd():
            slow = [asyncio.create_task(asked.ask("POST", "/v1/decide", b"", parts=[b"{"])) for _ in range(2)]
            await asyncio.sleep(0)
            turned_away = await asked.ask("POST", "/v1/decide", {"request": REQUEST})
            healthy = await asked.ask("GET", "/health", b"")
            return turned_away, healthy, await asyncio.gather(*slow)

        turned_away, healthy, slow = asked.loop.run_until_complete(crowd())
        assert (turned_away.status, turned_away.code, turned_away.headers["retry-after"]) == (503, "overloaded", "1")
        assert healthy.status == 200
        assert [(item.status, item.code) for item in slow] == [(503, "timeout")] * 2
        assert asked.post("/v1/decide", {"request": REQUEST}).status == 200


def test_a_long_request_is_decided_aside(asked):
    request = REQUEST | {"prompt": "word " * 10_000}
    assert asked.post("/v1/decide", {"request": request}).json["allow"] is True


def test_the_document_of_openapi_names_every_endpoint(asked):
    document = asked.get("/openapi.json").json
    assert document["openapi"] == "3.1.0"
    assert set(document["paths"]) >= {"/v1/decide", "/v1/settle", "/metrics"}
    assert json.dumps(document).count("#/components/schemas/Decided") >= 2


def test_the_document_in_the_repository_is_that_of_the_service(asked, golden):
    golden(ROOT / "docs" / "openapi.json", asked.get("/openapi.json").body.decode())
