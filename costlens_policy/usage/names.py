"""What each number of a usage object is: one row for each role, with the names that providers give it.

Names are in snake case, whatever the spelling of the SDK (``inputTokens``, ``input_tokens``); a path has points. Lists
by modality or by lifetime are read as objects (``prompt_tokens_details.audio``, ``cache_details.1h.input_tokens``).

Sources: the API references of OpenAI (chat completions, responses, realtime, images, transcription), Anthropic
(messages, prompt caching, advisor, compaction), Google (``UsageMetadata`` of Gemini, Live, Interactions), Amazon
Bedrock (Converse, invocation metrics), Cohere, Mistral, DeepSeek, Groq, Moonshot, Perplexity, OpenRouter, xAI,
Ollama; the documentation of LangChain, LiteLLM, LlamaIndex, Vercel's AI SDK, Claude Agent SDK, OpenAI Agents SDK,
pydantic-ai; the semantic conventions of OpenTelemetry and OpenInference.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Final

__all__ = ["BESIDE", "BY_MODEL", "HEADERS", "MONEY", "NAMES", "REPEATED", "TELEMETRY", "TIERED", "role_of"]

_PROMPT_DETAILS: Final = (
    "prompt_tokens_details", "prompt_token_details", "input_tokens_details", "input_token_details", "prompt_details",
    "input_tokens_by_modality",
)  # fmt: skip
_ANSWER_DETAILS: Final = (
    "completion_tokens_details", "completion_token_details", "output_tokens_details", "output_token_details",
    "candidates_tokens_details", "response_tokens_details", "completion_details", "output_tokens_by_modality",
)  # fmt: skip
_CACHE_DETAILS: Final = ("cache_tokens_details", "cached_tokens_by_modality", "cached_tokens_details")
_TOOL_DETAILS: Final = ("tool_use_prompt_tokens_details", "tool_use_tokens_by_modality")
TIERED: Final = ("flex", "priority")
"""Tiers that LangChain writes into the names of the details of OpenAI's usage."""

_WHOLE: Final = {
    "prompt": """prompt_tokens input_tokens prompt_token_count input_token_count total_input_tokens prompt_eval_count
        input_text_token_count input_tokens.total input prompt prompt_llm_token_count tokens_evaluated request_tokens
        native_tokens_prompt results.input_token_count""",
    "answer": """completion_tokens output_tokens candidates_token_count response_token_count output_token_count
        completion_token_count total_output_tokens eval_count generated_tokens generated_token_count
        generation_token_count output_tokens.total output completion completion_llm_token_count tokens_predicted
        response_tokens native_tokens_completion results.token_count results.generated_token_count""",
    "total": "total_tokens total_token_count total total_llm_token_count",
    "cache_read": """cached_tokens num_cached_tokens prompt_cache_hit_tokens cached_input_tokens
        cached_prompt_text_tokens cached_prompt_tokens cached_input_token_count native_tokens_cached
        cached_content_token_count total_cached_tokens input_tokens.cache_read input_tokens.cached cache_read_tokens
        cache_read_input_tokens cache_read_input_token_count cache_read.input_tokens""",
    "cache_write": """cache_write_tokens cache_creation_tokens cache_creation_input_tokens cache_write_input_tokens
        cache_creation_input_token_count cache_write_input_token_count cache_creation.input_tokens
        input_tokens.cache_write cache_write.input_tokens""",
    "cache_write_1h": "cache_creation.ephemeral_1h_input_tokens cache_details.1h.input_tokens",
    "cache_write_5m": "cache_creation.ephemeral_5m_input_tokens cache_details.5m.input_tokens",
    "within_prompt": """prompt_cache_miss_tokens input_tokens.no_cache prompt_text_tokens""",
    "input_audio": "input_audio_tokens prompt_audio_tokens",
    "input_image": "input_image_tokens prompt_image_tokens image_tokens",
    "cached_audio": "cache_audio_read_tokens cache_read_audio_tokens",
    "output_audio": "output_audio_tokens completion_audio_tokens",
    "output_image": "output_image_tokens completion_image_tokens native_tokens_completion_images",
    "within_answer": "output_tokens.text accepted_prediction_tokens rejected_prediction_tokens",
    "tool_prompt": "tool_use_prompt_token_count total_tool_use_tokens connector_tokens",
    "citations": "citation_tokens",
    "reasoning": """reasoning_tokens thoughts_token_count total_thought_tokens total_reasoning_tokens thinking_tokens
        reasoning_output_tokens output_reasoning_tokens output_tokens.reasoning reasoning.output_tokens
        reasoning_token_count native_tokens_reasoning""",
    "apart": """server_tool_use.web_search_requests web_search_requests server_tool_use.code_execution_requests
        num_search_queries billed_units.search_units billed_units.classifications billed_units.images search_units
        server_side_tool_usage_details.web_search_calls server_side_tool_usage_details.x_search_calls
        server_side_tool_usage_details.code_interpreter_calls server_side_tool_usage_details.file_search_calls
        server_side_tool_usage_details.document_search_calls connectors.web_search connectors.web_search_premium
        connectors.code_interpreter connectors.image_generation connectors.document_library
        num_sources_used seconds prompt_audio_seconds input_audio_seconds audio_seconds images image_count""",
    "none": """server_tool_use.web_fetch_requests server_side_tool_usage_details.mcp_calls
        num_server_side_tools_used requests tool_calls num_turns context_window max_output_tokens
        max_tokens created created_at timestamp start_time index successful_requests tokens_cached id_slot
        tokens_prompt tokens_completion usage cache_discount embedding embeddings
        finish_reason.length finish_reason.matched results.output_text results.generated_text""",
}  # fmt: skip
_IN_PROMPT: Final = {
    "cache_read": "cached_tokens cache_read cache_read_tokens cached cached_input_tokens cache_hit "
    "cached_token_count cache_read_input_tokens flex_cache_read priority_cache_read",
    "cache_write": "cache_write_tokens cache_creation cache_creation_tokens cache_write cache_creation_input_tokens",
    "cache_write_1h": "ephemeral_1h_input_tokens cache_creation_token_details.ephemeral_1h_input_tokens "
    "cache_creation.ephemeral_1h_input_tokens",
    "cache_write_5m": "ephemeral_5m_input_tokens cache_creation_token_details.ephemeral_5m_input_tokens "
    "cache_creation.ephemeral_5m_input_tokens",
    "input_audio": "audio_tokens audio audio_token_count",
    "input_image": "image_tokens image document document_tokens",
    "within_prompt": "text_tokens text video_tokens video no_cache_tokens flex priority",
    "cached_audio": "cached_tokens_details.audio_tokens cached_audio_tokens",
    "cached_image": "cached_tokens_details.image_tokens cached_image_tokens",
    "within_cache": "cached_tokens_details.text_tokens cached_text_tokens",
}  # fmt: skip
_IN_ANSWER: Final = {
    "reasoning": "reasoning_tokens reasoning thinking_tokens thoughts thinking flex_reasoning priority_reasoning "
    "reasoning_token_count",
    "output_audio": "audio_tokens audio audio_token_count",
    "output_image": "image_tokens image",
    "within_answer": "text_tokens text video_tokens video accepted_prediction_tokens rejected_prediction_tokens "
    "flex priority",
}  # fmt: skip
_IN_CACHE: Final = {"cached_audio": "audio", "cached_image": "image document", "within_cache": "text video"}
_IN_TOOLS: Final = {"tool_audio": "audio", "tool_image": "image document", "within_tools": "text video"}

BESIDE: Final = frozenset({
    "cache_read_input_tokens", "cache_read_input_token_count", "cache_creation_input_tokens",
    "cache_write_input_tokens", "cache_creation_input_token_count", "cache_write_input_token_count",
    "cache_creation.ephemeral_1h_input_tokens", "cache_creation.ephemeral_5m_input_tokens",
    "thoughts_token_count", "total_thought_tokens",
})  # fmt: skip
"""Counts that their providers say to be no part of ``input_tokens``, or of the answer."""

TELEMETRY: Final = ("gen_ai.usage.", "llm.usage.", "llm.token_count.", "ai.usage.")
"""Before the names of attributes of spans. Everything else there is no usage."""
REPEATED: Final = ("raw.", "request_usage_entries.", "raw_usage.")
"""Before numbers that repeat what stands around them."""
HEADERS: Final = "x_amzn_bedrock_"
"""Before the names of headers in which Bedrock counts what ``InvokeModel`` used."""
BY_MODEL: Final = ("model_usage", "modelUsage", "usage_by_model")
"""Objects of usages by the name of the model."""

_NO_TOKENS: Final = re.compile(
    r"(^|_)(cost|costs|price|usd|credits|latency|durations?|time|ms|rate|percent|version|per_sec|per_second)($|_)"
    r"|tool_calls_(executed|requested)$"
)
"""Names of numbers that are money, times or shares, and so no tokens."""
MONEY: Final = ("cost.", "cost_details.", "pydantic_ai_gateway.", "timings.", "generation_settings.")
"""Before numbers of objects that hold money, times or settings."""
_MEASURED: Final = re.compile(r"_(cost|price|usd|ms|time|seconds?|rate)$|_per_sec(ond)?($|_)|^time_to_")


def _table() -> Iterator[tuple[str, str]]:
    for role, names in _WHOLE.items():
        for name in names.split():
            yield name, role
    for holders, roles in (
        (_PROMPT_DETAILS, _IN_PROMPT),
        (_ANSWER_DETAILS, _IN_ANSWER),
        (_CACHE_DETAILS, _IN_CACHE),
        (_TOOL_DETAILS, _IN_TOOLS),
    ):
        for role, names in roles.items():
            for name in names.split():
                yield from ((f"{holder}.{name}", role) for holder in holders)


_ROLES: Final[dict[str, str]] = dict(_table())
NAMES: Final = frozenset(_ROLES)
"""Every path that is known."""


@lru_cache(maxsize=4_096)
def role_of(path: str) -> str | None:
    """Return what the number at a path is; None where nobody knows."""
    role = _ROLES.get(path)
    if role is not None:
        return role
    if path.startswith(("details.", "billed_units.")):  # pydantic-ai; Cohere
        return _ROLES.get(path.partition(".")[2])
    if path.startswith(HEADERS):
        return _ROLES.get(path.removeprefix(HEADERS), "none")
    last = path.rpartition(".")[2]
    if "token" in last and not _MEASURED.search(last):
        return None
    return "none" if path.startswith(MONEY) or _NO_TOKENS.search(last) else None
