"""Models by the names that logs have for them."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest

from costlens_policy.catalogue import Catalogue, Model, Period, Rates, Usage
from costlens_policy.catalogue.price_list import meant_by
from costlens_policy.report import Prices

DAY = date(2026, 11, 2)


@pytest.mark.parametrize(
    ("name", "provider", "meant"),
    [
        ("gpt-5-mini", None, "openai/gpt-5-mini"),
        ("openai/gpt-4o", None, "openai/gpt-4o"),
        ("azure/gpt-4o", None, "azure/gpt-4o"),
        ("gpt-4o", "azure", "azure/gpt-4o"),
        ("claude-sonnet-4-6-20260101", None, "anthropic/claude-sonnet-4-6"),
        ("house-model", None, None),
        ("house/model", None, None),
        ("", None, None),
    ],
)
def test_the_price_list_by_other_names(name, provider, meant):
    assert meant_by(name, provider) == meant


def test_a_catalogue_stands_in_for_the_price_list():
    rates = Rates({"input": Decimal(7), "output": Decimal(9)})
    model = Model("house", provider="us", aliases=("us/house",), periods=(Period(None, rates),), context_window=1000)
    prices = Prices(Catalogue.of([model]), "`catalogue.yaml`")
    assert prices.cost("house", Usage(input=10, output=1), DAY).cost == Decimal("0.000079")
    assert prices.cost("gpt-5", Usage(input=10), DAY).cost is None
    assert (prices.provider("house"), prices.provider("elsewhere/model"), prices.provider("model")) == (
        "us",
        "elsewhere",
        None,
    )
    assert prices.baseline(model, Usage(input=990, output=10), DAY) is not None
    assert prices.baseline(model, Usage(input=990, output=11), DAY) is None
