"""ASGI: who asks comes from the request that is served, and a denial becomes its answer.

Source: the ASGI specification, version 3 (https://asgi.readthedocs.io), HTTP and WebSocket.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Awaitable, Callable, Iterable, Mapping, MutableMapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Final, TypeAlias

from costlens_policy.guard.errors import GuardError
from costlens_policy.guard.runs import run
from costlens_policy.integrations.baggage import run_of_headers
from costlens_policy.integrations.identity import asking
from costlens_policy.integrations.refusals import Refusal, refusal_of
from costlens_policy.runs import RUN

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
    within a request have them, as in a block ``asking(…)``. ``runs`` says that the run of a request comes from its
    headers ``baggage`` and ``traceparent``, as ``run_of_headers`` reads them. A request with a run, also one from
    ``headers`` or ``attributes``, is served in a block of that run.

    A ``DeniedError``, ``RequestError`` or error of the ledger that leaves the application before its answer begins is
    answered as ``refusal_of`` says; a WebSocket is closed with code 1008. What has begun to be answered is raised.
    """

    def __init__(
        self,
        app: App,
        *,
        headers: Mapping[str, str] | None = None,
        attributes: Callable[[Scope], Attributes | Awaitable[Attributes | None] | None] | None = None,
        runs: bool = False,
    ) -> None:
        self._app = app
        self._headers: Final = {
            name.lower().encode("latin-1"): attribute for name, attribute in (headers or {}).items()
        }
        if attributes is not None and not callable(attributes):
            raise GuardError(f"`attributes` must be a function of the scope, got `{attributes!r}`")
        self._attributes = attributes
        self._runs: Final = runs

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
            who = dict(await self._who(scope))
            with self._run(scope, who), asking(**who):
                await self._app(scope, receive, sending)
        except Exception as error:
            refusal = refusal_of(error)
            if refusal is None or begun:
                raise
            await _answer(scope, send, refusal)

    def _run(self, scope: Scope, who: dict[str, Any]) -> AbstractContextManager[Any]:
        """Take the run out of the attributes of a request, and return its block."""
        path = who.pop(RUN, None)
        if path is None and self._runs:
            path = run_of_headers(_joined(scope["headers"]))
        return nullcontext() if path is None else run(path)

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


def _joined(headers: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    """Return the headers as texts; one that comes several times is a list (RFC 9110, 5.3)."""
    joined: dict[str, str] = {}
    for name, value in headers:
        key, text = name.decode("latin-1").lower(), value.decode("latin-1")
        joined[key] = f"{joined[key]},{text}" if key in joined else text
    return joined


async def _answer(scope: Scope, send: Send, refusal: Refusal) -> None:
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": _POLICY_VIOLATION, "reason": refusal.code})
        return
    body = json.dumps(refusal.body).encode()
    headers = [(name.encode(), value.encode("latin-1")) for name, value in refusal.headers.items()]
    headers.append((b"content-length", str(len(body)).encode()))
    await send({"type": "http.response.start", "status": refusal.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
