"""Charges of a ledger in the FinOps Open Cost and Usage Specification, version 1.2.

A row is for one day (UTC), provider, model, service tier and combination of tags. The mandatory columns are all there,
and those conditional ones whose conditions hold here: usage is measured (``ConsumedQuantity``, ``ConsumedUnit``), and
tagging is supported (``Tags``). Unit prices are not exported: a row sums up kinds of tokens with prices of their own,
which the ``x_`` columns count. Source: FOCUS 1.2, "Columns", and its conformance rules.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from itertools import groupby
from typing import Final, NamedTuple

from costlens_policy.catalogue import BUCKETS
from costlens_policy.catalogue.versions import provider_named
from costlens_policy.frozen import frozen
from costlens_policy.guard.hold_facts import recorded_labels
from costlens_policy.invoice.recorded import RECONCILED, Place, Selection, call_cost, call_usage, entries_of
from costlens_policy.ledger import Entry, Store, decimal_of
from costlens_policy.money import ZERO, add, plain
from costlens_policy.replay.traffic.cells import text_of
from costlens_policy.report import Prices

__all__ = ["COLUMNS", "TAGS", "FocusSettings", "focus_rows"]

TAGS: Final = ("team", "project", "feature", "environment")
"""The attributes of requests that become tags, unless others are named."""
_TOKENS: Final = tuple(f"x_{''.join(part.title() for part in bucket.split('_'))}Tokens" for bucket in BUCKETS)
COLUMNS: Final = (
    "BilledCost", "BillingAccountId", "BillingAccountName", "BillingAccountType", "BillingCurrency",
    "BillingPeriodEnd", "BillingPeriodStart", "ChargeCategory", "ChargeClass", "ChargeDescription", "ChargeFrequency",
    "ChargePeriodEnd", "ChargePeriodStart", "ConsumedQuantity", "ConsumedUnit", "ContractedCost", "EffectiveCost",
    "InvoiceId", "InvoiceIssuerName", "ListCost", "PricingCategory", "PricingQuantity", "PricingUnit", "ProviderName",
    "PublisherName", "ServiceCategory", "ServiceName", "ServiceSubcategory", "Tags",
    "x_Model", "x_ServiceTier", "x_Requests", *_TOKENS,
)  # fmt: skip
_NAMES: Final = {
    "anthropic": "Anthropic", "aws": "Amazon Web Services", "azure": "Microsoft", "google": "Google Cloud",
    "openai": "OpenAI", "mistral": "Mistral AI", "cohere": "Cohere", "x-ai": "xAI", "deepseek": "DeepSeek",
}  # fmt: skip
_SERVICES: Final = {"aws": "Amazon Bedrock", "azure": "Azure OpenAI", "google": "Gemini API"}
_UNKNOWN: Final = "unknown"


@frozen
class FocusSettings:
    """What the rows are for: ``account`` is the id of the billing account, ``tags`` are labels of requests."""

    since: datetime
    until: datetime
    account: str = "costlens-policy"
    account_name: str | None = None
    tags: Sequence[str] = TAGS
    budget: str | None = None


class _Key(NamedTuple):
    day: date
    provider: str
    model: str
    tier: str
    tags: tuple[tuple[str, str], ...]


@dataclass(slots=True)
class _Sum:
    cost: Decimal = ZERO
    requests: int = 0
    uncounted: int = 0
    """Requests whose tokens are not known."""
    tokens: list[int] = field(default_factory=lambda: [0] * len(BUCKETS))


def focus_rows(store: Store, prices: Prices, settings: FocusSettings) -> Iterator[dict[str, str]]:
    """Yield rows by ``COLUMNS``, in order of day, provider and model; what is null is empty. Raises ``LedgerError``."""
    sums: dict[_Key, _Sum] = {}
    corrections: dict[Place, _Correction] = {}
    seen: set[str] = set()
    chosen = Selection(None, settings.since, settings.until, budget=settings.budget)
    for (kind, call), group in groupby(entries_of(store, chosen), key=lambda entry: (entry.kind, entry.call)):
        entries = tuple(group)
        if kind == "correct":
            for entry in entries:
                _keep_correction(entry, settings, corrections)
        elif kind == "charge" and call not in seen:
            seen.add(call)
            _count(sums, entries, prices, settings)
    for key, found in sorted(sums.items()):
        yield _usage_row(key, found, settings)
    for place, correction in sorted(corrections.items()):
        amount = correction.target if settings.budget is None else decimal_of(correction.entered, "usd")
        if amount:
            yield _correction_row(place, amount, correction.last, prices, settings)


def _count(sums: dict[_Key, _Sum], entries: tuple[Entry, ...], prices: Prices, settings: FocusSettings) -> None:
    first, facts = entries[0], entries[0].facts
    name, stated, tier = str(facts.get("model") or ""), facts.get("provider"), facts.get("service_tier")
    provider = provider_named(stated if isinstance(stated, str) else prices.provider(name) or _UNKNOWN)
    labels = recorded_labels(facts)
    tags = tuple((tag, text_of(labels[tag])) for tag in sorted(settings.tags) if labels.get(tag) is not None)
    key = _Key(first.at.astimezone(UTC).date(), provider, name or _UNKNOWN, tier if isinstance(tier, str) else "", tags)
    found, usage = sums.setdefault(key, _Sum()), call_usage(facts)
    found.cost = add(found.cost, call_cost(facts, entries) or ZERO)
    found.requests += 1
    if usage is None:
        found.uncounted += 1
    else:
        found.tokens = list(map(int.__add__, found.tokens, usage))


@frozen
class _Correction:
    """``target`` is what the row of an invoice was corrected by in the end, ``entered`` the sum of its entries."""

    target: Decimal
    entered: int
    last: Entry


def _keep_correction(entry: Entry, settings: FocusSettings, found: dict[Place, _Correction]) -> None:
    """Keep the last target of each row of an invoice; several budgets are corrected by one difference."""
    about = entry.facts.get(RECONCILED)
    if not isinstance(about, Mapping):
        return
    place = Place(*(str(about.get(name, "")) for name in Place._fields))
    day = _day_of(place)
    if day is not None and settings.since <= _start(day) < settings.until:
        before = found[place].entered if place in found else 0
        found[place] = _Correction(Decimal(str(about.get("target", "0"))), before + entry.amount, entry)


def _day_of(place: Place) -> date | None:
    """Return the day of a correction, the last one of several."""
    try:
        return date.fromisoformat(place.day.rpartition("/")[2])
    except ValueError:
        return None


def _start(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)


def _text(instant: datetime) -> str:
    return f"{instant:%Y-%m-%dT%H:%M:%SZ}"


def _usage_row(key: _Key, found: _Sum, settings: FocusSettings) -> dict[str, str]:
    """Return a row of calls; where no tokens are known, the quantity is the number of requests."""
    counted = sum(found.tokens)
    unit, quantity = ("Tokens", counted) if counted else ("Requests", found.requests)
    without = f", {found.uncounted} of them without a count of tokens" if found.uncounted else ""
    return _row(key.day, key.provider, found.cost, settings) | {
        "ChargeCategory": "Usage",
        "ChargeDescription": f"{found.requests} requests to {key.model}{without}",
        "ChargeFrequency": "Usage-Based",
        "ConsumedQuantity": str(quantity),
        "ConsumedUnit": unit,
        "PricingCategory": "Standard",
        "PricingQuantity": str(quantity),
        "PricingUnit": unit,
        "Tags": json.dumps(dict(key.tags), ensure_ascii=False),
        "x_Model": key.model,
        "x_ServiceTier": key.tier,
        "x_Requests": str(found.requests),
        **{column: str(count) for column, count in zip(_TOKENS, found.tokens, strict=True)},
    }


def _correction_row(
    place: Place, amount: Decimal, entry: Entry, prices: Prices, settings: FocusSettings
) -> dict[str, str]:
    day = _day_of(place)
    assert day is not None
    known = place.provider if place.provider and "+" not in place.provider else prices.provider(place.model)
    provider = provider_named(known or place.provider or _UNKNOWN)
    row = _row(day, provider, amount, settings)
    late = entry.at.astimezone(UTC).date().replace(day=1) > day.replace(day=1)
    reason = text_of(entry.facts.get("reason", ""))
    return row | {
        "ChargeCategory": "Adjustment",
        "ChargeClass": "Correction" if late else "",
        "ChargeDescription": f"correction: {reason}",
        "ChargeFrequency": "One-Time",
        "Tags": "{}",
        "x_Model": place.model,
    }


def _row(day: date, provider: str, cost: Decimal, settings: FocusSettings) -> dict[str, str]:
    """Return a row with what all have."""
    month = day.replace(day=1)
    following = (month + timedelta(days=32)).replace(day=1)
    name, amount = _NAMES.get(provider, provider), plain(cost)
    return dict.fromkeys(COLUMNS, "") | {
        **dict.fromkeys(("BilledCost", "ContractedCost", "EffectiveCost", "ListCost"), amount),
        "BillingAccountId": settings.account,
        "BillingAccountName": settings.account_name or "",
        "BillingCurrency": "USD",
        "BillingPeriodStart": _text(_start(month)),
        "BillingPeriodEnd": _text(_start(following)),
        "ChargePeriodStart": _text(_start(day)),
        "ChargePeriodEnd": _text(_start(day + timedelta(days=1))),
        **dict.fromkeys(("ProviderName", "PublisherName", "InvoiceIssuerName"), name),
        "ServiceCategory": "AI and Machine Learning",
        "ServiceName": _SERVICES.get(provider, f"{name} API"),
        "ServiceSubcategory": "Generative AI",
    }
