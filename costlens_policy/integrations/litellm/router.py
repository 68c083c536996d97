"""The ``Router`` of LiteLLM's SDK under the guard, without a proxy."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, NoReturn

import litellm

from costlens_policy.guard.errors import GuardError
from costlens_policy.integrations.identity import asking_now
from costlens_policy.integrations.litellm.flights import Flight
from costlens_policy.integrations.litellm.gateway import Gateway
from costlens_policy.integrations.litellm.hooks import CostlensPolicy, entered
from costlens_policy.integrations.litellm.kinds import KINDS, LABELS, Kind
from costlens_policy.integrations.litellm.refused import refused_in

__all__ = ["guard_router"]

_GUARDED: Final = {
    "acompletion": "acompletion",
    "atext_completion": "atext_completion",
    "aembedding": "aembedding",
    "aresponses": "aresponses",
    "aanthropic_messages": "anthropic_messages",
}
"""The methods of a router that are guarded, and LiteLLM's call type of each. Other calls of models are refused."""
_SYNCHRONOUS: Final = ("completion", "text_completion", "embedding", "responses", "anthropic_messages")
_OPTIONS: Final = frozenset({*LABELS, "timeout", "caching", "cache", "costlens"})
"""Arguments that LiteLLM reads itself, and that decide nothing."""


def guard_router(router: Any, section: Mapping[str, Any]) -> CostlensPolicy:
    """Put a ``litellm.Router`` under policies: its asynchronous methods are decided, held and settled.

    ``section`` has what ``costlens_policy`` of ``litellm_settings`` has. Who asks comes from ``asking(team=…)`` around
    a call, or from its keyword ``costlens={"team": …}``. A refusal raises ``DeniedError`` and is not repeated. The
    synchronous methods, and all that are not guarded, are refused. ``await result.gateway.close()`` settles what is
    under way. Raises ``GuardError`` and ``PolicyError`` for what is wrong with the settings.
    """
    callback = CostlensPolicy(Gateway.configured(section), router)
    litellm.logging_callback_manager.add_litellm_callback(callback)
    for name, call_type in _GUARDED.items():
        setattr(router, name, _guarded(callback, router, getattr(router, name), KINDS[call_type]))
    for name in _SYNCHRONOUS:
        setattr(router, name, _refusing(name))
    return callback


def _guarded(
    callback: CostlensPolicy, router: Any, method: Callable[..., Awaitable[Any]], kind: Kind
) -> Callable[..., Awaitable[Any]]:
    async def call(model: str | None = None, *positional: Any, **kwargs: Any) -> Any:
        if positional:
            raise GuardError("give the arguments of a guarded router by their names, apart from the model")
        await callback.probe.passed()
        data = {"model": model, **kwargs} if model is not None else dict(kwargs)
        attributes = {**asking_now(), **(data.pop("costlens", None) or {})}
        body = {name: value for name, value in data.items() if name not in _OPTIONS}
        flight = await callback.gateway.decide(kind, data, body, attributes, router)
        token = entered.set(flight)
        try:
            answer = await method(**data)
        except BaseException as error:
            await flight.leave(error)
            refused = refused_in(error)
            if refused is not None:
                raise refused.reason from error
            raise
        finally:
            entered.reset(token)
        return await _answered(flight, answer, streamed=bool(data.get("stream")))

    return call


async def _answered(flight: Flight, answer: Any, *, streamed: bool) -> Any:
    if not streamed:
        await flight.finish(answer)
        return answer
    cached = getattr(answer, "custom_llm_provider", None) == "cached_response"
    return flight.stream(answer, cached=cached)


def _refusing(name: str) -> Callable[..., NoReturn]:
    def call(*_: Any, **__: Any) -> NoReturn:
        raise GuardError(f"`{name}` of a guarded router cannot be counted; use its asynchronous form")

    return call
