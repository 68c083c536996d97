"""Imports become catalogues that read back with the same prices, and drop nothing in silence."""

from __future__ import annotations

import json
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from costlens_policy.catalogue import Catalogue, Usage
from costlens_policy.catalogue.litellm import CostKey, import_litellm, is_cost_key, read_key
from costlens_policy.catalogue.price_list import import_genai_prices, listed_model
from costlens_policy.catalogue.resolve import resolve
from costlens_policy.errors import InputError
from costlens_policy.source.read import source_of
from tests.catalogue.reading import read

TODAY = date(2026, 11, 24)
PLAIN = {"litellm_provider": "acme", "input_cost_per_token": 1e-06, "output_cost_per_token": 2e-06}


def catalogue(text: str) -> Catalogue:
    result = resolve([read(text)])
    assert result.diagnostics == ()
    return result.catalogue


def litellm(entry: Any, name: str = "m") -> str:
    return import_litellm(source_of(json.dumps({"sample_spec": {"mode": "text"}, name: entry}), "prices.json"))


def cost(text: str, usage: Usage, name: str = "m") -> Decimal:
    model = catalogue(text).find(name)
    assert model is not None
    period = model.period_on(TODAY)
    assert period is not None
    return period.rates_for(usage.prompt_tokens).cost(usage)


def test_the_price_list_becomes_a_catalogue() -> None:
    text = import_genai_prices(["openai/gpt-5*", "deepseek/*"], TODAY)
    found = catalogue(text)
    nano = found.find("openai/gpt-5-nano")
    assert nano is not None
    assert (nano.name, nano.context_window) == ("gpt-5-nano", 400_000)
    for model in found:
        assert model.provider is not None
        listed = listed_model(f"{model.provider}/{model.name}")
        for day in (TODAY, date(2035, 1, 1)):
            ours, theirs = model.period_on(day), listed.period_on(day)
            assert (ours is None) == (theirs is None)
            if ours and theirs:
                assert (ours.rates, ours.long_context) == (theirs.rates, theirs.long_context)
    assert "# prices: genai-prices 0" in text
    assert "by the time of day; estimates take the highest" in text


def test_prices_that_ended_are_left_out() -> None:
    model = listed_model("deepseek/deepseek-v4-flash")
    last = model.periods[-1]
    assert last.effective is not None
    text = import_genai_prices(["deepseek/deepseek-v4-flash"], last.effective)
    found = catalogue(text).find("deepseek-v4-flash")
    assert found is not None
    assert [period.effective for period in found.periods] == [last.effective]


def test_a_pattern_of_the_price_list_that_matches_nothing_is_refused() -> None:
    with pytest.raises(InputError, match=r"`opnai/gpt-5\*` matches no model .* did you mean `openai/gpt-5\*`\?"):
        import_genai_prices(["opnai/gpt-5*"], TODAY)


def test_facts_and_prices_of_litellm() -> None:
    text = litellm(
        PLAIN
        | {
            "cache_read_input_token_cost": 1e-07,
            "cache_creation_input_token_cost": 1.25e-06,
            "cache_creation_input_token_cost_above_1hr": 2e-06,
            "output_cost_per_reasoning_token": 3e-06,
            "input_cost_per_request": 0.005,
            "max_input_tokens": 1000,
            "max_output_tokens": 100.0,
            "supports_function_calling": True,
            "supports_response_schema": True,
            "supports_vision": False,
            "deprecation_date": "2027-01-31",
        }
    )
    model = catalogue(text).find("acme/m")
    assert model is not None
    assert (model.context_window, model.max_output_tokens, model.deprecated) == (1000, 100, date(2027, 1, 31))
    assert model.capabilities == frozenset({"tools", "json_schema", "json_mode"})
    usage = Usage(input=1, cache_read=10, cache_write=100, cache_write_1h=1000, output=10_000, reasoning=100_000)
    assert cost(text, usage) == Decimal("0.005") + Decimal("0.322127")


def test_above_a_threshold_the_whole_call_costs_more() -> None:
    tiers = {"input_cost_per_token_above_200k_tokens": 2e-06, "output_cost_per_token_above_200k_tokens": 3e-06}
    text = litellm(PLAIN | tiers | {"cache_read_input_token_cost": 1e-07})
    assert cost(text, Usage(input=200_000, output=1)) == Decimal("0.200002")
    assert cost(text, Usage(input=200_000, cache_read=1, output=1)) == Decimal("0.4000031")
    inclusive = litellm(PLAIN | tiers | {"litellm_provider": "xai"})
    assert cost(inclusive, Usage(input=199_999)) == Decimal("0.199999")
    assert cost(inclusive, Usage(input=200_000)) == Decimal("0.4")


def test_a_table_of_tiers_wins_over_the_models_own_prices() -> None:
    table = [
        {"range": [0, 32000.0], "input_cost_per_token": 3e-06, "cache_read_input_token_cost": 1e-07},
        {"range": [32000.0, 1000000.0], "input_cost_per_token": 4e-06},
    ]
    text = litellm(PLAIN | {"tiered_pricing": table})
    assert cost(text, Usage(input=31_000, cache_read=1_000, output=1)) == Decimal("0.093102")
    assert cost(text, Usage(input=31_001, cache_read=1_000, output=1)) == Decimal("0.128006")


def test_noise_of_binary_floats_is_dropped() -> None:
    assert cost(litellm(PLAIN | {"input_cost_per_token": 1.0000000000000001e-07}), Usage(input=1)) == Decimal("1e-7")


TIERS = {
    "input_cost_per_token_flex": 5e-07,
    "input_cost_per_token_batches": 5e-07,
    "output_cost_per_token_batches": 1e-06,
    "input_cost_per_token_priority": 2e-06,
    "output_cost_per_token_priority": 4e-06,
    "input_cost_per_token_above_200k_tokens": 3e-06,
    "input_cost_per_token_priority_above_200k_tokens": 6e-06,
}


@pytest.mark.parametrize(
    ("tier", "usage", "dollars"),
    [
        ("", Usage(input=1000, output=1000), "0.003"),
        ("flex", Usage(input=1000, output=1000), "0.0025"),  # output costs as usual
        ("batch", Usage(input=1000, output=1000), "0.0015"),
        ("priority", Usage(input=1000, reasoning=1000), "0.006"),
        ("priority", Usage(input=200_001, output=1000), "1.204006"),
        ("flex", Usage(input=200_001, output=1000), "0.602003"),  # the list only says what it usually costs
        ("unheard-of", Usage(input=1000, output=1000), "0.003"),
    ],
)
def test_service_tiers_have_prices_of_their_own(tier: str, usage: Usage, dollars: str) -> None:
    text = litellm(PLAIN | TIERS)
    (model,) = catalogue(text)
    (period,) = model.periods
    assert sorted(period.service_tiers) == ["batch", "flex", "priority"]
    assert period.tariff(tier).rates_for(usage.prompt_tokens).cost(usage) == Decimal(dollars)


def test_what_cannot_be_held_is_named() -> None:
    text = litellm(
        PLAIN
        | {
            "cache_creation_input_token_cost_above_12hr_flex": 1e-07,
            "cache_creation_input_token_cost_above_12hr": 1e-07,
            "search_context_cost_per_query": {"search_context_size_low": 0.01},
            "regional_processing_uplift_multiplier_eu": 1.1,
            "output_cost_per_second_1080p": 0.1,
            "tiered_pricing": [{"max_results_range": [0, 25], "input_cost_per_query": 0.005}],
        }
    )
    (whole, line) = [line for line in text.splitlines() if "left out" in line]
    for name in ("12hr_flex", "12hr,", "search", "uplift", "1080p", "tiered_pricing"):
        assert name in line
        assert name.rstrip(",") in whole


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("provider_specific_entry", {"us": 1.1, "fast": 2.0}, "provider_specific_entry: us 1.1, fast 2.0"),
        ("provider_specific_entry", {"eu": {"rates": [1.25]}}, "provider_specific_entry: eu.rates 1.25"),
        ("fedramp_uplift_multiplier", 1.1, "fedramp_uplift_multiplier: 1.1"),
        ("price_per_gb_day", 0.1, "price_per_gb_day: 0.1"),
        ("off_peak_discount", "half", "off_peak_discount: half"),
        ("session_rate", {"hour": "0.08"}, "session_rate"),
        ("free_requests", 1000, "free_requests: 1000"),
        ("surcharges", [{"region": "eu", "factor": 1.1}], "surcharges: factor 1.1"),
    ],
)
def test_whatever_may_be_a_price_is_named(key: str, value: Any, said: str) -> None:
    text = import_litellm(source_of(json.dumps({"a": PLAIN | {key: value}, "b": PLAIN | {key: value}})))
    assert f"# left out, with the number of models that have it: {key} (2)" in text
    assert text.count(said) >= 2


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("rpm", 500), ("supports_vision", True), ("max_pdf_size_mb", 32), ("output_vector_size", 1536),
        ("source", "https://x"), ("metadata", {"notes": "x"}), ("alias_of", "m"),
        ("tool_use_system_prompt_tokens", 346), ("rate_limits", {"rpm": 5}),
        ("thinking_always_on", True), ("reasoning_effort_levels", ["low", "high"]),
    ],
)  # fmt: skip
def test_what_is_known_to_be_no_price_is_not_named(key: str, value: Any) -> None:
    assert "not held" not in import_litellm(source_of(json.dumps({"a": PLAIN | {key: value}})))


@pytest.mark.parametrize(
    ("extra", "usage", "dollars"),
    [
        ({"input_cost_per_token_above_0k_tokens": 3e-06}, Usage(input=1), "3e-6"),
        ({"input_cost_per_token_above_0_tokens": 3e-07}, Usage(input=1), "1e-6"),
        ({"cache_read_input_token_cost": 1e-07, "input_cost_per_token_cache_hit": 2e-07}, Usage(cache_read=1), "2e-7"),
        ({"cache_read_input_token_cost": 2e-07, "input_cost_per_token_cache_hit": 1e-07}, Usage(cache_read=1), "2e-7"),
    ],
)
def test_of_two_prices_of_one_thing_the_dearer_counts(extra: dict[str, Any], usage: Usage, dollars: str) -> None:
    assert cost(litellm(PLAIN | extra), usage) == Decimal(dollars)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("max_input_tokens", "8192"), ("max_input_tokens", -5), ("max_output_tokens", 1.5),
        ("deprecation_date", "tomorrow"), ("deprecation_date", 20260101), ("supports_vision", "yes"),
    ],
)  # fmt: skip
def test_a_fact_that_cannot_be_read_is_named(key: str, value: Any) -> None:
    assert f"(left out: {key}: {value})" in litellm(PLAIN | {key: value})


def test_models_without_prices_for_tokens_are_named() -> None:
    entries = {"speech": {"input_cost_per_second": 1e-5}, "a/*/b": PLAIN, "m": PLAIN}
    text = import_litellm(source_of(json.dumps(entries)))
    assert [model.name for model in catalogue(text)] == ["m"]
    assert "# left out, since they are not priced by input and output tokens: `speech`" in text
    assert "# left out, since their names cannot be names of models here: `a/*/b`" in text


def test_only_matching_models_are_read() -> None:
    entries = {"a/x": PLAIN, "b/y": {"input_cost_per_token": "?"}}
    assert len(catalogue(import_litellm(source_of(json.dumps(entries)), ["a/*"]))) == 1
    with pytest.raises(InputError, match=r"`c/\*` matches no model of `<text>`"):
        import_litellm(source_of(json.dumps(entries)), ["c/*"])


@pytest.mark.parametrize(
    ("extra", "words"),
    [
        ({"input_cost_per_token_above_200k": 1e-6}, "`m` cannot be read, at `input_cost_per_token_above_200k`"),
        ({"input_cost_per_token_turbo": 1e-6}, "`input_cost_per_token_turbo`"),
        ({"input_cost_per_image_token_turbo": 1e-6}, "`input_cost_per_image_token_turbo`"),
        ({"output_cost_per_thought": 1e-6}, "`output_cost_per_thought`"),
        ({"output_cost_per_token": "1e-6"}, "`output_cost_per_token`: its value is not a number"),
        ({"output_cost_per_token": True}, "its value is not a number"),
        ({"output_cost_per_token": -1e-6}, "is not a price"),
        ({"output_cost_per_token": 1e6}, "is not a price"),
        ({"output_cost_per_token": 1e-90}, "is not a price"),
        ({"tiered_pricing": {"range": [0, 1]}}, "it must be a list of tiers"),
        ({"tiered_pricing": [{"range": [1, 2], "input_cost_per_token": 1}]}, "no tier starts at 0"),
        ({"tiered_pricing": [{"range": [0.5, 2], "input_cost_per_token": 1}]}, "the range"),
        ({"tiered_pricing": [{"range": [0, 2], "input_cost_per_token_flex": 1, "input_cost_per_token": 1}]}, "above 0"),
    ],
)
def test_an_unreadable_price_fails_the_import(extra: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError) as caught:
        litellm(PLAIN | extra)
    assert words in str(caught.value)
    assert str(caught.value).startswith("`prices.json`: the price of `m`")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[]", "must be a JSON object"),
        ("{", "is not valid JSON"),
        ('{"m": 3}', "the entry of `m` must be an object"),
        ('{"m": {}, "m": {}}', "the key `m` appears twice"),
        ('{"m": {"input_cost_per_token": NaN}}', "`NaN` is not a number"),
        ('{"m": {"input_cost_per_token": 1e999999}}', "is not a price"),
        ('{"m": {"input_cost_per_token": ' + "9" * 5000 + "}}", "prices.json"),
        ("[" * 100_000, "nested too deeply"),
    ],
)
def test_what_is_no_price_file_is_refused(text: str, words: str) -> None:
    with pytest.raises(InputError) as caught:
        import_litellm(source_of(text, "prices.json"))
    assert words in str(caught.value)


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
)
KEYS = st.sampled_from(
    ["input_cost_per_token", "output_cost_per_token", "tiered_pricing", "max_input_tokens", "deprecation_date", "range"]
)


@given(st.dictionaries(KEYS, JSON | st.lists(st.dictionaries(KEYS, JSON, max_size=3), max_size=2)))
def test_no_entry_brings_it_down(entry: dict[str, Any]) -> None:
    try:
        text = litellm(entry)
    except InputError:
        return
    assert not any(item.is_error for item in resolve([read(text)]).diagnostics)


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("input_cost_per_token", CostKey("input")),
        ("cache_creation_input_token_cost_above_1hr_above_200k_tokens", CostKey("cache_write_1h", 200_000)),
        ("cache_creation_input_token_cost_above_12hr_flex", CostKey("", 0, "flex")),
        ("output_cost_per_token_above_128_tokens", CostKey("output", 128)),
        ("output_cost_per_token_above_272k_tokens_batches", CostKey("output", 272_000, "batches")),
        ("input_cost_per_token_priority_above_200k_tokens", CostKey("input", 200_000, "priority")),
        ("input_cost_per_video_per_second_above_15s_interval", CostKey("")),
        ("output_cost_per_image_0.5K", CostKey("")),
    ],
)
def test_cost_keys_are_read(key: str, expected: CostKey) -> None:
    assert is_cost_key(key)
    assert read_key(key) == expected


@pytest.mark.parametrize("key", ["mode", "max_tokens", "supports_vision", "source"])
def test_other_keys_say_nothing_of_prices(key: str) -> None:
    assert not is_cost_key(key)
