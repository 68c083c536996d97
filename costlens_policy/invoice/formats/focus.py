"""What any provider bills, in the FinOps Open Cost and Usage Specification, versions 1.0 to 1.2."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from costlens_policy.catalogue import Usage
from costlens_policy.catalogue.versions import provider_named
from costlens_policy.invoice.formats.aws import token_kind
from costlens_policy.invoice.lines import BilledLine, Fields, LineKind

__all__ = ["rows"]

_CATEGORIES: Final[dict[str, LineKind]] = {
    "Usage": "usage", "Purchase": "fee", "Tax": "tax", "Credit": "credit", "Adjustment": "credit",
}  # fmt: skip
_AI: Final = "AI and Machine Learning"
_MODEL: Final = "x_Model|x_model|x_ModelName|SkuMeter|ResourceName|ServiceName"
_PROVIDERS: Final = (
    ("anthropic", "anthropic"), ("openai", "openai"), ("amazon", "aws"), ("aws", "aws"), ("microsoft", "azure"),
    ("google", "google"),
)  # fmt: skip
_PER_UNIT: Final = re.compile(r"(?P<thousands>1000|1k|1m)?\s*tokens?", re.IGNORECASE)
_SIZES: Final = {"1000": 1000, "1k": 1000, "1m": 1_000_000}


def rows(fields: Fields) -> Iterator[BilledLine]:
    """Yield the line of a row; a service of another category than AI has none."""
    if fields.text("ServiceCategory") not in ("", _AI):
        return
    start, end = fields.span("ChargePeriodStart", "ChargePeriodEnd")
    meter = fields.text("SkuMeter")
    bucket = token_kind(meter)
    kind = _kind(fields)
    currency = fields.text("BillingCurrency").upper()
    if not currency:
        raise fields.error("`BillingCurrency` is empty: the line has no currency")
    yield BilledLine(
        fields.place, "focus", _provider(fields.text("ProviderName")), start, end,
        fields.text(_MODEL) if kind == "usage" else "",
        fields.keys(account="SubAccountId|BillingAccountId", resource="ResourceId", key="x_Key"), kind,
        fields.amount("BilledCost"), currency, _tokens(fields, bucket),
        requests=fields.count("x_Requests") if fields.text("x_Requests") else None,
        tier=fields.text("x_ServiceTier"), kind_of_token=bucket,
        about=" ".join(filter(None, (meter, fields.text("ChargeDescription"), fields.text("ChargeClass")))),
    )  # fmt: skip


def _kind(fields: Fields) -> LineKind:
    category = (fields.text("ChargeCategory") or "Usage").capitalize()
    if category not in _CATEGORIES:
        raise fields.error(f"`ChargeCategory` must be one of {', '.join(_CATEGORIES)}, got `{category}`")
    if category == "Adjustment" and fields.text("x_Model"):
        return "usage"  # a correction of calls, as `budget export` writes it
    return _CATEGORIES[category]


def _provider(name: str) -> str:
    known = next((own for word, own in _PROVIDERS if word in name.lower()), None)
    return known or provider_named(name)


def _tokens(fields: Fields, bucket: str) -> Usage | None:
    if fields.text("x_InputTokens"):
        names = ("input", "cache_read", "cache_write", "cache_write_1h", "output", "reasoning")
        columns = (f"x_{''.join(part.title() for part in name.split('_'))}Tokens" for name in names)
        return Usage(**{name: fields.count(column) for name, column in zip(names, columns, strict=True)})
    unit = _PER_UNIT.fullmatch(fields.text("ConsumedUnit"))
    count = fields.number("ConsumedQuantity")
    if not bucket or unit is None or count is None or count < 0:
        return None
    return Usage(**{bucket: round(count * _SIZES.get((unit["thousands"] or "").lower(), 1))})
