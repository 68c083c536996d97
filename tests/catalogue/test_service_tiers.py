"""Which prices a call may have that asks for a service tier, and which it has had."""

from __future__ import annotations

from decimal import Decimal

import pytest

from costlens_policy.catalogue import Period, Rates, Tariff, Usage
from costlens_policy.catalogue.catalogue import Model, digest_of
from costlens_policy.catalogue.service_tiers import (
    billed_rates,
    expected_rates,
    possible_rates,
    tier_asked,
    tier_named,
)
from tests.catalogue.reading import resolved, told


def _rates(**prices: int) -> Rates:
    return Rates({name: Decimal(price) for name, price in prices.items()})


USUAL, FLEX, PRIORITY = _rates(input=2, output=10), _rates(input=1, output=5), _rates(input=4, output=20)
PERIOD = Period(None, USUAL, (), {"flex": Tariff(FLEX), "priority": Tariff(PRIORITY), "batch": Tariff(FLEX)})
BARE = Period(None, USUAL)
ONE = Usage(input=1)


@pytest.mark.parametrize(
    ("word", "name"),
    [
        ("default", ""), ("standard", ""), ("standard_only", ""), ("SERVICE_TIER_STANDARD", ""),
        ("Priority", "priority"), ("batches", "batch"), ("auto", "auto"), ("ultrafast", "ultrafast"),
    ],
)  # fmt: skip
def test_one_name_for_each_tier(word: str, name: str) -> None:
    assert tier_named(word) == name


@pytest.mark.parametrize(
    ("params", "word"),
    [
        ({}, None), ({"service_tier": None}, None), ({"service_tier": "flex"}, "flex"),
        ({"service_tier": {"type": "priority"}}, "priority"), ({"service_tier": 3}, "3"),
    ],
)  # fmt: skip
def test_the_tier_that_parameters_ask_for(params: dict[str, object], word: str | None) -> None:
    assert tier_asked(params) == word


@pytest.mark.parametrize(
    ("period", "word", "expected", "possible"),
    [
        (PERIOD, "default", USUAL, (USUAL,)),
        (PERIOD, "flex", FLEX, (USUAL, FLEX)),
        (PERIOD, "priority", PRIORITY, (USUAL, PRIORITY)),
        (PERIOD, "batch", FLEX, (FLEX,)),
        (PERIOD, "auto", USUAL, (USUAL, FLEX, PRIORITY, FLEX)),
        (BARE, "auto", USUAL, (USUAL,)),
        (BARE, "flex", USUAL, (USUAL,)),
        (BARE, "priority", USUAL, ()),
        (PERIOD, "ultrafast", USUAL, ()),
    ],
)
def test_what_may_be_charged(period: Period, word: str, expected: Rates, possible: tuple[Rates, ...]) -> None:
    assert expected_rates(period, 10, word) == expected
    assert possible_rates(period, 10, word) == possible


@pytest.mark.parametrize(
    ("period", "reported", "asked", "rates", "note"),
    [
        (PERIOD, None, None, USUAL, ""),
        (PERIOD, "default", "priority", USUAL, ""),
        (PERIOD, "priority", None, PRIORITY, ""),
        (PERIOD, None, "flex", FLEX, ""),
        (PERIOD, "auto", "flex", FLEX, ""),
        (PERIOD, "auto", None, USUAL, ""),
        (PERIOD, "standard", "auto", USUAL, ""),
        (PERIOD, None, "auto", PRIORITY, "is not reported"),
        (BARE, None, "auto", USUAL, ""),
        (BARE, "flex", None, USUAL, ""),
        (BARE, "priority", None, USUAL, "the service tier `priority` has no price"),
    ],
)
def test_what_is_charged(period: Period, reported: str | None, asked: str | None, rates: Rates, note: str) -> None:
    found, said = billed_rates(period, ONE, reported, asked)
    assert found == rates
    assert note in said
    assert bool(note) == bool(said)


def test_what_is_charged_was_possible() -> None:
    """Nothing that a provider can report of a tier that was asked for costs more than was held for it."""
    for asked in ("default", "auto", "flex", "priority", "batch"):
        served = {"flex": ("default", "flex"), "priority": ("default", "priority"), "batch": ("batch",)}
        for reported in (None, *served.get(asked, ("default",)), *(PERIOD.service_tiers if asked == "auto" else ())):
            charged, _ = billed_rates(PERIOD, ONE, reported, asked)
            assert charged in possible_rates(PERIOD, 1, asked)


def test_tiers_are_part_of_the_digest() -> None:
    def digest(period: Period) -> str:
        return digest_of([Model("m", periods=(period,))])

    assert digest(PERIOD) != digest(BARE)
    assert digest(PERIOD) != digest(Period(None, USUAL, (), {**PERIOD.service_tiers, "flex": Tariff(USUAL)}))


PRICES = """
models:
  m:
    provider: acme
    prices:
      - usd_per_million_tokens: {input: 2, cache_read: 1, output: 10}
        usd_per_request: 0.5
        long_context: [{above_input_tokens: 1000, usd_per_million_tokens: {input: 6}}]
        service_tiers:
          flex: {usd_per_million_tokens: {input: 1, output: 5}}
          priority:
            usd_per_million_tokens: {output: 20}
            usd_per_request: 0
            long_context: [{above_input_tokens: 500, usd_per_million_tokens: {input: 4}}]
"""


@pytest.mark.parametrize(
    ("tier", "prompt", "prices"),
    [
        ("flex", 1000, (1, 1, 5, "0.5")),
        ("flex", 1001, (6, 1, 10, "0.5")),
        ("priority", 500, (2, 1, 20, "0")),
        ("priority", 501, (4, 1, 20, "0")),
        ("priority", 1001, (6, 1, 20, "0")),
    ],
)
def test_what_a_document_leaves_out(tier: str, prompt: int, prices: tuple[int, int, int, str]) -> None:
    result = resolved(PRICES)
    assert result.diagnostics == ()
    (model,) = result.catalogue
    rates = model.periods[0].tariff(tier).rates_for(prompt)
    per_token = rates.usd_per_million_tokens
    found = (per_token["input"], per_token["cache_read"], per_token["output"], str(rates.usd_per_request))
    assert found == (*prices[:3], prices[3])


def test_prices_of_tiers_are_examined() -> None:
    faults = PRICES.replace("{input: 1, output: 5}", "{input: 0.00001, output: 5}").replace("flex:", "auto:")
    assert [code for code, _ in told(resolved(faults))] == ["CL518", "CL510"]
    assert [code for code, _ in told(resolved(PRICES.replace("flex:", "standard:")))] == ["CL518"]
