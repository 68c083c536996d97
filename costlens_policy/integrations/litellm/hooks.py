"""The callback of LiteLLM: every call is decided before it is routed, and every attempt goes through the guard.

What happens where, in the order of a request:

- ``async_pre_call_hook`` (of the proxy; ``router.py`` does the same for a router without one): the request is decided
  and its worst case held; call types that are not known are refused.
- ``async_pre_call_deployment_hook``: before each attempt, also a repeated one or a fallback, what was decided for its
  model is written into it. This is the gate: what was not decided does not pass.
- ``async_post_call_success_deployment_hook`` and ``async_post_call_streaming_iterator_hook``: the charge.
- ``async_post_call_failure_deployment_hook``: an attempt that failed.
- ``async_post_call_success_hook`` and ``async_post_call_failure_hook``: the end of the request; and, where LiteLLM
  calls neither, the end of its task.
- ``async_log_success_event``: the model that served, as the standard logging payload has it, is compared.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextvars import ContextVar
from typing import Any, Final
from weakref import WeakKeyDictionary

import litellm
from litellm.integrations.custom_logger import CustomLogger

from costlens_policy.errors import CostlensPolicyError
from costlens_policy.guard.errors import GuardError
from costlens_policy.integrations.litellm.flights import Flight
from costlens_policy.integrations.litellm.gateway import TOKEN, Gateway
from costlens_policy.integrations.litellm.identity import Caller
from costlens_policy.integrations.litellm.kinds import KINDS, LABELS
from costlens_policy.integrations.litellm.probe import Probe, probing
from costlens_policy.integrations.litellm.refused import RefusedError, refused_in
from costlens_policy.integrations.litellm.versions import check_version

__all__ = ["CostlensPolicy", "entered"]

entered: Final[ContextVar[Flight | None]] = ContextVar("costlens_policy_flight", default=None)
"""The request that this task serves."""


class CostlensPolicy(CustomLogger):  # type: ignore[misc,unused-ignore]
    """Decides and counts the calls of a proxy, or of one router, by the guard.

    Without a ``gateway`` it is that of the proxy, whose settings it finds in LiteLLM when they are there.
    """

    def __init__(self, gateway: Gateway | None = None, router: Any = None) -> None:
        super().__init__()
        check_version(CustomLogger, litellm)
        self._gateway = gateway
        self._router: Final = router
        self._flights: Final[WeakKeyDictionary[Any, Flight]] = WeakKeyDictionary()
        self.probe: Final = Probe(self, of_proxy=router is None)
        if gateway is None and _section() is not None:
            self.gateway  # noqa: B018 - LiteLLM does not start with what is wrong here

    @property
    def gateway(self) -> Gateway:
        """The guard with its settings, made when it is first asked for."""
        if self._gateway is None:
            self._gateway = Gateway.configured(_section())
        return self._gateway

    def watch(self, flight: Flight) -> None:
        """Let a request be found by LiteLLM's own object, or by the task, and end it when its task ends.

        LiteLLM calls no hook for a client that went away.
        """
        if flight.owner is not None:
            self._flights[flight.owner] = flight
        entered.set(flight)
        task = asyncio.current_task()
        if task is not None:
            task.add_done_callback(lambda _: flight.leave_later(self.gateway.spawn))

    # -- the request

    async def async_pre_call_hook(
        self, user_api_key_dict: Any, cache: Any, data: dict[str, Any], call_type: str
    ) -> Any:
        """Decide a request of the proxy, and change it into what was decided. Raises ``HTTPException``."""
        if probing("async_pre_call_hook"):
            return data
        try:
            await self.probe.passed()
            gateway = self.gateway
            if gateway.settings.lets_through(call_type):
                return data
            if call_type not in KINDS:
                raise GuardError(
                    f"calls of the type `{call_type}` are not covered by the policies; list it under `unguarded` in the"
                    " settings to let it through undecided and uncounted"
                )
            attributes = gateway.identity.of(_caller_of(data, user_api_key_dict))
            flight = await gateway.decide(KINDS[call_type], data, _body_of(data), attributes, _proxy_router())
        except CostlensPolicyError as error:
            raise RefusedError(error).to_http() from error
        flight.owner = data.get("litellm_logging_obj")
        self.watch(flight)
        return data

    async def async_post_call_success_hook(self, data: dict[str, Any], user_api_key_dict: Any, response: Any) -> Any:
        """End a request that was answered at once."""
        flight = None if probing("async_post_call_success_hook") else self._flight_of(data)
        if flight is not None and not flight.over and not flight.is_streaming:
            await flight.finish(response)
        return response

    async def async_post_call_failure_hook(
        self,
        request_data: dict[str, Any],
        original_exception: Exception,
        user_api_key_dict: Any,
        traceback_str: str | None = None,
    ) -> Any:
        """End a request that failed, and give a refusal its form."""
        if probing("async_post_call_failure_hook"):
            return None
        flight = self._flight_of(request_data)
        if flight is not None and not flight.is_streaming:
            await flight.leave(original_exception)
        refused = refused_in(original_exception)
        return None if refused is None else refused.to_http()

    async def async_post_call_streaming_iterator_hook(
        self, user_api_key_dict: Any, response: Any, request_data: dict[str, Any]
    ) -> AsyncGenerator[Any, None]:
        """Pass on a streamed answer, and charge it by what comes of it."""
        chunks: AsyncIterator[Any] = response
        flight = self._flight_of(request_data)
        if not probing("async_post_call_streaming_iterator_hook"):
            if flight is not None:
                chunks = flight.stream(response, cached=_is_cached(response, request_data))
            elif self._is_decided(request_data):
                raise GuardError("a stream has no decision: it cannot be charged")
        async for chunk in chunks:
            if flight is None or flight.wants_usage or not _is_usage_alone(chunk):
                yield chunk

    # -- its attempts

    async def async_pre_call_deployment_hook(self, kwargs: dict[str, Any], call_type: Any) -> dict[str, Any] | None:
        """Write into an attempt what was decided for its model. Raises ``RefusedError`` where nothing was."""
        name = str(getattr(call_type, "value", call_type))
        if probing("async_pre_call_deployment_hook") or not self._covers(kwargs) or self._lets_through(name):
            return None
        try:
            flight = self._flight_of(kwargs)
            if flight is None:
                raise GuardError(
                    f"LiteLLM makes a call of the type `{name}` that was not decided, to `{kwargs.get('model')}`"
                )
            kind = KINDS.get(name)
            if flight.is_waiting and kind is not None and kind is not flight.kind:
                return flight.translated(kind, kwargs)
            if (owner := kwargs.get("litellm_logging_obj")) is not None:
                self._flights[owner] = flight
            return await self.gateway.write_attempt(flight, kwargs)
        except CostlensPolicyError as error:
            raise RefusedError(error) from error

    async def async_post_call_success_deployment_hook(
        self, request_data: dict[str, Any], response: Any, call_type: Any
    ) -> Any:
        """Charge an attempt that answered at once."""
        flight = None if probing("async_post_call_success_deployment_hook") else self._flight_of(request_data)
        if flight is not None and not flight.over and not flight.is_streaming:
            await flight.answer(response)

    async def async_post_call_failure_deployment_hook(
        self, request_data: Mapping[str, Any], exception: Exception, call_type: Any, fallback_depth: int | None = None
    ) -> None:
        """Note an attempt that failed."""
        flight = None if probing("async_post_call_failure_deployment_hook") else self._flight_of(request_data)
        if flight is not None:
            await flight.fail_attempt(exception)

    async def async_log_success_event(
        self, kwargs: dict[str, Any], response_obj: Any, start_time: Any, end_time: Any
    ) -> None:
        """Compare who served a call, as LiteLLM reports it, with what was charged."""
        token = _token_of(kwargs)
        if self.probe.is_own(token):
            self.probe.logged.set()
        else:
            self.gateway.compare(kwargs.get("standard_logging_object"), token)

    def _flight_of(self, data: Mapping[str, Any]) -> Flight | None:
        """Return the request of LiteLLM's own object, or that of this task. No client chooses either."""
        flight, owner = entered.get(), data.get("litellm_logging_obj")
        if owner is None:
            return flight
        found = self._flights.get(owner)
        if found is None and flight is not None and (self._router is not None or flight.is_waiting):
            return flight  # the next attempt of a router without a proxy, or the translation of one under way
        return found

    def _covers(self, kwargs: Mapping[str, Any]) -> bool:
        """Whether a call is of this callback's proxy or router: it sees all that its process makes by LiteLLM."""
        if self._router is None:
            return True
        id = (kwargs.get("model_info") or {}).get("id")
        return entered.get() is not None or (id is not None and self._router.get_deployment(model_id=id) is not None)

    def _lets_through(self, call_type: str) -> bool:
        return self.gateway.settings.lets_through(call_type)

    def _is_decided(self, data: Mapping[str, Any]) -> bool:
        """Whether a stream is one of those that are decided; others come from call types that are let through."""
        kind = getattr(data.get("litellm_logging_obj"), "call_type", None)
        return kind in KINDS and not self._lets_through(str(kind))


def _section() -> Any:
    """Return the settings in `litellm_settings`, which LiteLLM puts on its module as it reads the file."""
    return getattr(litellm, "costlens_policy", None)


def _body_of(data: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return what the client sent: the proxy keeps it beside what it added. Raises ``GuardError``."""
    body = (data.get("proxy_server_request") or {}).get("body")
    if not isinstance(body, Mapping):
        raise GuardError("the proxy did not keep the body of the request, so its parameters cannot be decided")
    return body


def _caller_of(data: Mapping[str, Any], key: Any) -> Caller:
    sent = data.get("proxy_server_request") or {}
    given = ((data.get(name) or {}).get("requester_metadata") for name in LABELS)
    metadata = next((item for item in given if isinstance(item, Mapping)), {})
    headers = {str(name).lower(): value for name, value in (sent.get("headers") or {}).items()}
    return Caller(key, metadata, headers)


def _proxy_router() -> Any:
    from litellm.proxy import proxy_server  # it is loaded where this is asked

    return proxy_server.llm_router


def _is_cached(response: Any, data: Mapping[str, Any]) -> bool:
    logged = getattr(data.get("litellm_logging_obj"), "model_call_details", None) or {}
    return logged.get("cache_hit") is True or getattr(response, "custom_llm_provider", None) == "cached_response"


def _is_usage_alone(chunk: Any) -> bool:
    """Whether a chunk is the one that OpenAI's clients get only if they ask for it."""
    return getattr(chunk, "usage", None) is not None and not getattr(chunk, "choices", True)


def _token_of(kwargs: Mapping[str, Any]) -> Any:
    metadata = (kwargs.get("litellm_params") or {}).get("metadata") or {}
    return metadata.get(TOKEN)
