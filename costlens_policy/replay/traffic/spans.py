"""Spans of OpenTelemetry as calls: those of other kinds are passed over, and no sum of other spans is counted again.

Exports differ: OTLP JSON (``resourceSpans``, attributes as lists of key and value), the console exporter of Python's
SDK, flat rows of stores. Which spans carry the sum of others shows in the whole export, so it is read twice.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any, Final

from costlens_policy.replay.traffic.mapping import TOKENS
from costlens_policy.replay.traffic.sources import RawRow
from costlens_policy.replay.traffic.span_tokens import (
    SpanTokens,
    has_tokens,
    object_in,
    texts_with_tokens,
    tokens_in,
    unread_tokens,
)

__all__ = ["Spans"]

_KINDS: Final = (
    "gen_ai.operation.name", "openinference.span.kind", "traceloop.span.kind", "langfuse.observation.type",
    "llm.request.type", "ai.operationId",
)  # fmt: skip
_CALLS: Final = frozenset({
    "chat", "text_completion", "generate_content", "embeddings", "embedding", "completion", "llm", "generation",
    "rerank",
})  # fmt: skip
_AROUND: Final = frozenset({
    "invoke_agent", "create_agent", "execute_tool", "invoke_workflow", "create_workflow", "agent", "chain", "workflow",
    "task", "tool", "retriever", "reranker", "guardrail", "evaluator", "span", "prompt", "parser", "memory",
    "ai.generatetext", "ai.streamtext", "ai.generateobject", "ai.streamobject", "ai.embed", "ai.embedmany",
})  # fmt: skip
"""Kinds of spans that hold others. What such a span counts is what lies below it, and what was not exported."""
_MODELS: Final = (
    "gen_ai.request.model", "gen_ai.response.model", "llm.model_name", "embedding.model_name", "ai.model.id",
    "langfuse.observation.model.name",
)  # fmt: skip
_KEY: Final = "\0key"
"""The field of a span that holds its trace and its id."""
_NO_SPANS: Final = ("resourceMetrics", "resourceLogs", "resource_metrics", "resource_logs")
_DEEPEST: Final = 10_000
_Key = tuple[str, str]


@dataclass(slots=True)
class _Totals:
    """Tokens of the input and of the output."""

    prompt: int = 0
    output: int = 0

    def add(self, other: _Totals) -> None:
        self.prompt += other.prompt
        self.output += other.output


@dataclass(slots=True)
class Spans:
    """``survey`` is given all rows first; ``rows`` then gives the calls in each of them.

    With ``parents``, the attributes of the spans above are kept, and a call has them as ``parent``: the nearest first.
    """

    parents: bool = False
    counts: Counter[str] = field(default_factory=Counter)
    unknown: Counter[str] = field(default_factory=Counter)
    unread: Counter[str] = field(default_factory=Counter)
    hidden: Counter[str] = field(default_factory=Counter)
    _above: dict[_Key, _Key] = field(default_factory=dict)
    _own: dict[_Key, _Totals] = field(default_factory=dict)
    _below: dict[_Key, _Totals] | None = None
    _over: set[_Key] = field(default_factory=set)
    _attributes: dict[_Key, Mapping[str, Any]] = field(default_factory=dict)
    _given: set[_Key] = field(default_factory=set)

    def survey(self, raw: RawRow) -> None:
        """Note which spans a row has, what lies above them, and what they count."""
        for span in _spans(raw.fields):
            key = span[_KEY]
            if key is None:
                continue
            if above := _id(span, *_ABOVE):
                self._above[key] = (key[0], above)
            if self.parents:
                self._attributes[key] = span["attributes"]
            with suppress(ValueError):
                if has_tokens(span["attributes"]):
                    totals = _totals(tokens_in(span["attributes"]))
                    known = self._own.get(key)
                    if known is None or totals.prompt + totals.output >= known.prompt + known.output:
                        self._own[key] = totals

    def rows(self, raw: RawRow) -> Iterator[RawRow]:
        """Yield a row for each call among the spans of a row. Its number goes on where a row has several spans."""
        if raw.problem:
            yield raw
            return
        other = next((name for name in _NO_SPANS if name in raw.fields), None)
        if other is not None:
            yield replace(raw, fields={}, problem=f"`{other}` contains no spans; export the traces")
            return
        for span in _spans(raw.fields):
            if span[_KEY] is None and not span["attributes"].keys() - raw.fields.keys() and not _is_span(span):
                yield replace(
                    raw, fields={}, problem="this is not a span: it has neither an id nor the attributes of one"
                )
            else:
                yield from self._call(raw, span)

    def notes(self) -> Iterator[str]:
        """Yield notes on what was skipped, and on assumptions."""
        for name, note in _NOTES.items():
            if count := self.counts[name]:
                yield f"{count:,} {note}"
        for name, count in self.unknown.items():
            yield f"`{name}` ({count:,} spans) is not a known kind of token; without a total it was counted as output"
        for name, count in self.unread.items():
            yield f"`{name}` ({count:,} spans) looks like tokens and is not read"
        for name, count in self.hidden.items():
            yield f"`{name}` ({count:,} spans that were skipped) holds counts of tokens and is not read"

    def _call(self, raw: RawRow, span: dict[str, Any]) -> Iterator[RawRow]:
        attributes = span["attributes"]
        kinds = {str(attributes[name]).lower() for name in _KINDS if attributes.get(name) is not None}
        kinds.add(str(span.get("span_kind", "")).lower())  # where Phoenix puts it
        self.unread.update(unread_tokens(attributes))
        if not has_tokens(attributes):
            yield from self._silent(raw, span, kinds)
            return
        try:
            tokens = tokens_in(attributes)
        except ValueError as error:
            yield replace(raw, fields={}, problem=str(error))
            return
        key, totals = span[_KEY], _totals(tokens)
        below = None if key is None else self._sums().get(key)
        if key is not None:
            if self._own.get(key, totals) != totals or key in self._given:
                self.counts["twice"] += 1
                return
            self._given.add(key)
        if below is not None and (below == totals or (kinds & _AROUND and not kinds & _CALLS)):
            rest = _rest(totals, below)
            self.counts["sums" if rest is None else "rest"] += 1
            if rest is None:
                return
            tokens = rest
        self.unknown.update(tokens.unknown)
        self.counts["on top"] += tokens.on_top
        above = {"parent": {"attributes": self._inherited(key)}} if self.parents and key is not None else {}
        yield replace(raw, fields={**span, **above, TOKENS: tokens})

    def _silent(self, raw: RawRow, span: Mapping[str, Any], kinds: set[str]) -> Iterator[RawRow]:
        attributes = span["attributes"]
        hidden = next(texts_with_tokens(attributes), None)
        if self._is_covered(span[_KEY]):
            self.counts["others"] += 1
        elif kinds & _AROUND or not (kinds & _CALLS or any(attributes.get(name) for name in _MODELS)):
            self.counts["others"] += 1
            self.hidden.update(filter(None, (hidden,)))
        elif _failed(span):
            self.counts["failed"] += 1
        else:
            reads = f"; its `{hidden}`, which is not read, does" if hidden else ""
            yield replace(raw, fields={}, problem=f"the span of a call that reports no tokens{reads}")

    def _is_covered(self, key: _Key | None) -> bool:
        """Return whether a span below counts something, or one above more than the spans below it that do."""
        sums = self._sums()
        if key is None or key in self._over:
            return key is not None
        above = self._counting_above(key)
        if above is None:
            return False
        own, below = self._own[above], sums.get(above, _Totals())
        return own.prompt > below.prompt or own.output > below.output

    def _sums(self) -> dict[_Key, _Totals]:
        """Return what lies below each span, counting of each branch the first span that counts tokens."""
        if self._below is None:
            self._below = {}
            for key, totals in self._own.items():
                over = self._above.get(key)
                while over is not None and over not in self._over:
                    self._over.add(over)
                    over = self._above.get(over)
                above = self._counting_above(key)
                if above is not None and not self._goes_round(above, key):
                    self._below.setdefault(above, _Totals()).add(totals)
        return self._below

    def _counting_above(self, key: _Key) -> _Key | None:
        at: _Key | None = key
        for _ in range(_DEEPEST):  # ids of a damaged export may go round in a circle
            at = self._above.get(at) if at is not None else None
            if at is None or at in self._own:
                return None if at == key else at
        return None

    def _goes_round(self, at: _Key, key: _Key) -> bool:
        """Return whether a span lies above another one that lies above it; neither is a sum of the other."""
        above: _Key | None = at
        for _ in range(_DEEPEST):
            above = self._above.get(above) if above is not None else None
            if above is None or above == at:
                return False
            if above == key:
                return True
        return False

    def _inherited(self, key: _Key) -> dict[str, Any]:
        found: dict[str, Any] = {}
        at = self._above.get(key)
        for _ in range(_DEEPEST):
            if at is None:
                break
            found = {**self._attributes.get(at, {}), **found}
            at = self._above.get(at)
        return found


_NOTES: Final = {
    "others": "spans of other kinds are not calls of a model and were skipped",
    "sums": "spans repeat the sum of their child spans, and were not counted again",
    "rest": "spans have more tokens than their child spans; the difference was counted as a call",
    "twice": "spans were exported more than once, and were counted once",
    "failed": "calls failed and report no tokens; they were skipped",
    "on top": "spans have cached tokens that cannot be part of their input, and were counted on top of it",
}
_ABOVE: Final = ("parent_span_id", "parentSpanId", "parent_id", "parentId", "ParentSpanId")


def _totals(tokens: SpanTokens) -> _Totals:
    return _Totals(tokens.counted.prompt or 0, tokens.counted.output or 0)


def _rest(own: _Totals, below: _Totals) -> SpanTokens | None:
    """Return what a span counts beyond the spans below it; None where that is nothing."""
    prompt, output = max(own.prompt - below.prompt, 0), max(own.output - below.output, 0)
    if not prompt and not output:
        return None
    return tokens_in({"gen_ai.usage.input_tokens": max(prompt, 1), "gen_ai.usage.output_tokens": output})


def _failed(span: Mapping[str, Any]) -> bool:
    status = span.get("status")
    code = status.get("code", status.get("status_code")) if isinstance(status, Mapping) else status
    return "error.type" in span["attributes"] or str(code).upper().rpartition("_")[2] in ("2", "ERROR")


def _is_span(span: Mapping[str, Any]) -> bool:
    return has_tokens(span["attributes"]) or any(name in span["attributes"] for name in _KINDS)


def _key(span: Mapping[str, Any]) -> _Key | None:
    own = _id(span, "span_id", "spanId", "SpanId", "spanID", "context.span_id")
    return (_id(span, "trace_id", "traceId", "TraceId", "traceID", "context.trace_id"), own) if own else None


def _as_others_write(span: Mapping[str, Any]) -> dict[str, Any]:
    """Return a span of Jaeger or Zipkin, whose times are microseconds, by the names of OTLP."""
    if "traceID" in span and isinstance(span.get("tags"), list):
        above = next((item.get("spanID") for item in _items(span, "references")), None)
        return {**span, "attributes": span["tags"], "parent_id": above, **_in_nanoseconds(span, "startTime")}
    if isinstance(span.get("tags"), Mapping) and "attributes" not in span:
        return {**span, "attributes": span["tags"], "span_id": span.get("id"), **_in_nanoseconds(span, "timestamp")}
    return dict(span)


def _in_nanoseconds(span: Mapping[str, Any], name: str) -> dict[str, int]:
    start, took = span.get(name), span.get("duration")
    if not isinstance(start, int):
        return {}
    ends = {"end_time_unix_nano": (start + took) * 1000} if isinstance(took, int) else {}
    return {"start_time_unix_nano": start * 1000, **ends}


def _id(span: Mapping[str, Any], *names: str) -> str:
    value = next((found for name in names if (found := span.get(name))), "")
    text = str(value).lower().removeprefix("0x")
    return "" if not text.strip("0") and len(text) > 1 else text


def _spans(fields: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the spans of a row, each with its ``attributes`` and those of its ``resource`` as plain dictionaries."""
    resources = _items(fields, "resourceSpans", "resource_spans")
    spans = _items(fields, "spans") if "attributes" not in fields else []
    if not resources and not spans and not _items(fields, "scopeSpans", "scope_spans"):
        yield _plain(fields, fields.get("resource"))
    yield from (_plain(span, None) for span in spans)
    for resource in resources or [dict(fields)]:
        for scope in _items(resource, "scopeSpans", "scope_spans", "instrumentationLibrarySpans"):
            for span in _items(scope, "spans"):
                yield {"scope": scope.get("scope"), **_plain(span, resource.get("resource"))}


def _items(value: Any, *names: str) -> list[Any]:
    found = next((value[name] for name in names if name in value), None) if isinstance(value, Mapping) else None
    return [item for item in found if isinstance(item, dict)] if isinstance(found, list) else []


def _plain(span: Mapping[str, Any], resource: Any) -> dict[str, Any]:
    fields = _as_others_write(span)
    context = fields.get("context", fields.get("spanContext"))
    if isinstance(context, Mapping):
        fields = {**context, **fields}
    given = next((fields[name] for name in ("attributes", "SpanAttributes") if name in fields), None)
    fields["attributes"] = _flat(given) if given is not None else _beside(fields)
    about = fields.get("ResourceAttributes", fields.get("resource_attributes"))
    if about is None:
        about = resource.get("attributes", resource) if isinstance(resource, Mapping) else resource
    attributes = _flat(about)
    fields["resource"] = {**attributes, "attributes": attributes}
    fields[_KEY] = key = _key(fields)
    if key is not None:
        fields["span_id"] = "/".join(filter(None, key))
    return fields


def _beside(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return the attributes of a span whose columns are its attributes, by their own names or after `attributes.`."""
    named = {str(name).removeprefix("attributes."): value for name, value in fields.items()}
    return _flat({name: value for name, value in named.items() if value is not None and value != ""})


def _flat(value: Any, before: str = "") -> dict[str, Any]:
    """Return attributes by their whole names: of OTLP's lists of key and value, nested objects, or JSON texts."""
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError:
            return {}
    if isinstance(value, list):
        value = {str(item.get("key")): _value(item.get("value")) for item in value if isinstance(item, Mapping)}
    if not isinstance(value, Mapping):
        return {}
    found: dict[str, Any] = {}
    for name, item in value.items():
        whole = f"{before}{name}"
        item = object_in(whole, item)
        found |= _flat(item, f"{whole}.") if isinstance(item, Mapping) else {whole: item}
    return found


def _value(value: Any) -> Any:
    """Return an attribute's value in OTLP JSON, such as ``{"intValue": "5"}``."""
    if not isinstance(value, Mapping) or len(value) != 1:
        return value
    kind, content = next(iter(value.items()))
    if kind in ("intValue", "int_value"):
        return int(content) if str(content).lstrip("-").isdigit() else content
    if kind in ("kvlistValue", "kvlist_value"):
        return _flat(content.get("values", []) if isinstance(content, Mapping) else [])
    if kind in ("arrayValue", "array_value"):
        items = content.get("values", []) if isinstance(content, Mapping) else []
        return [_value(item) for item in items]
    return content
