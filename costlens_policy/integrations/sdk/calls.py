"""One request of a wrapped client: read, decided and held by the guard, sent, settled."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

from costlens_policy.errors import CostlensPolicyError
from costlens_policy.frozen import frozen
from costlens_policy.guard import AsyncGuard, Guard, GuardError
from costlens_policy.guard.errors import UnguardedCallError
from costlens_policy.integrations.identity import Asking, check_who, who_asks
from costlens_policy.integrations.sdk.answers import asettled, settled
from costlens_policy.integrations.sdk.attempts import Attempts
from costlens_policy.integrations.sdk.bodies import CHAT, Dialect, lacks_usage
from costlens_policy.integrations.sdk.operations import Passing, dialect_of

__all__ = ["Wrapping", "asend", "request_of_body", "send"]

_KEYWORD: Final = "costlens"
"""The entry of a body (``extra_body``) that has attributes for one call, and is not sent."""


@frozen(eq=False)
class Wrapping:
    """What a client was wrapped with. ``request`` is how its own class sends; ``clients`` serve other providers."""

    guard: Guard | AsyncGuard
    clients: Mapping[str, Any]
    asking: Asking | None
    passing: Passing
    stream_usage: bool
    base: type[Any]

    def dialect_of(self, options: Any) -> Dialect | None:
        """Return how a call of a model is written, None for what passes as it is. Raises ``UnguardedCallError``."""
        return dialect_of(options.method, options.url, self.passing)

    def attempts(self, client: Any, options: Any, dialect: Dialect) -> Attempts:
        """Return the attempts at a call. Raises ``GuardError`` for attributes that are not the caller's to give."""
        body = _body_of(options)
        request = self._request(body, dialect)
        asks_usage = self.stream_usage and dialect is CHAT and lacks_usage(body)
        if asks_usage:
            body["stream_options"] = {**(body.get("stream_options") or {}), "include_usage": True}
        return Attempts(client, self.clients, options, body, dialect, request, adds_usage=asks_usage)

    def _request(self, body: dict[str, Any], dialect: Dialect) -> dict[str, Any]:
        """Return what is asked of the guard. An attribute of one call only adds to those that the service gives."""
        who = who_asks(self.asking)
        for name, value in _keyword(body).items():
            if who.setdefault(name, value) != value:
                raise GuardError(f"`{_KEYWORD}.{name}` of a call must not replace the `{name}` that the service gives")
        return request_of_body(body, dialect, who)

    def bare_request(self, owner: Any, client: Any) -> Callable[..., Any]:
        """Return how a client sends: the wrapped one as its own class does, unguarded."""
        bare: Callable[..., Any] = self.base.request.__get__(client) if client is owner else client.request
        return bare


def request_of_body(body: Mapping[str, Any], dialect: Dialect, who: Mapping[str, Any]) -> dict[str, Any]:
    """Return the request of a body and of attributes that say who asks. Raises ``GuardError`` and ``RequestError``."""
    check_who(who)
    dialect.check(body)
    return {**dialect.read(body), **who}


def _body_of(options: Any) -> dict[str, Any]:
    """Return the body of a request as it would be sent. Raises ``UnguardedCallError`` for one that is no object."""
    given = options.json_data
    if getattr(options, "content", None) is not None or options.files or not isinstance(given, Mapping):
        raise UnguardedCallError(f"`{options.url}` is guarded only with a JSON object as its body")
    return {**given, **(options.extra_json or {})}


def _keyword(body: dict[str, Any]) -> Mapping[str, Any]:
    """Take the attributes of one call out of its body."""
    given = body.pop(_KEYWORD, None)
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        raise GuardError(f"`{_KEYWORD}` of a call must be an object of attributes, got `{type(given).__name__}`")
    return given


def send(wrapping: Wrapping, client: Any, cast_to: Any, options: Any, how: Mapping[str, Any]) -> Any:
    """Send a request of a synchronous client, as often as it takes; return what the caller gets."""
    dialect = wrapping.dialect_of(options)
    if dialect is None:
        return wrapping.bare_request(client, client)(cast_to, options, **how)
    if hasattr(client, "_copy_and_prepare"):  # newer SDKs of Anthropic keep iterators and omitted values until here
        options = client._copy_and_prepare(options)
    attempts = wrapping.attempts(client, options, dialect)
    while True:
        try:
            return _attempt(wrapping, client, attempts, cast_to, how)
        except Exception as error:
            pause = _pause_after(attempts, error)
        time.sleep(pause)


async def asend(wrapping: Wrapping, client: Any, cast_to: Any, options: Any, how: Mapping[str, Any]) -> Any:
    """As ``send``, of an asynchronous client."""
    dialect = wrapping.dialect_of(options)
    if dialect is None:
        return await wrapping.bare_request(client, client)(cast_to, options, **how)
    if hasattr(client, "_copy_and_prepare"):
        options = await client._copy_and_prepare(options)
    attempts = wrapping.attempts(client, options, dialect)
    while True:
        try:
            return await _async_attempt(wrapping, client, attempts, cast_to, how)
        except Exception as error:
            pause = _pause_after(attempts, error)
        await asyncio.sleep(pause)


def _pause_after(attempts: Attempts, error: Exception) -> float:
    """Return how long to wait before the next attempt. Raises what ends them."""
    if error is attempts.failure or isinstance(error, CostlensPolicyError):
        raise error
    return attempts.after(error)


def _attempt(wrapping: Wrapping, client: Any, attempts: Attempts, cast_to: Any, how: Mapping[str, Any]) -> Any:
    assert isinstance(wrapping.guard, Guard), "the client is synchronous"
    call = wrapping.guard.call(attempts.request)
    try:
        used, options = attempts.choose(call)
    except BaseException:
        call.release()
        raise
    try:
        with attempts.heard():
            answer = wrapping.bare_request(client, used)(cast_to, options, **how)
        return settled(call, answer, stream=how.get("stream") is True, hide_usage=attempts.adds_usage)
    except BaseException as error:
        if attempts.answer is not None or attempts.is_answered:
            call.settle(attempts.answer)
        elif isinstance(error, UnicodeEncodeError):
            call.release()
            raise _unsendable(error) from error
        call.__exit__(type(error), error, error.__traceback__)
        raise


async def _async_attempt(
    wrapping: Wrapping, client: Any, attempts: Attempts, cast_to: Any, how: Mapping[str, Any]
) -> Any:
    assert isinstance(wrapping.guard, AsyncGuard), "the client is asynchronous"
    call = await wrapping.guard.call(attempts.request)
    try:
        used, options = attempts.choose(call)
    except BaseException:
        await call.release()
        raise
    try:
        with attempts.heard():
            answer = await wrapping.bare_request(client, used)(cast_to, options, **how)
        return await asettled(call, answer, stream=how.get("stream") is True, hide_usage=attempts.adds_usage)
    except BaseException as error:
        if attempts.answer is not None or attempts.is_answered:
            await call.settle(attempts.answer)
        elif isinstance(error, UnicodeEncodeError):
            await call.release()
            raise _unsendable(error) from error
        await call.__aexit__(type(error), error, error.__traceback__)
        raise


def _unsendable(error: UnicodeEncodeError) -> GuardError:
    """Return why the SDK could not write a request: a body is in UTF-8, a header in ASCII."""
    if error.encoding == "utf-8":
        return GuardError("the request holds half of a surrogate pair, which has no UTF-8, so it was not sent")
    return GuardError(f"a header must be in ASCII letters, got {error.object!r}; the request was not sent")
