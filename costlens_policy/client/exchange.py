"""One exchange with the service, without the sending: what is asked, how an answer is read, when to ask again.

Everything may be repeated: a reservation has an id before it is sent for the first time, and the rest counts once.
"""

from __future__ import annotations

import math
import random
import secrets
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final, Generic, TypeVar
from urllib.parse import urlsplit

import httpx
import msgspec

import costlens_policy.client.wire as wire
from costlens_policy.clock import duration_text
from costlens_policy.errors import CostlensPolicyError
from costlens_policy.frozen import frozen

__all__ = [
    "Asked", "Asks", "ServiceDeniedError", "ServiceError", "ServiceUnavailableError", "Tries", "address_of",
    "headers_of", "joined", "retries_of", "timeout_of", "whole_of",
]  # fmt: skip

_Answer = TypeVar("_Answer", bound=wire.Told)

_DENIALS: Final = frozenset({"approval_needed", "budget_exceeded", "policy_denied", "run_ended", "share_refused"})
_RUNS: Final = "costlens_policy.guard.runs"
_LARGEST: Final = 1_000_000
"""Characters of results that are settled in one request."""
_PAUSE: Final = 0.1
_LONGEST_PAUSE: Final = 5.0
_UNIX: Final = "unix:"
_WRITABLE: Final = (str, int, Decimal, datetime, timedelta, type(None))
"""Types of values, beside floats, lists and mappings. The library would write bytes as base64, and sets as lists."""
_JSON: Final = msgspec.json.Encoder(decimal_format="number")
"""Attributes are numbers, whatever type of number they were given as."""


class ServiceError(CostlensPolicyError):
    """The service refused a request.

    ``status`` is that of HTTP, 0 where there was no answer; ``code`` is the service's word for the reason, such as
    ``call_conflict``.
    """

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code


class ServiceDeniedError(ServiceError):
    """A call was denied. ``rule`` decided, or ``budget`` had no room for ``key`` until ``resets_at``.

    That share had ``used`` and ``held`` so much of ``limit``, in ``unit``; the next of its holds ends by itself at
    ``hold_ends_at``. ``over`` is the run that is over, if that is why: ``code`` is ``run_ended`` where it has ended.
    ``approval`` is the id of the approval that the call needs, where ``code`` is ``approval_needed``. ``set_aside`` is
    what of ``held`` waits for calls of others, where ``code`` is ``share_refused``.
    """

    def __init__(self, status: int, facts: wire.ProblemFacts) -> None:
        super().__init__(status, facts.code, facts.message)
        self.rule = facts.rule
        self.budget = facts.budget
        self.key = facts.key
        self.resets_at: datetime | None = facts.resets_at
        self.unit = facts.unit
        self.used = None if facts.used is None else Decimal(facts.used)
        self.held = None if facts.held is None else Decimal(facts.held)
        self.limit = None if facts.limit is None else Decimal(facts.limit)
        self.hold_ends_at: datetime | None = facts.hold_ends_at
        self.set_aside = None if facts.set_aside is None else Decimal(facts.set_aside)
        self.over = facts.over
        self.approval = facts.approval


class ServiceUnavailableError(ServiceError):
    """The service could not be reached, or not do its work, however often it was asked. Repeating is harmless.

    ``retry_after`` is how many seconds the service asks for before the next attempt; 0 where it does not say.
    """

    def __init__(self, status: int, code: str, message: str, retry_after: float = 0.0) -> None:
        super().__init__(status, code, message)
        self.retry_after = retry_after


@frozen
class Asked(Generic[_Answer]):
    """A request of the service, and the type of its answer."""

    method: str
    path: str
    body: bytes | None
    query: Mapping[str, str]
    answer: type[_Answer]

    @property
    def sent(self) -> dict[str, Any]:
        """The arguments with which httpx sends it."""
        headers = {} if self.body is None else {"content-type": "application/json"}
        return {
            "method": self.method, "url": self.path, "content": self.body, "params": self.query, "headers": headers,
        }  # fmt: skip

    def read(self, response: httpx.Response) -> _Answer:
        """Return an answer as its type. Raises ``ServiceError`` for a refusal, or what is no answer of the service."""
        status = response.status_code
        try:
            if status == 200:
                return msgspec.json.decode(response.content, type=self.answer)  # type: ignore[no-any-return, unused-ignore]
            problem = msgspec.json.decode(response.content, type=wire.Problem).error
        except msgspec.MsgspecError:
            said = f"an answer with status {status} is none of the service's; is another one at this URL?"
            raise ServiceError(status, "unreadable", said) from None
        if problem.code in _DENIALS:
            raise ServiceDeniedError(status, problem)
        if status == 503:
            raise ServiceUnavailableError(status, problem.code, problem.message, _seconds(response))
        raise ServiceError(status, problem.code, problem.message)


def address_of(url: str) -> tuple[str, str | None]:
    """Return the base of all URLs, and the path of the socket if it is one. Raises ``ValueError``."""
    path = url.removeprefix(_UNIX)
    if path != url and path:
        return "http://localhost", path
    try:
        parts = urlsplit(url)
        if parts.scheme in ("http", "https") and parts.hostname and parts.port != 0:
            return url, None
    except ValueError:  # a port or an address that is none
        pass
    raise ValueError(f"`url` must be `http://host:port`, `https://host:port` or `unix:/path`, got `{url}`")


def headers_of(key: str | None) -> dict[str, str]:
    """Return the headers that show a key, without white space around it. Raises ``ValueError``, which has no key."""
    if key is None:
        return {}
    key = key.strip()
    if not key or not all("!" <= character <= "~" for character in key):
        raise ValueError("`key` must be what `costlens-policy keys add` printed: visible ASCII characters")
    return {"authorization": f"Bearer {key}"}


def timeout_of(seconds: float) -> float:
    """Return how long an attempt may take. Raises ``ValueError``."""
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not seconds > 0:
        raise ValueError(f"`timeout` must be a positive number of seconds, got `{seconds!r}`")
    return seconds


def retries_of(count: int) -> int:
    """Return how often a request is repeated. Raises ``ValueError``."""
    if isinstance(count, bool) or not isinstance(count, int) or count < 0:
        raise ValueError(f"`retries` must be a non-negative integer, got `{count!r}`")
    return count


class Tries:
    """The attempts at one request: as often as is allowed, after pauses that double and are spread."""

    def __init__(self, retries: int) -> None:
        self._left = retries
        self._longest = _PAUSE

    def pause_after(self, error: ServiceUnavailableError | httpx.TransportError) -> float:
        """Return how many seconds to wait before the next attempt. Raises ``ServiceUnavailableError`` after the last"""
        if self._left <= 0:
            if isinstance(error, ServiceUnavailableError):
                raise error
            said = f"the service cannot be reached: {error or type(error).__name__}"
            raise ServiceUnavailableError(0, "unreachable", said) from error
        self._left -= 1
        pause = self._longest * random.uniform(0.5, 1)
        self._longest = min(self._longest * 2, _LONGEST_PAUSE)
        return min(max(pause, getattr(error, "retry_after", 0.0)), _LONGEST_PAUSE)


def _seconds(response: httpx.Response) -> float:
    """Return what a response asks to wait; 0 where it does not say."""
    try:
        return float(response.headers.get("retry-after", 0))
    except ValueError:
        return 0.0


class Asks:
    """What can be asked, in the order of the endpoints."""

    @staticmethod
    def decide(request: Mapping[str, Any], dialect: wire.Dialect | None) -> Asked[wire.Decided]:
        return _post("decide", wire.Decide(_in_run(request), dialect), wire.Decided)

    @staticmethod
    def decide_all(
        requests: Sequence[Mapping[str, Any]], dialect: wire.Dialect | None, brief: bool
    ) -> Asked[wire.BatchAnswer]:
        if isinstance(requests, str | Mapping) or not isinstance(requests, Sequence):
            raise _invalid(f"`requests` must be a list of requests, got `{type(requests).__name__}`")
        return _post("decide/batch", wire.Batch(list(map(_in_run, requests)), dialect, brief), wire.BatchAnswer)

    @staticmethod
    def explain(request: Mapping[str, Any]) -> Asked[wire.Explained]:
        return _post("explain", wire.Decide(_in_run(request)), wire.Explained)

    @staticmethod
    def models(request: Mapping[str, Any]) -> Asked[wire.ModelsAnswer]:
        return _post("models", wire.Models(_in_run(request)), wire.ModelsAnswer)

    @staticmethod
    def reserve(
        request: Mapping[str, Any], id: str | None, lease: timedelta | str | None, dialect: wire.Dialect | None
    ) -> Asked[wire.Reserved]:
        own = secrets.token_hex(16) if id is None else id
        body = wire.Reserve(request=_in_run(request), id=own, lease=_lease(lease), dialect=dialect)
        return _post("reserve", body, wire.Reserved)

    @staticmethod
    def settle(
        id: str, usage: Any, model: str | None, output_text: str | Sequence[str] | None, shape: str | None
    ) -> Asked[wire.Charge]:
        return _post("settle", wire.Settle(id, _usage(usage), model, _texts(output_text), shape), wire.Charge)

    @staticmethod
    def submit(
        requests: Mapping[str, Mapping[str, Any]],
        id: str,
        lease: timedelta | str | None,
        whole: bool,
        dialect: wire.Dialect | None,
    ) -> list[Asked[wire.Submitted]]:
        """Return the parts of a batch."""
        if not isinstance(requests, Mapping) or not requests:
            raise _invalid(f"a batch must be a non-empty mapping of ids to requests, got `{type(requests).__name__}`")
        items, most = list(requests.items()), wire.MOST_IN_BATCH
        if whole and len(items) > most:
            raise _invalid(f"a batch that is held as a whole must have at most {most:,} items, got {len(items):,}")
        parts = (dict(items[start : start + most]) for start in range(0, len(items), most))
        bodies = (
            wire.Submit(id, {item: _in_run(request) for item, request in part.items()}, _lease(lease), whole, dialect)
            for part in parts
        )
        return [_post("batch/submit", body, wire.Submitted) for body in bodies]

    @staticmethod
    def settle_batch(id: str, results: str | bytes | Iterable[Any]) -> Iterator[Asked[wire.BatchSettled]]:
        """Yield the parts of the results of a batch."""
        lines = results.splitlines() if isinstance(results, str | bytes) else results
        texts: list[str] = []
        for line in lines:
            text = _result_text(line)
            if texts and (len(texts) == wire.MOST_IN_BATCH or len(text) + sum(map(len, texts)) > _LARGEST):
                yield _post("batch/settle", wire.SettleBatch(id, "\n".join(texts)), wire.BatchSettled)
                texts = []
            texts.append(text)
        yield _post("batch/settle", wire.SettleBatch(id, "\n".join(texts)), wire.BatchSettled)

    @staticmethod
    def end_run(run: str) -> Asked[wire.RunEnded]:
        return _post("runs/end", wire.EndRun(run), wire.RunEnded)

    @staticmethod
    def release(id: str) -> Asked[wire.Released]:
        return _post("release", wire.Release(id), wire.Released)

    @staticmethod
    def extend(id: str, lease: timedelta | str | None) -> Asked[wire.Extended]:
        return _post("extend", wire.Extend(id, _lease(lease)), wire.Extended)

    @staticmethod
    def spend(budget: str | None, key: str | None) -> Asked[wire.SpendAnswer]:
        query = {name: value for name, value in (("budget", budget), ("key", key)) if value is not None}
        return Asked("GET", "/v1/spend", None, query, wire.SpendAnswer)

    @staticmethod
    def policies() -> Asked[wire.PolicyList]:
        return Asked("GET", "/v1/policies", None, {}, wire.PolicyList)

    @staticmethod
    def ready() -> Asked[wire.Ready]:
        return Asked("GET", "/ready", None, {}, wire.Ready)


def _post(path: str, body: wire.Given, answer: type[_Answer]) -> Asked[_Answer]:
    try:
        content = _JSON.encode(body)
    except (TypeError, ValueError) as error:  # what JSON has no word for, and halves of surrogate pairs
        raise _unwritable(str(error)) from None
    return Asked("POST", f"/v1/{path}", content, {}, answer)


def _content(request: Mapping[str, Any]) -> dict[str, Any]:
    """Return a request as it travels. Raises ``ServiceError`` for what would arrive as something else."""
    if not isinstance(request, Mapping):
        raise _unwritable(f"it must be a mapping of attributes, got `{type(request).__name__}`")
    try:
        _check_json(request)
    except RecursionError:
        raise _unwritable("it is nested too deeply, or holds itself") from None
    return dict(request)


def _in_run(request: Mapping[str, Any]) -> dict[str, Any]:
    """Return a request as it travels, with the run of the blocks around. Raises ``ServiceError`` for one that is over.

    Who has not imported runs is in none: the clients do not import them for nothing.
    """
    content, runs = _content(request), sys.modules.get(_RUNS)
    run = None if runs is None else runs.run_now()
    if run is None:
        return content
    if run.ended is not None:
        raise ServiceError(0, "run_ended", f"run: `{run.ended}` has ended")
    return dict(runs.in_run(content, run))  # type: ignore[union-attr]


def _result_text(line: Any) -> str:
    """Return a result as a line of JSON: a line of a file, or an object of an SDK, which dumps itself."""
    if isinstance(line, bytes):
        line = line.decode(errors="replace")
    if isinstance(line, str):
        return line.strip("\r\n")
    dump = getattr(line, "model_dump", None)
    try:
        return _JSON.encode(dump(mode="json") if callable(dump) else line).decode()
    except (TypeError, ValueError, RecursionError) as error:
        raise _invalid(f"a result cannot be written as JSON: {error}") from None


def joined(id: str, parts: Sequence[wire.BatchSettled]) -> wire.BatchSettled:
    """Return what became of a batch whose results were settled in parts."""
    return wire.BatchSettled(
        id,
        format(sum((Decimal(part.cost_usd) for part in parts), Decimal(0)), "f"),
        {item: charge for part in parts for item, charge in part.charged.items()},
        {item: reason for part in parts for item, reason in part.released.items()},
        [problem for part in parts for problem in part.problems],
    )


def whole_of(id: str, parts: Sequence[wire.Submitted]) -> wire.Submitted:
    """Return a batch that was submitted in parts."""
    calls = {item: call for part in parts for item, call in part.calls.items()}
    return wire.Submitted(id, calls, {item: why for part in parts for item, why in part.refused.items()})


def _check_json(value: Any) -> None:
    """Raise ``ServiceError`` for what JSON has no word for, such as bytes and sets, and for NaN."""
    if isinstance(value, float):
        if not math.isfinite(value):
            raise _unwritable("a number must be finite")
    elif isinstance(value, Mapping):
        for key, item in value.items():
            if not isinstance(key, str):
                raise _unwritable(f"a key must be a text, got `{key!r}`")
            _check_json(item)
    elif isinstance(value, list | tuple):
        for item in value:
            _check_json(item)
    elif not isinstance(value, _WRITABLE):
        raise _unwritable(f"it has a value of type `{type(value).__name__}`")


def _unwritable(problem: str) -> ServiceError:
    return _invalid(f"the request cannot be written as JSON: {problem}")


def _invalid(problem: str) -> ServiceError:
    return ServiceError(0, "invalid_request", problem)


def _lease(lease: timedelta | str | None) -> str | None:
    """Return a lease as it travels. Raises ``ServiceError``."""
    if lease is None or isinstance(lease, str):
        return lease
    if not isinstance(lease, timedelta):
        raise _invalid(f"a lease must be a `timedelta` or a text such as `5m`, got `{lease!r}`")
    return duration_text(lease)


def _texts(output_text: str | Sequence[str] | None) -> str | list[str] | None:
    if output_text is None or isinstance(output_text, str):
        return output_text
    if not isinstance(output_text, Sequence) or not all(isinstance(item, str) for item in output_text):
        raise _invalid(f"`output_text` must be a text or a list of texts, got `{type(output_text).__name__}`")
    return list(output_text)


def _usage(usage: Any) -> dict[str, Any] | None:
    """Return usage as JSON: a mapping, or an object of an SDK, which dumps itself."""
    if usage is None:
        return None
    dump = getattr(usage, "model_dump", None)
    found = dump(mode="json") if callable(dump) else usage
    if not isinstance(found, Mapping):
        raise _invalid(f"a usage must be a mapping, got `{type(usage).__name__}`")
    return _content(found)
