"""The ASGI application: who may ask what, how much and how long, and what is answered when something is wrong.

There are a dozen paths and none has a part to be matched, so that finding one is a look into a dictionary.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, MutableMapping
from contextlib import suppress
from datetime import timedelta
from typing import Any, Final, TypeAlias
from urllib.parse import parse_qsl

import msgspec

import costlens_policy.service.bodies as bodies
from costlens_policy.decision_log import DecisionLog
from costlens_policy.errors import CostlensPolicyError, InputError
from costlens_policy.guard import AsyncGuard, LoggingSink
from costlens_policy.integrations.refusals import Refusal, refusal_of
from costlens_policy.live import LivePolicies, PolicyStatus
from costlens_policy.service.answers import encode
from costlens_policy.service.endpoints import ENDPOINTS, Endpoint, Serving
from costlens_policy.service.keys import Key, KeyFile, Keys, Scope
from costlens_policy.service.metrics import CONTENT_TYPE, Metrics
from costlens_policy.service.openapi import openapi_text
from costlens_policy.service.settings import Open, Settings
from costlens_policy.service.signal_sources import load_sources

__all__ = ["Application"]

_Message: TypeAlias = MutableMapping[str, Any]
_Receive: TypeAlias = Callable[[], Awaitable[_Message]]
_Send: TypeAlias = Callable[[_Message], Awaitable[None]]
_Headers: TypeAlias = list[tuple[bytes, bytes]]

_LOG: Final = logging.getLogger("costlens_policy.service")
_JSON: Final = b"application/json"
_BEARER: Final = b"bearer "
_LOOK: Final = 1.0
"""Seconds between two looks at the file of keys, and at what is shown to other workers."""
_CLOSE: Final = (b"connection", b"close")


class _RefusedError(Exception):
    """A request is not answered with what it asked for. ``headers`` go on top of those of the refusal."""

    def __init__(self, refusal: Refusal, *headers: tuple[bytes, bytes]) -> None:
        self.refusal = refusal
        self.headers = headers


class _Watched:
    """The requests under way, each with the time at which it began.

    One look at all of them takes the place of a timer for each, which costs as much as a decision.
    """

    def __init__(self) -> None:
        self._began: Final[dict[asyncio.Task[Any], float]] = {}
        self._given_up: Final[set[asyncio.Task[Any]]] = set()

    def begin(self) -> asyncio.Task[Any]:
        task = asyncio.current_task()
        assert task is not None, "a request is a task"
        self._began[task] = time.monotonic()
        return task

    def end(self, task: asyncio.Task[Any]) -> bool:
        """Look at a request no more; return whether it was given up, and has been cancelled for that alone."""
        self._began.pop(task, None)
        if not self._given_up or task not in self._given_up:
            return False
        self._given_up.discard(task)
        task.uncancel()
        return True

    def give_up(self, seconds: float) -> None:
        """Cancel those that began longer ago than so many seconds."""
        oldest = time.monotonic() - seconds
        for task, began in list(self._began.items()):
            if began < oldest:
                del self._began[task]
                self._given_up.add(task)
                task.cancel()


class Application:
    """One worker: the endpoints over one guard. It begins and ends with ASGI's lifespan."""

    def __init__(self, settings: Settings) -> None:
        self._settings: Final = settings
        self._paths: Final = {item.path: item for item in ENDPOINTS}
        self._metrics: Final = Metrics()
        self._key_file: Final = None if settings.keys is None else KeyFile(settings.keys)
        self._keys = Keys()
        self._keys_seen: object = None
        self._serving: Serving | None = None
        self._log: DecisionLog | None = None
        self._watching: asyncio.Task[None] | None = None
        self._watched: Final = _Watched()
        self._under_way = 0

    async def __call__(self, scope: Mapping[str, Any], receive: _Receive, send: _Send) -> None:
        if scope["type"] == "http":
            await self._answer(scope, receive, send)
        elif scope["type"] == "lifespan":
            await self._live(receive, send)
        else:
            await send({"type": "websocket.close", "code": 1000})

    async def start(self) -> None:
        """Load policies and keys, and open the ledger. Raises ``CostlensPolicyError``."""
        settings = self._settings
        self._read_keys()
        log = None
        if settings.decision_log is not None:
            log = self._log = DecisionLog(settings.decision_log, sample=settings.log_sample)
        policies = LivePolicies(
            settings.source(), interval=settings.reload_seconds, on_change=self._policies_changed, log=log
        )
        self._metrics.begin(self._paths, policies.plan)
        sinks = (LoggingSink(), self._metrics.alerted)
        sources = load_sources(settings.sources)
        guard = AsyncGuard(
            policies, settings.ledger, lease=settings.lease, alert_sinks=sinks, signals=sources,
            longest_wait=timedelta(seconds=settings.limits.seconds) / 2,  # who asked is to get the answer
        )  # fmt: skip
        guard.watch_ledger(self._metrics.ledger.observe)
        self._serving = Serving(guard, policies, self._metrics, settings.lease, settings.trusts_signals)
        self._watching = asyncio.create_task(self._watch())

    async def stop(self) -> None:
        """Write what waits for the ledger, and close it. Holds stay in the ledger until their leases end."""
        if self._watching is not None:
            self._watching.cancel()
            with suppress(asyncio.CancelledError):
                await self._watching
        if self._serving is not None:
            await self._serving.close()
        if self._log is not None:
            await asyncio.to_thread(self._log.close)
        self._metrics.close()

    async def _live(self, receive: _Receive, send: _Send) -> None:
        await receive()
        try:
            await self.start()
        except CostlensPolicyError as error:
            await send({"type": "lifespan.startup.failed", "message": str(error)})
            return
        gc.collect()
        gc.freeze()  # the policies stay: looking through them again and again would stall requests
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self.stop()
        await send({"type": "lifespan.shutdown.complete"})

    def _policies_changed(self, status: PolicyStatus) -> None:
        self._metrics.reloaded("loaded" if status.is_current else "refused")
        if status.is_current and self._serving is not None:
            self._metrics.begin(self._paths, self._serving.policies.plan)

    async def _watch(self) -> None:
        """Give up what takes too long, take over changed keys, and show other workers how this one is."""
        while True:
            await asyncio.sleep(_LOOK)
            self._watched.give_up(self._settings.limits.seconds)
            if self._serving is not None and self._serving.guard.ledger_fault:
                await self._serving.guard.ledger_answers()  # nobody else may ask, where a service is out of use
            self._show()
            self._look_at_keys()

    def _look_at_keys(self) -> None:
        """Take over changed keys. A file that cannot be read changes nothing, and is reported once."""
        assert self._serving is not None, "it was started"
        try:
            self._read_keys()
        except InputError as error:
            problems = [str(error)]
            if problems != self._serving.key_problems:
                _LOG.error("the keys stay as they were: %s", error)
        else:
            problems = []
        self._serving.key_problems[:] = problems

    def _read_keys(self) -> None:
        """Read the file of keys if it has changed, or could not be read. Raises ``InputError``."""
        if self._key_file is None:
            return
        seen = None
        with suppress(OSError):
            status = self._key_file.path.stat()
            seen = (status.st_mtime_ns, status.st_ino, status.st_size)
        if seen is not None and seen == self._keys_seen:
            return
        self._keys_seen = None
        self._keys = Keys(self._key_file.read())
        self._keys_seen = seen

    async def _answer(self, scope: Mapping[str, Any], receive: _Receive, send: _Send) -> None:
        """Answer one request, whatever happens."""
        self._under_way += 1
        path = scope["path"]
        name = path if path in self._paths or path in _TEXTS else "unknown"
        try:
            status, headers, body = 200, *await self._answered(scope, receive)
        except _RefusedError as refused:
            status, headers, body = _refused(refused.refusal, refused.headers)
        except TimeoutError:
            status, headers, body = _refused(_TOO_SLOW, (_CLOSE,))
        except CostlensPolicyError as error:
            refusal = refusal_of(error) or _invalid(str(error))
            status, headers, body = _refused(refusal)
        except Exception:
            _LOG.exception("a request to %s failed", name)
            status, headers, body = _refused(_DEFECT)
        finally:
            self._under_way -= 1
        self._metrics.answered(name, status)
        headers.append((b"content-length", b"%d" % len(body)))
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def _answered(self, scope: Mapping[str, Any], receive: _Receive) -> tuple[_Headers, bytes]:
        limits = self._settings.limits
        endpoint = self._paths.get(scope["path"])
        if endpoint is None:
            return self._other(scope)
        self._admit(scope, endpoint.scope, endpoint.open)
        if scope["method"] != endpoint.method:
            raise _RefusedError(_WRONG_METHOD, (b"allow", endpoint.method.encode()))
        if self._under_way > limits.at_once and endpoint.open is not Open.HEALTH:
            self._metrics.turned_away()
            raise _RefusedError(_BUSY)
        serving = self._serving
        assert serving is not None, "it was started"
        task = self._watched.begin()
        try:
            if endpoint.method == "GET":
                body = _query(endpoint, scope["query_string"])
            else:
                raw = await _read(receive, limits.body_bytes)
                try:
                    body = bodies.read_body(raw, endpoint.decoder)
                except bodies.BodyError:
                    _refuse_compressed(scope["headers"])
                    raise
            answer = await endpoint.work(serving, body)
        except asyncio.CancelledError:
            if self._watched.end(task):
                raise TimeoutError from None
            raise
        finally:
            self._watched.end(task)
        return [(b"content-type", _JSON)], encode(answer)

    def _admit(self, scope: Mapping[str, Any], needed: Scope | None, open: Open) -> None:
        """Refuse who brings no key, an unknown one, or one that does not open this."""
        if self._settings.is_open(open):
            return
        key = self._key_of(scope["headers"])
        if key is None:
            raise _RefusedError(_NO_KEY, (b"www-authenticate", b"Bearer"))
        if needed is not None and not key.opens(needed):
            said = f"the key `{key.name}` has no scope `{needed}`"
            raise _RefusedError(Refusal(403, "permission_error", "missing_scope", said))

    def _key_of(self, headers: _Headers) -> Key | None:
        for name, value in headers:
            if name == b"authorization" and value[:7].lower() == _BEARER:
                return self._keys.find(value[7:].strip())
        return None

    def _other(self, scope: Mapping[str, Any]) -> tuple[_Headers, bytes]:
        """Answer the two endpoints that return no JSON of ours, and refuse all other paths."""
        path = scope["path"]
        if path not in _TEXTS:
            self._admit(scope, None, Open.EVERYTHING)  # whoever has no key does not learn which paths there are
            raise _RefusedError(_NO_PATH)
        self._admit(scope, *_TEXTS[path])
        if scope["method"] != "GET":
            raise _RefusedError(_WRONG_METHOD, (b"allow", b"GET"))
        if path == "/openapi.json":
            return [(b"content-type", _JSON)], openapi_text().encode()
        self._show()
        return [(b"content-type", CONTENT_TYPE)], self._metrics.text()

    def _show(self) -> None:
        """Show other workers, and whoever asks them, what this one has counted."""
        assert self._serving is not None, "it was started"
        if self._log is not None:
            self._metrics.log_dropped(self._log.status.dropped)
        guard, current = self._serving.guard, self._serving.policies.status.is_current
        self._metrics.flush(ledger_up=not guard.ledger_fault, policies_current=current, in_flight=self._under_way)


_TEXTS: Final[Mapping[str, tuple[Scope | None, Open]]] = {
    "/metrics": (Scope.ADMIN, Open.METRICS),
    "/openapi.json": (None, Open.OPENAPI),
}


async def _read(receive: _Receive, most: int) -> bytes:
    """Return a body. Raises ``_RefusedError`` for one that is too large, or whose sender left."""
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise _RefusedError(_invalid("the client closed the connection before its request was complete"))
        part: bytes = message.get("body", b"")
        size += len(part)
        if size > most:
            said = f"a body must have at most {most:,} bytes"
            raise _RefusedError(Refusal(413, "request_too_large", "body_too_large", said))  # the rest is passed over
        if not message.get("more_body", False):
            return b"".join((*parts, part)) if parts else part
        parts.append(part)


def _refuse_compressed(headers: _Headers) -> None:
    """Say what is wrong with a body that is compressed, for it is no JSON until somebody unpacks it."""
    if any(name == b"content-encoding" and value.lower() != b"identity" for name, value in headers):
        raise _RefusedError(_COMPRESSED)


def _query(endpoint: Endpoint[Any], query: bytes) -> Any:
    """Return the parameters of a query as the endpoint's type. Raises ``BodyError``."""
    try:
        pairs = parse_qsl(query.decode("ascii"), keep_blank_values=True, strict_parsing=bool(query), errors="strict")
    except ValueError:
        raise bodies.BodyError("the query must be `name=value` pairs in UTF-8, percent-encoded") from None
    given = dict(pairs)
    if len(given) < len(pairs):
        raise bodies.BodyError("a parameter of the query appears twice")
    try:
        return msgspec.convert(given, endpoint.body)
    except msgspec.ValidationError as error:
        raise bodies.BodyError(f"the query is not valid: {error}") from None


def _refused(refusal: Refusal, further: tuple[tuple[bytes, bytes], ...] = ()) -> tuple[int, _Headers, bytes]:
    return refusal.status, [*_encoded(refusal.headers), *further], msgspec.json.encode(refusal.body)


def _encoded(headers: Mapping[str, str]) -> Iterator[tuple[bytes, bytes]]:
    for name, value in headers.items():
        yield name.encode("latin-1"), value.encode("latin-1")


def _invalid(message: str) -> Refusal:
    return Refusal(400, "invalid_request_error", "invalid_request", message)


_NO_KEY: Final = Refusal(
    401, "authentication_error", "invalid_key", "a known key is needed: `authorization: Bearer clp_…`"
)
_NO_PATH: Final = Refusal(404, "not_found_error", "no_such_endpoint", "there is no such endpoint; see `/openapi.json`")
_WRONG_METHOD: Final = Refusal(405, "invalid_request_error", "wrong_method", "the endpoint takes another method")
_COMPRESSED: Final = Refusal(
    415, "invalid_request_error", "compressed_body", "a body must be sent without `content-encoding`"
)
_BUSY: Final = Refusal(503, "overloaded_error", "overloaded", "too many requests are under way", retry_after=1)
_TOO_SLOW: Final = Refusal(503, "api_error", "timeout", "the request took too long and was given up", retry_after=1)
_DEFECT: Final = Refusal(500, "api_error", "internal_error", "the service failed; its log has the reason")
