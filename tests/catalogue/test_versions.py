"""Dated, prefixed and regional names mean the model that the price list says, or none: never another one."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest
from genai_prices.data import providers
from hypothesis import given
from hypothesis import strategies as st

from costlens_policy.catalogue import Catalogue, Model
from costlens_policy.catalogue.price_list import listed_model, matching, meant_by, other_dates
from costlens_policy.catalogue.versions import matches, provider_named, spelling
from costlens_policy.catalogue.writing import lock
from tests.catalogue.reading import resolved, told

LIST_PROVIDERS = ("anthropic", "openai", "google", "mistral", "x-ai", "deepseek", "aws", "openrouter")


def written(match: Any) -> Iterator[str]:
    if hasattr(match, "equals"):
        yield match.equals
    for part in getattr(match, "or_", ()):
        yield from written(part)


WRITTEN = [
    (provider.id, entry.id, name)
    for provider in providers
    if provider.id in LIST_PROVIDERS
    for entry in provider.models
    for name in written(entry.match)
]


@cache
def imported(provider: str) -> Catalogue:
    """Return all that the list has of a provider, under the names that an import gives."""
    result = resolved(f'imports: [{{source: genai-prices, models: ["{provider}/*"]}}]\n')
    assert not result.diagnostics
    return result.catalogue


def one(body: str) -> Catalogue:
    return resolved(body).catalogue


def test_a_name_of_the_list_means_the_same_model_in_a_catalogue_or_none() -> None:
    found = 0
    for provider, _, name in WRITTEN:
        meant = imported(provider).find(f"{provider}/{name}")
        if meant is not None:
            right = meant_by(f"{provider}/{name}")
            assert right is not None
            assert meant.periods == listed_model(right).periods, (provider, name)
            found += 1
    assert found > 1_400


def test_every_dated_name_of_the_list_is_found_through_the_model_alone() -> None:
    """Importing just the model is enough: the dates come from the name."""
    dated = [
        (provider, entry, name)
        for provider, entry, name in WRITTEN
        if (read := spelling(f"{provider}/{name}")).version
        and (own := spelling(f"{provider}/{entry}")).stem == read.stem
        and not own.version
    ]
    assert len(dated) > 100
    for provider, entry, name in dated:
        full = f"{provider}/{entry}"
        catalogue = Catalogue.of([listed_model(full)])
        found = catalogue.find(f"{provider}/{name}")
        assert found, (full, name)
        assert found.name == full, (full, name)


def test_no_model_of_the_list_is_taken_for_another_by_its_name() -> None:
    """With one model imported, another own name of the provider means it only where the prices are equal."""
    for provider in ("openai", "anthropic", "google", "mistral", "deepseek"):
        own = [full for full in matching(f"{provider}/*") if listed_model(full).periods]
        for full in own:
            catalogue = Catalogue.of([listed_model(full)])
            for other in own:
                found = catalogue.find(other)
                if other != full and found is not None:
                    assert found.periods == listed_model(other).periods, (full, other)


@pytest.mark.parametrize(
    ("name", "right"),
    [
        ("claude-sonnet-4-20250514", "anthropic/claude-sonnet-4-0"),
        ("anthropic/claude-sonnet-4-20250514", "anthropic/claude-sonnet-4-0"),
        ("claude-3-5-sonnet@20240620", "anthropic/claude-3-5-sonnet"),
        ("gpt-4o-2024-08-06", "openai/gpt-4o"),
        ("gpt-4o-20240806", "openai/gpt-4o"),
        ("GPT-4o-2024-08-06", "openai/gpt-4o"),
        ("openai/gpt-5-mini-2025-08-07", "openai/gpt-5-mini"),
        ("models/gemini-2.5-flash", "google/gemini-2.5-flash"),
        ("gemini-2.5-flash-latest", "google/gemini-2.5-flash"),
        ("vertex_ai/gemini-2.5-flash", "google/gemini-2.5-flash"),
        ("projects/p/locations/l/publishers/google/models/gemini-2.5-flash", "google/gemini-2.5-flash"),
        ("us.anthropic.claude-sonnet-4-20250514-v1:0", "aws/regional.anthropic.claude-sonnet-4-20250514-v1:0"),
        ("bedrock/eu.anthropic.claude-sonnet-4-20250514-v1:0", "aws/regional.anthropic.claude-sonnet-4-20250514-v1:0"),
        ("ft:gpt-4o-mini-2024-07-18:org::id", "openai/ft:gpt-4o-mini"),
        ("openai/ft:gpt-4o-mini:org::id", "openai/ft:gpt-4o-mini"),
        # the list prices this one apart
        ("gpt-4o-2024-05-13", None),
        ("azure/gpt-4o-2024-08-06", None),
        ("ft:gpt-4o-2024-08-06:org::id", None),
        ("global.anthropic.claude-sonnet-4-20250514-v1:0", None),
        ("gpt-4o-mini-2024-07-18", None),
        ("gpt-4o-2024-13-01", None),
        ("gpt-4o-next", None),
        ("gpt", None),
        ("", None),
    ],
)
def test_names_in_logs_policies_and_answers(name: str, right: str | None) -> None:
    catalogue = Catalogue.of(
        listed_model(full)
        for full in (
            "anthropic/claude-sonnet-4-0", "anthropic/claude-3-5-sonnet", "openai/gpt-4o", "openai/gpt-5-mini",
            "google/gemini-2.5-flash", "aws/regional.anthropic.claude-sonnet-4-20250514-v1:0", "openai/ft:gpt-4o-mini",
        )
    )  # fmt: skip
    found = catalogue.find(name)
    assert (found.name if found else None) == right
    if right is not None:
        assert meant_by(name) == right, "a report without a catalogue finds the same"


def test_a_name_that_could_mean_two_models_means_none() -> None:
    catalogue = Catalogue.of([Model("a/small", provider="a"), Model("b/small", provider="b")])
    assert catalogue.find("small-2026-01-01") is None
    assert catalogue.find("a/small-2026-01-01") is catalogue.find("a/small")


def test_a_dated_entry_answers_for_no_other_date_and_for_no_undated_name() -> None:
    catalogue = Catalogue.of([Model("gpt-4o-2024-05-13", provider="openai")])
    assert catalogue.find("gpt-4o-2024-08-06") is None
    assert catalogue.find("gpt-4o") is None
    assert catalogue.find("gpt-4o@20240513") is not None


def test_other_versions_of_a_document_are_other_models() -> None:
    prices = "prices: [{usd_per_million_tokens: {input: 1, output: 2}}]"
    body = f"models:\n  house: {{{prices}, other_versions: [house-2025-01-01]}}\n"
    catalogue = one(body)
    assert catalogue.find("house-2025-01-01") is None
    assert catalogue.find("house-2025-02-01") is not None


def test_an_imported_version_is_a_model_of_its_own_at_the_price_of_the_list() -> None:
    catalogue = one('imports: [{source: genai-prices, models: ["openai/gpt-4o-2024-11-20", "openai/gpt-4o"]}]\n')
    assert list(catalogue.models) == ["gpt-4o", "gpt-4o-2024-11-20"]
    pinned = catalogue.models["gpt-4o-2024-11-20"]
    assert pinned.periods == catalogue.models["gpt-4o"].periods
    assert "(as openai/gpt-4o" in pinned.price_source


@pytest.mark.parametrize(
    "name",
    ["openai/gpt-5-nano-typo", "openai/gpt-4o-2024-02-30x", "gpt-4o-2024-08-06", "opnai/gpt-4o", "anthropic/claude"],
)
def test_a_name_that_is_no_version_is_no_import(name: str) -> None:
    assert [code for code, _ in told(resolved(f'imports: [{{source: genai-prices, models: ["{name}"]}}]\n'))] == [
        "CL501"
    ]


def test_prices_and_bases_may_be_given_by_a_version() -> None:
    result = resolved(
        "models:\n"
        "  small: {provider: acme, context_window: 8000, prices: [{usd_per_million_tokens: {input: 1, output: 2}}]}\n"
        "  mine: {fine_tuned: {base: small-2026-01-01}, price_as: acme/small@20260101}\n"
    )
    assert not result.diagnostics
    mine = result.catalogue.models["mine"]
    assert (mine.base, mine.context_window, len(mine.periods)) == ("small", 8000, 1)


def test_models_that_a_provider_takes_from_another_are_priced() -> None:
    meant = meant_by("azure/gpt-4o")
    assert meant is not None
    assert listed_model(meant).provider == "azure"
    assert listed_model(meant).periods == listed_model("openai/gpt-4o").periods


@given(st.text(max_size=60))
def test_reading_a_name_never_fails_and_is_stable(name: str) -> None:
    read = spelling(name)
    assert provider_named(provider_named(read.provider)) == provider_named(read.provider)
    imported("openai").find(name)


@given(
    st.from_regex(r"[a-z]{2,8}(-[a-z0-9]{1,6}){0,3}", fullmatch=True),
    st.dates().filter(lambda day: 2000 <= day.year < 2100),
    st.sampled_from(["-{:%Y-%m-%d}", "-{:%Y%m%d}", "@{:%Y%m%d}", "@{:%Y-%m-%d}"]),
)
def test_any_date_in_any_form_leads_to_the_undated_model(name: str, day: Any, form: str) -> None:
    model = Model(name, provider="acme")
    dated = name + form.format(day)
    assert Catalogue.of([model]).find(dated) is model
    assert Catalogue.of([model]).find(f"acme/{dated}") is model
    assert Catalogue.of([model]).find(f"other/{dated}") is None or name.startswith("other")


def imports_of(*patterns: str) -> str:
    return f"imports: [{{source: genai-prices, models: [{', '.join(map(repr, patterns))}]}}]\n"


@pytest.mark.parametrize("provider", ["cohere", "deepseek", "google", "groq", "mistral", "openai", "x-ai"])
def test_every_dated_name_that_the_list_writes_out_means_the_imported_model(provider: str) -> None:
    result = resolved(imports_of(f"{provider}/*"))
    assert told(result) == []
    names = [(name, full) for full in matching(f"{provider}/*") for name in other_dates(full)]
    for name, full in names:
        assert result.catalogue.find(name) is result.catalogue.find(full) is not None, name
    locked = resolved("".join(lock(result.catalogue).partition("models:")[1:]))
    assert locked.catalogue.digest == result.catalogue.digest
    for name, full in names:
        assert locked.catalogue.find(name) is locked.catalogue.find(full) is not None, name


def test_a_name_of_the_list_never_wins_over_one_of_a_document() -> None:
    own = "models: {{{}: {{provider: xai, prices: [{{usd_per_million_tokens: {{input: 7, output: 7}}}}]}}}}\n"
    for name in ("grok-4", "xai/grok-4"):
        catalogue = resolved(imports_of("x-ai/*") + own.format(name)).catalogue
        found = catalogue.find("grok-4")
        assert found is not None
        assert found.name == name
    without = resolved(imports_of("x-ai/*") + "models: {grok-4-0709: {aliases: [best]}}\n").catalogue
    assert without.find("grok-4") is without.find("best") is without.find("xai/grok-4-0709")


def test_what_the_list_merely_prices_alike_is_no_version() -> None:
    catalogue = resolved(imports_of("openai/*", "x-ai/*", "cohere/*", "mistral/*")).catalogue
    for name, right in (("grok-4", "grok-4-0709"), ("command-a-03-2025", "command-a"), ("gpt-4-0613", "gpt-4")):
        found = catalogue.find(name)
        assert found is not None
        assert found.name == right
    assert catalogue.find("gpt-5-codex") is not catalogue.find("gpt-5")
    assert catalogue.find("mistral-large-2411") is catalogue.find("mistral-large")


def test_a_name_that_the_list_gives_to_another_provider_means_no_reseller() -> None:
    assert resolved(imports_of("aws/*")).catalogue.find("claude-opus-5") is None


TEXTS = st.text(alphabet="ab/", max_size=12)


@given(st.text(alphabet="ab/*", max_size=8), TEXTS)
def test_a_pattern_agrees_with_its_regular_expression(pattern: str, text: str) -> None:
    expected = re.fullmatch(".*".join(re.escape(part) for part in pattern.split("*")), text) is not None
    assert matches(pattern, text) is expected


@given(TEXTS)
def test_a_text_fits_itself(text: str) -> None:
    assert matches(text, text)
    assert matches("*", text)


def test_many_stars_stay_cheap() -> None:
    assert not matches("*a" * 5_000 + "b", "a" * 10_000)
