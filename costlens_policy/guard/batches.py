"""Batches: many calls that are held when they are handed in, each settled or given back as its result comes.

An item of a batch is a call of its own, with the id of the batch and its own as its id. So every process can settle it,
asking again is harmless, and nothing but the ledger has to be remembered.

Results are read as the providers write them: OpenAI's output and error files (``custom_id``, ``response``, ``error``;
platform.openai.com/docs/guides/batch), the results of Anthropic's message batches (``custom_id``, ``result``;
docs.anthropic.com/en/docs/build-with-claude/batch-processing), the files of Gemini's batches (``key``, ``response``,
``error``; ai.google.dev/gemini-api/docs/batch-api) and of Bedrock's (``recordId``, ``modelOutput``, ``error``;
docs.aws.amazon.com/bedrock/latest/userguide/batch-inference-results.html). None bills requests that failed, expired or
were canceled. A line that reports an error and an answer contradicts itself, and is charged.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from datetime import timedelta
from decimal import Decimal
from typing import Any, Final, Generic, Literal, NamedTuple, TypeVar

from costlens_policy.catalogue.service_tiers import BATCH, SERVICE_TIER, tier_asked, tier_named
from costlens_policy.errors import CostlensPolicyError, RequestError
from costlens_policy.frozen import frozen
from costlens_policy.guard.errors import GuardError
from costlens_policy.guard.recording import Charged
from costlens_policy.money import total

__all__ = ["LEASE", "Batch", "BatchResult", "BatchSettled", "call_id", "checked_items", "item_request", "read_results"]

LEASE: Final = timedelta(days=2)
"""How long a batch stays held unless its caller says otherwise: providers take a day at most, and somebody has to fetch
the results."""

_Held = TypeVar("_Held")
"""The calls of a guard."""


@frozen
class Batch(Generic[_Held]):
    """A batch that was submitted: what is held for each of its items, by the ids of its caller.

    ``calls`` are to be sent, each as ``call.arguments`` says, without a service tier, which no batch takes as a
    parameter. ``refused`` says of each other item why it must not be sent: a ``DeniedError``, a ``RequestError``, or a
    ``CallConflictError`` for one that is settled already.
    """

    id: str
    calls: Mapping[str, _Held]
    refused: Mapping[str, CostlensPolicyError]


@frozen
class BatchSettled:
    """What became of the items whose results were read.

    ``charged`` are those that the provider answered; one whose result or usage is not understood is charged at its
    worst. ``released`` are those that it did not bill, with its reason; what another line answers is charged.
    ``problems`` are lines that belong to no item that is held: nothing was charged or given back for them.
    """

    id: str
    charged: Mapping[str, Charged]
    released: Mapping[str, str]
    problems: tuple[str, ...]

    @property
    def cost(self) -> Decimal:
        """The US dollars of all charges whose cost is known."""
        return total(charged.cost for charged in self.charged.values() if charged.cost is not None)


class BatchResult(NamedTuple):
    """One line of results. ``item`` is empty where the line does not name one; ``problem`` says what is wrong.

    ``response`` is the answer of the provider, with its usage; None where there is none.
    """

    item: str
    kind: Literal["answered", "failed", "unreadable"]
    response: Any = None
    problem: str = ""


def call_id(batch: str, item: str) -> str:
    """Return the id under which the ledger knows an item: that of no other item of any batch. Raises ``GuardError``."""
    if not (isinstance(batch, str) and batch and "/" not in batch):
        raise GuardError(f"the id of a batch must be a non-empty string without `/`, got `{batch!r}`")
    return f"{batch}/{item}"


def checked_items(requests: Mapping[str, Mapping[str, Any]]) -> Mapping[str, Mapping[str, Any]]:
    """Return the items of a batch. Raises ``GuardError`` for what is no batch."""
    if not isinstance(requests, Mapping) or not requests:
        raise GuardError(f"a batch must be a non-empty mapping of ids to requests, got `{type(requests).__name__}`")
    for item in requests:
        if not (isinstance(item, str) and item):
            raise GuardError(f"the id of an item must be a non-empty string, got `{item!r}`")
    return requests


def item_request(request: Any) -> Any:
    """Return the request of an item at batch prices. Raises ``RequestError`` for one that asks for another tier."""
    if not isinstance(request, Mapping):
        return request  # the engine says what a request is
    params = request.get("params")
    if params is not None and not isinstance(params, Mapping):
        return request
    tier = tier_asked(params or {})
    if tier is not None and tier_named(tier) != BATCH:
        raise RequestError((f"`params.{SERVICE_TIER}` of a request in a batch must be `{BATCH}`, got `{tier}`",))
    return {**request, "params": {**(params or {}), SERVICE_TIER: BATCH}}


def read_results(results: str | bytes | Iterable[Any]) -> Iterator[BatchResult]:
    """Yield the results of a batch: the text of a file, its lines, or the objects of a provider's SDK."""
    lines = results.splitlines() if isinstance(results, str | bytes) else results
    for number, line in enumerate(lines, 1):
        if isinstance(line, str | bytes):
            if not line.strip():
                continue
            try:
                line = json.loads(line)
            except (ValueError, RecursionError) as error:
                yield BatchResult("", "unreadable", problem=f"line {number} is not JSON: {error}")
                continue
        yield _result(line, number)


def _result(line: Any, number: int) -> BatchResult:
    row = _fields(line)
    item = _item_of(row)
    if not (isinstance(item, str) and item):
        return BatchResult("", "unreadable", problem=f"line {number} has no `custom_id`, `key` or `recordId`")
    if "recordId" in row:
        return _of_named(item, row, "modelOutput")
    if "custom_id" not in row:
        return _of_named(item, row, "response")
    if "result" in row:
        return _of_anthropic(item, _fields(row["result"]))
    if "response" in row or row.get("error") is not None:
        return _of_openai(item, row)
    return BatchResult(item, "unreadable", problem="neither a `response` nor a `result` is there")


def _item_of(row: Mapping[str, Any]) -> Any:
    """Return what names the item of a line: the word for it differs by provider."""
    found = (row.get(name) for name in ("custom_id", "key", "recordId"))
    named = next((item for item in found if item is not None), None)
    return _fields(row.get("metadata")).get("key") if named is None else named  # Gemini's responses in line


def _of_named(item: str, row: Mapping[str, Any], name: str) -> BatchResult:
    """Return the result of Gemini or Bedrock: an answer under its name, or an error in its place."""
    answer, error = _fields(row.get(name)), _fields(row.get("error"))
    if answer:
        return BatchResult(item, "answered", answer, _contradicted(error))
    if error:
        return BatchResult(item, "failed", problem=_said(error))
    return BatchResult(item, "unreadable", problem=f"neither `{name}` nor an `error` is there")


def _of_openai(item: str, row: Mapping[str, Any]) -> BatchResult:
    response, error = _fields(row.get("response")), _fields(row.get("error"))
    status = response.get("status_code")
    body = _fields(response.get("body"))
    if _counts(body.get("usage")) or (status == 200 and body):
        failure = error or ({} if status == 200 else _fields(body.get("error")) or {"code": f"status {status}"})
        # bodies report the tier of no batch
        return BatchResult(item, "answered", {**body, SERVICE_TIER: BATCH}, _contradicted(failure))
    if error:
        return BatchResult(item, "failed", problem=_said(error))
    if isinstance(status, int) and status != 200:
        return BatchResult(item, "failed", problem=_said(_fields(body.get("error"))) or f"status {status}")
    return BatchResult(item, "unreadable", problem="the `response` has neither a `body` nor a status that is an error")


def _of_anthropic(item: str, result: Mapping[str, Any]) -> BatchResult:
    kind = result.get("type")
    if kind == "succeeded":
        return BatchResult(item, "answered", result.get("message"))
    if _counts(_fields(message := result.get("message")).get("usage")):
        return BatchResult(item, "answered", message, _contradicted({"code": str(kind)}))
    if kind in ("canceled", "expired"):
        return BatchResult(item, "failed", problem=str(kind))
    if kind == "errored":
        error = _fields(result.get("error"))
        return BatchResult(item, "failed", problem=_said(_fields(error.get("error")) or error) or "errored")
    return BatchResult(item, "unreadable", problem=f"the `type` of a result is not understood: `{kind}`")


def _fields(value: Any) -> Mapping[str, Any]:
    """Return what an object of JSON or of an SDK has in it; nothing of anything else."""
    if not isinstance(value, Mapping):
        dump = getattr(value, "model_dump", None)
        value = dump() if callable(dump) else None
    return value if isinstance(value, Mapping) else {}


def _counts(usage: Any) -> bool:
    """Return whether a usage counts anything: those of failed requests may be all zeros."""
    return any(
        bool(number) if type(number) in (int, float) else isinstance(number, Mapping) and _counts(number)
        for number in _fields(usage).values()
    )


def _contradicted(error: Mapping[str, Any]) -> str:
    """Return what is wrong with an answer that came with an error; empty where none did."""
    return f"its result is an error (`{_said(error)}`) and an answer; the answer is charged" if error else ""


def _said(error: Mapping[str, Any]) -> str:
    """Return what an error says of itself: its code, or its type, and its message."""
    code = error.get("code") or error.get("type") or error.get("errorCode")
    parts = (code, error.get("message") or error.get("errorMessage"))
    return ": ".join(str(part) for part in parts if part)
