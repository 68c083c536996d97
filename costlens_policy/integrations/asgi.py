"""ASGI: who asks comes from the request that is served, and a denial becomes its answer.

Source: the ASGI specification, version 3 (https://asgi.readthedocs.io), HTTP and WebSocket.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any, Final, TypeAlias

from costlens_policy.guard.errors import GuardError
from costlens_policy.integrations.identity import asking
from costlens_policy.integrations.refusals import Refusal, refusal_of

__all__ = ["AskingMiddleware"]

Scope: TypeAlias = MutableMapping[str, Any]
Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
App: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]
Attributes: TypeAlias = Mapping[str, Any]

_POLICY_VIOLATION: Final = 1008
"""The code with which a WebSocket is closed (RFC 6455, 7.4.1)."""


class AskingMiddleware:
    """Gives the calls of an application's requests their attributes, and answers denials.

    ``headers`` maps headers to request attributes, such as ``{"x-team": "team"}``: name only headers that your gateway
    sets itself, and removes from what callers send. An empty one counts as absent. ``attributes`` is a function of the
    scope that returns attributes, or None, at once or awaited; they win over headers. All calls of wrapped clients
    within a request have them, as in a block ``asking(…)``.

    A ``DeniedError``, ``RequestError`` or error of the ledger that leaves the application before its answer begins is
    answered as ``refusal_of`` says; a WebSocket is closed with code 1008. What has begun to be answered is raised.
    """

    def __init__(
        self,
        app: App,
        *,
        headers: Mapping[str, str] | None = None,
        attributes: Callable[[Scope], Attributes | Awaitable[Attributes | None] | None] | None = None,
    ) -> None:
        self._app = app
        self._headers: Final = {
            name.lower().encode("latin-1"): attribute for name, attribute in (headers or {}).items()
        }
        if attributes is not None and not callable(attributes):
            raise GuardError(f"`attributes` must be a function of the scope, got `{attributes!r}`")
        self._attributes = attributes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        begun = False

        async def sending(message: Message) -> None:
            nonlocal begun
            begun = begun or message["type"] in ("http.response.start", "websocket.close")
            await send(message)

        try:
            with asking(**await self._who(scope)):
                await self._app(scope, receive, sending)
        except Exception as error:
            refusal = refusal_of(error)
            if refusal is None or begun:
                raise
            await _answer(scope, send, refusal)

    async def _who(self, scope: Scope) -> Attributes:
        """Return the attributes of a request. Raises ``GuardError`` where a header comes twice."""
        who: dict[str, Any] = {}
        for name, value in scope["headers"]:
            attribute = self._headers.get(name.lower())
            if attribute is None:
                continue
            if attribute in who:
                raise GuardError(f"the header `{name.decode('latin-1')}` must be given once")
            who[attribute] = value.decode("latin-1").strip()
        who = {attribute: value for attribute, value in who.items() if value}
        return who if self._attributes is None else {**who, **await self._own(scope)}

    async def _own(self, scope: Scope) -> Attributes:
        """Return what the function of the application says. Raises ``TypeError`` for what are no attributes."""
        assert self._attributes is not None, "there is a function"
        given = self._attributes(scope)
        found = await given if inspect.isawaitable(given) else given
        if found is None:
            return {}
        if not isinstance(found, Mapping) or not all(isinstance(name, str) for name in found):
            raise TypeError(f"`attributes` must return a mapping of names to values, got `{type(found).__name__}`")
        return found


async def _answer(scope: Scope, send: Send, refusal: Refusal) -> None:
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": _POLICY_VIOLATION, "reason": refusal.code})
        return
    body = json.dumps(refusal.body).encode()
    headers = [(name.encode(), value.encode("latin-1")) for name, value in refusal.headers.items()]
    headers.append((b"content-length", str(len(body)).encode()))
    await send({"type": "http.response.start", "status": refusal.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
