"""A ledger with calls, and invoices for the same calls as providers would write them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from costlens_policy.catalogue import Usage
from costlens_policy.invoice import Agreement, Invoice, Selection, agree, read_invoice, read_recorded
from costlens_policy.invoice.agreement import span_of
from costlens_policy.ledger import Account, Adjustment, Charge, Settlement, Store, amount_of, open_ledger
from costlens_policy.money import plain
from costlens_policy.periods import schedule_of, zone_of
from costlens_policy.report import Prices
from tests.cli.conftest import process, run

__all__ = [
    "DAY",
    "USAGE",
    "account",
    "begun",
    "charge",
    "comparing",
    "costs_page",
    "process",
    "reconciled",
    "run",
    "usage_of",
    "write",
]

DAY = datetime(2026, 6, 3, tzinfo=UTC)
USAGE = Usage(input=100_000, cache_read=40_000, output=20_000)
PRICES = Prices()
_MONTHS = schedule_of(
    {"calendar": "month", "zone": "UTC", "week_start": "monday", "month_start_day": 1, "year_start_month": 1}
)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return begun(open_ledger(f"sqlite:///{tmp_path}/spend.db"))


def begun(store: Store) -> Store:
    """Let the history of a ledger begin long before the calls of the tests."""
    at = DAY - timedelta(days=60)
    store.adjust(Adjustment("begin", "set", account(at), 0, "ann", "the beginning", at))
    return store


def account(at: datetime = DAY, budget: str = "org/all", key: str = "") -> Account:
    period = _MONTHS.at(at)
    assert period is not None
    return Account(budget, key, "usd", period)


def charge(
    store: Store,
    id: str,
    at: datetime = DAY + timedelta(hours=9),
    model: str = "gpt-5",
    usage: Usage = USAGE,
    *,
    keys: Sequence[str] = (),
    cost: Decimal | None = None,
    **facts: Any,
) -> Decimal:
    """Charge a call at the list price on one budget, and on that of each key; return what it cost."""
    cost = PRICES.cost(model, usage, at).cost if cost is None else cost
    assert cost is not None
    accounts = [account(at), *(account(at, "org/team", key) for key in keys)]
    known = {"model": model, "basis": "reported", "usage": usage.counted, "cost_usd": plain(cost), **facts}
    store.charge(Settlement(id, tuple(Charge(each, amount_of(cost, "usd")) for each in accounts), at, known))
    return cost


def costs_page(*items: tuple[datetime, str, Decimal | str], more: bool = False) -> dict[str, Any]:
    """Return a page of OpenAI's costs, each item with its day, line item and dollars."""
    return {
        "object": "page",
        "has_more": more,
        "next_page": "x" if more else None,
        "data": [
            {
                "object": "bucket", "start_time": int(day.timestamp()), "end_time": int(day.timestamp()) + 86400,
                "results": [{
                    "object": "organization.costs.result", "line_item": item, "project_id": "proj_1",
                    "amount": {"value": float(amount), "currency": "usd"},
                }],
            }
            for day, item, amount in items
        ],
    }  # fmt: skip


def usage_of(day: datetime, model: str, requests: int, usage: Usage = USAGE) -> dict[str, Any]:
    """Return a page of OpenAI's usage: so many calls of one usage."""
    result = {
        "object": "organization.usage.completions.result", "num_model_requests": requests, "model": model,
        "input_tokens": (usage.input + usage.cache_read) * requests, "input_cached_tokens": usage.cache_read * requests,
        "output_tokens": usage.output * requests, "project_id": None, "api_key_id": None, "batch": None,
    }  # fmt: skip
    start = int(day.timestamp())
    return {"data": [{"start_time": start, "end_time": start + 86400, "results": [result]}], "has_more": False}


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., str]:
    """Return a function that writes a file, JSON unless it is a text, and gives its name."""

    def write(content: Mapping[str, Any] | str, name: str = "costs.json") -> str:
        path = tmp_path / name
        path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
        return str(path)

    return write


def comparing(store: Store) -> Callable[..., Agreement]:
    """Return a function that compares files with a ledger."""

    def compare(*files: str, zone: str = "UTC", prices: Prices = PRICES, **more: Any) -> Agreement:
        at = zone_of(zone)
        invoice: Invoice = read_invoice(files, zone=at)
        label = more.pop("label", "")
        chosen = Selection(invoice.providers, *span_of(invoice, at), label=label)
        return agree(invoice, read_recorded(store, prices, chosen), zone=at, **more)

    return compare


@pytest.fixture
def reconciled(store: Store) -> Callable[..., Agreement]:
    return comparing(store)
