"""Calls that advice reads row by row: a label, tokens, and as much of the prompt as there is."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from costlens_policy.advise.calls import Seen, TaskCall
from costlens_policy.replay import ColumnMapping, Row, TrafficError
from costlens_policy.replay.traffic.cells import cell, text_of
from costlens_policy.replay.traffic.reading import RowReader
from costlens_policy.replay.traffic.sources import RawRow

__all__ = ["CallReader"]


@dataclass(slots=True)
class CallReader:
    """Makes calls of rows. ``mapping`` names the column of the label; a column of the same name is read, too."""

    mapping: ColumnMapping
    by: str
    rows: RowReader
    seen: Seen = field(default_factory=Seen)
    _estimated: int = 0
    _unlabeled: int = 0

    def __post_init__(self) -> None:
        self.seen.block_tokens = self.mapping.block_tokens

    def read(self, raw: RawRow) -> TaskCall | None:
        """Return the call of a row; None where it is left out."""
        self.rows.take(raw)
        return self._call(self.rows.rows.pop(), raw.fields) if self.rows.rows else None

    @property
    def label(self) -> str:
        """The column of the label, with its alternatives."""
        return self.mapping.columns.get(f"request.{self.by}", self.by)

    @property
    def constant(self) -> str | None:
        """The label of calls that have none in the column."""
        found = self.mapping.constants.get(f"request.{self.by}")
        return None if found is None else text_of(found)

    def count(self, unlabeled: int) -> None:
        """Count calls without a label that were read elsewhere."""
        self._unlabeled += unlabeled

    def _call(self, row: Row, fields: Mapping[str, Any]) -> TaskCall:
        label, prompt = self._value(fields, self.by), self._prompt(row, fields)
        self._unlabeled += label is None
        tokens = row.prompt_tokens
        if tokens is None:
            tokens = self.rows.shape.tokenizer.count(prompt if isinstance(prompt, str) else "")
            self._estimated += 1
        output, usage = row.output_tokens, row.recorded
        if output is None:
            output = row.answers.get(row.model or "") or max(row.answers.values())
        timeless = "time" not in self.mapping.columns or (self.mapping.relative and row.session is not None)
        return TaskCall(
            None if label is None else text_of(label),
            None if timeless else row.time,
            row.model,
            max(tokens, 1),
            output,
            usage.cache_read + usage.cache_read_audio if usage is not None and row.cache_known else None,
            usage.cache_write + usage.cache_write_1h if usage is not None and row.cache_known else None,
            prompt,
            row.outcomes,
        )

    def notes(self) -> list[str]:
        """Return what was assumed. Raises ``TrafficError`` where a mapped label is nowhere."""
        notes = self.rows.all_notes(0)
        if self._estimated:
            notes.append(f"{self._estimated:,} prompts have no token count and were counted by an estimate")
        named = f"request.{self.by}" in (*self.mapping.columns, *self.mapping.constants)
        if self._unlabeled and self._unlabeled == self.seen.calls:
            if named:
                raise TrafficError(
                    f"no row has a value in `{self.mapping.columns[f'request.{self.by}']}` for `{self.by}`"
                )
            notes.append(
                f"no row has a `{self.by}`, so all calls are one task; --column request.{self.by}=COLUMN names it"
            )
        elif self._unlabeled:
            notes.append(f"{self._unlabeled:,} calls have no `{self.by}` and are counted as one task")
        return notes

    def _value(self, fields: Mapping[str, Any], name: str) -> Any:
        full = f"request.{name}"
        found = cell(fields, self.mapping.columns.get(full, name))
        return self.mapping.constants.get(full) if found is None else found

    def _prompt(self, row: Row, fields: Mapping[str, Any]) -> str | Sequence[str]:
        if row.prefix:
            return tuple(map(str, row.prefix))
        found = self._value(fields, "prompt") or self._value(fields, "messages")
        return "" if found is None else _as_text(found)


def _as_text(prompt: Any) -> str:
    """Return a prompt as one text; of messages, one after the other."""
    if isinstance(prompt, str) and prompt[:1] == "[":
        with suppress(ValueError):
            prompt = json.loads(prompt)
    if isinstance(prompt, list) and all(isinstance(item, Mapping) for item in prompt):
        return "\n".join(f"{item.get('role', '')}: {_content(item.get('content'))}" for item in prompt)
    return _content(prompt)


def _content(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
