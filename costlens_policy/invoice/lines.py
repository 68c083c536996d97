"""Lines of an invoice, and the cells of a row that they are read from, each error with its place."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import field
from datetime import UTC, datetime, timedelta, tzinfo
from decimal import Decimal
from typing import Any, Final, Literal, TypeAlias

from costlens_policy.catalogue import Usage
from costlens_policy.catalogue.versions import spelling
from costlens_policy.errors import CostlensPolicyError
from costlens_policy.frozen import frozen
from costlens_policy.money import MAX_AMOUNT, MAX_FRACTION_DIGITS, ZERO, fraction_digits
from costlens_policy.replay.traffic.cells import cell, text_of, timestamp_of, tokens_of
from costlens_policy.replay.traffic.mapping import TimeUnit
from costlens_policy.replay.traffic.sources import RawRow

__all__ = ["DAY", "BilledLine", "Fields", "InvoiceError", "LineKind", "model_stem", "next_day", "rounded_to_cents"]

DAY: Final = timedelta(days=1)
LineKind: TypeAlias = Literal["usage", "tool", "credit", "tax", "fee"]
"""``usage`` is for tokens and requests of models, ``tool`` for searches and the like; the rest belongs to no call."""

_EDITION: Final = re.compile(r"\s*\((?:amazon )?bedrock[^)]*\)|\s*\(preview\)", re.IGNORECASE)
_VENDOR: Final = re.compile(r"^(?:anthropic|amazon|meta|mistral|cohere|openai|deepseek|qwen)\.(?=[a-z])")


class InvoiceError(CostlensPolicyError):
    """An invoice cannot be read or compared; the message names the place, and after a semicolon suggests a remedy."""


@frozen
class BilledLine:
    """What a provider bills, or reports as used, for a span of time.

    ``amount`` is in ``currency``, which is empty where the file names none; it is None in reports of usage. ``usage``
    is what the line counts, None where it counts no tokens. ``keys`` are the API key, project, workspace or account,
    by these words. ``kind_of_token`` is the bucket that the amount is for, empty where it is for several or none.
    ``digits`` is to how many digits after the point the provider has rounded, None where it has not.
    """

    place: str
    format: str
    provider: str
    start: datetime
    end: datetime
    model: str = ""
    keys: Mapping[str, str] = field(default_factory=dict)
    kind: LineKind = "usage"
    amount: Decimal | None = None
    currency: str = "USD"
    usage: Usage | None = None
    requests: int | None = None
    tier: str = ""
    kind_of_token: str = ""
    about: str = ""
    digits: int | None = None

    @property
    def identity(self) -> tuple[Any, ...]:
        """What two files that both have the line agree on, the amounts aside."""
        keys = tuple(sorted(self.keys.items()))
        return (
            self.format, self.provider, self.start, self.end, self.model, keys, self.kind, self.tier,
            self.kind_of_token, self.about,
        )  # fmt: skip


@frozen
class Fields:
    """The cells of a row by name or path; ``a|b`` is the first one that is not empty."""

    row: RawRow
    zone: tzinfo = UTC
    """That of times without one."""

    @property
    def place(self) -> str:
        return f"{self.row.file}:{self.row.number}"

    def error(self, problem: str) -> InvoiceError:
        return InvoiceError(f"`{self.place}`: {problem}")

    def has(self, *names: str) -> bool:
        """Whether the row has all of these columns, be they empty."""
        return all(name in self.row.fields for name in names)

    def text(self, name: str) -> str:
        value = cell(self.row.fields, name)
        return "" if value is None else text_of(value).strip()

    def count(self, name: str) -> int:
        """Return a number of tokens or requests, 0 where the cell is empty. Raises ``InvoiceError``."""
        value = cell(self.row.fields, name)
        try:
            return 0 if value is None else tokens_of(value)
        except ValueError as error:
            raise self.error(f"`{name}`: {error}") from None

    def number(self, name: str) -> Decimal | None:
        """Return a number, which may be negative; None where the cell is empty. Raises ``InvoiceError``."""
        value = cell(self.row.fields, name)
        if value is None:
            return None
        try:
            number = Decimal(repr(value)) if isinstance(value, float) else Decimal(str(value).strip().removeprefix("$"))
        except ArithmeticError:
            raise self.error(f"`{name}` must be a number, got `{text_of(value)[:60]}`") from None
        if isinstance(value, bool) or not number.is_finite() or abs(number) > MAX_AMOUNT:
            raise self.error(f"`{name}` must be an amount of at most {MAX_AMOUNT:f}, got `{text_of(value)[:60]}`")
        return number if fraction_digits(number) <= MAX_FRACTION_DIGITS else round(number, MAX_FRACTION_DIGITS)

    def amount(self, name: str) -> Decimal:
        """Return an amount that has to be there. Raises ``InvoiceError``."""
        found = self.number(name)
        if found is None:
            raise self.error(f"`{name}` is empty: the line has no amount")
        return found

    def currency(self, name: str) -> str:
        """Return the code of a currency; empty where the row has no such column. Raises ``InvoiceError``."""
        found = self.text(name).upper()
        if not found and any(part.partition(".")[0] in self.row.fields for part in name.split("|")):
            raise self.error(f"`{name}` is empty: the line has no currency")
        return found

    def time(self, name: str, unit: TimeUnit = "iso") -> datetime:
        """Return a timestamp in UTC. Raises ``InvoiceError``."""
        value = cell(self.row.fields, name)
        if value is None:
            raise self.error(f"`{name}` is empty: the line has no time")
        try:
            instant, zoneless = timestamp_of(value, unit, None)
        except ValueError as error:
            raise self.error(f"`{name}`: {error}") from None
        return instant.replace(tzinfo=self.zone).astimezone(UTC) if zoneless else instant

    def span(self, start: str, end: str, unit: TimeUnit = "iso") -> tuple[datetime, datetime]:
        """Return the span between two columns, a day where only the first is there. Raises ``InvoiceError``."""
        begins = self.time(start, unit)
        ends = self.time(end, unit) if end and self.text(end) else next_day(begins, self.zone)
        if ends <= begins:
            raise self.error(f"`{end}` must be after `{start}`, got {ends:%Y-%m-%d %H:%M} and {begins:%Y-%m-%d %H:%M}")
        return begins, ends

    def keys(self, **columns: str) -> dict[str, str]:
        """Return the keys that the row names, by the word for them."""
        return {word: text for word, column in columns.items() if (text := self.text(column))}


def next_day(instant: datetime, zone: tzinfo) -> datetime:
    """Return the same time of the next day in a zone, in UTC."""
    return (instant.astimezone(zone) + DAY).astimezone(UTC)


def model_stem(name: str) -> str:
    """Return what names of one model have in common: no provider, region, date or edition, whoever writes it.

    ``Claude Haiku 4.5``, ``us.anthropic.claude-haiku-4-5-20251001-v1:0`` and ``anthropic/claude-haiku-4.5`` are one.
    """
    plain = "-".join(_EDITION.sub("", name).split())
    return _VENDOR.sub("", spelling(plain).stem)


def rounded_to_cents(amount: Decimal) -> bool:
    """Whether an amount has no more digits than cents."""
    return amount == ZERO or fraction_digits(amount) <= 2
