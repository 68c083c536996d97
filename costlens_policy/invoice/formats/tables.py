"""Invoices that are plain tables: a column for each field, given by the user or known for an exporter.

Sources of the ready ones: OpenRouter, activity export; LiteLLM, ``/spend/logs``. What Azure and Google Cloud bill has
names of meters, not of models, so their columns are named by the user, and each meter's model with ``--same``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import field
from datetime import timedelta
from difflib import get_close_matches
from typing import Any, Final

from costlens_policy.catalogue import Usage
from costlens_policy.catalogue.versions import provider_named
from costlens_policy.diagnostics.suggestion import listed
from costlens_policy.frozen import frozen
from costlens_policy.invoice.formats.aws import token_kind
from costlens_policy.invoice.lines import BilledLine, Fields, InvoiceError, LineKind, next_day
from costlens_policy.replay.traffic.sources import RawRow

__all__ = ["READY", "Table"]

_TOKENS: Final = {
    "input_tokens": "input", "cache_read_tokens": "cache_read", "cache_write_tokens": "cache_write",
    "cache_write_1h_tokens": "cache_write_1h", "output_tokens": "output", "reasoning_tokens": "reasoning",
}  # fmt: skip
FIELDS: Final = (
    "time", "end", "provider", "model", "amount", "currency", "key", "project", "kind", "tier", "requests", "meter",
    *_TOKENS, "prompt_tokens",
)  # fmt: skip
_KINDS: Final[dict[str, LineKind]] = {
    "usage": "usage", "tool": "tool", "credit": "credit", "refund": "credit", "tax": "tax", "fee": "fee",
    "purchase": "fee", "adjustment": "credit",
}  # fmt: skip
_MOMENT: Final = timedelta(microseconds=1)


@frozen
class Table:
    """Which column holds which field. ``prompt_tokens`` include what caches were read from and written to.

    ``constants`` are fields that no column has. ``only`` are values that columns must have: other rows bill no models.
    A row is for a day, or for a call where ``of_calls`` is true.
    """

    name: str
    columns: Mapping[str, str]
    constants: Mapping[str, str] = field(default_factory=dict)
    about: str = ""
    signature: tuple[str, ...] = ()
    of_calls: bool = False
    only: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, columns: Mapping[str, str], constants: Mapping[str, str], only: Mapping[str, str]) -> Table:
        """Return the table that a user describes. Raises ``InvoiceError`` for unknown or missing fields."""
        for name in (*columns, *constants):
            if name not in FIELDS:
                close = get_close_matches(name, FIELDS, n=1)
                hint = f"did you mean `{close[0]}`?" if close else f"the fields are {', '.join(FIELDS)}"
                raise InvoiceError(f"unknown field `{name}` of an invoice; {hint}")
        for name in ("time", "amount", "provider"):
            if name not in columns and (name != "provider" or name not in constants):
                raise InvoiceError(f"a table needs the field `{name}`; name its column with `--map {name}=COLUMN`")
        return cls("table", columns, constants, only=only)

    def lines(self, fields: Fields) -> Iterator[BilledLine]:
        """Yield the line of a row. Raises ``InvoiceError``."""
        for column in (*self.columns.values(), *self.only):
            if self.name == "table" and not any(has_column(fields.row, part) for part in column.split("|")):
                raise fields.error(f"there is no column `{column}`; the columns are {listed(fields.row.fields)}")
        if any(fields.text(column) != value for column, value in self.only.items()):
            return
        start = self._time(fields, "time")
        following = start + _MOMENT if self.of_calls else next_day(start, fields.zone)
        end = self._time(fields, "end") if self._text(fields, "end") else following
        meter = self._text(fields, "meter")
        keys = {"api_key": self._text(fields, "key"), "project": self._text(fields, "project")}
        yield BilledLine(
            fields.place, self.name, provider_named(self._text(fields, "provider")), start, end,
            self._text(fields, "model"), {word: text for word, text in keys.items() if text},
            self._kind(fields), fields.amount(self.columns["amount"]),
            self._currency(fields), self._usage(fields), self._requests(fields),
            self._text(fields, "tier").lower(), token_kind(meter), meter,
        )  # fmt: skip

    def _text(self, fields: Fields, name: str) -> str:
        return self.constants[name] if name in self.constants else self._column(fields, name)

    def _kind(self, fields: Fields) -> LineKind:
        word = self._text(fields, "kind").lower() or "usage"
        if word not in _KINDS:
            raise fields.error(
                f"the kind must be one of {', '.join(_KINDS)}, got `{word}`; leave rows out with `--only`"
            )
        return _KINDS[word]

    def _currency(self, fields: Fields) -> str:
        if "currency" in self.constants:
            return self.constants["currency"].upper()
        return fields.currency(self.columns["currency"]) if "currency" in self.columns else ""

    def _column(self, fields: Fields, name: str) -> str:
        return fields.text(self.columns[name]) if name in self.columns else ""

    def _time(self, fields: Fields, name: str) -> Any:
        text = self._column(fields, name)
        return fields.time(self.columns[name], "s" if text.replace(".", "").isdigit() else "iso")

    def _requests(self, fields: Fields) -> int | None:
        if "requests" in self.columns:
            return fields.count(self.columns["requests"])
        return 1 if self.of_calls else None

    def _usage(self, fields: Fields) -> Usage | None:
        counts = {kind: fields.count(self.columns[name]) for name, kind in _TOKENS.items() if name in self.columns}
        if "prompt_tokens" in self.columns:
            within = sum(counts.get(kind, 0) for kind in ("cache_read", "cache_write", "cache_write_1h"))
            counts["input"] = max(0, fields.count(self.columns["prompt_tokens"]) - within)
        if "reasoning" in counts and "output" in counts:
            counts["output"] = max(0, counts["output"] - counts["reasoning"])
        return Usage(**counts) if counts else None


def has_column(row: RawRow, path: str) -> bool:
    """Whether a row has a column, or the object that a path begins in."""
    return path in row.fields or path.partition(".")[0] in row.fields


READY: Final = (
    Table("openrouter", {"time": "Date|date", "model": "Slug|slug", "amount": "Usage|usage", "requests": "Requests",
                         "prompt_tokens": "Prompt Tokens", "output_tokens": "Completion Tokens",
                         "reasoning_tokens": "Reasoning Tokens"},
          {"provider": "openrouter", "currency": "USD"}, "OpenRouter, activity", ("Slug", "Usage", "Prompt Tokens")),
    Table("litellm", {"time": "startTime", "model": "model", "amount": "spend", "provider": "custom_llm_provider",
                      "key": "metadata.user_api_key_alias|api_key", "project": "team_id",
                      "prompt_tokens": "prompt_tokens", "output_tokens": "completion_tokens"},
          {"currency": "USD"}, "LiteLLM, spend logs", signature=("startTime", "request_id", "spend"), of_calls=True),
)  # fmt: skip
