"""Real usage objects, priced: what we read times what the price list says is what the price list's makers expect."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import pytest
from genai_prices import Usage as TheirUsage
from genai_prices.data import providers

from costlens_policy.catalogue import Usage
from costlens_policy.catalogue.price_list import listed_model
from costlens_policy.usage import Reported, price_usage, read_usage

DAY: Final = date(2026, 11, 24)
PROVIDERS: Final = {provider.id: provider for provider in providers}

CHANGED: Final = "the price list has changed since the expectation was written"
PEAK: Final = "prices differ by the time of day, and a catalogue takes the highest"
UNSEEN: Final = "the extractor behind the expectation does not see cached tokens: input to it, or nothing at all"
HIDDEN: Final = "tokens that only the total shows are no part of the expectation"
NO_PRICE: Final = "the list has no price for both input and output: we say unpriced, the expectation says 0"

DISAGREEMENTS: Final[dict[tuple[str, str, str], int]] = {
    ("anthropic", "claude-haiku-4-5", UNSEEN): 1,
    ("anthropic", "claude-sonnet-4-5", UNSEEN): 2,
    ("anthropic", "claude-sonnet-4-6", UNSEEN): 2,
    ("anthropic", "claude-sonnet-5", UNSEEN): 2,
    ("aws", "regional.openai.gpt-5.6-luna", UNSEEN): 2,
    ("aws", "regional.openai.gpt-5.6-luna", CHANGED): 1,
    ("cerebras", "qwen-3-coder-480b", NO_PRICE): 1,
    ("deepseek", "deepseek-v4-flash", PEAK): 1,
    ("google", "claude-sonnet-4-5", CHANGED): 1,
    ("google", "gemini-2.5-pro", HIDDEN): 1,
    ("mistral", "mistral-medium-latest", UNSEEN): 7,
    ("mistral", "mistral-medium-latest", CHANGED): 10,
    ("mistral", "mistral-small-latest", CHANGED): 1,
    ("openai", "gpt-4o", UNSEEN): 1,
    ("openai", "gpt-5", UNSEEN): 6,
    ("openai", "gpt-5.6-sol", UNSEEN): 5,
    ("openai", "gpt-5.6-sol", CHANGED): 15,
    ("openrouter", "openai/gpt-oss-120b", CHANGED): 8,
    ("openrouter", "qwen/qwen2.5-vl-72b-instruct", CHANGED): 1,
    ("openrouter", "qwen/qwen3-30b-a3b-instruct-2507", CHANGED): 1,
    ("openrouter", "qwen/qwen3-32b", CHANGED): 1,
    ("openrouter", "z-ai/glm-4.6", CHANGED): 1,
}
"""How often we do not agree to the last digit, by provider and model as the price list names it, and why."""


@dataclass(frozen=True, slots=True)
class Case:
    """One usage object as one provider's extractor reads and prices it."""

    body: dict[str, Any]
    seen: dict[str, int]
    provider: str
    model: str
    expected: Decimal

    def read(self) -> Reported:
        return read_usage(self.body)

    def ours(self) -> tuple[Usage, Decimal | None]:
        reported = self.read()
        model = listed_model(f"{self.provider}/{self.model}")
        return reported.usage, price_usage(
            model, reported.usage, DAY, terms=reported.terms, unknown=reported.unknown
        ).cost


def _cases(path: Path) -> Iterator[Case]:
    """Yield what has a price, is of a model in today's list, and was read by an extractor that looks at the output.

    The extractors for embeddings read the prompt of a chat alone, so that their price is not that of the call.
    """
    for item in json.loads(path.read_text("utf-8")):
        body = item["body"]
        for read in item["extracted"]:
            for by in read["extractors"]:
                if "input_price" not in by or by["api_flavor"] == "embeddings":
                    continue
                owner = _owner(by["provider_id"], item.get("model") or body["model"])
                if owner is not None:
                    expected = Decimal(by["input_price"]) + Decimal(by["output_price"])
                    yield Case(body, read["usage"], *owner, expected)


def _owner(provider_id: str, name: str) -> tuple[str, str] | None:
    """Return under which provider the list has the model: the provider itself, or one that it resells."""
    for owner in (provider_id, *(PROVIDERS[provider_id].fallback_model_providers or ())):
        model = PROVIDERS[owner].find_model(name)
        if model is not None:
            return owner, model.id
    return None


@pytest.fixture(scope="module")
def cases(shared_data) -> list[Case]:
    return list(_cases(shared_data / "provider_usage" / "usages_even.json"))


def _reason(case: Case) -> str:
    """Return why our cost is not the expected one; each reason is shown, not believed."""
    usage, cost = case.ours()
    if cost is None:
        return NO_PRICE
    if case.read().unknown:
        return HIDDEN
    if (usage.cache_read, usage.cache_write + usage.cache_write_1h) != (
        case.seen.get("cache_read_tokens", 0),
        case.seen.get("cache_write_tokens", 0),
    ):
        return UNSEEN
    low, high = sorted(_listed_cost(case, usage, hour) for hour in (2, 20))
    if low != high:
        assert cost == high
        return PEAK
    assert cost == low, "the list of today, asked for the same tokens, gives another cost than we do"
    return CHANGED


def _listed_cost(case: Case, usage: Usage, hour: int) -> Decimal:
    """Return what the price list's own code says of the tokens that we read."""
    tokens = TheirUsage(
        input_tokens=usage.prompt_tokens,
        cache_read_tokens=usage.cache_read,
        cache_write_tokens=usage.cache_write + usage.cache_write_1h,
        output_tokens=usage.output + usage.reasoning,
    )
    provider = PROVIDERS[case.provider]
    entry = next(model for model in provider.models if model.id == case.model)
    moment = datetime(DAY.year, DAY.month, DAY.day, hour, tzinfo=UTC)
    return entry.calc_price(tokens, provider, genai_request_timestamp=moment).total_price


def test_every_price_agrees_or_has_its_reason(cases):
    differ = [case for case in cases if case.ours()[1] != case.expected]
    assert len(cases) > 1_500
    assert Counter((case.provider, case.model, _reason(case)) for case in differ) == DISAGREEMENTS


def test_tokens_agree_with_the_reference(cases):
    """Whatever became of the prices, the tokens that were read are the same."""
    for case in cases:
        usage, _ = case.ours()
        total = case.seen.get("input_tokens", 0)
        assert total == usage.prompt_tokens or (_reason(case) == UNSEEN and total == usage.input), case.body
        written = usage.output + usage.reasoning + usage.output_audio + usage.output_image
        assert written == case.seen.get("output_tokens", 0), case.body
