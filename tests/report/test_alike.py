"""Calls that are alike as one row: whatever frames were added up, the report is that of all calls."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest

from costlens_policy.catalogue import Usage
from costlens_policy.report import Read, Settings, summarize
from costlens_policy.report.alike import summed_calls
from costlens_policy.report.calls import CALLS, Columns, ReportedCall, micros

_START = datetime(2026, 3, 25, tzinfo=UTC)
"""Before the clocks of all zones below are changed, if they are."""
_ZONES = ("UTC", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu")


def _call(chance: random.Random, span: int, latencies: bool) -> ReportedCall:
    denied = chance.random() < 0.1
    labels = {"model": chance.choice("abcdefghijklmnop"), "team": chance.choice(("x", "y", ""))}
    usage = Usage(input=chance.randrange(9999), cache_read=chance.randrange(99), output=chance.randrange(99))
    cost, baseline = Decimal(chance.randrange(10**9)).scaleb(-chance.choice((6, 15, 29))), Decimal(7) / 8**7
    return ReportedCall(
        _START + timedelta(seconds=chance.randrange(span), microseconds=chance.randrange(10**6)),
        {name: value for name, value in labels.items() if value}, None if denied else usage, chance.random() < 0.5,
        None if denied or chance.random() < 0.2 else cost, None if chance.random() < 0.4 else baseline,
        chance.choice((None, 0, 1000, 2000, 3001)) if latencies else None, denied,
    )  # fmt: skip


@pytest.mark.parametrize("seed", range(8))
def test_sums_of_shares_are_the_report_of_all_calls(seed: int) -> None:
    chance, zone, dimensions = random.Random(seed), ZoneInfo(_ZONES[seed % 4]), ("model", "team")
    columns = Columns(dimensions)
    for _ in range(400):
        columns.add(_call(chance, 30 * 86_400 if seed % 2 else 9000, seed % 3 > 0))
    calls = columns.close()
    now = datetime(2026, 3, 27, 3, 20, 7, tzinfo=UTC) if seed % 4 == 1 else None
    settings = Settings(by=dimensions, top=5, zone=zone, now=now)
    until = None if now is None else micros(now)
    shares = [summed_calls([part], zone, until) for part in (calls[:10], calls[10:250], calls[250:], calls.clear())]
    summed = summed_calls([summed_calls(shares[:2], zone, until), *shares[2:]], zone, until)
    assert summed[CALLS].sum() == 400
    expected = summarize(Read("the log", calls, dimensions), settings)
    assert summarize(Read("the log", summed, dimensions), settings) == expected


def test_many_amounts_are_carried_over() -> None:
    columns = Columns(("model",))
    for _ in range(20_000):  # their lower limbs come to more than 64 bits
        columns.add(
            ReportedCall(_START, {"model": "a"}, Usage(input=1), cost=Decimal("0.999999999999999999999999999999"))
        )
    summed = summed_calls([columns.close()], ZoneInfo("UTC"), None)
    assert summed.height == 1
    totals = summarize(Read("the log", summed, ("model",)), Settings(by=("model",))).totals
    assert totals.cost == Decimal("19999.99999999999999999999999998")
