"""``wrap``: a client of an SDK whose every request is decided, held, sent and settled.

The seam is ``request`` of the SDKs' clients. All resources, helpers and raw methods of both SDKs end there, with the
body still an object and the type of the answer known; the one way round, a WebSocket, begins at properties that are
closed here. A wrapped client is of a class below the SDK's own, so that it is one for types and ``isinstance``, and
so that a copy of it has the guard, too.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Collection, Mapping
from functools import cached_property, lru_cache
from typing import Any, Protocol, TypeVar, overload

from costlens_policy.diagnostics.suggestion import did_you_mean, listed
from costlens_policy.guard import AsyncGuard, Guard, GuardError
from costlens_policy.integrations.identity import Asking, check_asking
from costlens_policy.integrations.sdk.attempts import sdk_of
from costlens_policy.integrations.sdk.calls import Wrapping, asend, send
from costlens_policy.integrations.sdk.operations import Passing, check_connection

__all__ = ["wrap"]


class _ClosesAtOnce(Protocol):
    """What synchronous clients have and asynchronous ones have not."""

    def close(self) -> None: ...


class _ClosesLater(Protocol):
    def close(self) -> Awaitable[None]: ...


_SyncClient = TypeVar("_SyncClient", bound=_ClosesAtOnce)
_AsyncClient = TypeVar("_AsyncClient", bound=_ClosesLater)


@overload
def wrap(
    client: _SyncClient,
    *,
    guard: Guard,
    clients: Mapping[str, _ClosesAtOnce | None] | None = None,
    asking: Asking | None = None,
    unguarded: Collection[str] = (),
    stream_usage: bool = True,
) -> _SyncClient: ...
@overload
def wrap(
    client: _AsyncClient,
    *,
    guard: AsyncGuard,
    clients: Mapping[str, _ClosesLater | None] | None = None,
    asking: Asking | None = None,
    unguarded: Collection[str] = (),
    stream_usage: bool = True,
) -> _AsyncClient: ...
def wrap(
    client: Any,
    *,
    guard: Guard | AsyncGuard,
    clients: Mapping[str, Any] | None = None,
    asking: Asking | None = None,
    unguarded: Collection[str] = (),
    stream_usage: bool = True,
) -> Any:
    """Return a client with the interface and type of the given one, whose calls the guard decides, holds and settles.

    ``client`` is one of the SDK ``openai`` or ``anthropic``, of any platform: synchronous ones take a ``Guard``,
    asynchronous ones an ``AsyncGuard``. ``clients`` maps providers of the catalogue to the clients that serve their
    models, all of the same SDK, or to None for providers whose models are passed over as fallbacks. The wrapped client
    serves all others, or those of its own provider where it calls OpenAI or Anthropic directly. ``asking`` gives
    attributes of every request, or is a function that returns them; the blocks ``asking(…)`` around a call add to them.
    ``unguarded`` names what may pass although the guard neither decides nor counts it, by resource, such as ``images``
    or ``realtime``, or by path, such as ``/rerank``. ``stream_usage=False`` asks for no usage at the end of OpenAI's
    chat streams, for providers that report it unasked, or do not know ``stream_options``.

    Calls raise ``DeniedError``, ``RequestError`` and ``LedgerUnavailableError``, which the SDK does not repeat,
    ``UnguardedCallError`` for what is not guarded, and else what the SDK raises. Raises ``GuardError`` for a client
    that cannot be wrapped.
    """
    if sdk_of(client) is None:
        raise GuardError(f"`client` must be a client of `openai` or `anthropic`, got `{type(client).__name__}`")
    if isinstance(client, _Guarded):
        raise GuardError("the client is wrapped already")
    needed = AsyncGuard if _awaits(client) else Guard
    if not isinstance(guard, needed):
        raise GuardError(f"`{type(client).__name__}` needs a guard of type `{needed.__name__}`, got `{guard!r}`")
    check_asking(asking)
    passing = Passing.read(client, unguarded)
    for provider, other in (clients or {}).items():
        _check_other(client, provider, other)
    _check_providers(guard, clients or {})
    wrapping = Wrapping(guard, dict(clients or {}), asking, passing, stream_usage, type(client))
    return _wrapped(client, wrapping)


def _awaits(client: Any) -> bool:
    return inspect.iscoroutinefunction(type(client).request)


def _check_other(client: object, provider: str, other: object) -> None:
    if other is None:
        return
    own = sdk_of(client)
    if sdk_of(other) is None or isinstance(other, _Guarded):
        found = "a wrapped one" if isinstance(other, _Guarded) else f"`{type(other).__name__}`"
        raise GuardError(f"`clients` must map `{provider}` to a bare client of `{own}`, got {found}")
    if sdk_of(other) != own:
        raise GuardError(
            f"the client of `{provider}` must be one of `{own}`, since requests are not translated for"
            f" `{sdk_of(other)}`; give an endpoint of `{provider}` that speaks the caller's API, or None to do without"
        )
    if _awaits(other) != _awaits(client):
        raise GuardError(f"the client of `{provider}` must be as synchronous as the wrapped one")


def _check_providers(guard: Guard | AsyncGuard, clients: Mapping[str, object]) -> None:
    """Raise ``GuardError`` for a provider of no model: its client would never be asked."""
    known = {model.provider for model in guard.plan.catalogue.models.values() if model.provider is not None}
    for provider in clients:
        if provider not in known:
            advice = did_you_mean(str(provider), known) or f"there are {listed(sorted(known))}"
            raise GuardError(f"`clients` names `{provider}`, the provider of no model of the catalogue; {advice}")


def _wrapped(client: Any, wrapping: Wrapping) -> Any:
    """Return a client that shares all settings and connections with the given one."""
    if getattr(client, "_middleware", ()) and "middleware" not in wrapping.passing.names:
        raise GuardError(
            "the client has middleware, which may repeat calls unseen; pass `unguarded=['middleware']` if it does not"
        )
    kind: Any = type(client)
    wrapped = object.__new__(_guarded_class(kind))
    for name, value in vars(client).items():
        sends = _sends_by(value, client) or name in ("with_raw_response", "with_streaming_response")
        if not sends:
            vars(wrapped)[name] = value
        elif name not in _made_on_demand(kind):  # those are made anew when they are first asked for
            vars(wrapped)[name] = type(value)(wrapped)
    vars(wrapped)["_costlens"] = wrapping
    return wrapped


def _sends_by(value: Any, client: Any) -> bool:
    """Whether a value sends its requests by a client, as the resources of that do."""
    return getattr(value, "__dict__", {}).get("_client") is client


@lru_cache(maxsize=64)
def _made_on_demand(kind: Any) -> frozenset[str]:
    """Return the names of what clients of a class make when it is first asked for, such as ``chat``."""
    return frozenset(name for name in dir(kind) if isinstance(inspect.getattr_static(kind, name), cached_property))


class _Guarded:
    """What a wrapped client does in another way than its own class."""

    _costlens: Wrapping
    _supports_message_threads = False
    """The provider would keep the conversation, so that nobody here sees how long it is: Anthropic's tool runner sends
    all of it instead."""

    def __init__(self, *_: Any, **options: Any) -> None:
        raise GuardError("a wrapped client cannot be made by its class; make a client of the SDK, and `wrap` it")

    def copy(self, **options: Any) -> Any:
        """Return a wrapped client with other options, as the SDK's own method makes it."""
        return _copied(self, options)

    with_options = copy

    @property
    def websocket_base_url(self) -> Any:
        """Where connections by WebSocket begin, in all clients of the SDK."""
        check_connection(self._costlens.passing)
        return vars(self).get("websocket_base_url")

    @websocket_base_url.setter
    def websocket_base_url(self, url: Any) -> None:
        vars(self)["websocket_base_url"] = url


class _GuardedSync(_Guarded):
    def request(self, cast_to: Any, options: Any, **how: Any) -> Any:
        return send(self._costlens, self, cast_to, options, how)


class _GuardedAsync(_Guarded):
    async def request(self, cast_to: Any, options: Any, **how: Any) -> Any:
        return await asend(self._costlens, self, cast_to, options, how)


@lru_cache(maxsize=64)
def _guarded_class(kind: Any) -> Any:
    """Return the class of wrapped clients of a class."""
    mixin = _GuardedAsync if inspect.iscoroutinefunction(kind.request) else _GuardedSync
    members = {"__module__": kind.__module__, "__qualname__": kind.__qualname__, "__doc__": kind.__doc__}
    return type(kind.__name__, (mixin, kind), members)


def _copied(client: Any, options: Mapping[str, Any]) -> Any:
    """Let the client's own class copy it, without the guard, and wrap the copy."""
    wrapping = client._costlens
    bare = object.__new__(wrapping.base)
    vars(bare).update(vars(client))
    return _wrapped(bare.copy(**options), wrapping)
