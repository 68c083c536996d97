"""Calls of a guarded router, in an environment with LiteLLM alone: prints what each did and what the ledger has."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

import litellm

from costlens_policy import GuardError, run
from costlens_policy.clock import system_now
from costlens_policy.guard.run_tree import spend_of_runs
from costlens_policy.integrations.identity import asking
from costlens_policy.integrations.litellm.router import guard_router
from costlens_policy.ledger import open_ledger

SAID = [{"role": "user", "content": "hello"}]


async def main(upstream: str, policies: str, ledger: str) -> None:
    def deployment(group: str, model: str, path: str, **info: str) -> dict[str, Any]:
        params = {"model": model, "api_base": upstream + path, "api_key": "none"}
        return {"model_name": group, "litellm_params": params, "model_info": info}

    router = litellm.Router(
        [
            deployment("fast", "openai/gpt-nano", "/v1", costlens_model="nano"),
            deployment("mini", "openai/mini", "/v1"),
            deployment("claude", "anthropic/haiku", ""),
            deployment("embed", "openai/embed", "/v1"),
        ],
        num_retries=0,
    )
    policy = guard_router(router, {"policies": [policies], "ledger": ledger})
    guard = policy.gateway.guard
    done: dict[str, Any] = {}

    async def used(team: str) -> list[str]:
        return [str(part * 1_000_000) for line in await guard.spend(key=team) for part in (line.used, line.held)]

    async def note(name: str, work: Any) -> None:
        try:
            with asking(team=name):
                answer = await work
                if hasattr(answer, "__aiter__"):
                    answer = "".join([str(chunk) async for chunk in answer])
            done[name] = ["Soon" in str(answer), *await used(name)]
        except Exception as error:
            done[name] = [type(error).__name__, *await used(name)]

    await note("chat", router.acompletion("fast", messages=SAID))
    await note("stream", router.acompletion(model="fast", messages=SAID, stream=True))
    await note("completions", router.atext_completion(model="fast", prompt="hello"))
    await note("responses", router.aresponses(model="fast", input="hello"))
    await note("messages", router.aanthropic_messages(model="claude", messages=SAID, max_tokens=50))
    await note("embeddings", router.aembedding(model="embed", input=["hello"]))
    fails = [{"role": "user", "content": "fail 500 on gpt-nano"}]
    await note("fallback", router.acompletion(model="fast", messages=fails))
    await note("failing", router.acompletion(model="fast", messages=[{"role": "user", "content": "fail 500"}]))
    await note("denied", router.acompletion(model="fast", messages=SAID, costlens={"feature": "forbidden"}))
    await note("keyword", router.acompletion(model="fast", messages=SAID, costlens={"team": "other"}))
    done["other"] = await used("other")

    async def agent(name: str) -> None:
        with run(name):
            await router.acompletion("fast", messages=SAID)
            await router.acompletion(model="fast", messages=[{"role": "user", "content": "fail 500 on gpt-nano"}])

    with run("tree"):
        await asyncio.gather(agent("a"), agent("b"))
        await asyncio.to_thread(lambda: asyncio.run(agent("c")))
    store = open_ledger(ledger)
    done["runs"] = [[item.run, item.calls] for item in spend_of_runs(store, "tree", system_now())]
    store.close()
    try:
        router.completion(model="fast", messages=SAID)
    except GuardError as error:
        done["synchronous"] = str(error)
    await note("image", router.aimage_generation(model="fast", prompt="hello"))
    plain = await litellm.acompletion(model="openai/mini", messages=SAID, api_base=f"{upstream}/v1", api_key="none")
    done["plain"] = "Soon" in str(plain)
    await policy.gateway.close()
    sys.stdout.write("DONE " + json.dumps(done) + "\n")


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
