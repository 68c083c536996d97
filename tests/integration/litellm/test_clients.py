"""What clients can do, and cannot: steer, pretend, go away; and what they are told."""

from __future__ import annotations

import http.client
import json
import time
from typing import Any

import openai
import pytest

from tests.integration.litellm.conftest import Gateway, Started
from tests.integration.litellm.test_calls import CHAT, EMBEDDINGS, HAIKU, HELLO, MESSAGES, MINI, NANO, RESPONSES, team

BODY: dict[str, Any] = {"model": "fast", "messages": HELLO}


@pytest.mark.parametrize(
    "more",
    [
        {"extra_body": {"n": 3}},
        {"fallbacks": ["claude"]},
        {"num_retries": 5},
        {"additional_drop_params": ["max_tokens"]},
        {"model_info": {"costlens_model": "nano"}},
        {"max_retries": 5},
        {"api_base": "http://127.0.0.1:1"},
        {"context_window_fallbacks": [{"fast": ["claude"]}]},
        {"model_list": [{"model_name": "fast"}]},
        {"custom_llm_provider": "anthropic"},
        {"extra_headers": {"x": "y"}},
    ],
    ids=lambda more: next(iter(more)),
)
def test_what_would_steer_the_gateway_is_refused(gateway: Gateway, more: dict[str, Any]) -> None:
    before, who = len(gateway.served()), team()
    answer = gateway.ask(CHAT, {**BODY, **more}, key=f"sk-{who}")
    assert answer.status >= 400, answer.body
    assert gateway.served()[before:] == []
    assert gateway.spend(who) == (0, 0)


def test_a_mocked_answer_is_no_answer(gateway: Gateway) -> None:
    who = team()
    answer = gateway.ask(CHAT, {**BODY, "mock_response": "free"}, key=f"sk-{who}")
    assert "free" not in str(answer.body)
    assert gateway.settled(who) == (NANO if answer.status == 200 else 0)


def test_headers_do_not_say_how_often_to_try(gateway: Gateway) -> None:
    before = len(gateway.served())
    body = {**BODY, "messages": [{"role": "user", "content": "fail 503"}]}
    assert gateway.ask(CHAT, body, headers={"x-litellm-num-retries": "4"}).status >= 400
    assert len(gateway.served()[before:]) <= 2


def test_metadata_and_tags_of_clients_are_no_labels(gateway: Gateway) -> None:
    before, who = len(gateway.served()), team()
    metadata = {"tags": ["paid"], "team": "other", "user_api_key_team_id": "other", "costlens_call": "mine"}
    headers = {"x-litellm-tags": "paid", "x-litellm-call-id": "mine"}
    body = {**BODY, "metadata": metadata, "tags": ["paid"]}
    assert gateway.ask(CHAT, body, key=f"sk-{who}", headers=headers).status == 200
    (sent,) = gateway.served()[before:]
    assert sent["body"].keys() == {"model", "messages", "max_tokens"}
    assert gateway.settled(who) == NANO
    assert gateway.spend("other") == (0, 0)


def test_two_calls_under_one_id_of_the_client_are_two_calls(gateway: Gateway) -> None:
    who = team()
    for _ in range(2):
        assert gateway.ask(CHAT, BODY, key=f"sk-{who}", headers={"x-litellm-call-id": "one"}).status == 200
    assert gateway.settled(who) == 2 * NANO


def test_other_attributes_come_from_where_the_settings_say(gateway: Gateway) -> None:
    answer = gateway.ask(CHAT, {**BODY, "metadata": {"feature": "forbidden"}})
    assert answer.status == 403
    assert "this feature may not use models" in answer.body["error"]["message"]
    assert answer.body["error"]["provider_specific_fields"]["rule"] == "p/no-secrets"


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/images/generations", {"model": "fast", "prompt": "a tree"}),
        ("/v1/audio/speech", {"model": "fast", "input": "hello", "voice": "a"}),
        ("/v1/moderations", {"model": "fast", "input": "hello"}),
        ("/v1/rerank", {"model": "fast", "query": "a", "documents": ["b"]}),
        ("/openai/v1/chat/completions", {"model": "gpt-nano", "messages": HELLO}),
        ("/openai/v1/responses", {"model": "gpt-nano", "input": "hello", "background": True}),
        ("/anthropic/v1/messages", {"model": "haiku", "max_tokens": 5, "messages": HELLO}),
        ("/v1/responses", {"model": "fast", "input": "hello", "background": True}),
        ("/v1beta/models/fast:generateContent", {"contents": [{"role": "user", "parts": [{"text": "hello"}]}]}),
        ("/v1/batches", {"input_file_id": "f", "endpoint": CHAT, "completion_window": "24h"}),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_there_is_no_way_round(gateway: Gateway, path: str, body: dict[str, Any]) -> None:
    before = len(gateway.served())
    answer = gateway.ask(path, body)
    assert answer.status >= 400, answer.body
    assert gateway.served()[before:] == [], answer.body


def test_a_model_without_price_or_deployment_is_refused(gateway: Gateway) -> None:
    before = len(gateway.served())
    assert gateway.ask(EMBEDDINGS, {"model": "nowhere", "input": ["one"]}).status == 200  # the route's own model
    assert gateway.ask(CHAT, {"model": "nowhere", "messages": HELLO}).status == 200
    assert [entry["model"] for entry in gateway.served()[before:]] == ["embed", "gpt-nano"]


def test_a_denial_says_what_it_is_and_is_not_repeated(start: Started) -> None:
    gateway = start(limit="0.0004")
    client = openai.OpenAI(base_url=gateway.proxy.url + "/v1", api_key="sk-poor", max_retries=5)
    client.chat.completions.create(model="fast", messages=HELLO)  # type: ignore[arg-type]
    before = len(gateway.served())
    error = _first_refusal(client)
    assert error.status_code == 402
    details = error.body["provider_specific_fields"]  # type: ignore[index, call-overload]
    assert (details["budget"], details["key"], details["code"]) == ("p/team", "poor", "budget_exceeded")
    assert details["rule"].startswith("p/")
    assert details["resets_at"]
    assert "p/team" in error.message
    served = gateway.served()[before:]
    assert gateway.settled("poor") <= 400
    assert len(served) < 30
    for path, body in (
        (MESSAGES, {"model": "fast", "max_tokens": 100, "messages": HELLO}),
        (RESPONSES, {"model": "fast", "input": "hello"}),
    ):
        answer = gateway.ask(path, body, key="sk-poor")
        assert answer.status == 402, answer.body
        assert answer.body["error"]["provider_specific_fields"]["budget"] == "p/team"
    assert gateway.ask(CHAT, {**BODY, "stream": True}, key="sk-poor").status == 402


def _first_refusal(client: openai.OpenAI) -> openai.APIStatusError:
    for _ in range(30):
        try:
            client.chat.completions.create(model="fast", messages=HELLO)  # type: ignore[arg-type]
        except openai.APIStatusError as error:
            return error
    raise AssertionError("nothing was refused")


def _leave(gateway: Gateway, path: str, body: dict[str, Any], who: str, after: float) -> None:
    """Send a request, and close the connection after some time, or after the first bytes of a stream."""
    host = gateway.proxy.url.removeprefix("http://")
    connection = http.client.HTTPConnection(host, timeout=30)
    headers = {"content-type": "application/json", "authorization": f"Bearer sk-{who}"}
    connection.request("POST", path, json.dumps(body), headers)
    if body.get("stream"):
        response = connection.getresponse()
        response.read(20)
    time.sleep(after)
    connection.sock.close()
    connection.close()


@pytest.mark.parametrize("path", [CHAT, MESSAGES, RESPONSES])
def test_a_client_that_cuts_a_stream_pays_for_what_came(gateway: Gateway, path: str) -> None:
    who = team()
    said = [{"role": "user", "content": "slow"}]
    body = {CHAT: {"messages": said}, MESSAGES: {"messages": said, "max_tokens": 100}, RESPONSES: {"input": "slow"}}
    _leave(gateway, path, {"model": "fast", "stream": True, **body[path]}, who, 0.3)
    time.sleep(2)
    used = gateway.settled(who)
    assert 0 < used < 1000


def test_a_client_that_goes_away_before_the_answer_pays_for_it(gateway: Gateway) -> None:
    who = team()
    body = {**BODY, "messages": [{"role": "user", "content": "slow"}]}
    _leave(gateway, CHAT, body, who, 0.1)
    time.sleep(1.5)
    assert gateway.settled(who) >= NANO


def test_a_provider_that_stalls_is_charged_its_worst_case(start: Started) -> None:
    gateway = start(more={"router_settings": {"timeout": 1}})
    said = {**BODY, "messages": [{"role": "user", "content": "stall"}]}
    before = len(gateway.served())
    assert gateway.ask(CHAT, said, key="sk-late").status >= 400
    attempts = [entry["model"] for entry in gateway.served()[before:] if "stall" in entry["said"]]
    used = gateway.settled("late")
    assert used > 200 * attempts.count("gpt-nano") + 800 * attempts.count("mini") > 0


def test_a_provider_that_cannot_be_reached_costs_nothing(start: Started) -> None:
    gateway = start(
        models=[
            {
                "model_name": "fast",
                "litellm_params": {"model": "openai/nano", "api_base": "http://127.0.0.1:9/v1", "api_key": "none"},
            }
        ]
    )
    assert gateway.ask(CHAT, BODY, key="sk-alone").status >= 400
    assert gateway.settled("alone") == 0


def test_retries_of_the_router_are_attempts_of_their_own(start: Started) -> None:
    gateway = start(more={"router_settings": {"num_retries": 2, "timeout": 20}})
    said = {**BODY, "messages": [{"role": "user", "content": "drop"}]}
    before = len(gateway.served())
    assert gateway.ask(CHAT, said, key="sk-again").status >= 400
    attempts = [entry["model"] for entry in gateway.served()[before:]]
    assert len(attempts) > 2
    used = gateway.settled("again")
    assert used > 200 * attempts.count("gpt-nano") + 800 * attempts.count("mini")


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_what_comes_from_a_cache_costs_nothing(start: Started, stream: bool) -> None:
    gateway = start(more={"litellm_settings": {"cache": True, "cache_params": {"type": "local"}}})
    body = {**BODY, "stream": stream}
    for _ in range(3):
        answer = gateway.ask(CHAT, body, key="sk-same")
        assert answer.status == 200
        assert "Soon" in str(answer.body)
        time.sleep(0.3)
    served = len(gateway.served())
    assert gateway.settled("same") == NANO
    assert gateway.ask(CHAT, {**body, "model": "claude"}, key="sk-same").status == 200
    assert len(gateway.served()) == served + 1
    assert gateway.settled("same") == NANO + HAIKU
    assert MINI
