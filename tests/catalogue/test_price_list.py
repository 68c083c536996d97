"""The price list's models cost what ``genai-prices`` itself says, to the last digit."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal, localcontext
from typing import Any

import pytest
from genai_prices.data import providers
from genai_prices.types import ModelInfo, Provider, TimeOfDateConstraint
from genai_prices.types import Usage as ListUsage

from costlens_policy.catalogue.catalogue import LONG_AGO, Model, Usage
from costlens_policy.catalogue.price_list import listed_model, matching, nearest_pattern

ENTRIES = [(provider, entry) for provider in providers for entry in provider.models]
USAGES = (
    Usage(input=1, output=1),
    Usage(input=199_999, output=777),
    Usage(input=150_000, cache_read=50_000, cache_write=1, output=64_001),
    Usage(input=300_007, cache_read=13, cache_write=17, cache_write_1h=19, output=1_001, reasoning=333),
    Usage(input=1_100_000, output=3),
    Usage(input=10, input_audio=101, output=7, output_audio=103, input_image=107, output_image=109),
)


def conditions(entry: ModelInfo) -> list[Any]:
    return entry.prices if isinstance(entry.prices, list) else []


def by_time_of_day(entry: ModelInfo) -> bool:
    return any(isinstance(item.constraint, TimeOfDateConstraint) for item in conditions(entry))


def days_of(entry: ModelInfo) -> Iterator[date]:
    """The days around every change of price, and one long before and after all of them."""
    yield from (date(2020, 1, 1), date(2030, 1, 1))
    for item in conditions(entry):
        if start := getattr(item.constraint, "start_date", None):
            yield from (start - timedelta(days=1), start)


def inclusive(usage: Usage) -> ListUsage:
    """Count as providers do: the whole contains its parts. Parts without tokens stay unreported."""
    counts = {
        "input_tokens": usage.prompt_tokens,
        "cache_read_tokens": usage.cache_read + usage.cache_read_audio,
        "cache_write_tokens": usage.cache_write + usage.cache_write_1h,
        "cache_write_1h_tokens": usage.cache_write_1h,
        "input_audio_tokens": usage.input_audio + usage.cache_read_audio,
        "cache_audio_read_tokens": usage.cache_read_audio,
        "input_image_tokens": usage.input_image,
        "output_tokens": usage.output + usage.reasoning + usage.output_audio + usage.output_image,
        "output_reasoning_tokens": usage.reasoning,
        "output_audio_tokens": usage.output_audio,
        "output_image_tokens": usage.output_image,
    }
    return ListUsage(**{key: count for key, count in counts.items() if count})


def list_cost(provider: Provider, entry: ModelInfo, usage: Usage, moment: datetime) -> Decimal:
    reported = inclusive(usage)
    for part in ("input_image_tokens", "output_image_tokens", "output_reasoning_tokens"):
        getattr(reported, part)
    with localcontext() as context:
        context.prec = 60
        return entry.calc_price(reported, provider, genai_request_timestamp=moment).total_price


def our_cost(model: Model, usage: Usage, day: date) -> Decimal:
    period = model.period_on(day)
    assert period is not None
    return period.rates_for(usage.prompt_tokens).cost(usage)


def test_every_model_costs_the_same_on_every_day() -> None:
    compared = 0
    for provider, entry in ENTRIES:
        model = listed_model(f"{provider.id}/{entry.id}")
        if not model.periods or by_time_of_day(entry):
            continue
        for day in days_of(entry):
            moment = datetime.combine(day, time(12), UTC)
            for usage in USAGES:
                expected = list_cost(provider, entry, usage, moment)
                assert our_cost(model, usage, day) == expected, (model.name, day, usage)
                compared += 1
    assert compared > 20_000


def test_only_these_models_are_unpriced() -> None:
    """Those whose list prices lack input or output tokens at some time: embeddings, speech, pages, unknown prices."""
    for provider, entry in ENTRIES:
        prices = [item.prices for item in conditions(entry)] or [entry.prices]
        whole = all(price.input_mtok is not None and price.output_mtok is not None for price in prices)  # type: ignore[union-attr]  # a list is no alternative here
        assert bool(listed_model(f"{provider.id}/{entry.id}").periods) is whole, entry.id


def test_by_time_of_day_each_call_costs_what_held_then_and_estimates_take_the_highest() -> None:
    found = [(provider, entry) for provider, entry in ENTRIES if by_time_of_day(entry)]
    assert found, "the price list has no such prices any more; the remark and this test can go"
    usage = Usage(input=1000, cache_read=500, output=2000)
    for provider, entry in found:
        model = listed_model(f"{provider.id}/{entry.id}")
        assert "estimates take the highest" in model.price_source
        for day in days_of(entry):
            moments = [datetime.combine(day, time(half // 2, half % 2 * 30), UTC) for half in range(48)]
            costs = [list_cost(provider, entry, usage, moment) for moment in moments]
            for moment, cost in zip(moments, costs, strict=True):
                period = model.period_at(moment.astimezone(timezone(timedelta(hours=8))))
                assert period is not None
                assert period.rates_for(usage.prompt_tokens).cost(usage) == cost, (model.name, moment)
            assert our_cost(model, usage, day) >= max(costs), (model.name, day)


WHEN = {
    ("service_tier", "flex"): "flex",
    ("service_tier", "priority"): "priority",
    ("service_tier", "fast"): "fast",
    ("processing", "batch"): "batch",
    ("speed", "fast"): "fast",
}


def test_service_tiers_cost_what_the_list_says_of_them() -> None:
    compared = 0
    for provider, entry in ENTRIES:
        model = listed_model(f"{provider.id}/{entry.id}")
        for variant in entry.price_variants or ():
            ((key, value),) = variant.when.items()
            if not model.periods or by_time_of_day(entry) or (key, value) not in WHEN:
                continue
            start = getattr(variant.constraint, "start_date", date(2026, 11, 1))
            for usage in USAGES:
                period = model.period_on(start)
                assert period is not None
                ours = period.tariff(WHEN[key, value]).rates_for(usage.prompt_tokens).cost(usage)
                with localcontext() as context:
                    context.prec = 60
                    reported = inclusive(usage)
                    moment = datetime.combine(start, time(12), UTC)
                    listed = entry.calc_price(
                        reported, provider, genai_request_timestamp=moment, price_context={key: value}
                    )
                assert ours == listed.total_price, (model.name, key, value, usage)
                compared += 1
    assert compared > 500


def test_every_condition_of_a_price_is_held_or_named() -> None:
    for provider, entry in ENTRIES:
        model = listed_model(f"{provider.id}/{entry.id}")
        for variant in entry.price_variants or ():
            ((key, value),) = variant.when.items()
            priced = any(price is not None for price in vars(variant.prices).values())
            tiers = {name for period in model.periods for name in period.service_tiers}
            held = WHEN.get((key, value)) in tiers
            assert not priced or not model.periods or held or f"{key}: {value}" in model.price_source, model


def test_facts_come_along() -> None:
    model = listed_model("openai/gpt-5-nano")
    assert (model.name, model.provider, model.context_window) == ("openai/gpt-5-nano", "openai", 400_000)
    assert model.price_source.startswith("genai-prices ")
    assert model.deprecated is None
    old = next(f"{provider.id}/{entry.id}" for provider, entry in ENTRIES if entry.deprecated)
    assert listed_model(old).deprecated == LONG_AGO


def test_what_is_not_counted_is_said() -> None:
    sources = [listed_model(name).price_source for name in matching("*")]
    assert any("not counted: web_searches_kcount" in source for source in sources)


def test_patterns_match_whole_names() -> None:
    assert matching("openai/gpt-5-nano") == ("openai/gpt-5-nano",)
    names = matching("openai/gpt-5*")
    assert "openai/gpt-5-nano" in names
    assert list(names) == sorted(names)
    assert all(name.startswith("openai/gpt-5") for name in names)
    assert matching("gpt-5-nano") == ()
    assert len(matching("*")) == len({f"{provider.id}/{entry.id}" for provider, entry in ENTRIES})


@pytest.mark.parametrize(
    ("pattern", "meant"),
    [
        ("gpt-5*", "openai/gpt-5*"),
        ("claude-*", "anthropic/claude-*"),
        ("opnai/gpt-5*", "openai/gpt-5*"),
        ("openai/gtp-5-nano", "openai/gpt-5-nano"),
        ("azure/gpt-5-nano", "openai/gpt-5-nano"),
        ("openai/zzzz*", None),
        ("nothing", None),
    ],
)
def test_a_pattern_without_matches_gets_a_suggestion(pattern: str, meant: str | None) -> None:
    assert nearest_pattern(pattern) == meant
