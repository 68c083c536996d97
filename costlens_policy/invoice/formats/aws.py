"""What AWS bills for Bedrock, in Cost and Usage Reports.

Sources: AWS Data Exports user guide, "Cost and Usage Report (CUR) 2.0" (columns; ``line_item_line_item_type``). Models
of other makers are products of the Marketplace: ``Claude Haiku 4.5 (Amazon Bedrock Edition)`` with usage types such as
``USE1-MP:USE1_CacheReadInputTokenCount-Units``; Amazon's own have ``USE1-NovaLite-input-tokens``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from costlens_policy.catalogue import Usage
from costlens_policy.invoice.lines import BilledLine, Fields, LineKind

__all__ = ["cur", "token_kind"]

_NAME: Final = "product.product_name|product_product_name|product_servicename"
_NET: Final = "line_item_net_unblended_cost|line_item_unblended_cost"
_KINDS: Final = (
    (re.compile(r"cache-?_?read", re.IGNORECASE), "cache_read"),
    (re.compile(r"cache-?_?write-?_?1h", re.IGNORECASE), "cache_write_1h"),
    (re.compile(r"cache-?_?write", re.IGNORECASE), "cache_write"),
    (re.compile(r"input", re.IGNORECASE), "input"),
    (re.compile(r"output", re.IGNORECASE), "output"),
)
_PER_UNIT: Final = {"1k tokens": 1000, "1m tokens": 1_000_000, "tokens": 1, "token": 1}
_LINES: Final[dict[str, LineKind]] = {
    "Usage": "usage", "DiscountedUsage": "usage", "SavingsPlanCoveredUsage": "usage", "Tax": "tax", "Credit": "credit",
    "Refund": "credit", "EdpDiscount": "credit", "BundledDiscount": "credit", "PrivateRateDiscount": "credit",
    "SppDiscount": "credit", "SavingsPlanNegation": "credit", "Discount": "credit", "DistributorDiscount": "credit",
    "RiVolumeDiscount": "credit", "Fee": "fee", "RIFee": "fee", "SavingsPlanUpfrontFee": "fee",
    "SavingsPlanRecurringFee": "fee",
}  # fmt: skip
_OWN_MODEL: Final = re.compile(r"^[A-Z0-9]+-(?P<model>[A-Za-z][A-Za-z0-9.]*(?:-[A-Z0-9][A-Za-z0-9.]*)*)-")


def cur(fields: Fields) -> Iterator[BilledLine]:
    """Yield the line of a row that bills Bedrock; other services have none."""
    name, code = _product(fields) or fields.text(_NAME), fields.text("line_item_product_code")
    if "bedrock" not in f"{name} {code}".lower():
        return
    start, end = fields.span("line_item_usage_start_date", "line_item_usage_end_date")
    word, kind = fields.text("line_item_usage_type"), fields.text("line_item_line_item_type")
    bucket = token_kind(word)
    if kind not in _LINES:
        raise fields.error(f"`line_item_line_item_type` must be one of {', '.join(_LINES)}, got `{kind}`")
    line_kind = _LINES[kind]
    yield BilledLine(
        fields.place, "aws-cur", "aws", start, end, _model(name, word) if line_kind == "usage" else "",
        fields.keys(account="line_item_usage_account_id", resource="line_item_resource_id",
                    principal="line_item_iam_principal"),
        "tool" if line_kind == "usage" and not bucket else line_kind, fields.amount(_NET),
        fields.currency("line_item_currency_code"), _tokens(fields, bucket),
        tier="batch" if "batch" in word.lower() else "", kind_of_token=bucket,
        about=" ".join(filter(None, (kind, word, fields.text("line_item_operation"),
                                     fields.text("identity_line_item_id")))),
    )  # fmt: skip


def _product(fields: Fields) -> str:
    """Return the product's name from a column of type map, as Parquet has it: a list of keys and values."""
    pairs = fields.row.fields.get("product")
    if not isinstance(pairs, list):
        return ""
    named = [pair.get("value") for pair in pairs if isinstance(pair, dict) and pair.get("key") == "product_name"]
    return str(named[0]) if named and named[0] else ""


def token_kind(text: str) -> str:
    """Return the bucket of tokens that a meter's name is about, empty where it is about none."""
    if "token" not in text.lower():
        return ""
    return next((kind for pattern, kind in _KINDS if pattern.search(text)), "")


def _model(product: str, usage_type: str) -> str:
    if product and product.lower() not in ("amazon bedrock", "bedrock", "amazonbedrock"):
        return product
    own = _OWN_MODEL.match(usage_type)
    return own["model"] if own else ""


def _tokens(fields: Fields, bucket: str) -> Usage | None:
    unit = _PER_UNIT.get(fields.text("pricing_unit").lower())
    count = fields.number("line_item_usage_amount")
    if not bucket or unit is None or count is None or count < 0:
        return None
    return Usage(**{bucket: int((count * unit).to_integral_value(rounding="ROUND_HALF_EVEN"))})
