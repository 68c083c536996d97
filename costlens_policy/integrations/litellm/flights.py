"""One request to the gateway, from its decision until nothing of it is held: each attempt is counted by the guard."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from itertools import takewhile
from typing import Any, Final

from costlens_policy.guard.async_guard import AsyncCall, AsyncGuard
from costlens_policy.guard.errors import GuardError
from costlens_policy.guard.streams.meter import aclose_stream
from costlens_policy.integrations.litellm.kinds import Kind, with_limit
from costlens_policy.integrations.litellm.models import Groups
from costlens_policy.integrations.litellm.settings import Settings
from costlens_policy.integrations.litellm.streams import seen_by_guard

__all__ = ["Flight", "was_answered"]

_LOG: Final = logging.getLogger("costlens_policy.litellm")
_DEEPEST: Final = 20
_PATIENCE: Final = 5.0
"""Seconds for which a stream may be awaited that nobody has begun to read when its request is over."""


class Flight:
    """A request under way.

    LiteLLM repeats a request, and falls back to others. The first attempt counts as the call that was held; one that
    follows an attempt which was charged is held anew, and decided anew. ``params`` are those of the request, ``asked``
    the model that the client named, ``groups`` the deployments that there were when it began, ``wants_usage`` whether
    the client asked for the usage of a stream.
    """

    def __init__(
        self,
        guard: AsyncGuard,
        settings: Settings,
        kind: Kind,
        request: Mapping[str, Any],
        asked: str,
        groups: Groups,
    ) -> None:
        self.kind: Final = kind
        self.request: Final = request
        self.asked: Final = asked
        self.groups: Final = groups
        self.wants_usage = False
        self.owner: Any = None
        """LiteLLM's logging object of the request, by which its attempts are told from other calls."""
        self.attempts = 0
        self.is_waiting = False
        """Whether an attempt was sent whose outcome is not known yet."""
        self.is_nested = False
        """Whether LiteLLM translated the attempt into a call of another API, which has begun."""
        self.is_streaming = False
        self.deployment: Any = None
        """The id of LiteLLM's deployment to which the last attempt went."""
        self.over = False
        self._faults: Final[list[BaseException]] = []
        """The errors of attempts that failed, and those behind them: LiteLLM chains those of later attempts to them."""
        self._guard = guard
        self._settings = settings
        self._call: AsyncCall | None = None
        self._timer: asyncio.TimerHandle | None = None

    @property
    def params(self) -> Mapping[str, Any]:
        params: Mapping[str, Any] = self.request.get("params") or {}
        return params

    @property
    def call(self) -> AsyncCall:
        assert self._call is not None, "a flight begins with a call"
        return self._call

    @property
    def is_settled(self) -> bool:
        return self._call is not None and self._call.charged is not None

    async def begin(self) -> None:
        """Decide and hold. Raises what ``AsyncGuard.call`` raises."""
        self._call = await self._guard.call(self.request)
        self._look_after()

    async def begin_attempt(self, model: str) -> AsyncCall:
        """Return the call of the next attempt, on a model of the catalogue. Raises ``GuardError`` for another model.

        Raises ``DeniedError`` where the attempt before was charged, and nothing is left for another.
        """
        if self.over:
            raise GuardError("the request is over, and what it used is charged; a further call must be a request")
        if self.is_streaming:
            raise GuardError("a stream that broke off is not continued by another model: the client has seen its start")
        if self.is_waiting:  # nobody reported how the one before ended
            await self._end_attempt(None)
        if self.is_settled:
            await self.begin()
        self.call.use(model)
        self.attempts += 1
        self.is_waiting, self.is_nested = True, False
        return self.call

    async def fail_attempt(self, error: BaseException) -> None:
        """Note that an attempt failed: what its provider may have charged is charged."""
        if self.is_waiting and not self.is_streaming:
            await self._end_attempt(error)

    async def _end_attempt(self, error: BaseException | None) -> None:
        self.is_waiting = False
        answered = was_answered(error, self._faults)
        if error is not None:
            self._faults.extend(_chain(error))
        if self._settings.unanswered == "charge" and not answered:
            reason = "nobody knows how an attempt ended" if error is None else f"{type(error).__name__}"
            _LOG.warning("call `%s` is charged its worst case: %s", self.call.id, reason)
            await self.call.settle()

    async def answer(self, response: Any) -> None:
        """Charge the attempt that answered."""
        self.is_waiting = False
        await self.call.settle(_countable(response))

    def translated(self, kind: Kind, kwargs: Mapping[str, Any]) -> dict[str, Any]:
        """Return the arguments of an attempt that LiteLLM translated into another API, with the limit that was decided.

        Raises ``GuardError`` for a further call of LiteLLM's own within the same attempt.
        """
        if self.is_nested:
            raise GuardError("LiteLLM makes several calls of its own for one attempt, of which only one was decided")
        self.is_nested = True
        return with_limit(kind, self.call, kwargs)

    async def finish(self, response: Any) -> None:
        """End a request that was answered at once: from a cache, it costs nothing."""
        hidden = getattr(response, "_hidden_params", None) or {}
        if not self.is_settled and hidden.get("cache_hit") is not True:
            self._check_attempted()
            await self.answer(response)
        self.is_waiting = False
        await self.leave(None)

    def _check_attempted(self) -> None:
        if not self.attempts:
            _LOG.error("call `%s` was answered, and no attempt of it was seen: LiteLLM has gone round it", self.call.id)

    async def stream(self, response: Any, *, cached: bool) -> AsyncIterator[Any]:
        """Pass on a streamed answer, and charge it by what comes of it; from a cache, it costs nothing.

        Until the first chunk, LiteLLM may try another model.
        """
        if cached:
            self.is_waiting = False
            await self.leave(None)
            async for chunk in response:
                yield chunk
            return
        self._check_attempted()
        error: BaseException | None = None
        passing: list[Any] = []
        views = seen_by_guard(response, passing, doubtful=self.kind.adds_usage)
        try:
            async for first in views:
                self.is_streaming = True
                passed = self.call.stream(_from(first, views))
                try:
                    async for _ in passed:
                        while passing:
                            yield passing.pop(0)
                finally:
                    await aclose_stream(passed)  # charges what came, where the client went away in the middle
        except Exception as fault:
            error = fault
            raise
        finally:
            await aclose_stream(views)
            await aclose_stream(response)
            self.is_streaming = False
            self.is_waiting = self.is_waiting and not self.is_settled
            await self.leave(error)

    async def leave(self, error: BaseException | None) -> None:
        """End the request: nothing of it stays held. ``error`` is what it ended with."""
        if self.over:
            return
        if self.is_waiting:
            await self._end_attempt(error)
        self.end()
        await self.call.release()  # a settled call stays settled

    def end(self) -> None:
        self.over = True
        if self._timer is not None:
            self._timer.cancel()

    def leave_later(self, spawn: Callable[[Any], Any]) -> None:
        """End a request whose task is over, unless a stream of it is being read, or will be in a moment."""
        if self.over or self.is_streaming:
            return
        if self.is_waiting and self.request.get("stream"):
            asyncio.get_running_loop().call_later(_PATIENCE, lambda: self.is_streaming or spawn(self.leave(None)))
        else:
            spawn(self.leave(None))

    def _look_after(self) -> None:
        """Extend the hold for as long as the request is under way. A stream does so by itself."""
        if self._timer is not None:
            self._timer.cancel()
        expires = self.call.expires_at
        if expires is not None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(self._settings.lease_seconds / 2, self._extend)

    def _extend(self) -> None:
        if self.over or self.is_settled:
            return
        extending = asyncio.ensure_future(self.call.extend())
        extending.add_done_callback(_logged)
        self._look_after()


def _logged(task: asyncio.Future[Any]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        _LOG.warning("the hold of a request was not extended: %s", error)


async def _from(first: Any, rest: AsyncIterator[Any]) -> AsyncIterator[Any]:
    yield first
    async for item in rest:
        yield item


def _countable(response: Any) -> Any:
    """Return what tells the usage of a response: vectors are not looked through for it."""
    return {"usage": response.usage} if hasattr(response, "data") and hasattr(response, "usage") else response


_NEVER_SENT: Final = frozenset({"ConnectError", "ConnectTimeout", "PoolTimeout", "ClientConnectorError"})
_UNANSWERED: Final = frozenset({"APIConnectionError", "APITimeoutError", "Timeout", "TimeoutError", "CancelledError"})


def was_answered(error: BaseException | None, before: Sequence[BaseException] = ()) -> bool:
    """Whether an attempt that failed has cost nothing: the provider answered it with a status, or never got it.

    LiteLLM gives time-outs and lost connections a status, too, so that the errors behind one tell: those of OpenAI's
    SDK, httpx and aiohttp, by their names, since not all of them are installed everywhere. ``before`` are errors of
    attempts before this one, to which its own are chained.
    """
    if error is None:
        return False
    known = set(map(id, before))
    own = takewhile(lambda fault: id(fault) not in known, _chain(error))
    classes = {cls.__name__ for fault in own for cls in type(fault).__mro__}
    if classes & _NEVER_SENT:
        return True
    return not classes & _UNANSWERED and isinstance(getattr(error, "status_code", None), int)


def _chain(error: BaseException) -> Iterator[BaseException]:
    fault: BaseException | None = error
    for _ in range(_DEEPEST):
        if fault is None:
            return
        yield fault
        fault = fault.__cause__ or fault.__context__
