"""What wrapped clients do when the provider fails: each attempt is counted, nothing is lost, and nothing stays held."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import anthropic
import openai
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from costlens_policy import AsyncGuard, DeniedError, Engine, Guard, GuardError, wrap
from costlens_policy.integrations.sdk import calls
from tests.integrations.clients import ROOMY, async_bare, bare, cost_of, spent
from tests.integrations.provider import FaultyProvider, faulty_provider
from tests.integrations.ways import ASYNC_WAYS, CHAT, MESSAGE, RESPONSE, WAYS

WORST = Decimal("0.00025")
"""More than a call of these tests can cost on `nano`, and less than two."""

SEVERAL = """
apiVersion: costlens-policy/v1
kind: Catalogue
metadata: {name: catalogue, version: "1"}
models:
  nano: {provider: acme, capabilities: [json_schema], prices: [{usd_per_million_tokens: {input: 1, output: 2}}]}
  mini: {provider: other, prices: [{usd_per_million_tokens: {input: 2, output: 8}}]}
"""


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Return the seconds that would have passed between attempts."""
    slept: list[float] = []

    async def asleep(seconds: float) -> None:
        slept.append(seconds)

    monkeypatch.setattr(calls, "time", SimpleNamespace(sleep=slept.append))
    monkeypatch.setattr(calls, "asyncio", SimpleNamespace(sleep=asleep))
    return slept


@pytest.mark.parametrize("way", WAYS)
def test_attempts_are_repeated(
    way: str, guard_of: Callable[..., Guard], provider: FaultyProvider, pauses: list[float]
) -> None:
    sdk, ask = WAYS[way]
    guard = guard_of()
    provider.faults = [503, "reset", 429]
    assert ask(wrap(bare(sdk, provider, max_retries=3), guard=guard)) == "Soon."
    assert provider.models == ["nano"] * 4
    assert len(pauses) == 3
    assert spent(guard) == (cost_of(provider), 0)


@pytest.mark.parametrize("way", ASYNC_WAYS)
def test_asynchronous_attempts_are_repeated(
    way: str, company: Callable[..., Engine], provider: FaultyProvider, pauses: list[float]
) -> None:
    sdk, ask = ASYNC_WAYS[way]
    provider.faults = [500, "reset"]

    async def run() -> None:
        async with AsyncGuard(company(ROOMY, models="nano, mini")) as guard:
            assert await ask(wrap(async_bare(sdk, provider, max_retries=1), guard=guard)) == "Soon."
            (spend,) = await guard.spend()
            assert (spend.used, spend.held) == (cost_of(provider), 0)

    asyncio.run(run())
    assert provider.models == ["nano", "nano", "mini"]
    assert len(pauses) == 2


def test_the_pause_that_a_provider_asks_for(
    guard_of: Callable[..., Guard], provider: FaultyProvider, pauses: list[float]
) -> None:
    provider.faults, provider.headers = [429, 503], {"retry-after": "7"}
    wrap(bare("openai", provider, max_retries=2), guard=guard_of()).chat.completions.create(**CHAT)
    assert pauses == [7, 7]


def test_attempts_have_one_key(guard_of: Callable[..., Guard], provider: FaultyProvider, pauses: list[float]) -> None:
    keys: list[str] = []
    client = bare("openai", provider, max_retries=1)
    send = client._prepare_request
    client._prepare_request = lambda request: (keys.append(request.headers.get("idempotency-key", "")), send(request))
    client._idempotency_header = "Idempotency-Key"
    provider.faults = [503, 503]
    wrap(client, guard=guard_of(models="nano, mini")).chat.completions.create(**CHAT)
    assert keys[0] == keys[1] != keys[2]


@pytest.mark.parametrize("fault", [408, 429, 500, 503, "reset", "stall"])
def test_a_fallback_serves(fault: Any, guard_of: Callable[..., Guard], provider: FaultyProvider) -> None:
    guard = guard_of(models="nano, mini")
    provider.faults = [fault]
    client = wrap(bare("openai", provider, timeout=1 if fault == "stall" else 30), guard=guard)
    assert client.chat.completions.create(**CHAT).model == "mini"
    assert provider.models == ["nano", "mini"]
    assert spent(guard) == (cost_of(provider), 0)


@pytest.mark.parametrize("fault", ["cut", "mute", "hang"])
@pytest.mark.parametrize("sdk", ["openai", "anthropic"])
def test_an_answer_that_is_cut_is_charged_whatever_follows(
    sdk: str, fault: str, guard_of: Callable[..., Guard], provider: FaultyProvider
) -> None:
    guard = guard_of(models="nano, mini")
    provider.faults = [fault]
    client = wrap(bare(sdk, provider, timeout=0.5 if fault == "hang" else 30), guard=guard)
    answer = client.chat.completions.create(**CHAT) if sdk == "openai" else client.messages.create(**MESSAGE)
    assert answer.model == "mini"
    used, held = spent(guard)
    assert 0 < used - cost_of(provider) < 5 * WORST  # the most that the fallback may have cost is what was held
    assert held == 0


def test_an_asynchronous_answer_that_is_cut_is_charged(
    company: Callable[..., Engine], provider: FaultyProvider
) -> None:
    async def run() -> None:
        async with AsyncGuard(company(ROOMY, models="nano")) as guard:
            client = wrap(async_bare("openai", provider, timeout=0.5), guard=guard)
            for fault in ("cut", "hang"):
                provider.faults = [fault]
                with pytest.raises(openai.APIConnectionError):
                    await client.chat.completions.create(**CHAT)
            (spend,) = await guard.spend()
            assert WORST < spend.used < 2 * WORST
            assert spend.held == 0

    asyncio.run(run())


def test_a_provider_that_forbids_repeating(
    guard_of: Callable[..., Guard], provider: FaultyProvider, pauses: list[float]
) -> None:
    provider.faults, provider.headers = [503], {"x-should-retry": "false"}
    client = wrap(bare("openai", provider, max_retries=5), guard=guard_of(models="nano, mini"))
    assert client.chat.completions.create(**CHAT).model == "mini"


@pytest.mark.parametrize(("status", "error"), [(400, openai.BadRequestError), (401, openai.AuthenticationError)])
def test_what_the_caller_did_wrong_ends_at_once(
    status: int, error: type[Exception], guard_of: Callable[..., Guard], provider: FaultyProvider
) -> None:
    guard = guard_of(models="nano, mini")
    provider.faults = [status]
    with pytest.raises(error):
        wrap(bare("openai", provider, max_retries=2), guard=guard).chat.completions.create(**CHAT)
    assert provider.models == ["nano"]
    assert spent(guard) == (0, 0)


@pytest.mark.parametrize("sdk", ["openai", "anthropic"])
def test_the_last_error_is_raised(
    sdk: str, guard_of: Callable[..., Guard], provider: FaultyProvider, pauses: list[float]
) -> None:
    guard = guard_of(models="nano, mini", on_exception="charge_hold")
    provider.faults = [429, 429, 429, 429]
    client = wrap(bare(sdk, provider, max_retries=1), guard=guard)
    with pytest.raises(openai.RateLimitError if sdk == "openai" else anthropic.RateLimitError):
        client.chat.completions.create(**CHAT) if sdk == "openai" else client.messages.create(**MESSAGE)
    assert provider.models == ["nano", "nano", "mini", "mini"]
    assert spent(guard) == (0, 0)


def test_each_attempt_that_may_have_cost_is_charged(
    guard_of: Callable[..., Guard], provider: FaultyProvider, pauses: list[float]
) -> None:
    guard = guard_of(on_exception="charge_hold")
    provider.faults = [500, "reset", 429]
    wrap(bare("openai", provider, max_retries=3), guard=guard).chat.completions.create(**CHAT)
    used, held = spent(guard)
    assert held == 0
    worst = (used - cost_of(provider)) / 2  # the one that was refused cost nothing
    assert cost_of(provider) < worst < WORST


def test_an_attempt_may_be_refused(
    guard_of: Callable[..., Guard], provider: FaultyProvider, pauses: list[float]
) -> None:
    guard = guard_of(ROOMY.replace("_usd: 1", f"_usd: {WORST}"), on_exception="charge_hold")
    provider.faults = [500]
    with pytest.raises(DeniedError):
        wrap(bare("openai", provider, max_retries=3), guard=guard).chat.completions.create(**CHAT)
    assert provider.models == ["nano"]
    assert spent(guard)[1] == 0


def test_the_last_failure_is_what_the_caller_sees(guard_of: Callable[..., Guard], provider: FaultyProvider) -> None:
    guard = guard_of(ROOMY.replace("_usd: 1", f"_usd: {WORST}"), on_exception="charge_hold")
    provider.faults = [500]
    with pytest.raises(openai.InternalServerError):  # nothing more is asked, so that nothing is denied
        wrap(bare("openai", provider), guard=guard).chat.completions.create(**CHAT)
    assert spent(guard)[1] == 0


@pytest.mark.parametrize("way", ["chat", "response", "message"])
def test_an_answer_that_cannot_be_read_is_charged(
    way: str, guard_of: Callable[..., Guard], provider: FaultyProvider
) -> None:
    sdk, ask = WAYS[way]
    guard = guard_of(models="nano, mini")
    provider.faults = ["malformed"]
    with pytest.raises(Exception, match=r"."):
        ask(wrap(bare(sdk, provider, max_retries=1), guard=guard))
    used, held = spent(guard)
    assert used > 0
    assert held == 0
    assert provider.models == ["nano"]


class Parcel(BaseModel):
    number: int


@pytest.mark.parametrize(
    ("sdk", "ask"),
    [
        ("openai", lambda client: client.chat.completions.parse(**CHAT, response_format=Parcel)),
        ("openai", lambda client: client.responses.parse(**RESPONSE, text_format=Parcel)),
        ("anthropic", lambda client: client.beta.messages.parse(**MESSAGE, output_format=Parcel)),
    ],
)
def test_an_answer_that_has_not_the_asked_structure_is_charged_its_usage(
    sdk: str, ask: Callable[[Any], Any], company: Callable[..., Engine], provider: FaultyProvider
) -> None:
    if sdk == "anthropic" and not hasattr(bare(sdk, provider).beta.messages, "parse"):
        pytest.skip("this version of the SDK does not have it")
    with Guard(company(ROOMY, catalogue=SEVERAL)) as guard:
        with pytest.raises(ValueError, match="Parcel"):
            ask(wrap(bare(sdk, provider, max_retries=2), guard=guard))
        assert len(provider.served) == 1
        assert spent(guard) == (cost_of(provider), 0)


STREAMS = [way for way in WAYS if way.endswith(("as a stream", "raw stream", "helper"))]


@pytest.mark.parametrize("fault", ["cut", "failing", "mute"])
@pytest.mark.parametrize("way", STREAMS)
def test_a_stream_that_breaks_off_is_charged(
    way: str, fault: str, guard_of: Callable[..., Guard], provider: FaultyProvider
) -> None:
    sdk, ask = WAYS[way]
    guard = guard_of()
    provider.faults = [fault]
    with pytest.raises(Exception, match=r"."):  # the SDKs' own, or what their HTTP client raises
        ask(wrap(bare(sdk, provider, max_retries=2), guard=guard))
    used, held = spent(guard)
    assert 0 < used < WORST
    assert held == 0
    assert provider.models == ["nano"]


ASYNC_STREAMS = [way for way in ASYNC_WAYS if way.endswith(("as a stream", "raw stream", "helper"))]


@pytest.mark.parametrize("way", ASYNC_STREAMS)
def test_an_asynchronous_stream_that_breaks_off_before_its_first_event(
    way: str, company: Callable[..., Engine], provider: FaultyProvider
) -> None:
    sdk, ask = ASYNC_WAYS[way]
    provider.faults = ["mute"]

    async def used() -> Any:
        async with AsyncGuard(company(ROOMY, models="nano")) as guard:
            with pytest.raises(Exception, match=r"."):
                await ask(wrap(async_bare(sdk, provider), guard=guard))
            return (await guard.spend())[0]

    line = asyncio.run(used())
    assert 0 < line.used < WORST
    assert line.held == 0


@pytest.mark.parametrize("sdk", ["openai", "anthropic"])
def test_a_stream_of_a_bare_client_that_breaks_off_before_its_first_event(
    sdk: str, guard_of: Callable[..., Guard], provider: FaultyProvider
) -> None:
    guard = guard_of()
    client: Any = bare(sdk, provider)
    resource, body = (client.messages, MESSAGE) if sdk == "anthropic" else (client.chat.completions, CHAT)
    for make in (lambda: resource.create(**body, stream=True), lambda: iter(resource.create(**body, stream=True))):
        provider.faults = ["mute"]
        with pytest.raises(Exception, match=r"."), guard.call({"prompt_tokens": 20, "team": "red"}) as call:
            list(call.stream(make()))
        assert call.charged is not None
        assert call.charged.basis == "assumed"
        assert "before it reported anything" in call.charged.notes[0]
    provider.faults = [503]
    with pytest.raises(Exception, match=r"503|no"), guard.call({"prompt_tokens": 20, "team": "red"}) as call:
        list(call.stream(resource.create(**body, stream=True)))
    assert call.charged is None


@pytest.mark.parametrize("way", ["chat as a stream", "chat, raw stream", "message by the stream helper"])
def test_a_stream_that_hangs_is_charged(way: str, guard_of: Callable[..., Guard], provider: FaultyProvider) -> None:
    sdk, ask = WAYS[way]
    guard = guard_of()
    provider.faults = ["hang"]
    with pytest.raises(Exception, match=r"(?i)timed out"):
        ask(wrap(bare(sdk, provider, timeout=0.5), guard=guard))
    used, held = spent(guard)
    assert 0 < used < WORST
    assert held == 0


def _left(stream: Any) -> None:
    next(iter(stream))
    stream.close()


def _dropped(stream: Any) -> None:
    next(iter(stream))


def _never_read(stream: Any) -> None: ...


def _closed_at_once(stream: Any) -> None:
    stream.close()


@pytest.mark.parametrize("leave", [_left, _dropped, _never_read, _closed_at_once])
@pytest.mark.parametrize("sdk", ["openai", "anthropic"])
def test_a_stream_that_is_left_is_charged_at_once(
    sdk: str, leave: Callable[[Any], None], guard_of: Callable[..., Guard], provider: FaultyProvider
) -> None:
    guard = guard_of()
    client = wrap(bare(sdk, provider), guard=guard)
    gc.disable()  # dropping is enough; nothing waits for the collector
    try:
        leave(
            client.chat.completions.create(**CHAT, stream=True)
            if sdk == "openai"
            else client.messages.create(**MESSAGE, stream=True)
        )
        used, held = spent(guard)
    finally:
        gc.enable()
    assert 0 < used < WORST
    assert held == 0


@pytest.mark.parametrize(
    "leave",
    [
        lambda client: client.chat.completions.stream(**CHAT),
        lambda client: client.responses.stream(**RESPONSE),
        lambda client: client.chat.completions.with_streaming_response.create(**CHAT),
        lambda client: client.chat.completions.with_streaming_response.create(**CHAT, stream=True),
    ],
)
def test_a_helper_that_is_left_is_charged(
    leave: Callable[[Any], Any], guard_of: Callable[..., Guard], provider: FaultyProvider
) -> None:
    guard = guard_of()
    with leave(wrap(bare("openai", provider), guard=guard)):
        pass
    used, held = spent(guard)
    assert 0 < used < WORST
    assert held == 0


def test_asynchronous_streams_that_are_left_are_charged(
    company: Callable[..., Engine], provider: FaultyProvider
) -> None:
    async def run() -> None:
        async with AsyncGuard(company(ROOMY)) as guard:
            client = wrap(async_bare("openai", provider), guard=guard)
            await (await client.chat.completions.create(**CHAT, stream=True)).close()
            stream = await client.chat.completions.create(**CHAT, stream=True)
            async for _ in stream:
                break
            await stream.close()
            async with client.responses.stream(**RESPONSE):
                pass
            (spend,) = await guard.spend()
            assert 0 < spend.used < 3 * WORST
            assert spend.held == 0

    asyncio.run(run())


def test_an_asynchronous_stream_that_is_dropped_is_charged(
    company: Callable[..., Engine], provider: FaultyProvider
) -> None:
    async def run() -> None:
        async with AsyncGuard(company(ROOMY)) as guard:
            client = wrap(async_bare("openai", provider), guard=guard)

            async def drop() -> None:
                async for _ in await client.chat.completions.create(**CHAT, stream=True):
                    break

            await drop()
            for _ in range(200):
                gc.collect()
                await asyncio.sleep(0.01)
                (spend,) = await guard.spend()
                if spend.used:
                    break
            assert 0 < spend.used < WORST
            assert spend.held == 0

    asyncio.run(run())


def test_a_task_that_is_cancelled_holds_nothing(company: Callable[..., Engine], provider: FaultyProvider) -> None:
    async def run() -> None:
        async with AsyncGuard(company(ROOMY)) as guard:
            client = wrap(async_bare("openai", provider), guard=guard)
            provider.faults = ["stall"]
            task = asyncio.create_task(client.chat.completions.create(**CHAT))
            while not provider.bodies:
                await asyncio.sleep(0.01)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            (spend,) = await guard.spend()
            assert (spend.used, spend.held) == (0, 0)

    asyncio.run(run())


def test_each_model_goes_to_its_provider(company: Callable[..., Engine], provider: FaultyProvider) -> None:
    with faulty_provider() as other, Guard(company(ROOMY, models="nano, mini", catalogue=SEVERAL)) as guard:
        client = wrap(bare("openai", provider), guard=guard, clients={"other": bare("openai", other)})
        provider.faults = [503]
        assert client.chat.completions.create(**CHAT).model == "mini"
        assert (provider.models, other.models) == (["nano"], ["mini"])
        assert spent(guard) == (cost_of(provider) + cost_of(other), 0)


def test_a_fallback_without_a_client_is_an_error_unless_it_need_not_have_one(
    company: Callable[..., Engine], provider: FaultyProvider
) -> None:
    with Guard(company(ROOMY, models="nano, mini", catalogue=SEVERAL)) as guard:
        home: Any = {"base_url": "https://api.openai.com/v1"}
        given = {"acme": bare("openai", provider)}
        client = wrap(bare("openai", provider, **home), guard=guard, clients=given)
        with pytest.raises(GuardError, match="`mini`, a fallback of this request, is served by `other`, for which"):
            client.chat.completions.create(**CHAT)
        assert provider.bodies == []
        provider.faults = ["none", 503]
        client = wrap(bare("openai", provider, **home), guard=guard, clients={**given, "other": None})
        assert client.chat.completions.create(**CHAT).model == "nano"
        with pytest.raises(openai.InternalServerError):
            client.chat.completions.create(**CHAT)
        assert spent(guard) == (cost_of(provider), 0)


def test_a_provider_gets_no_models_of_others(company: Callable[..., Engine], provider: FaultyProvider) -> None:
    with Guard(company(ROOMY, catalogue=SEVERAL)) as guard:
        client = wrap(bare("openai", provider, base_url="https://api.openai.com/v1"), guard=guard)
        with pytest.raises(GuardError, match="`nano`, decided for this request, is served by `acme`, for which"):
            client.chat.completions.create(**CHAT)
        assert spent(guard) == (0, 0)
        clients = {"acme": bare("openai", provider)}
        client = wrap(bare("openai", provider, base_url="https://api.openai.com/v1"), guard=guard, clients=clients)
        assert client.chat.completions.create(**CHAT).model == "nano"


WHOLE = [way for way in WAYS if way not in ("embeddings", "posted")]
FAULTS = st.lists(st.sampled_from(["none", "none", 429, 500, 503, 529, "reset", 400]), max_size=12)


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(asked=st.lists(st.sampled_from(WHOLE), min_size=1, max_size=5), faults=FAULTS, retries=st.integers(0, 2))
def test_the_ledger_has_what_the_provider_served(
    asked: list[str],
    faults: list[Any],
    retries: int,
    guard_of: Callable[..., Guard],
    provider: FaultyProvider,
    pauses: list[float],
) -> None:
    guard = guard_of(models="nano, mini")
    provider.faults = list(faults)
    provider.served.clear()
    clients = {sdk: wrap(bare(sdk, provider, max_retries=retries), guard=guard) for sdk in ("openai", "anthropic")}
    answers = 0
    for way in asked:
        sdk, ask = WAYS[way]
        try:
            answers += ask(clients[sdk]) == "Soon."
        except (openai.APIError, anthropic.APIError):
            continue
    assert answers == len(provider.served)
    assert spent(guard) == (cost_of(provider), 0)
