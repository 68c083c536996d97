"""The export, held against the rules of FOCUS 1.2 and read back as an invoice.

The columns and rules are those of the specification's conformance model, version 1.2: presence, nullability, formats
and allowed values.
"""

from __future__ import annotations

import csv
import io
import json
import re
from datetime import timedelta
from decimal import Decimal

import pytest

from costlens_policy import Guard, load
from costlens_policy.catalogue import Usage
from costlens_policy.invoice import correct, corrections_of
from costlens_policy.invoice.focus import COLUMNS
from tests.guard.company import REQUEST, write_company
from tests.invoice.conftest import DAY, charge, comparing, costs_page

MANDATORY = {
    "BilledCost", "BillingAccountId", "BillingAccountName", "BillingAccountType", "BillingCurrency", "BillingPeriodEnd",
    "BillingPeriodStart", "ChargeCategory", "ChargeClass", "ChargeDescription", "ChargePeriodEnd", "ChargePeriodStart",
    "ContractedCost", "EffectiveCost", "InvoiceIssuerName", "ListCost", "PricingCategory", "PricingQuantity",
    "PricingUnit", "ProviderName", "PublisherName", "ServiceCategory", "ServiceName",
}  # fmt: skip
CONDITIONAL = {
    "AvailabilityZone", "CapacityReservationId", "CapacityReservationStatus", "CommitmentDiscountCategory",
    "CommitmentDiscountId", "CommitmentDiscountName", "CommitmentDiscountQuantity", "CommitmentDiscountStatus",
    "CommitmentDiscountType", "CommitmentDiscountUnit", "ConsumedQuantity", "ConsumedUnit", "ContractedUnitPrice",
    "ListUnitPrice", "PricingCurrency", "PricingCurrencyContractedUnitPrice", "PricingCurrencyEffectiveCost",
    "PricingCurrencyListUnitPrice", "RegionId", "RegionName", "ResourceId", "ResourceName", "ResourceType", "SkuId",
    "SkuMeter", "SkuPriceDetails", "SkuPriceId", "SubAccountId", "SubAccountName", "SubAccountType", "Tags",
}  # fmt: skip
RECOMMENDED = {"ChargeFrequency", "InvoiceId", "ServiceSubcategory"}
NEVER_NULL = (
    "BilledCost", "BillingAccountId", "BillingCurrency", "BillingPeriodEnd", "BillingPeriodStart", "ChargeCategory",
    "ChargePeriodEnd", "ChargePeriodStart", "ContractedCost", "EffectiveCost", "InvoiceIssuerName", "ListCost",
    "ProviderName", "PublisherName", "ServiceCategory", "ServiceName",
)  # fmt: skip
TIME = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}Z")
NUMBER = re.compile(r"-?\d+(\.\d+)?([eE][-+]?\d+)?")


@pytest.fixture
def url(store, tmp_path, write):
    """Calls of two days with tags, one without tokens, and a correction."""
    charge(store, "a", keys=["red"], attributes={"team": "red", "user": "ann"})
    charge(store, "b", attributes={"team": "red"})
    charge(store, "c", model="claude-haiku-4-5", usage=Usage(cache_write=900, output=5), service_tier="batch")
    charge(store, "d", DAY + timedelta(days=1), cost=Decimal("0.5"), usage=Usage())
    agreement = comparing(store)(write(costs_page((DAY, "gpt-5, input", "3"))))
    at = DAY + timedelta(days=40)
    correct(store, corrections_of(agreement).made, author="ann", reason="invoice 7", now=at)
    return f"sqlite:///{tmp_path}/spend.db"


def exported(run, url, *more):
    result = run("budget", "export", "--ledger", url, *more)
    assert result.exit_code == 0, result.stderr
    return list(csv.DictReader(io.StringIO(result.stdout)))


def test_the_columns_are_those_of_the_specification(run, url):
    rows = exported(run, url)
    assert tuple(rows[0]) == COLUMNS
    own = {name for name in COLUMNS if name.startswith("x_")}
    assert set(COLUMNS) >= MANDATORY
    assert set(COLUMNS) - own <= MANDATORY | CONDITIONAL | RECOMMENDED
    assert {"ConsumedQuantity", "ConsumedUnit", "Tags"} <= set(COLUMNS)


def test_each_row_keeps_the_rules(run, url):
    rows = exported(run, url)
    assert {row["ChargeCategory"] for row in rows} == {"Usage", "Adjustment"}
    for row in rows:
        assert all(row[name] for name in NEVER_NULL), row
        assert row["BillingCurrency"] == "USD"
        for name in ("BillingPeriodStart", "BillingPeriodEnd", "ChargePeriodStart", "ChargePeriodEnd"):
            assert TIME.fullmatch(row[name])
        assert row["BillingPeriodStart"] <= row["ChargePeriodStart"] < row["ChargePeriodEnd"] <= row["BillingPeriodEnd"]
        for name in ("BilledCost", "ContractedCost", "EffectiveCost", "ListCost"):
            assert NUMBER.fullmatch(row[name])
        assert row["ProviderName"] == row["InvoiceIssuerName"]  # else what is billed would have to be zero
        assert row["ChargeClass"] in ("", "Correction")
        assert row["ChargeFrequency"] in ("One-Time", "Recurring", "Usage-Based")
        assert row["ServiceCategory"] == "AI and Machine Learning"
        assert isinstance(json.loads(row["Tags"]), dict)
        if row["ChargeCategory"] == "Usage":
            assert row["PricingCategory"] == "Standard"
            assert NUMBER.fullmatch(row["PricingQuantity"])
            assert NUMBER.fullmatch(row["ConsumedQuantity"])
        else:
            assert not row["ConsumedQuantity"]
        assert bool(row["PricingQuantity"]) is bool(row["PricingUnit"])
        assert bool(row["ConsumedQuantity"]) is bool(row["ConsumedUnit"])


def test_rows_are_by_day_model_tier_and_tags(run, url):
    usage = [row for row in exported(run, url) if row["ChargeCategory"] == "Usage"]
    assert [(row["ChargePeriodStart"][:10], row["x_Model"], row["x_Requests"], row["Tags"]) for row in usage] == [
        ("2026-06-03", "claude-haiku-4-5", "1", "{}"),
        ("2026-06-03", "gpt-5", "2", '{"team": "red"}'),
        ("2026-06-04", "gpt-5", "1", "{}"),
    ]
    assert (usage[0]["x_CacheWriteTokens"], usage[0]["x_ServiceTier"]) == ("900", "batch")
    assert (usage[2]["PricingUnit"], usage[2]["PricingQuantity"]) == ("Requests", "1")
    by_user = exported(run, url, "--tag", "user")
    assert {row["Tags"] for row in by_user} == {"{}", '{"user": "ann"}'}


def test_a_correction_is_an_adjustment(run, url):
    (row,) = (row for row in exported(run, url) if row["ChargeCategory"] == "Adjustment")
    assert (row["ChargeClass"], row["ChargeDescription"], row["x_Model"]) == (
        "Correction", "correction: invoice 7", "gpt-5",
    )  # fmt: skip
    assert row["ChargePeriodStart"] == "2026-06-03T00:00:00Z"


def test_it_is_read_back_as_an_invoice_that_agrees(run, url, tmp_path):
    file = tmp_path / "june.csv"
    assert run("budget", "export", "--ledger", url, "--output", file).exit_code == 0
    result = run("reconcile", file, "--ledger", url, "--tolerance", "0")
    assert (result.exit_code, "agrees" in result.stdout.splitlines()[0]) == (0, True), result.stdout


def test_nothing_in_the_time(run, url):
    result = run("budget", "export", "--ledger", url, "--until", "2020-01-01T00:00:00Z")
    assert (result.exit_code, "no charge in the ledger" in result.stderr) == (3, True)


def test_what_a_guard_records_becomes_tags(run, tmp_path):
    """Standard attributes and declared ones, which a ledger keeps in two places."""
    folder, url = tmp_path / "p", f"sqlite:///{tmp_path}/guard.db"
    write_company(folder, "budgets: [{id: all, hard_limit_usd: 10, window: {calendar: month}}]")
    with Guard(load(folder), url, alert_sinks=[]) as guard:
        for team, user in (("red", "ann"), ("red", "ben"), ("blue", "ann")):
            guard.call({**REQUEST, "team": team, "user": user}).settle({"prompt_tokens": 100, "completion_tokens": 1})
    assert [row["Tags"] for row in exported(run, url)] == ['{"team": "blue"}', '{"team": "red"}']
    both = [json.loads(row["Tags"]) for row in exported(run, url, "--tag", "team", "--tag", "user")]
    assert both == [{"team": "blue", "user": "ann"}, {"team": "red", "user": "ann"}, {"team": "red", "user": "ben"}]
