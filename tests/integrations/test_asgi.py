"""Attributes from the request that is served, and denials as its answer."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest

from costlens_policy import AsyncGuard, Engine, GuardError, wrap
from costlens_policy.integrations import AskingMiddleware, asking
from costlens_policy.integrations.identity import asking_now
from tests.integrations.clients import FULL, ROOMY, async_bare
from tests.integrations.provider import FaultyProvider
from tests.integrations.ways import CHAT

HEADERS = {"X-Team": "team", "x-user": "user"}


async def served(app: Any, *headers: tuple[str, str], kind: str = "http") -> list[dict[str, Any]]:
    """Return what an application sends to one request."""
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": f"{kind}.request" if kind == "http" else "websocket.connect"}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    scope = {"type": kind, "headers": [(name.encode(), value.encode()) for name, value in headers], "path": "/"}
    await app(scope, receive, send)
    return sent


async def shows_who(scope: Any, receive: Any, send: Any) -> None:
    await asyncio.sleep(0)
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": json.dumps(asking_now()).encode()})


def who(app: Any, *headers: tuple[str, str]) -> Any:
    return json.loads(asyncio.run(served(app, *headers))[-1]["body"])


def test_headers_and_a_function_say_who_asks() -> None:
    async def later(scope: Any) -> dict[str, Any]:
        return {"user": "from the token", "metadata": {"path": scope["path"]}}

    given = [("x-team", "search"), ("X-User", "u1"), ("x-other", "no")]
    assert who(AskingMiddleware(shows_who, headers=HEADERS), *given) == {"team": "search", "user": "u1"}
    both = AskingMiddleware(shows_who, headers=HEADERS, attributes=later)
    assert who(both, *given) == {"team": "search", "user": "from the token", "metadata": {"path": "/"}}
    assert who(AskingMiddleware(shows_who, attributes=lambda _: {"team": "t"})) == {"team": "t"}
    with asking(region="eu"):
        assert who(AskingMiddleware(shows_who, headers=HEADERS), *given) == {
            "region": "eu",
            "team": "search",
            "user": "u1",
        }
    assert asking_now() == {}


def test_an_empty_header_is_as_absent() -> None:
    assert who(AskingMiddleware(shows_who, headers=HEADERS), ("x-team", ""), ("x-user", " u1 ")) == {"user": "u1"}
    both = AskingMiddleware(shows_who, headers=HEADERS, attributes=lambda _: None)
    assert who(both, ("x-team", " "), ("x-user", "u1")) == {"user": "u1"}


@pytest.mark.parametrize("given", ["team", 7, {1: "team"}, [("team", "red")]])
def test_attributes_have_names(given: Any) -> None:
    with pytest.raises(TypeError, match="`attributes` must return a mapping of names to values, got"):
        asyncio.run(served(AskingMiddleware(shows_who, attributes=lambda _: given)))


def test_requests_at_once_are_kept_apart() -> None:
    app = AskingMiddleware(shows_who, headers=HEADERS)

    async def all_of_them() -> list[Any]:
        found = await asyncio.gather(*(served(app, ("x-team", f"t{number}")) for number in range(50)))
        return [json.loads(sent[-1]["body"]) for sent in found]

    assert asyncio.run(all_of_them()) == [{"team": f"t{number}"} for number in range(50)]


def test_a_header_that_comes_twice_is_refused() -> None:
    sent = asyncio.run(served(AskingMiddleware(shows_who, headers=HEADERS), ("x-team", "a"), ("X-Team", "b")))
    assert sent[0]["status"] == 400


@pytest.mark.parametrize("kind", ["http", "websocket"])
def test_a_denial_is_the_answer(kind: str, company: Callable[..., Engine], provider: FaultyProvider) -> None:
    async def run() -> list[dict[str, Any]]:
        async with AsyncGuard(company(FULL)) as guard:
            client = wrap(async_bare("openai", provider), guard=guard)

            async def app(scope: Any, receive: Any, send: Any) -> None:
                await client.chat.completions.create(**CHAT)

            return await served(AskingMiddleware(app, headers=HEADERS), ("x-team", "red"), kind=kind)

    sent = asyncio.run(run())
    if kind == "websocket":
        assert sent == [{"type": "websocket.close", "code": 1008, "reason": "budget_exceeded"}]
        return
    assert sent[0]["status"] == 402
    error = json.loads(sent[1]["body"])["error"]
    assert (error["budget"], error["key"]) == ("p/team", "red")
    assert (b"x-should-retry", b"false") in sent[0]["headers"]
    assert provider.bodies == []


def test_attributes_reach_the_ledger(company: Callable[..., Engine], provider: FaultyProvider) -> None:
    async def run() -> None:
        async with AsyncGuard(company(ROOMY)) as guard:
            client = wrap(async_bare("openai", provider), guard=guard)

            async def app(scope: Any, receive: Any, send: Any) -> None:
                async for _ in await client.chat.completions.create(**CHAT, stream=True):
                    pass

            await served(AskingMiddleware(app, headers=HEADERS), ("x-team", "red"))
            (spend,) = await guard.spend()
            assert (spend.key, spend.held) == ("red", 0)

    asyncio.run(run())


def test_what_has_begun_is_raised() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        raise GuardError("too late")

    with pytest.raises(GuardError):
        asyncio.run(served(AskingMiddleware(app)))


def test_errors_of_others_and_other_scopes_pass() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        raise KeyError("a defect")

    for kind in ("http", "lifespan"):
        with pytest.raises(KeyError):
            asyncio.run(served(AskingMiddleware(app), kind=kind))
    with pytest.raises(GuardError, match="`attributes` must be a function"):
        AskingMiddleware(app, attributes={"team": "x"})  # type: ignore[arg-type]
