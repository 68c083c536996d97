"""Rows of text files as batches, where lines are not rows: the values of their rows, one by one, as columns."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

import polars as pl

from costlens_policy.compiler.plan import Plan
from costlens_policy.expressions import BOOL, DOUBLE, INT
from costlens_policy.frozen import frozen
from costlens_policy.replay.columns.batch import ATTRIBUTE
from costlens_policy.replay.stream.layout import PLAIN_COST, Fitting, Layout
from costlens_policy.replay.stream.tables import Kind, RawBatch
from costlens_policy.replay.traffic.mapping import ColumnMapping
from costlens_policy.replay.traffic.places import kind_of
from costlens_policy.replay.traffic.sources import RawRow

__all__ = ["ODD", "TAKES", "TextRows"]

_Take = Callable[[Any], Any]
ODD: Final = object()
_DIGITS: Final = 15


@frozen
class TextRows:
    """The rows of a file as columns of the types that the mapping asks for."""

    file: int
    layout: Layout
    takes: Mapping[str, tuple[_Take, Any]]
    """By column, what gives a value its type, or ``ODD`` where that is not plainly right, and the type."""

    @classmethod
    def of(
        cls, name: str, file: int, mapping: ColumnMapping, start: datetime, plan: Plan, attributes: tuple[str, ...]
    ) -> TextRows | None:
        """Return the file's rows, or None where a mapping asks for more than columns with plain values."""
        csv = kind_of(name) == "csv"
        takes: dict[str, tuple[_Take, Any]] = {}
        for field, column in mapping.columns.items():
            for option in column.split("|"):
                if "." in option or option in takes:
                    return None
                takes[option] = _take(field, mapping, plan, csv)
        types = {option: kind for option, (_, kind) in takes.items()}
        layout = Layout.of(types, types, mapping, start, plan, attributes)
        return None if layout is None else cls(file, replace(layout, every="usage" in mapping.columns), takes)

    def read(self, chunk: Sequence[RawRow], fitting: Fitting) -> pl.DataFrame:
        """Return rows as a batch. Raises ``UnfitError``."""
        odd: set[int] = {place for place, row in enumerate(chunk) if row.problem}
        columns = {}
        for name, (take, kind) in self.takes.items():
            values = [take(row.fields.get(name)) for row in chunk]
            if ODD in values:
                strange = [place for place, value in enumerate(values) if value is ODD]
                odd.update(strange)
                for place in strange:
                    values[place] = None
            columns[name] = pl.Series(name, values, dtype=kind)
        numbers = [None if place in odd else row.number for place, row in enumerate(chunk)]
        batch = RawBatch(
            pl.DataFrame(columns), pl.Series(numbers, dtype=pl.Int64), chunk.__getitem__, (),
            sum(len(row.text) + 1 for row in chunk),
        )  # fmt: skip
        return self.layout.read(batch, self.file, fitting)


def _take(field: str, mapping: ColumnMapping, plan: Plan, csv: bool) -> tuple[_Take, Any]:
    kind = plan.attributes[field.removeprefix(ATTRIBUTE)].type if field.startswith(ATTRIBUTE) else None
    if (field.endswith("_tokens") and kind is None) or kind == INT or (field == "time" and mapping.time_unit != "iso"):
        return (_int_of_text if csv else _int), pl.Int64
    if field == "cost":
        return (_cost_of_text if csv else _cost), pl.String
    if field == "usage":
        return _none, pl.Null
    if kind == DOUBLE:
        return (_none if csv else _float), pl.Float64
    if kind == BOOL:
        return (_none if csv else _bool), pl.Boolean
    return _text, pl.String


def _text(value: Any) -> Any:
    if value.__class__ is int:
        return str(value) if -(10**18) < value < 10**18 else ODD
    return value if value.__class__ is str or value is None else ODD


def _word(value: Any) -> Any:
    return str(value).lower() if value.__class__ is bool else _text(value)


def _int(value: Any) -> Any:
    if value.__class__ is int:
        return value if -(2**62) < value < 2**62 else ODD
    return None if value is None or value == "" else ODD


def _float(value: Any) -> Any:
    if value.__class__ is Decimal or (value.__class__ is int and -(2**53) < value < 2**53):
        return float(value)
    return value if value.__class__ is float else None if value is None or value == "" else ODD


def _cost(value: Any) -> Any:
    """Take an amount as text, which keeps its digits."""
    if value.__class__ is int or (value.__class__ is Decimal and value.is_finite() and abs(value.adjusted()) < _DIGITS):
        return f"{value:f}" if value >= 0 else ODD
    return None if value is None or value == "" else ODD


def _cost_of_text(value: Any) -> Any:
    if not value:
        return None
    return value if PLAIN_COST.fullmatch(value) else ODD


def _bool(value: Any) -> Any:
    return value if value.__class__ is bool else None if value is None or value == "" else ODD


def _none(value: Any) -> Any:
    """Take nothing but what is absent."""
    return None if value is None or value == "" else ODD


def _int_of_text(value: Any) -> Any:
    """Take a number that is written as Python and JSON write it."""
    if not value:
        return None
    if value.isdecimal() and value.isascii() and len(value) <= _DIGITS and (value[0] != "0" or value == "0"):
        return int(value)
    return ODD


TAKES: Final[Mapping[Kind, _Take]] = {
    "text": _text, "whole": _int, "amount": _cost, "number": _float, "truth": _bool, "word": _word, "nothing": _none,
}  # fmt: skip
"""What takes a value of JSON for what it is asked for as, or gives ``ODD``."""
