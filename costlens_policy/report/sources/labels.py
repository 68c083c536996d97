"""Columns that a report reads beside those of replay: labels, latency, denials, the cost of a baseline."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from difflib import get_close_matches
from typing import Any, Final

from costlens_policy.replay import ColumnMapping, TrafficError
from costlens_policy.replay.traffic.cells import cell, cost_of, text_of, timestamp_of
from costlens_policy.replay.traffic.mapping import FIELDS, TEXTS

__all__ = ["Extras", "split_columns"]

_EXTRAS: Final = ("latency_ms", "latency_s", "end_time", "denied", "baseline_cost")
"""Fields that only a report reads. ``end_time`` is in the unit of ``time``."""
_REFUSED: Final = frozenset({"1", "true", "yes", "deny", "denied", "refused", "blocked", "rejected"})


def split_columns(
    columns: Mapping[str, str], constants: Mapping[str, str]
) -> tuple[dict[str, str], dict[str, str], dict[str, str], dict[str, str]]:
    """Tell the fields of replay from those of a report: two mappings of columns, then two of constants."""
    own = {name: column for name, column in columns.items() if name not in FIELDS}
    fixed = {name: value for name, value in constants.items() if name not in FIELDS}
    for name in FIELDS:
        own.pop(name, None)
    return (
        {name: column for name, column in columns.items() if name in FIELDS},
        own,
        {name: value for name, value in constants.items() if name in FIELDS},
        fixed,
    )


@dataclass(slots=True)
class Extras:
    """Reads what a report needs of raw rows. ``named`` are the fields whose columns somebody named."""

    mapping: ColumnMapping
    columns: Mapping[str, str]
    constants: Mapping[str, Any]
    dimensions: tuple[str, ...]
    start: datetime
    named: tuple[str, ...] = ()
    _seen: set[str] = field(default_factory=set)

    @classmethod
    def of(
        cls,
        mapping: ColumnMapping,
        columns: Mapping[str, str],
        constants: Mapping[str, Any],
        dimensions: tuple[str, ...],
        start: datetime,
    ) -> Extras:
        """Return the reader: labels stand where they are said to be, else in columns of their own names."""
        from_mapping = {
            name.removeprefix("request."): column
            for name, column in mapping.columns.items()
            if name.startswith("request.")
        }
        of_calls = {name: column for name, column in mapping.columns.items() if name in dimensions}
        fixed = {name.removeprefix("request."): value for name, value in mapping.constants.items()}
        given = {name.removeprefix("request."): column for name, column in columns.items()}
        usual = {name: name for name in (*_EXTRAS, *dimensions)}
        found = {**usual, **mapping.extras, **of_calls, **from_mapping, **given}
        own = {name.removeprefix("request."): value for name, value in constants.items()}
        for name in (*given, *own):
            if name not in _EXTRAS and name not in dimensions:
                raise TrafficError(_no_field(name, dimensions))
        named = (*given, *(name.removeprefix("request.") for name in mapping.named if name.startswith("request.")))
        return cls(mapping, found, {**fixed, **own}, dimensions, start, tuple(dict.fromkeys(named)))

    @property
    def reader_mapping(self) -> ColumnMapping:
        """Return the mapping without what is read here."""
        kept = {n: c for n, c in self.mapping.columns.items() if not n.startswith("request.") or n in TEXTS}
        constants = {n: c for n, c in self.mapping.constants.items() if not n.startswith("request.") or n in TEXTS}
        named = tuple(name for name in self.mapping.named if name in kept)
        return replace(self.mapping, columns=kept, constants=constants, named=named)

    @property
    def must_be_there(self) -> dict[str, str]:
        """Return the columns that somebody named, by field."""
        return {name: self.columns[name] for name in self.named}

    @property
    def denials_seen(self) -> bool:
        """Whether any row said if it was denied."""
        return "denied" in self._seen or "denied" in self.constants

    def value(self, fields: Mapping[str, Any], name: str) -> Any:
        """Return the value of a field, None where the row has none."""
        column = self.columns.get(name)
        found = None if column is None else cell(fields, column)
        if found is None:
            return self.constants.get(name)
        self._seen.add(name)
        return found

    def labels(self, fields: Mapping[str, Any]) -> dict[str, str]:
        """Return the labels that a row has."""
        found = {}
        for name in self.dimensions:
            if name != "model" and (value := self.value(fields, name)) is not None:
                found[name] = text_of(value)
        return found

    def denied(self, fields: Mapping[str, Any]) -> bool:
        """Say whether a row records a request that was refused."""
        value = self.value(fields, "denied")
        return value is not None and str(value).strip().lower() in _REFUSED

    def latency(self, fields: Mapping[str, Any], began: datetime) -> int | None:
        """Return how long a call took, in microseconds. Raises ``ValueError``."""
        for name, size in (("latency_ms", 1000), ("latency_s", 1_000_000)):
            if (value := self.value(fields, name)) is not None:
                return int(cost_of(value) * size)
        value = self.value(fields, "end_time")
        if value is None:
            return None
        ended, _ = timestamp_of(value, self.mapping.time_unit, self.start if self.mapping.relative else None)
        if ended < began:
            raise ValueError(f"it ends at `{value}`, before it begins")
        return int((ended - began).total_seconds() * 1_000_000)


def _no_field(name: str, dimensions: tuple[str, ...]) -> str:
    close = get_close_matches(name, (*FIELDS, *_EXTRAS, *dimensions), n=1)
    add = f"to group by it, name it in `--by`, beside {', '.join(dimensions)}"
    return f"no field `{name}` of a row; {f'did you mean `{close[0]}`?' if close else add}"
