"""Repeating a call, and falling back on other models and providers, so that the guard counts each attempt.

An attempt is a call of the guard: decided on fresh balances, held, and settled or given back. One whose answer began is
charged, also where it breaks off; what else failed and may have cost, as the guard's ``on_exception`` says. A model is
asked again as often as the client's ``max_retries`` allows, after the pauses of the SDK, which respect ``Retry-After``;
then the next model of the decision follows.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache
from importlib import import_module
from typing import Any, Final

from costlens_policy.guard import GuardError
from costlens_policy.guard.guard import CallFacts
from costlens_policy.integrations.sdk.bodies import Body, Dialect

__all__ = ["Attempts", "sdk_of"]

_FALLING_BACK: Final = frozenset({408, 429})
"""Statuses, beside 5xx, after which another provider may do better."""
_HOMES: Final = {".api.openai.com": "openai", ".api.anthropic.com": "anthropic"}
"""Hosts, regional ones included, that serve the models of one provider only. Any other host may be a gateway."""


def sdk_of(client: object) -> str | None:
    """Return the name of the SDK that a client is of, ``openai`` or ``anthropic``; None for another object."""
    return _sdk_of(type(client))  # type: ignore[arg-type, unused-ignore]


@lru_cache(maxsize=64)
def _sdk_of(kind: type) -> str | None:
    modules = {base.__module__ for base in kind.__mro__}
    return next((name for name in ("openai", "anthropic") if f"{name}._base_client" in modules), None)


class Attempts:
    """The attempts at one request. ``request`` is what each asks of the guard, ``body`` what the caller would send."""

    def __init__(
        self,
        client: Any,
        clients: Mapping[str, Any],
        options: Any,
        body: Body,
        dialect: Dialect,
        request: Mapping[str, Any],
        *,
        adds_usage: bool,
    ) -> None:
        self.request: Final = request
        self.failure: Exception | None = None
        """What the last attempt met."""
        self.answer: Any = None
        """What the provider answered to this attempt, where the SDK still has to make of it what its caller gets."""
        self.is_answered = False
        """Whether the answer to this attempt has begun, and is none of an error: its provider works for it."""
        self.adds_usage: Final = adds_usage
        """Whether what is sent asks for a chunk with the usage, for which the caller did not ask."""
        self._clients: Final = clients
        self._client: Final = client
        self._options: Final = options
        self._body: Final = body
        self._dialect: Final = dialect
        self._tried: Final[Counter[str]] = Counter()
        self._given_up: Final[set[str]] = set()
        self._keys: Final[dict[str, str]] = {}
        self._listed: tuple[str, ...] = ()
        self._in_use: tuple[str, Any] = "", client

    def choose(self, call: CallFacts) -> tuple[Any, Any]:
        """Move a call to the first of its models that may still be tried; return its client, and what that is to send.

        Raises what the last attempt met where there is none, ``GuardError`` where a model has no client, and nobody
        said that it need not have one.
        """
        self._listed = (call.model, *call.fallbacks)
        served = [found for found in self._served(call) if found[0] not in self._given_up]
        if not served:
            assert self.failure is not None, "the first model is tried, or raises"
            raise self.failure
        model, client = self._in_use = served[0]
        if model != call.model:
            call.use(model)
        self.is_answered = False
        return client, self._rewritten(call)

    def _served(self, call: CallFacts) -> Iterator[tuple[str, Any]]:
        """Yield the models that can be asked, each with its client. Fallbacks of providers without one are left out."""
        first, find = self._listed[0], call.decision.plan.catalogue.find
        for model in self._listed:
            known = find(model)
            provider = None if known is None else known.provider
            client = self._client_of(provider)
            if client is not None:
                yield model, client
            elif model == first or provider not in self._clients:
                raise _without_client(model, provider, is_fallback=model != first)

    @contextmanager
    def heard(self) -> Iterator[None]:
        """Note within this block that an answer arrives, before its body does."""
        _hears(self._in_use[1]._client)
        token = _UNDER_WAY.set(self)
        try:
            yield
        finally:
            _UNDER_WAY.reset(token)

    def after(self, error: Exception) -> float:
        """Return how many seconds to wait before the next attempt. Raises the error where there is to be none."""
        self.failure = error
        model, client = self._in_use
        sdk = import_module(sdk_of(client) or "")
        status = getattr(error, "status_code", None) if isinstance(error, sdk.APIStatusError) else None
        unreachable = isinstance(error, sdk.APIConnectionError)
        repeats = unreachable or (status is not None and client._should_retry(error.response))  # type: ignore[attr-defined]
        most = self._options.get_max_retries(self._client.max_retries)
        left = most - self._tried[model]
        self._tried[model] += 1
        if repeats and left > 0:
            headers = None if unreachable else error.response.headers  # type: ignore[attr-defined]
            seconds: float = client._calculate_retry_timeout(left, self._options, headers)
            return seconds
        self._given_up.add(model)
        may_fall_back = unreachable or (status is not None and (status in _FALLING_BACK or status >= 500))
        if not may_fall_back or self._given_up.issuperset(self._listed):
            raise error
        return 0

    def _noted(self, answer: Any) -> Any:
        self.answer = answer
        return answer

    def _client_of(self, provider: str | None) -> Any:
        """Return the client that serves a provider's models; None where there is none, as the caller may have said."""
        if provider is not None and provider in self._clients:
            return self._clients[provider]
        home = _home_of(self._client.base_url.host)
        return self._client if home is None or provider in (home, None) else None

    def _rewritten(self, call: CallFacts) -> Any:
        """Return the options of the request with the body that was decided, for one attempt."""
        self.answer = None
        given = self._options
        sent: dict[str, Any] = {
            "json_data": self._dialect.write(self._body, call),
            "extra_json": None,
            "max_retries": 0,
        }
        if callable(parse := given.post_parser):
            sent["post_parser"] = lambda answer: parse(self._noted(answer))
        if given.idempotency_key is None:  # one for each model, as the SDK has one for all its attempts
            if call.model not in self._keys:
                self._keys[call.model] = self._client._idempotency_key()
            sent["idempotency_key"] = self._keys[call.model]
        return given.model_copy(update=sent)


@lru_cache(maxsize=64)
def _home_of(host: str) -> str | None:
    """Return the provider that a host belongs to; None for one that may be a gateway."""
    return next((name for end, name in _HOMES.items() if f".{host}".endswith(end)), None)


def _without_client(model: str, provider: str | None, *, is_fallback: bool) -> GuardError:
    what = f"`{model}`, {'a fallback of' if is_fallback else 'decided for'} this request,"
    ways = f"give a client of the caller's SDK for `{provider}` in `clients`, or route such requests elsewhere"
    if is_fallback:
        ways += f"; `clients={{{provider!r}: None}}` goes without it"
    return GuardError(f"{what} is served by `{provider}`, for which `clients` has no client; {ways}")


_UNDER_WAY: Final[ContextVar[Attempts]] = ContextVar("costlens_policy_attempts")


def _hears(http: Any) -> None:
    """Let an HTTP client say when the answer to an attempt begins. It does so for other requests, too: unheard."""
    hooks = http.event_hooks["response"]
    hook = _begins_later if hasattr(http, "aclose") else _begins
    if hook not in hooks:
        hooks.append(hook)


def _begins(response: Any) -> None:
    attempts = _UNDER_WAY.get(None)
    if attempts is not None:
        attempts.is_answered = response.is_success


async def _begins_later(response: Any) -> None:
    _begins(response)
