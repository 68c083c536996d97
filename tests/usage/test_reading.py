"""Usage objects in every shape, and the real ones where they are at hand."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

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
]


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
        ({"prompt_tokens": 5, "prompt_tokens_details": {"cached_tokens": 9}}, "more than the 5 tokens"),
        ({"prompt_tokens": -5}, "not a number of tokens"),
        ({"prompt_tokens": "5"}, "not a number of tokens"),
        ({"prompt_tokens": float("nan")}, "not a number of tokens"),
        ({"prompt_tokens": True}, "not a number of tokens"),
        ({"prompt_tokens": 5, "prompt_tokens_details": 3}, "not an object"),
        ({"hello": 1}, "no usage object of a known shape"),
        ({}, "no usage object of a known shape"),
        (3, "a value of type `int` is no usage"),
        (None, "a value of type `NoneType` is no usage"),
    ],
)
def test_what_cannot_be_understood_is_refused(fields: Any, problem: str) -> None:
    with pytest.raises(UsageError, match=problem):
        read_usage(fields)


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
