"""An invoice against the ledger: agreement to the cent, and each cause shown by figures that have no other."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from costlens_policy.catalogue import Usage
from costlens_policy.cli.sources import load_models
from costlens_policy.invoice import InvoiceError, Tolerance
from costlens_policy.invoice.causes import constant_ratio, shifted_days
from costlens_policy.report import Prices
from costlens_policy.usage import ServiceTerms
from tests.invoice.conftest import DAY, PRICES, USAGE, charge, costs_page, usage_of

HOUR = timedelta(hours=1)
NEXT = DAY + timedelta(days=1)
EXACT = Tolerance(Decimal(0), Decimal(0))


def causes(agreement):
    return [(row.at.day[8:], [cause.name for cause in row.causes]) for row in agreement.rows if not row.within]


def test_equal_figures_agree_to_the_last_digit(store, write, reconciled):
    cost = sum(charge(store, f"{number}") for number in range(3))
    agreement = reconciled(write(costs_page((DAY, "gpt-5-2025-08-07, input", cost))), tolerance=EXACT)
    assert (agreement.agrees, agreement.total.difference) == (True, 0)
    (row,) = agreement.rows
    assert (row.name, row.recorded.calls, row.at.day) == ("gpt-5", 3, "2026-06-03")


def test_a_call_on_several_budgets_counts_once(store, write, reconciled):
    cost = charge(store, "a", keys=["red"])
    assert reconciled(write(costs_page((DAY, "gpt-5, input", cost))), tolerance=EXACT).agrees


def test_calls_of_other_providers_are_left_out(store, write, reconciled):
    cost = charge(store, "a")
    charge(store, "b", model="claude-haiku-4-5")
    agreement = reconciled(write(costs_page((DAY, "gpt-5, input", cost))))
    assert agreement.agrees
    assert any("1 calls of `anthropic` are not part" in note for note in agreement.notes)


def test_requests_that_never_passed_a_guard(store, write, reconciled):
    cost = charge(store, "a")
    costs = write(costs_page((DAY, "gpt-5, input", cost * 3), (NEXT, "gpt-5, input", "2")))
    agreement = reconciled(costs, write(usage_of(DAY, "gpt-5", 3), "usage.json"))
    assert causes(agreement) == [("03", ["unseen"]), ("04", ["unseen"])]
    first, second = (row.causes[0] for row in agreement.rows)
    assert first.figures["billed_requests"] == 3
    assert first.explains == agreement.rows[0].difference
    assert second.figures == {"billed_requests": None, "recorded_calls": 0}


@pytest.mark.parametrize("with_usage", [True, False])
def test_cache_writes_that_were_not_counted(store, write, reconciled, with_usage):
    usage = Usage(input=100_000, cache_read=40_000, output=20_000)
    charge(store, "a", model="claude-haiku-4-5", usage=usage)
    rates = PRICES.model("claude-haiku-4-5").period_at(DAY).rates.usd_per_million_tokens
    kinds = {"input_no_cache": "input", "input_cache_read": "cache_read", "output": "output"}
    lines = [(word, rates[kind] * getattr(usage, kind) / 1_000_000) for word, kind in kinds.items()]
    lines.append(("input_cache_write_5m", rates["cache_write"] * 80_000 / 1_000_000))
    head = "usage_date_utc,model,workspace,api_key,usage_type,token_type,cost_usd,cost_type\n"
    costs = head + "".join(f"2026-06-03,Claude Haiku 4.5,w,k,message,{word},{usd},token\n" for word, usd in lines)
    tokens = (
        "usage_date_utc,model_version,usage_input_tokens_no_cache,usage_input_tokens_cache_write_5m,"
        "usage_input_tokens_cache_write_1h,usage_input_tokens_cache_read,usage_output_tokens\n"
        "2026-06-03,claude-haiku-4-5-20251001,100000,80000,0,40000,20000\n"
    )
    files = [write(costs, "costs.csv"), *([write(tokens, "usage.csv")] if with_usage else [])]
    agreement = reconciled(*files)
    assert causes(agreement) == [("03", ["cache-writes"])]
    (cause,) = agreement.rows[0].causes
    assert abs(cause.explains - rates["cache_write"] * 80_000 / 1_000_000) < Decimal("0.001")


def test_cache_writes_charged_as_plain_input(store, write, reconciled):
    usage = Usage(input=1000, cache_write=900_000, output=1000)
    at = DAY + 9 * HOUR
    proper = PRICES.cost("claude-haiku-4-5", usage, at).cost
    plain = PRICES.cost("claude-haiku-4-5", Usage(input=901_000, output=1000), at).cost
    charge(store, "a", model="claude-haiku-4-5", usage=usage, cost=plain)
    text = f"usage_date_utc,model,cost_usd\n2026-06-03,Claude Haiku 4.5,{proper}\n"
    agreement = reconciled(write(text, "costs.csv"))
    assert causes(agreement) == [("03", ["cache-writes"])]
    assert "charged as plain input" in agreement.rows[0].causes[0].text


CATALOGUE = """
apiVersion: costlens-policy/v1
kind: Catalogue
metadata: {name: own, version: "1.0.0"}
models:
  gpt-5:
    provider: openai
    prices:
      - usd_per_million_tokens: {input: 2, output: 8}
        service_tiers: {flex: {usd_per_million_tokens: {input: 1, output: 5}}}
"""


def test_another_service_tier(store, write, reconciled):
    prices = Prices(load_models([Path(write(CATALOGUE, "prices.yaml"))]))
    usages = [Usage(input=300_000, output=9000 + number) for number in range(3)]
    for number, usage in enumerate(usages):
        charge(store, f"{number}", usage=usage, cost=prices.cost("gpt-5", usage, DAY).cost)
    flex = sum(prices.cost("gpt-5", usage, DAY, terms=ServiceTerms("flex")).cost for usage in usages)
    agreement = reconciled(write(costs_page((DAY, "flex | gpt-5, input", flex))), prices=prices)
    assert causes(agreement) == [("03", ["tier"])]
    (cause,) = agreement.rows[0].causes
    assert cause.figures["tier"] == "flex"
    assert cause.explains == agreement.total.difference


def test_a_tier_without_a_price_is_named(store, write, reconciled):
    cost = charge(store, "a", model="gpt-5")
    agreement = reconciled(write(costs_page((DAY, "scale-7 | gpt-5, input", cost / 2))))
    (cause,) = agreement.rows[0].causes
    assert (cause.name, cause.figures["tiers"]) == ("tier", ["scale-7"])
    assert "at 0.500 of what is recorded" in cause.text


def test_tools_worst_cases_and_the_rest(store, write, reconciled):
    cost = charge(store, "a")
    charge(store, "b", NEXT + HOUR, cost=Decimal(5), basis="assumed")
    costs = costs_page(
        (DAY, "gpt-5, input", cost), (DAY, "web search tool calls", "0.7"), (NEXT, "gpt-5, input", "1.5"),
        (NEXT + timedelta(days=1), "gpt-5, input", "9"),
    )  # fmt: skip
    charge(store, "c", NEXT + 25 * HOUR, cost=Decimal(1))
    agreement = reconciled(write(costs), by=("day",))
    assert causes(agreement) == [("03", ["tools"]), ("04", ["worst-case"]), ("05", ["unexplained"])]
    assert agreement.rows[1].causes[0].figures == {"calls": 1, "charged_usd": "5"}
    assert sum(cause.explains for row in agreement.rows for cause in row.causes) == agreement.total.difference


def test_unpriced_calls_and_calls_that_nobody_billed(store, write, reconciled):
    charge(store, "a", model="gpt-5", cost=Decimal(0), basis="estimated")
    store_without_price(store)
    agreement = reconciled(write(costs_page((DAY, "my-model, input", "3"))), by=("model",))
    found = {row.name: [cause.name for cause in row.causes] for row in agreement.rows}
    assert found == {"my-model": ["unpriced"], "gpt-5": []}


def store_without_price(store):
    from costlens_policy.ledger import Charge, Settlement
    from tests.invoice.conftest import account

    facts = {"model": "my-model", "basis": "reported", "usage": {"input": 5}, "provider": "openai"}
    store.charge(Settlement("u", (Charge(account(), 0),), DAY + HOUR, facts))


def test_prices_that_were_overridden(store, write, reconciled):
    cost = PRICES.cost("gpt-5", USAGE, DAY).cost
    charge(store, "a", cost=cost / 4)
    assert causes(reconciled(write(costs_page((DAY, "gpt-5, input", cost))))) == [("03", ["prices"])]


def test_cents_are_rounded(store, write, reconciled):
    charge(store, "a", model="claude-haiku-4-5", usage=Usage(input=4000, output=10))
    rows = "".join(
        f"2026-06-03,Claude Haiku 4.5,{word},0.01\n" for word in ("input_no_cache", "output", "input_cache_read")
    )
    agreement = reconciled(write(f"usage_date_utc,model,token_type,cost_usd\n{rows}", "c.csv"))
    assert causes(agreement) == [("03", ["unexplained"])]  # three cents for less than half of one
    agreement = reconciled(
        write("usage_date_utc,model,cost_usd\n2026-06-03,Claude Haiku 4.5,0.00\n", "d.csv"), tolerance=EXACT
    )
    assert causes(agreement) == [("03", ["rounding"])]


def test_days_of_another_zone(store, write, reconciled):
    for number in range(72):
        charge(store, f"{number}", DAY + number * HOUR, usage=Usage(input=200_000 + number * 7000, output=9))
    days: dict = {}
    for number in range(72):
        at = DAY + number * HOUR
        day = (at + 5 * HOUR).replace(hour=0)
        days[day] = days.get(day, 0) + PRICES.cost("gpt-5", Usage(input=200_000 + number * 7000, output=9), at).cost
    inner = sorted(days)[1:3]
    agreement = reconciled(write(costs_page(*((day, "gpt-5, input", days[day]) for day in inner))))
    (cause,) = agreement.causes
    assert (cause.name, cause.figures["hours"]) == ("days", "5")
    assert "UTC+05:00" in cause.text


def test_a_discount_is_one_ratio(store, write, reconciled):
    items = []
    for number in range(4):
        at = DAY + number * timedelta(days=1)
        cost = charge(store, f"{number}", at + HOUR, usage=Usage(input=100_000 * (number + 1), output=9))
        items.append((at, "gpt-5, input", cost * Decimal("0.85")))
    (cause,) = reconciled(write(costs_page(*items))).causes
    assert (cause.name, cause.figures["ratio"]) == ("ratio", "0.850000")


def test_half_a_month_is_named(store, write, reconciled):
    cost = charge(store, "a")
    charge(store, "b", DAY + timedelta(days=20))
    agreement = reconciled(write(costs_page((DAY, "gpt-5, input", cost))))
    assert agreement.agrees
    assert (agreement.outside.calls, agreement.days) == (1, "2026-06-03/2026-06-03")
    assert "covers 2026-06-03 to 2026-06-03 only: the ledger has 1 more calls" in agreement.notes[-1]


def test_by_key(store, write, reconciled):
    one = charge(store, "a", attributes={"team": "red"})
    charge(store, "b", attributes={"team": "blue"})
    agreement = reconciled(
        write(costs_page((DAY, "gpt-5, input", one))), by=("key",), label="team", same={"proj_1": "red"}
    )
    assert [(row.at.key, row.within) for row in agreement.rows] == [("blue", False), ("red", True)]
    assert [cause.name for cause in agreement.rows[0].causes] == ["not-billed"]


def test_credits_and_taxes_belong_to_no_call(store, write, reconciled):
    cost = charge(store, "a")
    head = "BilledCost,BillingCurrency,ChargeCategory,ChargePeriodStart,ChargePeriodEnd,ProviderName,ResourceName\n"
    span = "2026-06-03T00:00:00Z,2026-06-04T00:00:00Z,OpenAI"
    rows = f"{cost},USD,Usage,{span},gpt-5\n-2,USD,Credit,{span},\n0.4,USD,Tax,{span},\n"
    agreement = reconciled(write(head + rows, "f.csv"))
    assert (agreement.agrees, agreement.apart) == (True, {"credit": -2, "tax": Decimal("0.4")})


@pytest.mark.parametrize(
    ("zone", "message"),
    [("Europe/Berlin", "a day from 00:00 UTC on, which is no day of `Europe/Berlin`; set another `--zone`")],
)
def test_days_that_no_zone_has(store, write, reconciled, zone, message):
    with pytest.raises(InvoiceError, match=message):
        reconciled(write(costs_page((DAY, "gpt-5, input", "1"))), zone=zone)


def test_months_are_not_compared_by_day(store, write, reconciled):
    page = costs_page((DAY, "gpt-5, input", "1"))
    page["data"][0]["end_time"] += 86400 * 20
    with pytest.raises(InvoiceError, match="covers 21 days; leave `day` out of `--by`"):
        reconciled(write(page))
    assert not reconciled(write(page), by=("model",)).agrees


def test_costs_without_models_are_compared_by_day(store, write, reconciled):
    cost = charge(store, "a")
    page = costs_page((DAY, "", cost))
    agreement = reconciled(write(page))
    assert (agreement.agrees, agreement.by) == (True, ("day",))
    assert any("names no model" in note for note in agreement.notes)


def test_usage_alone_has_nothing_to_compare(store, write, reconciled):
    with pytest.raises(InvoiceError, match="report usage, but no costs"):
        reconciled(write(usage_of(DAY, "gpt-5", 1)))


amounts = st.decimals("0.01", "1000", places=2)


@given(st.lists(amounts, min_size=3, max_size=9), st.decimals("0.2", "3", places=2))
@settings(max_examples=50, deadline=None)
def test_a_ratio_is_found_where_there_is_one(recorded, ratio):
    found = constant_ratio([(amount * ratio, amount) for amount in recorded])
    assert (found is None) is (abs(ratio - 1) <= Decimal("0.002"))
    spoiled = [(amount * ratio, amount) for amount in recorded[:-1]] + [(recorded[-1] * ratio * 2, recorded[-1])]
    assert constant_ratio(spoiled) is None


@given(st.integers(-10, 10), st.lists(st.integers(1, 99), min_size=20, max_size=40))
@settings(max_examples=50, deadline=None)
def test_a_shift_is_named_only_if_it_makes_all_rows_agree(shift, values):
    """Amounts of positions that are summed by tens: some shift gives those of the invoice, exactly."""

    def tens(by):
        sums: dict[int, Decimal] = {}
        for place, value in enumerate(values):
            at = (place + by) // 10
            sums[at] = sums.get(at, Decimal(0)) + value
        return sums

    found = shifted_days(tens(shift), tens, range(-10, 11), lambda difference, _: difference == 0)
    if tens(shift) == tens(0):
        assert found is None
    else:
        assert found is not None
        assert tens(round(float(found.figures["hours"]) * 2)) == tens(shift)
