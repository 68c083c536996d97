"""Guarded chat models of LangChain, over the packages of OpenAI and Anthropic. ``test_versions`` runs this file."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from langchain_anthropic import ChatAnthropic
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage
from langchain_core.runnables import RunnableParallel
from langchain_openai import ChatOpenAI

from costlens_policy import AsyncGuard, DeniedError, Engine, Guard, GuardError, RunEndedError, asking, run
from costlens_policy.integrations.langchain import GuardedChatModel
from tests.conftest import ROOT
from tests.docs.walkthrough import blocks
from tests.integrations.clients import FULL, ROOMY, cost_of, spent
from tests.integrations.conftest import clock, company, guard_of, provider
from tests.integrations.provider import FaultyProvider

__all__ = ["clock", "company", "guard_of", "provider"]


def models_of(provider: FaultyProvider) -> dict[str, Any]:
    options: dict[str, Any] = {"base_url": provider.url, "api_key": "none", "max_retries": 0}
    return {
        "nano": ChatOpenAI(model="nano", stream_usage=True, **options),
        "mini": ChatAnthropic(model="mini", **options),
    }


def text_of(message: Any) -> str:
    return message.content if isinstance(message.content, str) else "".join(part["text"] for part in message.content)


def test_an_answer_is_charged_what_was_served(guard_of: Callable[..., Guard], provider: FaultyProvider) -> None:
    guard = guard_of(models="nano, mini")
    model = GuardedChatModel(models=models_of(provider), guard=guard, model="asked", asking={"team": "red"})
    assert model.invoke("Hello").content == "Soon."
    assert "".join(chunk.content for chunk in model.stream([HumanMessage("Hello")])) == "Soon."
    assert asyncio.run(model.ainvoke("Hello")).content == "Soon."
    assert spent(guard) == (cost_of(provider), 0)
    assert {item.key for item in guard.spend()} == {"red"}
    assert provider.models == ["nano"] * 3


RUNS = """
budgets:
  - {id: tree, scope: 'runAt(request.?run.orValue("none"), 1)', hard_limit_usd: 1, window: {lifetime: true}}
  - {id: each, scope: 'request.?run.orValue("none")', hard_limit_requests: 100, window: {lifetime: true}}
"""


def test_sub_agents_belong_to_their_runs(guard_of: Callable[..., Guard], provider: FaultyProvider) -> None:
    guard = guard_of(RUNS)
    model = GuardedChatModel(models=models_of(provider), guard=guard)

    def agent(name: str) -> str:
        with run(name):
            return text_of(model.invoke("Hello"))

    async def agents() -> None:
        async def each(name: str) -> None:
            with run(name):
                await model.ainvoke("Hello")

        await asyncio.gather(*(each(f"task-{number}") for number in range(3)))

    with guard.run("fix"):
        model.batch(["Hello"] * 3)
        RunnableParallel(left=lambda _: agent("left"), right=lambda _: agent("right")).invoke({})
        asyncio.run(agents())
    counted = {item.key: int(item.used) for item in guard.spend("each")}
    assert counted == {"fix": 3, "fix/left": 1, "fix/right": 1, **{f"fix/task-{number}": 1 for number in range(3)}}
    (tree,) = guard.spend("tree")
    assert (tree.key, tree.used, tree.held) == ("fix", cost_of(provider), 0)
    with pytest.raises(RunEndedError), run("fix"):
        model.invoke("Hello")


@pytest.mark.parametrize("fault", [503, 429, "reset"])
def test_a_fallback_of_another_provider_serves(
    fault: Any, guard_of: Callable[..., Guard], provider: FaultyProvider
) -> None:
    guard = guard_of(models="nano, mini")
    provider.faults = [fault]
    answer = GuardedChatModel(models=models_of(provider), guard=guard).invoke("Hello")
    assert text_of(answer) == "Soon."
    assert provider.paths == ["/chat/completions", "/v1/messages"]
    assert spent(guard) == (cost_of(provider), 0)


def test_the_last_error_is_raised(guard_of: Callable[..., Guard], provider: FaultyProvider) -> None:
    guard = guard_of(models="nano, mini")
    model = GuardedChatModel(models=models_of(provider), guard=guard)
    for faults in ([503, 503], [400]):
        provider.faults = list(faults)
        with pytest.raises(Exception, match=str(faults[-1])):
            model.invoke("Hello")
    assert spent(guard) == (0, 0)


def test_a_denial_cannot_be_skipped(guard_of: Callable[..., Guard], provider: FaultyProvider) -> None:
    class Careless(BaseCallbackHandler):
        def on_llm_error(self, error: BaseException, **_: Any) -> None:
            raise RuntimeError("LangChain logs this and goes on")

    model = GuardedChatModel(models=models_of(provider), guard=guard_of(FULL), callbacks=[Careless()])
    with pytest.raises(DeniedError):
        model.invoke("Hello")
    with pytest.raises(DeniedError):
        list(model.stream("Hello"))
    with pytest.raises(DeniedError):
        model.bind_tools([find]).invoke("Hello")
    assert provider.bodies == []


def find(number: str) -> str:
    """Find a parcel."""
    return number


def test_tools_and_rewrites_are_sent(guard_of: Callable[..., Guard], provider: FaultyProvider) -> None:
    guard = guard_of("rewrites: [{id: brief, apply: [{set_params: {temperature: 0}}, {system: {text: Be brief}}]}]")
    model = GuardedChatModel(models=models_of(provider), guard=guard).bind_tools([find], tool_choice="auto")
    model.invoke([SystemMessage("Be kind"), HumanMessage("Hello"), AIMessage("Yes?"), HumanMessage("Well")])
    (body,) = provider.bodies
    assert "Be brief" in body["messages"][0]["content"]
    assert [message["role"] for message in body["messages"]][-3:] == ["user", "assistant", "user"]
    assert body["tools"][0]["function"]["name"] == "find"
    assert (body["temperature"], body["tool_choice"], body["max_completion_tokens"]) == (0, "auto", 100)


def test_a_usage_is_traced_once(guard_of: Callable[..., Guard], provider: FaultyProvider) -> None:
    class Counting(BaseCallbackHandler):
        ended = 0

        def on_llm_end(self, response: Any, **_: Any) -> None:
            self.ended += 1

    counting = Counting()
    GuardedChatModel(models=models_of(provider), guard=guard_of()).invoke("Hello", {"callbacks": [counting]})
    assert counting.ended == 1


def test_a_stream_that_is_left_is_charged(guard_of: Callable[..., Guard], provider: FaultyProvider) -> None:
    guard = guard_of()
    stream = GuardedChatModel(models=models_of(provider), guard=guard).stream("Hello")
    next(stream)
    stream.close()
    used, held = spent(guard)
    assert used > 0
    assert held == 0


def test_an_asynchronous_guard(company: Callable[..., Engine], provider: FaultyProvider) -> None:
    async def run() -> None:
        async with AsyncGuard(company(ROOMY, models="nano, mini")) as guard:
            model = GuardedChatModel(models=models_of(provider), guard=guard)
            with asking(team="red"):
                answers = await asyncio.gather(*(model.ainvoke("Hello") for _ in range(5)))
                assert {answer.content for answer in answers} == {"Soon."}
                assert "".join([chunk.content async for chunk in model.astream("Hello")]) == "Soon."
            (spend,) = await guard.spend()
            assert (spend.key, spend.used, spend.held) == ("red", cost_of(provider), 0)
            with pytest.raises(GuardError, match="give a `Guard`"):
                model.invoke("Hello")

    asyncio.run(run())


def test_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, provider: FaultyProvider) -> None:
    for name in ("OPENAI", "ANTHROPIC"):
        monkeypatch.setenv(f"{name}_API_KEY", "none")
        monkeypatch.setenv(f"{name}_BASE_URL", provider.url)
        monkeypatch.setenv(f"{name}_API_BASE", provider.url)
    (tmp_path / "policies").symlink_to(ROOT / "policies")
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    (block,) = (
        item for item in blocks((ROOT / "docs" / "langchain.md").read_text("utf-8")) if item.language == "python"
    )
    exec(compile(block.text, "langchain.md", "exec", dont_inherit=True), names)
    assert len(provider.bodies) == 1
    assert sum(item.held for item in names["guard"].spend()) == 0
    names["guard"].close()


def test_wrong_use_is_reported(guard_of: Callable[..., Guard], provider: FaultyProvider) -> None:
    models = models_of(provider)
    with pytest.raises(GuardError, match="`guard` must be"):
        GuardedChatModel(models=models, guard=None)
    with pytest.raises(GuardError, match="`max_retries=0`"):
        GuardedChatModel(models={"nano": ChatAnthropic(model="nano", api_key="none")}, guard=guard_of())
    with pytest.raises(GuardError, match="decide on `nano`, which is not among"):
        GuardedChatModel(models={"mini": models["mini"]}, guard=guard_of()).invoke("Hello")
    both = guard_of(models="nano, mini")
    with pytest.raises(GuardError, match="list the fallback `mini`, which is not among"):
        GuardedChatModel(models={"nano": models["nano"]}, guard=both).invoke("Hello")
    assert provider.bodies == []
    provider.faults = [503]
    with pytest.raises(Exception, match="503"):
        GuardedChatModel(models={"nano": models["nano"], "mini": None}, guard=both).invoke("Hello")
