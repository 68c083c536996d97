"""Wrapped clients of the real SDKs: every way of asking is decided, held and settled to the last digit."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import Any

import anthropic
import openai
import pytest

from costlens_policy import (
    AsyncGuard,
    DeniedError,
    Engine,
    Guard,
    GuardError,
    RequestError,
    RunLimitError,
    UnguardedCallError,
    asking,
    run,
    wrap,
)
from costlens_policy.ledger import LedgerUnavailableError, MemoryStore
from tests.guard.company import Breakable
from tests.integrations.clients import FULL, ROOMY, async_bare, bare, cost_of, spent
from tests.integrations.provider import FaultyProvider
from tests.integrations.ways import ASYNC_WAYS, CHAT, MESSAGE, WAYS


@pytest.mark.parametrize("way", WAYS)
def test_each_way_is_charged_what_was_served(
    way: str, guard_of: Callable[..., Guard], provider: FaultyProvider
) -> None:
    sdk, ask = WAYS[way]
    guard = guard_of()
    client = wrap(bare(sdk, provider), guard=guard)
    assert ask(client) == "Soon."
    assert provider.models == ["nano"]
    assert spent(guard) == (cost_of(provider), 0)
    assert cost_of(provider) > 0


@pytest.mark.parametrize("way", ASYNC_WAYS)
def test_each_asynchronous_way_is_charged_what_was_served(
    way: str, company: Callable[..., Engine], provider: FaultyProvider
) -> None:
    sdk, ask = ASYNC_WAYS[way]

    async def asked() -> None:
        async with AsyncGuard(company(ROOMY)) as guard:
            client = wrap(async_bare(sdk, provider), guard=guard)
            assert await ask(client) == "Soon."
            (spend,) = await guard.spend()
            assert (spend.used, spend.held) == (cost_of(provider), 0)

    asyncio.run(asked())
    assert provider.models == ["nano"]


@pytest.mark.parametrize("way", WAYS)
def test_a_denial_comes_before_anything_is_sent(
    way: str, guard_of: Callable[..., Guard], provider: FaultyProvider
) -> None:
    sdk, ask = WAYS[way]
    guard = guard_of(FULL)
    client = wrap(bare(sdk, provider, max_retries=2), guard=guard)
    with pytest.raises(DeniedError) as denied:
        ask(client)
    assert (denied.value.budget, denied.value.key, denied.value.rule) == ("p/team", "nobody", "default")
    assert denied.value.resets_at is not None
    assert provider.bodies == []
    assert spent(guard) == (0, 0)


@pytest.mark.parametrize("way", ASYNC_WAYS)
def test_an_asynchronous_denial_is_the_same(way: str, company: Callable[..., Engine], provider: FaultyProvider) -> None:
    sdk, ask = ASYNC_WAYS[way]

    async def asked() -> None:
        async with AsyncGuard(company(FULL)) as guard:
            with pytest.raises(DeniedError) as denied:
                await ask(wrap(async_bare(sdk, provider, max_retries=2), guard=guard))
            assert denied.value.budget == "p/team"

    asyncio.run(asked())
    assert provider.bodies == []


def test_a_wrapped_client_is_one_of_its_sdk(guard_of: Callable[..., Guard], provider: FaultyProvider) -> None:
    given = bare("openai", provider)
    client = wrap(given, guard=guard_of())
    assert isinstance(client, openai.OpenAI)
    assert type(client).__name__ == "OpenAI"
    assert client.chat is client.chat
    assert client.chat is not given.chat
    assert given.chat.completions.create(**CHAT).model == "asked"  # the given client stays as it was
    assert client.base_url == given.base_url


def test_other_platforms_of_the_sdks(guard_of: Callable[..., Guard], provider: FaultyProvider) -> None:
    guard = guard_of()
    azure = openai.AzureOpenAI(api_key="none", api_version="2026-01-01", azure_endpoint=provider.url, max_retries=0)
    client = wrap(azure, guard=guard)
    assert isinstance(client, openai.AzureOpenAI)
    assert client.with_options(timeout=5).chat.completions.create(**CHAT).model == "nano"
    keys: Any = {"aws_access_key": "none", "aws_secret_key": "none", "aws_region": "us-east-1"}
    bedrock = wrap(anthropic.AnthropicBedrock(**keys, base_url=provider.url, max_retries=0), guard=guard)
    bedrock._prepare_request = lambda request: None  # signing takes boto3
    assert bedrock.messages.create(**MESSAGE).content[0].text == "Soon."
    assert provider.paths == ["/openai/deployments/nano/chat/completions", "/v1/messages"]
    assert spent(guard) == (cost_of(provider), 0)


AWS: Any = {"api_key": "none", "aws_region": "us-east-1"}
PLATFORMS: dict[str, dict[str, Any]] = {
    "AnthropicVertex": {"region": "us", "project_id": "p", "access_token": "none"},
    "AnthropicFoundry": {"api_key": "none"},
    "AnthropicAWS": {**AWS, "workspace_id": "w"},
    "AnthropicBedrockMantle": AWS,
}


@pytest.mark.parametrize("name", PLATFORMS)
def test_other_platforms_of_anthropic(name: str, guard_of: Callable[..., Guard], provider: FaultyProvider) -> None:
    if not hasattr(anthropic, name):
        pytest.skip("this version of the SDK does not have it")
    guard = guard_of()
    try:
        given = getattr(anthropic, name)(**PLATFORMS[name], base_url=provider.url, max_retries=0)
        given.with_options(timeout=5)
    except TypeError:
        pytest.skip("this version of the SDK makes or copies it in another way")
    client = wrap(given, guard=guard)
    for each in (client, client.with_options(timeout=5)):
        assert each.messages.create(**MESSAGE).model == "nano"
    assert spent(guard) == (cost_of(provider), 0)
    assert len(provider.served) == 2


@pytest.mark.parametrize("sdk", ["openai", "anthropic"])
def test_what_was_used_before_it_was_wrapped_is_guarded_too(
    sdk: str, guard_of: Callable[..., Guard], provider: FaultyProvider
) -> None:
    guard, given = guard_of(), bare(sdk, provider)

    def create(client: Any) -> Any:
        return client.chat.completions.create(**CHAT) if sdk == "openai" else client.messages.create(**MESSAGE)

    def ask(client: Any) -> None:
        create(client)
        create(client.with_raw_response)
        with create(client.with_streaming_response) as answer:
            answer.read()

    ask(given)
    ask(wrap(given, guard=guard))
    assert provider.models == ["asked"] * 3 + ["nano"] * 3
    provider.served[:] = provider.served[3:]
    assert spent(guard) == (cost_of(provider), 0)


def test_calls_at_once_stay_within_the_budget(guard_of: Callable[..., Guard], provider: FaultyProvider) -> None:
    guard = guard_of(ROOMY.replace("hard_limit_usd: 1", "hard_limit_usd: 0.002"))
    client = wrap(bare("openai", provider), guard=guard)

    def ask(number: int) -> bool:
        try:
            if number % 2:
                return client.chat.completions.create(**CHAT).model == "nano"
            return len(list(client.chat.completions.create(**CHAT, stream=True))) > 1
        except DeniedError:
            return False

    with ThreadPoolExecutor(16) as threads:
        answers = sum(threads.map(ask, range(100)))
    assert answers == len(provider.served) < 100
    assert spent(guard) == (cost_of(provider), 0)
    assert cost_of(provider) <= Decimal("0.002")


@pytest.mark.skipif(not hasattr(anthropic.Anthropic, "with_middleware"), reason="older versions have none")
def test_middleware_could_repeat_calls(guard_of: Callable[..., Guard], provider: FaultyProvider) -> None:
    def twice(request: Any, call_next: Any) -> Any:
        call_next(request)
        return call_next(request)

    guard = guard_of()
    with pytest.raises(GuardError, match="middleware"):
        wrap(bare("anthropic", provider, middleware=[twice]), guard=guard)
    with pytest.raises(GuardError, match="middleware"):
        wrap(bare("anthropic", provider), guard=guard).with_middleware(twice)
    client = wrap(bare("anthropic", provider), guard=guard, unguarded=["middleware"])
    client.with_middleware(lambda request, call_next: call_next(request)).messages.create(**MESSAGE)
    assert spent(guard) == (cost_of(provider), 0)


def test_a_request_is_sent_as_it_was_rewritten(guard_of: Callable[..., Guard], provider: FaultyProvider) -> None:
    guard = guard_of("rewrites: [{id: brief, apply: [{set_params: {temperature: 0}}, {system: {text: Be brief}}]}]")
    client = wrap(bare("openai", provider), guard=guard)
    client.chat.completions.create(**CHAT, temperature=1.0, user="u1", tool_choice="auto", seed=7)
    client.responses.create(model="x", input="Hello", instructions="Be kind", temperature=1.0)
    chat, response = provider.bodies
    assert chat["messages"] == [{"role": "system", "content": "Be brief"}, *CHAT["messages"]]
    assert chat["temperature"] == response["temperature"] == 0
    assert (chat["user"], chat["tool_choice"], chat["seed"], chat["max_completion_tokens"]) == ("u1", "auto", 7, 100)
    assert (response["input"], response["max_output_tokens"]) == ("Hello", 100)
    assert "Be brief" in response["instructions"]
    assert "Be kind" in response["instructions"]


def test_tools_are_sent_as_the_policies_left_them(guard_of: Callable[..., Guard], provider: FaultyProvider) -> None:
    guard = guard_of("rewrites: [{id: fewer, apply: [{remove_tools: {names: ['drop*']}}]}]")
    client = wrap(bare("openai", provider), guard=guard)
    tools: list[Any] = [{"type": "function", "function": {"name": name, "parameters": {}}} for name in ("keep", "drop")]
    client.chat.completions.create(**CHAT, tools=tools, tool_choice="auto")
    client.chat.completions.create(**CHAT, tools=tools[1:], tool_choice="auto")
    some, none = provider.bodies
    assert [tool["function"]["name"] for tool in some["tools"]] == ["keep"]
    assert some["tool_choice"] == "auto"
    assert not {"tools", "tool_choice"} & none.keys()


def test_a_provider_may_not_know_how_usage_is_asked_for(
    guard_of: Callable[..., Guard], provider: FaultyProvider
) -> None:
    client = wrap(bare("openai", provider), guard=guard_of(), stream_usage=False)
    for _ in client.chat.completions.create(**CHAT, stream=True):
        pass
    wrapped = wrap(bare("openai", provider), guard=guard_of())
    shown = list(wrapped.chat.completions.create(**CHAT, stream=True, stream_options={"include_usage": True}))
    for _ in wrapped.chat.completions.create(**CHAT, stream=True, stream_options={"include_usage": False}):
        pass
    asked = [body.get("stream_options") for body in provider.bodies]
    assert asked == [None, {"include_usage": True}, {"include_usage": False}]
    assert shown[-1].usage is not None


def test_who_asks(guard_of: Callable[..., Guard], provider: FaultyProvider) -> None:
    guard = guard_of()
    client = wrap(bare("openai", provider), guard=guard, asking=lambda: {"team": "callable", "feature": "search"})
    client.chat.completions.create(**CHAT)
    with asking(team="outer", user="u"):
        with asking(team="inner"):
            client.chat.completions.create(**CHAT)
        client.chat.completions.create(**CHAT, user="the provider's")
    with pytest.raises(GuardError, match="`asking` must return a mapping"):
        wrap(bare("openai", provider), guard=guard, asking=lambda: "red").chat.completions.create(**CHAT)  # type: ignore
    plain = wrap(bare("openai", provider), guard=guard, asking=lambda: None)
    plain.chat.completions.create(**CHAT, extra_body={"costlens": {"team": "keyword"}})
    assert {item.key for item in guard.spend()} == {"callable", "inner", "outer", "keyword"}
    assert all("costlens" not in body for body in provider.bodies)


def test_calls_belong_to_the_run_of_their_block(
    guard_of: Callable[..., Guard], company: Callable[..., Engine], provider: FaultyProvider
) -> None:
    policy = """
budgets:
  - {id: run, scope: 'request.?run.orValue("none")', hard_limit_requests: 1, window: {lifetime: true}}
"""
    guard = guard_of(policy)
    client = wrap(bare("openai", provider), guard=guard)
    with run("nightly"), run("search"):
        client.chat.completions.create(**CHAT)
        with pytest.raises(RunLimitError):
            client.chat.completions.create(**CHAT)

    async def later() -> None:
        async with AsyncGuard(company(policy)) as another:
            asked = wrap(async_bare("openai", provider), guard=another)
            with run("nightly"):
                await asked.chat.completions.create(**CHAT)
            assert [line.key for line in await another.spend()] == ["nightly"]

    asyncio.run(later())
    assert [line.key for line in guard.spend()] == ["nightly/search"]


def test_a_call_cannot_replace_who_asks(guard_of: Callable[..., Guard], provider: FaultyProvider) -> None:
    client = wrap(bare("openai", provider), guard=guard_of(), asking={"team": "red"})
    with pytest.raises(GuardError, match="must not replace the `team`"):
        client.chat.completions.create(**CHAT, extra_body={"costlens": {"team": "rich"}})
    with pytest.raises(GuardError, match="`model` is read from the call"), asking(model="mini"):
        client.chat.completions.create(**CHAT)
    with pytest.raises(GuardError, match="must be an object"):
        client.chat.completions.create(**CHAT, extra_body={"costlens": "red"})
    assert provider.bodies == []


@pytest.mark.parametrize(
    ("ask", "name"),
    [
        (lambda client: client.images.generate(prompt="a cat"), "images"),
        (lambda client: client.completions.create(model="x", prompt="y"), "completions"),
        (lambda client: client.audio.speech.create(model="x", voice="alloy", input="y"), "audio"),
        (
            lambda client: client.batches.create(completion_window="24h", endpoint="/v1/embeddings", input_file_id="f"),
            "batches",
        ),
        (lambda client: client.post("/responses/compact", body={}, cast_to=dict), "responses.compact"),
        (lambda client: client.post("https://example.com/v1/x", body={}, cast_to=dict), "https://example.com/v1/x"),
        (lambda client: client.put("/anything", body={}, cast_to=dict), "/anything"),
    ],
)
def test_what_is_not_guarded_is_refused(
    ask: Callable[[Any], Any], name: str, guard_of: Callable[..., Guard], provider: FaultyProvider
) -> None:
    with pytest.raises(UnguardedCallError, match=rf"unguarded=\['{name}'\]"):
        ask(wrap(bare("openai", provider), guard=guard_of()))
    wrap(bare("openai", provider), guard=guard_of(), unguarded=[name])
    assert provider.bodies == []


@pytest.mark.parametrize(
    ("path", "problem"),
    [
        ("/chat/completions/../images", r"without empty, `\.` and `\.\.` segments"),
        ("/images//generations", "without empty"),
        ("/v1/chat/completions?", "post to `/chat/completions` as the SDK does"),
        ("/embeddings?x=1", "post to `/embeddings`"),
    ],
)
def test_odd_paths_are_refused_whatever_may_pass(
    path: str, problem: str, guard_of: Callable[..., Guard], provider: FaultyProvider
) -> None:
    client = wrap(bare("openai", provider), guard=guard_of(), unguarded=["images"])
    with pytest.raises(UnguardedCallError, match=problem):
        client.post(path, body=CHAT, cast_to=dict)
    assert provider.bodies == []


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("imagez", "`imagez`, which is no resource of the client; did you mean `images`"),
        ("", "must list resources"),
        ("/images/../chat", "must list resources"),
        ("images/generations", "must list resources"),
        ("images generate", "must list resources"),
        (7, "must list resources"),
    ],
)
def test_what_names_nothing_cannot_pass(
    name: Any, problem: str, guard_of: Callable[..., Guard], provider: FaultyProvider
) -> None:
    with pytest.raises(GuardError, match=problem):
        wrap(bare("openai", provider), guard=guard_of(), unguarded=[name])


def test_what_is_named_passes(guard_of: Callable[..., Guard], provider: FaultyProvider) -> None:
    client = wrap(bare("openai", provider), guard=guard_of(), unguarded=["images"])
    provider.faults = [500]
    with pytest.raises(openai.InternalServerError):
        client.images.generate(prompt="a cat", model="x")
    assert provider.paths == ["/images/generations"]
    client = wrap(bare("openai", provider), guard=guard_of(), unguarded=["/rerank", "threads", "beta"])
    provider.faults = [500, 500]
    for path in ("/rerank/fast", "/threads/t1/runs"):
        with pytest.raises(openai.InternalServerError):
            client.post(path, body={}, cast_to=dict)
    with pytest.raises(UnguardedCallError):
        client.post("/reranks", body={}, cast_to=dict)


def test_what_runs_no_model_passes(guard_of: Callable[..., Guard], provider: FaultyProvider) -> None:
    guard = guard_of(FULL)
    assert wrap(bare("openai", provider), guard=guard).models.list().data == []


def test_connections_are_refused(guard_of: Callable[..., Guard], provider: FaultyProvider) -> None:
    client = wrap(bare("openai", provider), guard=guard_of())
    with pytest.raises(UnguardedCallError, match="realtime"):
        _ = client.websocket_base_url
    assert wrap(bare("openai", provider), guard=guard_of(), unguarded=["realtime"]).websocket_base_url is None


def test_what_cannot_be_settled_is_refused(guard_of: Callable[..., Guard], provider: FaultyProvider) -> None:
    client = wrap(bare("openai", provider), guard=guard_of())
    with pytest.raises(GuardError, match="`background` responses"):
        client.responses.create(model="x", input="y", background=True)
    with pytest.raises(RequestError, match="fallbacks"):
        client.chat.completions.create(**CHAT, extra_body={"fallbacks": ["large"]})
    assert provider.bodies == []


def test_what_no_utf8_can_say_is_refused(guard_of: Callable[..., Guard], provider: FaultyProvider) -> None:
    guard = guard_of(on_exception="charge_hold")
    for sdk in ("openai", "anthropic"):
        client = wrap(bare(sdk, provider, max_retries=2), guard=guard)
        body = {**MESSAGE, "messages": [{"role": "user", "content": "half \ud800"}]}
        with pytest.raises(GuardError, match="half of a surrogate pair"):
            client.chat.completions.create(**body) if sdk == "openai" else client.messages.create(**body)
    with pytest.raises(GuardError, match="a header must be in ASCII letters, got 'ü'"):
        wrap(bare("openai", provider), guard=guard).chat.completions.create(**CHAT, extra_headers={"x-who": "ü"})
    assert spent(guard) == (0, 0)
    assert provider.bodies == []


def test_the_class_of_a_wrapped_client_makes_none(guard_of: Callable[..., Guard], provider: FaultyProvider) -> None:
    client = wrap(bare("openai", provider), guard=guard_of())
    with pytest.raises(GuardError, match="make a client of the SDK, and `wrap` it"):
        type(client)(api_key="none")


def test_wrong_use_is_reported(guard_of: Callable[..., Guard], provider: FaultyProvider) -> None:
    guard, client = guard_of(), bare("openai", provider)
    wrapped = wrap(client, guard=guard)
    anything: Any = wrap
    for arguments, problem in [
        ({"client": object()}, "must be a client of `openai` or `anthropic`"),
        ({"client": wrapped}, "wrapped already"),
        ({"client": async_bare("openai", provider)}, "needs a guard of type `AsyncGuard`"),
        ({"clients": {"acme": wrapped}}, "bare client"),
        ({"clients": {"acme": "openai"}}, "bare client"),
        ({"clients": {"acme": async_bare("openai", provider)}}, "as synchronous as"),
        (
            {"clients": {"acme": bare("anthropic", provider)}},
            "must be one of `openai`, since requests are",
        ),
        ({"unguarded": "images"}, "must be a list of names"),
        ({"unguarded": iter(["images"])}, "must be a list of names"),
        ({"unguarded": None}, "must be a list of names, got `None`"),
        ({"asking": "red"}, "`asking` must be a mapping of attributes, or a function, got `str`"),
    ]:
        with pytest.raises(GuardError, match=problem):
            anything(**{"client": client, "guard": guard, **arguments})


@pytest.mark.parametrize("sdk", ["openai", "anthropic"])
def test_a_ledger_out_of_reach_refuses(sdk: str, guard_of: Callable[..., Guard], provider: FaultyProvider) -> None:
    store = Breakable(MemoryStore())
    client = wrap(bare(sdk, provider), guard=guard_of(ledger=store))
    store.broken = True
    with pytest.raises(DeniedError) as denied:
        client.chat.completions.create(**CHAT) if sdk == "openai" else client.messages.create(**MESSAGE)
    assert isinstance(denied.value.__cause__, LedgerUnavailableError)
    assert provider.bodies == []


def test_a_body_without_messages_is_refused_before_anything_is_held(
    guard_of: Callable[..., Guard], provider: FaultyProvider
) -> None:
    guard = guard_of()
    client = wrap(bare("openai", provider), guard=guard)
    other = wrap(bare("anthropic", provider), guard=guard)
    for sender, path, missing in (
        (client, "/chat/completions", "messages"),
        (client, "/responses", "input"),
        (client, "/embeddings", "input"),
        (other, "/v1/messages", "max_tokens"),
    ):
        with pytest.raises(RequestError, match=f"`{missing}` is missing in the body"):
            sender.post(path, cast_to=object, body={"model": "nano"})
    assert provider.bodies == []
    assert spent(guard) == (0, 0)


def test_a_client_for_a_provider_of_no_model_is_refused(
    guard_of: Callable[..., Guard], provider: FaultyProvider
) -> None:
    client = bare("openai", provider)
    with pytest.raises(GuardError, match="did you mean `acme`"):
        wrap(client, guard=guard_of(), clients={"acmee": bare("openai", provider)})
    with pytest.raises(GuardError, match="the provider of no model"):
        wrap(client, guard=guard_of(), clients={"mistral": None})
