"""The proof that LiteLLM reaches every hook: calls with a mocked answer, which send nothing.

A hook that LiteLLM does not call, or calls otherwise, would be a charge that is never made. So nothing is let through
until each of them was reached once.
"""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import AsyncIterator
from contextlib import suppress
from contextvars import ContextVar
from typing import Any, Final

from costlens_policy.guard.errors import GuardError

__all__ = ["Probe", "probing"]

_LOG: Final = logging.getLogger("costlens_policy.litellm")
_reached: Final[ContextVar[set[str] | None]] = ContextVar("costlens_policy_probe", default=None)
_ATTEMPTS: Final = (
    "async_pre_call_deployment_hook",
    "async_post_call_success_deployment_hook",
    "async_post_call_failure_deployment_hook",
)
_OF_PROXY: Final = (
    "async_pre_call_hook",
    "async_post_call_success_hook",
    "async_post_call_failure_hook",
    "async_post_call_streaming_iterator_hook",
)
_LOGGING: Final = "async_log_success_event"
_PATIENCE: Final = 30.0
"""Seconds within which LiteLLM has to log the first call: it does so later, in a task of its own."""
_ROUTE: Final = "/costlens-policy/probe"
"""Is no API of a model, so that LiteLLM keeps no record of a request that failed."""
_CALL: Final[dict[str, Any]] = {
    "model": "openai/probe",
    "messages": [{"role": "user", "content": "probe"}],
    "api_key": "none",
    "max_tokens": 1,
    "num_retries": 0,
}


def probing(hook: str) -> bool:
    """Whether a hook is called by a probe, which notes that it was reached."""
    reached = _reached.get()
    if reached is not None:
        reached.add(hook)
    return reached is not None


class Probe:
    """Makes the calls once, before the first request; every request waits for the outcome."""

    def __init__(self, callback: Any, *, of_proxy: bool) -> None:
        self._callback: Final = callback
        self._expected: Final = (*_ATTEMPTS, *_OF_PROXY) if of_proxy else _ATTEMPTS
        self._token: Final = f"probe-{id(self)}"
        self._outcome: asyncio.Future[None] | None = None
        self.logged: Final = asyncio.Event()
        """Set by the hook that logs, which is not called in the context of the probe."""

    def is_own(self, token: Any) -> bool:
        return bool(token == self._token)

    async def passed(self) -> None:
        """Return once every hook was reached. Raises ``GuardError`` for those that were not, and tries again later."""
        if self._outcome is None:
            self._outcome = asyncio.ensure_future(self._make())
        outcome = self._outcome
        if outcome.done() and outcome.exception() is None:
            return
        try:
            await asyncio.shield(outcome)
        except Exception as error:
            self._outcome = None
            _LOG.critical("no call is let through: %s", error)
            raise GuardError(f"the hooks of LiteLLM could not be proven: {error}") from error

    async def _make(self) -> None:
        reached: set[str] = set()
        _reached.set(reached)  # of this task alone, and of what LiteLLM starts in it
        import litellm

        metadata = {"costlens_call": self._token}
        await litellm.acompletion(**_CALL, mock_response="probe", metadata=metadata)
        with suppress(litellm.RateLimitError):
            await litellm.acompletion(**_CALL, mock_response="litellm.RateLimitError", metadata=metadata)
        if _OF_PROXY[0] in self._expected:
            await self._through_proxy()
        missing = [name for name in self._expected if name not in reached]
        try:
            await asyncio.wait_for(self.logged.wait(), _PATIENCE)
        except TimeoutError:
            missing.append(_LOGGING)
        if missing:
            names = ", ".join(f"`{name}`" for name in missing)
            raise GuardError(f"LiteLLM does not reach {names} of the callback")
        _LOG.info("LiteLLM reaches every hook of the callback")

    async def _through_proxy(self) -> None:
        if "litellm.proxy.proxy_server" not in sys.modules:
            return
        from fastapi import HTTPException
        from litellm.proxy import proxy_server
        from litellm.proxy._types import UserAPIKeyAuth

        proxy, key = proxy_server.proxy_logging_obj, UserAPIKeyAuth(request_route=_ROUTE)
        data = {"model": _CALL["model"], "messages": _CALL["messages"], "metadata": {}}
        await proxy.pre_call_hook(user_api_key_dict=key, data=data, call_type="acompletion")
        await proxy.post_call_success_hook(data=data, user_api_key_dict=key, response=None)
        failed = HTTPException(400, "a probe of the policies")  # of a client, so that nobody is alerted
        await proxy.post_call_failure_hook(request_data=dict(data), original_exception=failed, user_api_key_dict=key)
        stream = proxy.async_post_call_streaming_iterator_hook(
            response=_nothing(), user_api_key_dict=key, request_data=data
        )
        async for _ in stream:
            pass


async def _nothing() -> AsyncIterator[Any]:
    for chunk in list[Any]():
        yield chunk
