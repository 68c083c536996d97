"""The formats of invoices and usage reports, each recognized by its columns."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Final, TypeAlias

from costlens_policy.frozen import frozen
from costlens_policy.invoice.formats import anthropic, aws, focus, openai, tables
from costlens_policy.invoice.lines import BilledLine, Fields

__all__ = ["FORMATS", "Format", "format_of", "period_of"]

Reader: TypeAlias = Callable[[Fields], Iterator[BilledLine]]


@frozen
class Format:
    """``signature`` are columns that every row of the format has. ``reads`` gives no line for what bills no model."""

    name: str
    about: str
    signature: tuple[str, ...]
    reads: Reader


FORMATS: Final = (
    Format("openai-costs", "OpenAI, `/v1/organization/costs`", ("start_time", "amount", "line_item"), openai.costs),
    Format("openai-costs-csv", "OpenAI, costs exported from the dashboard", ("start_time", "amount_value"),
           openai.exported_costs),
    Format("openai-usage", "OpenAI, `/v1/organization/usage/completions` and its neighbors, as JSON or CSV",
           ("start_time", "num_model_requests"), openai.usage),
    Format("anthropic-costs", "Anthropic, `/v1/organizations/cost_report`", ("starting_at", "amount", "currency"),
           anthropic.costs),
    Format("anthropic-usage", "Anthropic, `/v1/organizations/usage_report/messages`",
           ("starting_at", "uncached_input_tokens"), anthropic.usage),
    Format("anthropic-console-costs", "Anthropic, costs exported from the Console", ("usage_date_utc", "cost_usd"),
           anthropic.console_costs),
    Format("anthropic-console-usage", "Anthropic, usage exported from the Console",
           ("usage_date_utc", "usage_input_tokens_no_cache"), anthropic.console_usage),
    Format("aws-cur", "AWS, Cost and Usage Report 2.0: Bedrock", ("line_item_usage_start_date",
           "line_item_unblended_cost"), aws.cur),
    Format("focus", "FOCUS 1.0 to 1.2, of any provider", ("ChargePeriodStart", "BilledCost"), focus.rows),
    *(Format(table.name, table.about, table.signature, table.lines) for table in tables.READY),
)  # fmt: skip


def period_of(fields: Fields) -> tuple[datetime, datetime] | None:
    """Return the time that a bucket without results is for; None where it is no bucket of an invoice."""
    if fields.has("start_time"):
        return fields.span("start_time", "end_time", "s")
    return fields.span("starting_at", "ending_at") if fields.has("starting_at") else None


def format_of(fields: Fields) -> Format | None:
    """Return the format that has the columns of a row."""
    return next((item for item in FORMATS if fields.has(*item.signature)), None)
