"""Usage objects in every shape, and the real ones where they are at hand."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import pytest

from costlens_policy.catalogue import Usage
from costlens_policy.usage import SHAPES, UsageError, read_usage

CASES: list[tuple[str, dict[str, Any], Usage]] = [
    (
        "openai-chat",
        {
            "prompt_tokens": 100,
            "completion_tokens": 50,
            "total_tokens": 150,
            "prompt_tokens_details": {"cached_tokens": 30, "audio_tokens": 10},
            "completion_tokens_details": {"reasoning_tokens": 20, "audio_tokens": 5},
        },
        Usage(input=60, cache_read=30, input_audio=10, output=25, reasoning=20, output_audio=5),
    ),
    (
        "openai-responses",
        {
            "input_tokens": 100,
            "input_tokens_details": {"cached_tokens": 40, "cache_write_tokens": 10},
            "output_tokens": 9,
            "output_tokens_details": {"reasoning_tokens": 9},
            "total_tokens": 109,
        },
        Usage(input=50, cache_read=40, cache_write=10, reasoning=9),
    ),
    (
        "anthropic",
        {
            "input_tokens": 7,
            "cache_read_input_tokens": 100,
            "cache_creation_input_tokens": 30,
            "cache_creation": {"ephemeral_5m_input_tokens": 10, "ephemeral_1h_input_tokens": 20},
            "output_tokens": 8,
        },
        Usage(input=7, cache_read=100, cache_write=10, cache_write_1h=20, output=8),
    ),
    (
        "gemini",
        {
            "promptTokenCount": 345,
            "cachedContentTokenCount": 191,
            "cacheTokensDetails": [{"modality": "IMAGE", "tokenCount": 143}, {"modality": "TEXT", "tokenCount": 48}],
            "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 87}, {"modality": "IMAGE", "tokenCount": 258}],
            "candidatesTokenCount": 70,
            "thoughtsTokenCount": 98,
        },
        Usage(input=39, cache_read=191, input_image=115, output=70, reasoning=98),
    ),
    (
        "bedrock",
        {
            "inputTokens": 3,
            "outputTokens": 5,
            "cacheReadInputTokens": 2,
            "cacheWriteInputTokens": 9,
            "cacheDetails": [{"inputTokens": 4, "ttl": "1h"}, {"inputTokens": 5, "ttl": "5m"}],
        },
        Usage(input=3, cache_read=2, cache_write=5, cache_write_1h=4, output=5),
    ),
    (
        "cohere",
        {"billed_units": {"input_tokens": 33, "output_tokens": 22}, "tokens": {"input_tokens": 1452}},
        Usage(input=33, output=22),
    ),
    (
        "litellm",
        {
            "prompt_tokens": 137,
            "completion_tokens": 8,
            "cache_creation_input_tokens": 30,
            "cache_read_input_tokens": 100,
            "prompt_tokens_details": {"cached_tokens": 100},
        },
        Usage(input=7, cache_read=100, cache_write=30, output=8),
    ),
    (
        "opentelemetry",
        {"gen_ai.usage.input_tokens": 10, "gen_ai.usage.cache_read.input_tokens": 4, "gen_ai.usage.output_tokens": 2},
        Usage(input=6, cache_read=4, output=2),
    ),
    (
        "langchain",
        {
            "input_tokens": 100,
            "output_tokens": 20,
            "total_tokens": 120,
            "input_token_details": {"cache_read": 60, "ephemeral_1h_input_tokens": 30, "cache_creation": 0},
            "output_token_details": {"reasoning": 5},
        },
        Usage(input=10, cache_read=60, cache_write_1h=30, output=15, reasoning=5),
    ),
    (
        "openai-realtime",
        {
            "total_tokens": 253,
            "input_tokens": 132,
            "output_tokens": 121,
            "input_token_details": {
                "text_tokens": 119,
                "audio_tokens": 13,
                "cached_tokens": 70,
                "cached_tokens_details": {"text_tokens": 64, "audio_tokens": 6},
            },
            "output_token_details": {"text_tokens": 30, "audio_tokens": 91},
        },
        Usage(input=55, cache_read=64, cache_read_audio=6, input_audio=7, output=30, output_audio=91),
    ),
    (
        "claude-agent-sdk",
        {
            "inputTokens": 10,
            "outputTokens": 100,
            "cacheReadInputTokens": 5000,
            "cacheCreationInputTokens": 20000,
            "webSearchRequests": 0,
            "costUSD": 0.0781,
            "contextWindow": 200000,
        },
        Usage(input=10, cache_read=5000, cache_write=20000, output=100),
    ),
    (
        "vercel-ai-sdk",
        {"inputTokens": 100, "cachedInputTokens": 40, "outputTokens": 30, "reasoningTokens": 10, "totalTokens": 130},
        Usage(input=60, cache_read=40, output=20, reasoning=10),
    ),
    (
        "perplexity",
        {
            "prompt_tokens": 33,
            "completion_tokens": 716,
            "total_tokens": 749,
            "citation_tokens": 3000,
            "reasoning_tokens": 500,
            "search_context_size": "low",
            "cost": {"total_cost": 0.5, "input_tokens_cost": 0.0},
        },
        Usage(input=3033, output=716, reasoning=500),
    ),
    (
        "ollama",
        {"prompt_eval_count": 26, "eval_count": 298, "total_duration": 5043500667, "eval_duration": 4709213000},
        Usage(input=26, output=298),
    ),
    ("other", {"input": 5, "output": 8, "total": 13, "unit": "TOKENS"}, Usage(input=5, output=8)),
]

NEIGHBORS: list[tuple[str, dict[str, Any], Usage]] = [
    (
        "Qwen: explicit caches",
        {"prompt_tokens": 100, "completion_tokens": 5, "total_tokens": 105,
         "prompt_tokens_details": {"cached_tokens": 60, "cache_creation_input_tokens": 20,
                                   "cache_creation": {"ephemeral_5m_input_tokens": 20}, "cache_type": "ephemeral"}},
        Usage(input=20, cache_read=60, cache_write=20, output=5),
    ),
    (
        "DashScope: images once more beside their details",
        {"input_tokens": 100, "output_tokens": 5, "total_tokens": 105, "image_tokens": 60,
         "input_tokens_details": {"text_tokens": 40, "image_tokens": 60}},
        Usage(input=40, input_image=60, output=5),
    ),
    (
        "SambaNova: rates are no tokens",
        {"prompt_tokens": 100, "completion_tokens": 5, "total_tokens": 105, "acceptance_rate": 4.05, "total_latency": 1,
         "completion_tokens_after_first_per_sec": 435, "completion_tokens_after_first_per_sec_first_ten": 500.1,
         "total_tokens_per_sec": 400, "time_to_first_token": 0.29},
        Usage(input=100, output=5),
    ),
    (
        "OpenRouter's generations, counted by the provider and by another tokenizer",
        {"data": {"tokens_prompt": 90, "tokens_completion": 6, "native_tokens_prompt": 100, "usage": 0.01,
                  "native_tokens_completion": 5, "native_tokens_reasoning": 2, "native_tokens_cached": 60}},
        Usage(input=40, cache_read=60, output=3, reasoning=2),
    ),
    (
        "pydantic-ai before 1.0",
        {"requests": 1, "request_tokens": 100, "response_tokens": 5, "total_tokens": 105, "details": {}},
        Usage(input=100, output=5),
    ),
    (
        "OpenAI's SDK for .NET",
        {"InputTokenCount": 100, "OutputTokenCount": 5, "TotalTokenCount": 105,
         "InputTokenDetails": {"AudioTokenCount": 0, "CachedTokenCount": 60},
         "OutputTokenDetails": {"ReasoningTokenCount": 2}},
        Usage(input=40, cache_read=60, output=3, reasoning=2),
    ),
    (
        "CrewAI",
        {"total_tokens": 105, "prompt_tokens": 100, "cached_prompt_tokens": 60, "completion_tokens": 5,
         "successful_requests": 3},
        Usage(input=40, cache_read=60, output=5),
    ),
    (
        "Titan: answers in a list",
        {"inputTextTokenCount": 100, "results": [{"tokenCount": 5, "outputText": "no"}]},
        Usage(input=100, output=5),
    ),
    ("Titan's embeddings", {"inputTextTokenCount": 100, "embedding": [0.25, -0.5]}, Usage(input=100)),
    ("Ollama's embeddings", {"prompt_eval_count": 100, "embeddings": [[0.25, 7]]}, Usage(input=100)),
    (
        "watsonx",
        {"model_id": "granite", "results": [{"input_token_count": 100, "generated_token_count": 5}]},
        Usage(input=100, output=5),
    ),
    (
        "llama.cpp: what its cache holds is nothing that was done",
        {"tokens_evaluated": 100, "tokens_predicted": 5, "tokens_cached": 104, "id_slot": -1,
         "generation_settings": {"n_ctx": 4096, "seed": 42}, "timings": {"prompt_n": 100}},
        Usage(input=100, output=5),
    ),
    (
        "SGLang",
        {"meta_info": {"prompt_tokens": 100, "completion_tokens": 5, "cached_tokens": 60, "e2e_latency": 0.1,
                       "finish_reason": {"type": "length", "length": 5}}},
        Usage(input=40, cache_read=60, output=5),
    ),
    (
        "Replicate",
        {"metrics": {"input_token_count": 100, "output_token_count": 5, "time_to_first_token": 0.1}},
        Usage(input=100, output=5),
    ),
    (
        "Bedrock's headers, where all is text",
        {"contentType": "application/json", "ResponseMetadata": {"HTTPStatusCode": 200, "HTTPHeaders": {
            "content-length": "200", "x-amzn-bedrock-input-token-count": "100",
            "x-amzn-bedrock-output-token-count": "5", "x-amzn-bedrock-cache-read-input-token-count": "60",
            "x-amzn-bedrock-invocation-latency": "900"}}},
        Usage(input=100, cache_read=60, output=5),
    ),
    (
        "xAI: reasoning on top of the completion, as the total shows, though it would fit into it",
        {"prompt_tokens": 10, "completion_tokens": 50, "total_tokens": 80,
         "completion_tokens_details": {"reasoning_tokens": 20}},
        Usage(input=10, output=50, reasoning=20),
    ),
    (
        "xAI: text of the prompt includes what is cached",
        {"prompt_tokens": 100, "completion_tokens": 5, "total_tokens": 105,
         "prompt_tokens_details": {"text_tokens": 100, "cached_tokens": 30, "image_tokens": 0}},
        Usage(input=70, cache_read=30, output=5),
    ),
    (
        "LiteLLM: writes for an hour",
        {"prompt_tokens": 12, "completion_tokens": 1, "cache_creation_input_tokens": 11, "cache_read_input_tokens": 0,
         "prompt_tokens_details": {"cache_creation_tokens": 11, "cache_creation_token_details":
                                   {"ephemeral_5m_input_tokens": 4, "ephemeral_1h_input_tokens": 7}}},
        Usage(input=1, cache_write=4, cache_write_1h=7, output=1),
    ),
    (
        "Anthropic's names in a gateway that counts caches in: the total shows it",
        {"input_tokens": 107, "output_tokens": 8, "total_tokens": 115, "prompt_tokens": 107,
         "cache_read_input_tokens": 100},
        Usage(input=7, cache_read=100, output=8),
    ),
    (
        "Gemini Live",
        {"promptTokenCount": 20, "responseTokenCount": 90, "toolUsePromptTokenCount": 5, "thoughtsTokenCount": 7,
         "totalTokenCount": 122, "promptTokensDetails": [{"modality": "AUDIO", "tokenCount": 15}],
         "responseTokensDetails": [{"modality": "AUDIO", "tokenCount": 80}, {"modality": "TEXT", "tokenCount": 10}],
         "toolUsePromptTokensDetails": [{"modality": "TEXT", "tokenCount": 5}]},
        Usage(input=10, input_audio=15, output=10, output_audio=80, reasoning=7),
    ),
    (
        "Gemini's interactions",
        {"total_input_tokens": 13, "total_cached_tokens": 3, "total_output_tokens": 8, "total_thought_tokens": 5,
         "total_tool_use_tokens": 0, "total_tokens": 26,
         "input_tokens_by_modality": [{"modality": "text", "tokens": 13}]},
        Usage(input=10, cache_read=3, output=8, reasoning=5),
    ),
    (
        "Anthropic: writes by their lifetimes alone",
        {"input_tokens": 30, "output_tokens": 1, "cache_creation": {"ephemeral_1h_input_tokens": 5,
                                                                    "ephemeral_5m_input_tokens": 2}},
        Usage(input=30, cache_write=2, cache_write_1h=5, output=1),
    ),
    (
        "Bedrock: a total without caches",
        {"inputTokens": 3, "outputTokens": 5, "totalTokens": 8, "cacheReadInputTokens": 100},
        Usage(input=3, cache_read=100, output=5),
    ),
    (
        "Bedrock's invocation metrics",
        {"inputTokenCount": 3, "outputTokenCount": 5, "invocationLatency": 1200, "firstByteLatency": 300},
        Usage(input=3, output=5),
    ),
    (
        "DeepSeek",
        {"prompt_tokens": 10, "completion_tokens": 2, "total_tokens": 12, "prompt_cache_hit_tokens": 6,
         "prompt_cache_miss_tokens": 4},
        Usage(input=4, cache_read=6, output=2),
    ),
    (
        "Moonshot, Mistral",
        {"prompt_tokens": 10, "completion_tokens": 2, "cached_tokens": 6, "num_cached_tokens": 6},
        Usage(input=4, cache_read=6, output=2),
    ),
    (
        "Groq: times are no money",
        {"prompt_tokens": 10, "completion_tokens": 2, "total_tokens": 12, "queue_time": 0.3, "prompt_time": 0.1,
         "completion_time": 1, "total_time": 2},
        Usage(input=10, output=2),
    ),
    (
        "OpenRouter: costs are no tokens",
        {"prompt_tokens": 10, "completion_tokens": 2, "total_tokens": 12, "cost": 0.95, "is_byok": True,
         "cost_details": {"upstream_inference_cost": 19, "upstream_inference_prompt_cost": 3}},
        Usage(input=10, output=2),
    ),
    (
        "images",
        {"total_tokens": 100, "input_tokens": 50, "output_tokens": 50,
         "input_tokens_details": {"text_tokens": 10, "image_tokens": 40},
         "output_tokens_details": {"image_tokens": 50}},
        Usage(input=10, input_image=40, output_image=50),
    ),
    (
        "transcription in tokens",
        {"type": "tokens", "input_tokens": 14, "input_token_details": {"text_tokens": 0, "audio_tokens": 14},
         "output_tokens": 45, "total_tokens": 59},
        Usage(input_audio=14, output=45),
    ),
    ("embeddings", {"prompt_tokens": 8, "total_tokens": 8}, Usage(input=8)),
    (
        "Vercel, newer: details of both, and the provider's own once more",
        {"inputTokens": 100, "inputTokenDetails": {"noCacheTokens": 30, "cacheReadTokens": 60, "cacheWriteTokens": 10},
         "outputTokens": 9, "outputTokenDetails": {"textTokens": 4, "reasoningTokens": 5}, "totalTokens": 109,
         "cachedInputTokens": 60, "reasoningTokens": 5, "raw": {"input_tokens": 30, "output_tokens": 9}},
        Usage(input=30, cache_read=60, cache_write=10, output=4, reasoning=5),
    ),
    (
        "Vercel's providers",
        {"inputTokens": {"total": 100, "noCache": 30, "cacheRead": 60, "cacheWrite": 10},
         "outputTokens": {"total": 9, "text": 4, "reasoning": 5}},
        Usage(input=30, cache_read=60, cache_write=10, output=4, reasoning=5),
    ),
    (
        "Codex",
        {"input_tokens": 10, "cached_input_tokens": 2, "output_tokens": 5, "reasoning_output_tokens": 1,
         "total_tokens": 15},
        Usage(input=8, cache_read=2, output=4, reasoning=1),
    ),
    (
        "OpenAI's agents",
        {"requests": 2, "input_tokens": 10, "output_tokens": 5, "total_tokens": 15,
         "input_tokens_details": {"cached_tokens": 4}, "output_tokens_details": {"reasoning_tokens": 0},
         "request_usage_entries": [{"input_tokens": 10, "output_tokens": 5, "total_tokens": 15}]},
        Usage(input=6, cache_read=4, output=5),
    ),
    (
        "OpenLLMetry",
        {"gen_ai.usage.prompt_tokens": 30, "gen_ai.usage.completion_tokens": 1, "gen_ai.request.max_tokens": 4096,
         "gen_ai.usage.cache_read_input_tokens": 20, "gen_ai.usage.cache_creation_input_tokens": 9,
         "llm.usage.total_tokens": 31, "server.port": 443},
        Usage(input=1, cache_read=20, cache_write=9, output=1),
    ),
    (
        "pydantic-ai's spans",
        {"gen_ai.usage.input_tokens": 10, "gen_ai.usage.output_tokens": 5, "gen_ai.usage.details.cache_read_tokens": 9,
         "gen_ai.usage.details.reasoning_tokens": 2},
        Usage(input=1, cache_read=9, output=3, reasoning=2),
    ),
    (
        "cached sound is sound",
        {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110,
         "prompt_tokens_details": {"cached_tokens": 90, "audio_tokens": 80}},
        Usage(input_audio=80, cache_read=20, output=10),
    ),
]  # fmt: skip
"""Other spellings and other providers, read without a note or with one that says what was chosen."""


@pytest.mark.parametrize(("shape", "fields", "usage"), CASES, ids=[case[0] for case in CASES])
class TestShapes:
    def test_the_shape_is_told_by_its_names(self, shape: str, fields: dict[str, Any], usage: Usage) -> None:
        reported = read_usage(fields)
        assert (reported.shape, reported.usage) == (shape, usage)

    def test_inside_a_response(self, shape: str, fields: dict[str, Any], usage: Usage) -> None:
        around = "usageMetadata" if shape == "gemini" else "usage"
        assert read_usage({"id": "x", around: fields}).usage == usage

    def test_as_the_object_of_an_sdk(self, shape: str, fields: dict[str, Any], usage: Usage) -> None:
        dumping = SimpleNamespace(model_dump=lambda: fields)
        assert read_usage(dumping).usage == usage


@pytest.mark.parametrize(("name", "fields", "usage"), NEIGHBORS, ids=[case[0] for case in NEIGHBORS])
def test_spellings_of_providers(name: str, fields: dict[str, Any], usage: Usage) -> None:
    reported = read_usage(fields)
    assert (reported.usage, reported.unknown) == (usage, 0)
    assert not reported.notes or "overlap" in reported.notes[0]


FEW, FEW_READ = {"prompt_tokens": 5, "completion_tokens": 1}, Usage(input=5, output=1)
MORE, MORE_READ = {"prompt_tokens": 35, "completion_tokens": 12}, Usage(input=35, output=12)


@pytest.mark.parametrize(
    ("fields", "usage", "unknown", "note"),
    [
        # parts that cannot be parts stand beside their whole
        ({"prompt_tokens": 5, "prompt_tokens_details": {"cached_tokens": 9}}, Usage(input=5, cache_read=9), 0,
         "on top"),
        ({"prompt_tokens": 5, "completion_tokens": 2, "completion_tokens_details": {"reasoning_tokens": 9}},
         Usage(input=5, output=2, reasoning=9), 0, "on top"),
        # tokens that only the total shows
        ({**MORE, "total_tokens": 109}, MORE_READ, 62, "62 tokens"),
        ({"total_tokens": 9}, Usage(), 9, "9 tokens"),
        # a total below what the parts are
        ({**MORE, "total_tokens": 12}, MORE_READ, 0, "is 12 tokens"),
        ({"input_tokens": 107, "cache_read_input_tokens": 100, "output_tokens": 8, "total_tokens": 115},
         Usage(input=107, cache_read=100, output=8), 0, "is 115 tokens"),
        # two names for one number
        ({"prompt_tokens": 35, "input_tokens": 40, "output_tokens": 1}, Usage(input=40, output=1), 0, "another name"),
        # numbers that nobody knows
        ({**FEW, "dream_tokens": 7}, FEW_READ, 7, "`dream_tokens`"),
        ({**FEW, "total_tokens": 6, "dream_tokens": 4}, FEW_READ, 0,
         "is part of what was read"),
        ({**FEW, "total_tokens": 9, "dream_tokens": 4}, FEW_READ, 3,
         "3 tokens count"),
        ({**FEW, "deep": {"er": [{"dreams": 7}, {"dreams": "8"}]}},
         FEW_READ, None, "dreams"),
        ({"prompt_tokens": 5, "prompt_tokens_details": 3}, Usage(input=5), 3, "`prompt_tokens_details`"),
        ({**FEW, "quality": 0.83}, FEW_READ, 0, "not a number of tokens"),
        # what has a price, but not by tokens
        ({"input_tokens": 5, "output_tokens": 1, "server_tool_use": {"web_search_requests": 3}},
         FEW_READ, 0, "`server_tool_use.web_search_requests` is 3"),
        ({**FEW, "prompt_audio_seconds": 7}, FEW_READ, 0, "is 7"),
    ],
)  # fmt: skip
def test_what_contradicts_itself_or_is_not_known_is_noted(
    fields: dict[str, Any], usage: Usage, unknown: int | None, note: str
) -> None:
    if unknown is None:
        with pytest.raises(UsageError, match=note):
            read_usage(fields)
        return
    reported = read_usage(fields)
    assert (reported.usage, reported.unknown) == (usage, unknown)
    assert note in " ".join(reported.notes)


def test_compaction_is_billed_beside_the_message() -> None:
    def part(kind: str | None, read: int, written: int, **more: Any) -> dict[str, Any]:
        return {"type": kind, "input_tokens": read, "output_tokens": written, **more}

    fields = {
        "input_tokens": 220,
        "output_tokens": 8,
        "iterations": [part("compaction", 55196, 125), part("message", 220, 8)],
    }
    assert read_usage(fields).usage == Usage(input=55416, output=133)
    fields["iterations"].append(part("whatever comes next", 100, 10, cache_read_input_tokens=50))
    reported = read_usage(fields)
    assert (reported.usage, reported.notes) == (Usage(input=55516, cache_read=50, output=143), ())
    fields["iterations"] = [part("message", 20, 8)]
    reported = read_usage(fields)
    assert (reported.usage, len(reported.notes)) == (Usage(input=220, output=8), 1)


@pytest.mark.parametrize(
    "around",
    [
        lambda models: {"type": "result", "modelUsage": models, "usage": {"input_tokens": 5, "output_tokens": 1}},
        lambda models: SimpleNamespace(model_usage=models, usage=None),
        lambda models: models,
    ],
)
def test_usage_by_model(around: Any) -> None:
    """Claude's agents, LangChain's callback."""
    models = {
        "claude-opus-4-8": {"inputTokens": 5, "outputTokens": 3, "cacheReadInputTokens": 9},
        "claude-haiku-4-5": {"inputTokens": 4, "outputTokens": 2},
    }
    reported = read_usage(around(models))
    assert reported.usage == Usage()
    assert reported.other_models == (
        ("claude-opus-4-8", Usage(input=5, cache_read=9, output=3)),
        ("claude-haiku-4-5", Usage(input=4, output=2)),
    )


FIELDS = {"prompt_tokens": 3, "completion_tokens": 1}


class _Told(NamedTuple):
    prompt_tokens: int
    completion_tokens: int


class _Kept:
    """What keeps its fields to itself, and tells them by properties."""

    def __init__(self) -> None:
        self._prompt = 3

    @property
    def prompt_tokens(self) -> int:
        return self._prompt

    @property
    def completion_tokens(self) -> int:
        return 1


@pytest.mark.parametrize(
    "response",
    [
        {"type": "response.done", "response": {"object": "realtime.response", "usage": FIELDS}},
        {"custom_id": "a", "response": {"status_code": 200, "body": {"usage": FIELDS}}},
        {"result": {"type": "succeeded", "message": {"usage": FIELDS}}},
        SimpleNamespace(usage_metadata=None, response_metadata={"token_usage": FIELDS}),
        SimpleNamespace(message=None, raw=SimpleNamespace(usage=SimpleNamespace(**FIELDS))),
        {"generations": [], "llm_output": {"token_usage": FIELDS}},
        {"usage": {}, "additional_kwargs": FIELDS},
        {"replies": [{"role": "assistant", "meta": {"model": "gpt", "index": 0, "usage": FIELDS}}]},
        {"meta": [{"model": "gpt", "usage": FIELDS}]},
        {"Usage": FIELDS},
        _Told(3, 1),
        SimpleNamespace(usage=_Told(3, 1)),
        _Kept(),
        SimpleNamespace(usage=SimpleNamespace(to_dict=lambda: FIELDS)),
    ],
)
def test_what_holds_a_usage(response: Any) -> None:
    assert read_usage(response).usage == Usage(input=3, output=1)


def test_an_object_with_a_field_of_every_name_is_refused_soon() -> None:
    asked = []

    class Mock:
        def __getattr__(self, name: str) -> Any:
            asked.append(name)
            return Mock()

    with pytest.raises(UsageError):
        read_usage(Mock())
    assert len(asked) < 2_000


def test_numbers_of_other_types() -> None:
    class Index:
        def __index__(self) -> int:
            return 3

        def __int__(self) -> int:
            return 3

        def __eq__(self, other: object) -> bool:
            return other == 3

        def __float__(self) -> float:
            return 3.0

        __hash__ = None  # type: ignore[assignment]

    assert read_usage({"prompt_tokens": Decimal(3), "completion_tokens": Index()}).usage == Usage(input=3, output=3)
    assert read_usage({"prompt_tokens": 3.0, "completion_tokens": 1}).usage == Usage(input=3, output=1)


@pytest.mark.parametrize(
    "response",
    [
        {"service_tier": "flex", "usage": {"prompt_tokens": 1}},
        {"usage": {"prompt_tokens": 1, "service_tier": "flex"}, "service_tier": "default"},
        {"serviceTier": {"type": "flex"}, "usage": {"inputTokens": 1}},
        SimpleNamespace(usage=SimpleNamespace(prompt_tokens=1), service_tier="flex"),
        {"usage_metadata": {"prompt_token_count": 1, "service_tier": SimpleNamespace(value="flex")}},
    ],
)
def test_the_service_tier_is_read_from_the_usage_or_beside_it(response: Any) -> None:
    assert read_usage(response).service_tier == "flex"


def test_every_shape_has_a_case() -> None:
    assert {case[0] for case in CASES} == set(SHAPES)


def test_plain_objects_are_read_deeply() -> None:
    details = SimpleNamespace(cached_tokens=3)
    assert read_usage(SimpleNamespace(prompt_tokens=5, prompt_tokens_details=details)).usage == Usage(
        input=2, cache_read=3
    )


def test_gemini_in_the_spelling_of_its_sdk() -> None:
    modality = SimpleNamespace(name="AUDIO")
    fields = {"prompt_token_count": 9, "prompt_tokens_details": [{"modality": modality, "token_count": 4}]}
    assert read_usage({"usage_metadata": fields}).usage == Usage(input=5, input_audio=4)


def test_models_that_the_provider_asked_on_its_own_are_kept_apart() -> None:
    fields = {
        "input_tokens": 10,
        "output_tokens": 1,
        "iterations": [
            {"type": "message", "input_tokens": 10, "output_tokens": 1},
            {"type": "advisor_message", "model": "opus", "input_tokens": 20, "output_tokens": 2},
        ],
    }
    assert read_usage(fields).other_models == (("opus", Usage(input=20, output=2)),)


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"prompt_tokens": -5}, "not a number of tokens"),
        ({"prompt_tokens": "5"}, "not a number of tokens"),
        ({"prompt_tokens": float("nan")}, "not a number of tokens"),
        ({"prompt_tokens": True}, "not a number of tokens"),
        ({"prompt_tokens": 10**40}, "more tokens than any call has"),
        ({"prompt_tokens": 5, "completion_tokens": 1, "x": 10**40}, "not a readable number"),
        ({"prompt_tokens": 5, "completion_tokens": 1, "x": float("inf")}, "not a readable number"),
        ({"prompt_tokens": None, "completion_tokens": 5}, "`prompt_tokens` is null"),
        ({"completion_tokens": 5}, "no prompt tokens"),
        ({"type": "duration", "seconds": 9.5}, "`seconds`, which has no price by tokens"),
        ({"input_tokens": 5, "output_tokens": 1, "iterations": 3}, "is not a list of objects"),
        ({"hello": 1}, "no usage object of a known shape"),
        ({}, "no usage object of a known shape"),
        (3, "a value of type `int` is neither a usage"),
        (None, "a value of type `NoneType` is neither a usage"),
    ],
)
def test_what_cannot_be_understood_is_refused(fields: Any, problem: str) -> None:
    with pytest.raises(UsageError, match=problem):
        read_usage(fields)


_COUNTED = {"prompt_eval_count": 12, "eval_count": 5}


@pytest.mark.parametrize(
    "answer",
    [
        {"message": {"role": "assistant", "tool_calls": [{"function": {"arguments": {"amount": 123456}}}]}},
        {"message": {"role": "assistant", "content": "a"}, "logprobs": [{"logprob": -0.5, "bytes": [104, 105]}]},
        {"response": "a", "context": list(range(1000, 1200))},
        {"content": "a", "tokens": [1, 3000], "generation_settings": {"seed": 4294967295, "n_ctx": 4096}},
        {"generated_text": "5000", "tokens": [{"id": 3000}]},
        {"generation": "a", "outputs": [{"text": "a", "index": 7}]},
    ],
    ids=str,
)
@pytest.mark.parametrize("as_object", [False, True])
def test_the_answer_beside_a_usage_is_no_usage(answer: dict[str, Any], as_object: bool) -> None:
    """Of responses that tell tokens themselves: arguments of tools, ids of tokens and vectors are no counts."""
    response = {"model": "nano", "done": True, **answer, **_COUNTED}
    read = read_usage(SimpleNamespace(**response) if as_object else response)
    assert (read.usage, read.unknown, read.notes) == (Usage(input=12, output=5), 0, ())


def test_a_response_of_which_most_is_not_known_is_refused() -> None:
    response = {"message": {"role": "assistant", "content": "a"}, "odd": 3, **_COUNTED}
    assert read_usage(response).unknown == 3
    with pytest.raises(UsageError, match="`seed`"):
        read_usage({**response, "seed": 4294967295})


@pytest.mark.parametrize(
    "response",
    [
        {"embeddings": [[0.1]], "prompt_eval_count": 12, "eval_count": None},
        {"embeddings": {"float": [[0.1]]}, "meta": {"billed_units": {"input_tokens": 12, "output_tokens": None}}},
        {"embeddings": [[0.1]], "usage": {"prompt_tokens": 12, "completion_tokens": None}},
    ],
    ids=str,
)
def test_an_embedding_has_no_answer(response: dict[str, Any]) -> None:
    assert read_usage(response).usage == Usage(input=12)
    with pytest.raises(UsageError, match="null"):
        read_usage({name: item for name, item in response.items() if name != "embeddings"})


_IMAGES = {"input_tokens": 50, "output_tokens": 4160, "output_tokens_details": {"image_tokens": 4160}}


@pytest.mark.parametrize(
    ("tools", "unknown", "note"),
    [
        ({"image_gen": {**_IMAGES, "total_tokens": 4210}}, 4210, "`tool_usage.image_gen` is 4,210 tokens"),
        ({"image_gen": _IMAGES}, 4210, "4,210 tokens"),
        ({"image_gen": {**_IMAGES, "total_tokens": 5000}}, 5000, "5,000 tokens"),
        ({"dreams": {"dream_tokens": 7}}, 7, "`tool_usage.dreams`"),
        ({"web_search": {"num_requests": 3}}, 0, "`tool_usage.web_search.num_requests` is 3"),
        ({"image_gen": {"input_tokens": 0, "total_tokens": 0}, "web_search": {"num_requests": 0}}, 0, ""),
        (None, 0, ""),
    ],
    ids=str,
)
def test_what_tools_of_the_provider_used(tools: Any, unknown: int, note: str) -> None:
    """OpenAI's responses tell it beside the usage, whether alone, in an event or in the line of a batch."""
    response = {"model": "nano", "usage": {"input_tokens": 12, "output_tokens": 5}, "tool_usage": tools}
    for around in (response, {"type": "response.completed", "response": response}, {"response": {"body": response}}):
        read = read_usage(around)
        assert (read.usage, read.unknown) == (Usage(input=12, output=5), unknown)
        assert note in " ".join(read.notes)
        assert bool(note) == bool(read.notes)


def test_an_unknown_shape_is_refused() -> None:
    with pytest.raises(UsageError, match="unknown shape `azure`"):
        read_usage({"prompt_tokens": 1}, shape="azure")


OWN_SHAPE = {
    ("anthropic", "default"): "anthropic",
    ("aws", "default"): "bedrock",
    ("cohere", "default"): "cohere",
    ("google", "default"): "gemini",
    ("openai", "chat"): "openai-chat",
    ("openai", "responses"): "openai-responses",
    ("openrouter", "chat"): "openai-chat",
}


def test_real_usage_agrees_with_what_is_expected_of_it(shared_data: Path) -> None:
    compared = 0
    for row in json.loads((shared_data / "provider_usage" / "usages_even.json").read_text(encoding="utf-8")):
        reported = read_usage(row["body"])
        for extracted in row["extracted"]:
            flavours = {(item["provider_id"], item["api_flavor"]) for item in extracted["extractors"]}
            if reported.shape in {OWN_SHAPE.get(flavour) for flavour in flavours} and not _ignores_cache(row):
                expected, usage = extracted["usage"], reported.usage
                assert usage.prompt_tokens == expected.get("input_tokens", 0), row
                written = usage.output + usage.reasoning + usage.output_audio + usage.output_image
                assert written == expected.get("output_tokens", 0), row
                compared += 1
    assert compared > 500


def _ignores_cache(row: dict[str, Any]) -> bool:
    """The expectations of an embedding's extractor count input alone, also for a chat."""
    return "completion_tokens" in (row["body"].get("usage") or {}) and any(
        "output_tokens" not in extracted["usage"] for extracted in row["extracted"]
    )


@pytest.mark.parametrize("fields", [case[1] for case in CASES])
def test_names_of_nulls_are_those_of_others(fields: dict[str, Any]) -> None:
    """A table of usages of several providers has all their names in each row, most of them null."""
    every = {
        "prompt_tokens": None, "completion_tokens": None, "prompt_tokens_details": {"cached_tokens": None},
        "input_tokens": None, "input_tokens_details": None, "cache_read_input_tokens": None, "inputTokens": None,
        "promptTokenCount": None, "cachedContentTokenCount": None, "total_tokens": None, "prompt_eval_count": None,
    }  # fmt: skip
    alone = read_usage(fields)
    beside = read_usage({**every, **fields})
    assert (beside.usage, beside.unknown) == (alone.usage, alone.unknown)
