"""What a call costs on the terms that its provider reports."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from costlens_policy.catalogue import Period, Rates, Tariff, Usage
from costlens_policy.catalogue.catalogue import Model
from costlens_policy.usage import Portion, Reported, ServiceTerms, portions_of, price_call, price_usage

DAY = date(2026, 11, 24)
MILLION = Usage(input=1_000_000)


def _rates(**prices: str) -> Rates:
    return Rates({name: Decimal(price) for name, price in prices.items()})


PLAIN = _rates(input="3", output="15")


def _model(name: str, rates: Rates = PLAIN, **more: Tariff) -> Model:
    return Model(name, periods=(Period(None, rates, (), more),))


@pytest.mark.parametrize(
    ("name", "terms", "times", "note"),
    [
        ("claude-sonnet-4-6", ServiceTerms(geo="us"), "1.1", ""),
        ("anthropic/claude-opus-4.7", ServiceTerms(geo="us"), "1.1", ""),
        ("claude-5-opus", ServiceTerms(geo="us"), "1.1", ""),
        ("claude-opus-5-20261001", ServiceTerms(geo="us"), "1.1", ""),
        ("claude-sonnet-4-5", ServiceTerms(geo="us"), "1", ""),
        ("claude-opus-4-20250514", ServiceTerms(geo="us"), "1", ""),
        ("claude-sonnet-4-6", ServiceTerms(geo="global"), "1", ""),
        ("claude-sonnet-4-6", ServiceTerms(geo="not_available"), "1", ""),
        ("claude-sonnet-4-6", ServiceTerms(geo="mars"), "1.1", "`inference_geo: mars`"),
        ("house-model", ServiceTerms(geo="us"), "1.1", "`inference_geo: us`"),
        ("claude-opus-4-8", ServiceTerms(speed="fast"), "2", ""),
        ("claude-opus-4-6", ServiceTerms(speed="fast"), "6", ""),
        ("claude-opus-4-8", ServiceTerms(speed="standard"), "1", ""),
        ("claude-opus-4-8", ServiceTerms(speed="fast", geo="us"), "2.2", ""),
        ("claude-opus-9", ServiceTerms(speed="fast"), "6", "`speed: fast`"),
        ("claude-opus-4-8", ServiceTerms(speed="warp"), "6", "`speed: warp`"),
    ],
)
def test_where_and_how_fast_a_call_was_served(name: str, terms: ServiceTerms, times: str, note: str) -> None:
    priced = price_usage(_model(name), MILLION, DAY, terms=terms)
    assert priced.cost == 3 * Decimal(times)
    assert note in priced.note
    assert bool(note) == bool(priced.note)


def test_a_price_of_its_own_goes_before_a_multiple() -> None:
    model = _model("claude-opus-4-8", fast=Tariff(_rates(input="7", output="35")))
    assert price_usage(model, MILLION, DAY, terms=ServiceTerms("standard", None, "fast")).cost == 7
    assert price_usage(model, MILLION, DAY, terms=ServiceTerms("standard", "us", "fast")).cost == Decimal("7.7")


def test_the_price_of_a_request_is_not_multiplied() -> None:
    rates = Rates({"input": Decimal(3), "output": Decimal(15)}, Decimal("0.5"))
    assert price_usage(_model("claude-opus-4-8", rates), MILLION, DAY, terms=ServiceTerms(geo="us")).cost == Decimal(
        "3.8"
    )


def test_unknown_tokens_cost_what_the_dearest_kind_does() -> None:
    model = _model("m", _rates(input="3", output="15", output_audio="60"))
    priced = price_usage(model, MILLION, DAY, unknown=1_000_000)
    assert (priced.cost, priced.usage) == (63, Usage(input=1_000_000, output_audio=1_000_000))
    assert price_usage(_model("m"), MILLION, DAY, unknown=1_000_000).usage.output == 1_000_000


def test_prices_by_the_time_of_day() -> None:
    dear, cheap = Period(None, PLAIN), Period(None, _rates(input="1", output="5"))
    model = Model("m", periods=(Period(None, PLAIN, hours=((0, cheap), (90, dear))),))
    assert price_usage(model, MILLION, datetime(2026, 11, 24, 1, 29, tzinfo=UTC)).cost == 1
    assert price_usage(model, MILLION, datetime(2026, 11, 24, 1, 30, tzinfo=UTC)).cost == 3
    assert price_usage(model, MILLION, DAY).cost == 3, "of a day the dearest"


def test_a_further_model_without_a_price_is_not_free() -> None:
    models = {"m": _model("m"), "dear": _model("dear", _rates(input="30", output="150"))}
    reported = Reported(MILLION, "x", ServiceTerms(geo="us"), other_models=(("dear", MILLION), ("nobody", MILLION)))
    priced = price_call(models.get, portions_of("m", reported), DAY)
    assert priced.cost == Decimal("1.1") * (3 + 30 + 3)
    assert "`nobody`: it has no price, so it is charged as `m`" in priced.note
    assert price_call(models.get, [Portion("nobody", MILLION)], DAY).cost is None


@pytest.mark.parametrize(
    "terms",
    [
        ServiceTerms(),
        ServiceTerms("priority"),
        ServiceTerms("flex", "us"),
        ServiceTerms(None, "us", "fast"),
        ServiceTerms("standard", None, "fast"),
    ],
)
def test_terms_in_one_line(terms: ServiceTerms) -> None:
    read = ServiceTerms.of(terms.text)
    assert read == (terms if terms.text is None or terms.tier else terms._replace(tier="standard"))
    assert ServiceTerms("flex", "global", "standard").text == "flex"
