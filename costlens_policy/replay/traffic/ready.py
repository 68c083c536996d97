"""Mappings: those that need no file, that of a file, and the one that fits where nobody named one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from difflib import get_close_matches
from itertools import islice
from typing import Any, Final

from costlens_policy.replay.traffic.cells import has_cell
from costlens_policy.replay.traffic.mapping import FIELDS, ColumnMapping
from costlens_policy.replay.traffic.places import rereadable
from costlens_policy.replay.traffic.row import TrafficError
from costlens_policy.replay.traffic.sources import read_file
from costlens_policy.replay.traffic.spans import TOKENS

__all__ = ["PLAIN", "READY", "mapping_of", "recognized"]

_ROWS: Final = 50
"""As many rows of a file are looked at."""
_STRONG: Final = "gpt-4-1106-preview"
_MORE_USAGE: Final = "metadata.additional_usage_values"
"""Where LiteLLM's proxy keeps what has no column of its own, where it does not keep the whole usage; its prompt tokens
include the cached ones."""
_WEAK: Final = "mistralai/Mixtral-8x7B-Instruct-v0.1"

READY: Final[Mapping[str, ColumnMapping]] = {
    item.name: item
    for item in (
        ColumnMapping("plain", {name: name for name in FIELDS if name != "prefix"}, optional=True),
        ColumnMapping(
            "azure-llm",
            {"time": "TIMESTAMP", "prompt_tokens": "ContextTokens", "output_tokens": "GeneratedTokens"},
            signature=("TIMESTAMP", "ContextTokens", "GeneratedTokens"),
        ),
        ColumnMapping(
            "claude-code",
            {
                "time": "request_arrival_delta_s", "session": "session_id", "model": "model_id",
                "prompt_tokens": "input_tokens", "output_tokens": "output_tokens",
            },
            time_unit="s",
            relative=True,
            signature=("request_arrival_delta_s", "session_id", "model_id", "input_tokens"),
        ),
        ColumnMapping(
            "mooncake",
            {"time": "timestamp", "prompt_tokens": "input_length", "output_tokens": "output_length",
             "prefix": "hash_ids"},
            time_unit="ms",
            relative=True,
            block_tokens=512,
            signature=("timestamp", "input_length", "output_length", "hash_ids"),
        ),
        ColumnMapping(
            "routellm-gsm8k",
            {"request.prompt": "prompt"},
            outcomes={"gpt-4-1106-preview": _STRONG, "mixtral-8x7b": _WEAK},
            answers={"gpt-4-1106-preview": f"{_STRONG}_response", "mixtral-8x7b": f"{_WEAK}_response"},
            signature=("prompt", _STRONG, f"{_STRONG}_response"),
        ),
        ColumnMapping(
            "routellm-mmlu",
            {"request.prompt": "prompt"},
            {"output_tokens": 1},
            outcomes={"gpt-4-1106-preview": _STRONG, "mixtral-8x7b": _WEAK},
            drop={"domain": ("high_school_mathematics",)},  # its answers were cut off by a format, see docs/replay.md
            signature=("prompt", _STRONG, _WEAK, "domain"),
        ),
        ColumnMapping(
            "litellm",
            {
                "time": "startTime", "id": "request_id", "model": "model", "session": "session_id",
                "prompt_tokens": "prompt_tokens", "output_tokens": "completion_tokens", "total_tokens": "total_tokens",
                "cached_tokens": f"{_MORE_USAGE}.cache_read_input_tokens"
                f"|{_MORE_USAGE}.prompt_tokens_details.cached_tokens",
                "cache_write_tokens": f"{_MORE_USAGE}.cache_creation_input_tokens",
                "reasoning_tokens": f"{_MORE_USAGE}.completion_tokens_details.reasoning_tokens",
                "usage": "metadata.usage_object", "cost": "spend", "request.user": "user|end_user",
                "request.team": "team_id",
            },
            optional=True,
            repeated=(_MORE_USAGE, "metadata.cost_breakdown", "response", "messages"),
            signature=("startTime", "request_id", "spend", "prompt_tokens", "completion_tokens"),
        ),
        ColumnMapping(
            "otel",
            {
                "time": "start_time_unix_nano|startTimeUnixNano|start_time|startTime|start_timestamp|Timestamp",
                "id": "span_id",
                "model": "attributes.gen_ai.response.model|attributes.gen_ai.request.model|attributes.llm.model_name"
                "|attributes.embedding.model_name|attributes.langfuse.observation.model.name|attributes.ai.model.id"
                "|attributes.braintrust.metadata.model",
                "session": "attributes.gen_ai.conversation.id|attributes.session.id",
                "service_tier": "attributes.openai.response.service_tier"
                "|attributes.gen_ai.openai.response.service_tier",
                "usage": TOKENS,
            },
            time_unit="ns",
            spans=True,
            optional=True,
            signature=("resourceSpans|resource_spans|scopeSpans|attributes.gen_ai.operation.name"
                       "|attributes.gen_ai.request.model|attributes.openinference.span.kind"
                       "|attributes.traceloop.span.kind",),
        ),
        ColumnMapping(
            "openai",
            {
                "time": "created|created_at|response.body.created|response.body.created_at",
                "id": "id", "model": "model|response.body.model", "usage": "usage|response.body.usage",
                "service_tier": "service_tier|response.body.service_tier", "request.user": "user",
            },
            time_unit="s",
            optional=True,
            signature=("created|created_at|response.body.created|response.body.created_at",
                       "object|response.body.object", "usage.total_tokens|response.body.usage.total_tokens"),
        ),
        ColumnMapping(
            "anthropic",
            {
                "time": "created_at|timestamp", "id": "id|custom_id|message.id|result.message.id",
                "model": "model|message.model|result.message.model", "session": "session_id|sessionId",
                "usage": "usage|message.usage|result.message.usage",
            },
            transcripts=True,
            optional=True,
            timeless=True,
            signature=("stop_reason|message.stop_reason|result.message.stop_reason|message.role",
                       "usage.output_tokens|message.usage.output_tokens|result.message.usage.output_tokens"),
        ),
        ColumnMapping(
            "anthropic-console",
            {
                "time": "usage_date_utc", "model": "model_version", "uncached_tokens": "usage_input_tokens_no_cache",
                "cached_tokens": "usage_input_tokens_cache_read",
                "cache_write_tokens": "usage_input_tokens_cache_write_5m",
                "cache_write_1h_tokens": "usage_input_tokens_cache_write_1h", "output_tokens": "usage_output_tokens",
            },
            optional=True,
            summed=True,
            signature=("usage_date_utc", "model_version", "usage_input_tokens_no_cache", "usage_output_tokens"),
        ),
        ColumnMapping(
            "anthropic-usage",
            {
                "time": "starting_at", "model": "model", "uncached_tokens": "uncached_input_tokens",
                "cached_tokens": "cache_read_input_tokens", "output_tokens": "output_tokens",
                "cache_write_tokens": "cache_creation.ephemeral_5m_input_tokens",
                "cache_write_1h_tokens": "cache_creation.ephemeral_1h_input_tokens", "service_tier": "service_tier",
            },
            optional=True,
            summed=True,
            signature=("starting_at", "uncached_input_tokens", "cache_read_input_tokens", "output_tokens"),
        ),
        ColumnMapping(
            "openai-usage",
            {
                "time": "start_time", "model": "model", "prompt_tokens": "input_tokens",
                "cached_tokens": "input_cached_tokens", "output_tokens": "output_tokens", "request.user": "user_id",
            },
            time_unit="s",
            optional=True,
            summed=True,
            signature=("start_time", "input_cached_tokens", "output_tokens", "num_model_requests"),
        ),
    )
}  # fmt: skip
"""Mappings that need no file."""


PLAIN: Final = READY["plain"]


def recognized(files: Sequence[str], columns: Mapping[str, str], constants: Mapping[str, Any]) -> ColumnMapping:
    """Return the one ready mapping that the first file with rows fits, else ``plain``.

    ``columns`` and ``constants`` are those that were named: where ``plain`` with them is enough, it is ``plain``. What
    can be read only once is not looked at. Raises ``TrafficError`` for a file that cannot be read.
    """
    for file in filter(rereadable, files):
        rows = [row.fields for row in islice(read_file(file), _ROWS) if not row.problem]
        if rows:
            fitting = [item for item in READY.values() if item.signature and _fits(rows, item.signature)]
            plain = _is_enough(rows, {**PLAIN.columns, **columns}, constants)
            return replace(fitting[0], recognized=True) if len(fitting) == 1 and not plain else PLAIN
    return PLAIN


def _fits(rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> bool:
    """Say whether one row has all columns."""
    return any(all(has_cell(row, column) for column in columns) for row in rows)


def _is_enough(rows: Sequence[Mapping[str, Any]], columns: Mapping[str, str], constants: Mapping[str, Any]) -> bool:
    def there(*names: str) -> bool:
        return any(name in constants or (name in columns and _fits(rows, (columns[name],))) for name in names)

    return there("time") and (
        there("usage") or (there("prompt_tokens", "uncached_tokens", *_TEXTS) and there("output_tokens"))
    )


_TEXTS: Final = ("request.prompt", "request.messages")


def mapping_of(content: Any, name: str) -> ColumnMapping:
    """Return the mapping that a file's content describes. Raises ``TrafficError`` for what is none.

    The keys are ``based_on`` (a ready mapping), ``columns``, ``constants``, ``outcomes``, ``answers``, ``time_unit``,
    ``relative`` and ``block_tokens``.
    """
    if not isinstance(content, dict):
        raise TrafficError(f"`{name}` is no mapping; write `columns:` with a field and its column on each line")
    known = ("based_on", "columns", "constants", "outcomes", "answers", "time_unit", "relative", "block_tokens")
    for key in content:
        if key not in known:
            close = get_close_matches(str(key), known, n=1)
            raise TrafficError(
                f"`{name}` has an unknown key `{key}`" + (f"; did you mean `{close[0]}`?" if close else "")
            )
    start = _base(content.get("based_on"), name)
    given = {key: content[key] for key in known[3:] if key in content}
    for key in ("columns", "constants", "outcomes", "answers"):
        if not isinstance(content.get(key, {}), dict):
            raise TrafficError(f"`{key}` of `{name}` is an object of names")
    _check(given, name)
    columns = {str(key): str(value) for key, value in content.get("columns", {}).items()}
    return replace(start, name=name, **given).with_columns(columns, content.get("constants", {}))


def _base(name: Any, file: str) -> ColumnMapping:
    if name is None:
        return ColumnMapping(file, {})
    if name not in READY:
        close = get_close_matches(str(name), READY, n=1)
        hint = f"did you mean `{close[0]}`?" if close else f"there are {', '.join(READY)}"
        raise TrafficError(f"no ready mapping `{name}`; {hint}")
    return READY[name]


def _check(given: Mapping[str, Any], name: str) -> None:
    if given.get("time_unit", "iso") not in ("iso", "s", "ms", "us", "ns"):
        raise TrafficError(f"`time_unit` of `{name}` is none; there are iso, s, ms, us, ns")
    if not isinstance(given.get("relative", False), bool):
        raise TrafficError(f"`relative` of `{name}` is true or false")
    blocks = given.get("block_tokens", 1)
    if isinstance(blocks, bool) or not isinstance(blocks, int) or blocks < 1:
        raise TrafficError(f"`block_tokens` of `{name}` is a whole number from 1 on")
