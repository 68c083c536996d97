"""The ready mappings: a row for each kind of log.

Recognition, reports, the help of the program and the table of docs/replay.md all read it from here. Nothing here is
heavy, since help imports it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from costlens_policy.replay.traffic.mapping import FIELDS, TOKENS, ColumnMapping

__all__ = ["PLAIN", "READY"]

_STRONG: Final = "gpt-4-1106-preview"
_MORE_USAGE: Final = "metadata.additional_usage_values"
"""Where LiteLLM's proxy stores usage details without a column, unless it stores the whole usage; its prompt tokens
include the cached ones.
"""
_LABELS: Final = ("task", "team", "organization", "project", "feature", "user", "environment", "run")
_WEAK: Final = "mistralai/Mixtral-8x7B-Instruct-v0.1"

READY: Final[Mapping[str, ColumnMapping]] = {
    item.name: item
    for item in (
        ColumnMapping(
            "plain",
            {name: name for name in FIELDS if name != "prefix"},
            optional=True,
            requests=True,
            about="files whose columns have the names above",
        ),
        ColumnMapping(
            "azure-llm",
            {"time": "TIMESTAMP", "prompt_tokens": "ContextTokens", "output_tokens": "GeneratedTokens"},
            signature=("TIMESTAMP", "ContextTokens", "GeneratedTokens"),
            about="a published trace: Azure LLM inference",
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
            extras={"latency_s": "api_time_s"},
            about="a published trace: sessions of Claude Code",
        ),
        ColumnMapping(
            "mooncake",
            {"time": "timestamp", "prompt_tokens": "input_length", "output_tokens": "output_length",
             "prefix": "hash_ids"},
            time_unit="ms",
            relative=True,
            block_tokens=512,
            signature=("timestamp", "input_length", "output_length", "hash_ids"),
            about="a published trace: Mooncake, with the blocks of each prompt",
        ),
        ColumnMapping(
            "routellm-gsm8k",
            {"request.prompt": "prompt"},
            outcomes={"gpt-4-1106-preview": _STRONG, "mixtral-8x7b": _WEAK},
            answers={"gpt-4-1106-preview": f"{_STRONG}_response", "mixtral-8x7b": f"{_WEAK}_response"},
            signature=("prompt", _STRONG, f"{_STRONG}_response"),
            about="published answers of two models to GSM8K, with outcomes",
        ),
        ColumnMapping(
            "routellm-mmlu",
            {"request.prompt": "prompt"},
            {"output_tokens": 1},
            outcomes={"gpt-4-1106-preview": _STRONG, "mixtral-8x7b": _WEAK},
            drop={"domain": ("high_school_mathematics",)},  # its answers were cut off by a format, see docs/replay.md
            signature=("prompt", _STRONG, _WEAK, "domain"),
            about="likewise to MMLU, without `high_school_mathematics`, whose answers were cut off by a format",
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
            extras={"end_time": "endTime", "provider": "custom_llm_provider"},
            about="spend logs, from `/spend/logs` or the table; cached tokens and the rest of the "
            "usage from `metadata`",
        ),
        ColumnMapping(
            "decision-log",
            {
                "time": "now", "id": "id", "model": "model", "session": "request.session",
                "prompt_tokens": "tokens.prompt|assumed.prompt", "cached_tokens": "tokens.cached",
                "cache_write_tokens": "tokens.cache_write", "cache_write_1h_tokens": "tokens.cache_write_1h",
                "output_tokens": "tokens.output|assumed.output", "reasoning_tokens": "tokens.reasoning",
                "cost": "cost_usd",
                **{f"request.{name}": f"request.{name}" for name in _LABELS},
            },
            drop={"kind": ("hold", "release")},  # the charge of a hold follows, with what the call really used
            optional=True,
            requests=True,
            sampled="sample",
            assumed="assumed",
            repeated=(
                "estimate", "usage", "fallback_calls", "balances", "balances_read", "params", "request",
                "request.id", "request.model", "request.prompt", "request.messages", "request.prompt_tokens",
                "request.params", "request.tools", "request.metadata", "request.response_format",
            ),  # of a request: what the row has, too, and what logs mask inside
            signature=("policy_digest", "catalogue_digest", "kind", "tokens"),
            extras={"end_time": "settled_at", "rule": "rule", "denied": "denied"},
            about="the [decision log](decision-log.md): charges of guarded calls, and decisions of others with their "
            "limits on output tokens",
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
            extras={
                "end_time": "end_time_unix_nano|endTimeUnixNano|end_time",
                "provider": "attributes.gen_ai.provider.name|attributes.gen_ai.system",
                "user": "attributes.enduser.id|attributes.user.id",
            },
            about="spans of OpenTelemetry, see below",
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
            about="stored completions and responses, results of batches",
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
            about="stored messages, results of batches, transcripts of Claude Code and of the Agent SDK",
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
            about="the CSV of Anthropic's console. Each row aggregates several requests, counts as "
            "one, and is priced by their total length",
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
            about="Anthropic's usage API; rows as in `anthropic-console`",
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
            about="OpenAI's usage API; rows as in `anthropic-console`",
        ),
    )
}  # fmt: skip
"""By name."""

PLAIN: Final = READY["plain"]
