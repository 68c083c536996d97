"""Raw columns as batches. What is not plainly right is read row by row, by the reader that knows why."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

import polars as pl

from costlens_policy.catalogue.rates import BUCKETS
from costlens_policy.compiler.attributes import RequestAttribute
from costlens_policy.compiler.plan import Plan
from costlens_policy.engine.request import admit_request
from costlens_policy.errors import RequestError
from costlens_policy.expressions import BOOL, DOUBLE, INT, STRING, Type
from costlens_policy.frozen import frozen
from costlens_policy.replay.columns.batch import ATTRIBUTE, MOST_TOKENS, RECORDED, batch_of, fits, micros, schema_of
from costlens_policy.replay.simulation import rejected, request_of
from costlens_policy.replay.stream.tables import Kind, RawBatch
from costlens_policy.replay.traffic.cells import PARTS, attribute_of, text_of
from costlens_policy.replay.traffic.mapping import COUNTS, ColumnMapping
from costlens_policy.replay.traffic.reading import EARLY, RequestShape, RowReader
from costlens_policy.replay.traffic.row import Reject, Row
from costlens_policy.replay.traffic.sources import RawRow

__all__ = ["COUNTED", "PLAIN_COST", "Fitting", "Layout", "UnfitError", "asked_kinds", "is_inside", "odd_rows"]

COUNTED: Final = ("input", "cache_read", "cache_write", "cache_write_1h", "output", "reasoning")
"""The buckets that follow from counts in columns."""

_TEXTS: Final = (pl.String, pl.Categorical, pl.Enum)
_WHOLE: Final = (pl.Int8, pl.Int16, pl.Int32, pl.Int64, pl.UInt8, pl.UInt16, pl.UInt32)
_NAMES: Final = (*_TEXTS, *_WHOLE)
_ATTRIBUTES: Final[Mapping[Type, tuple[Any, ...]]] = {
    STRING: _NAMES, INT: _WHOLE, DOUBLE: (pl.Float64,), BOOL: (pl.Boolean,),
}  # fmt: skip
_OF_ATTRIBUTES: Final[Mapping[Type, Kind]] = {STRING: "text", INT: "whole", DOUBLE: "number", BOOL: "truth"}
_FIELDS: Final[Mapping[str, tuple[Any, ...]]] = {
    "time": (pl.Datetime, *_TEXTS, *_WHOLE), **dict.fromkeys(COUNTS, _WHOLE), "id": _NAMES, "model": _NAMES,
    "session": _NAMES, "service_tier": _NAMES, "cost": (pl.Float64, *_WHOLE, *_TEXTS), "usage": (pl.Null,),
}  # fmt: skip
_SET: Final = frozenset({"model", "session", "service_tier"})
"""Fields that may be constants."""
_CACHES: Final = PARTS[1:4]
_PER_UNIT: Final = {"s": 1_000_000, "ms": 1_000, "us": 1}
_ISO: Final = r"^[1-9][0-9]{3}-[0-9]{2}-[0-9]{2}[T ][0-2][0-9]:[0-5][0-9]:[0-5][0-9](\.[0-9]{1,6})?(Z|\+00:?00)?$"
_ZONE: Final = r"(Z|\+00:?00)$"
_LAST: Final = 7_258_118_400_000_000
"""The year 2200, in microseconds."""
_PLAIN_COST: Final = (1e-12, 1e14)
PLAIN_COST: Final = re.compile(r"[0-9]{1,14}(\.[0-9]{1,30})?")
"""An amount whose text is as it would be written here."""


@frozen
class Layout:
    """Which columns, with which types, are which field.

    ``columns`` are the columns by field, the first that has a value counts. ``start`` is what relative times count
    from.
    """

    columns: Mapping[str, tuple[str, ...]]
    types: Mapping[str, Any]
    mapping: ColumnMapping
    start: datetime
    plan: RequestShape
    attributes: tuple[str, ...]
    every: bool = False
    """Whether batches have all kinds of tokens, since rows beside these may have a usage object."""

    @classmethod
    def of(
        cls, types: Mapping[str, Any], names: Collection[str], mapping: ColumnMapping, start: datetime,
        plan: RequestShape, attributes: tuple[str, ...],
    ) -> Layout | None:  # fmt: skip
        """Return the layout of columns of these types, or None where rows have to be read one by one.

        ``names`` are all columns that the file has, be they among these or not.
        """
        shaped = mapping.drop or mapping.spans or mapping.transcripts
        if shaped or any(not field.startswith(ATTRIBUTE) and field not in _SET for field in mapping.constants):
            return None
        columns = {}
        for field, column in mapping.columns.items():
            options = (column,) if column in types else tuple(column.split("|"))
            if any(option not in types and is_inside(option, names) for option in options):
                return None
            columns[field] = tuple(option for option in options if option in types)
            if not _suits(field, [types[option] for option in columns[field]], mapping, plan):
                return None
        counts = columns.get("prompt_tokens") or columns.get("uncached_tokens")
        if not (counts and columns.get("time") and columns.get("output_tokens")):
            return None
        return cls(columns, types, mapping, start, plan, attributes)

    def read(self, batch: RawBatch, file: int, fitting: Fitting) -> pl.DataFrame:
        """Return the rows of a file as a batch with ``id``, in their order. Raises ``UnfitError``."""
        frame, plain = self.split(batch, file)
        read = frame.filter(plain)
        fitting.reader.silent += int((read["output"] == 0).sum())
        fitting.reader.zoneless += self.zoneless(batch.frame.filter(plain))
        names = [name for name in schema_of(self.plan, self.attributes) if name in frame.columns]
        read = read.select(names)
        odd = odd_rows(batch, plain)
        if not odd:
            gone = [name for name in names if name.startswith(RECORDED)]
            return read.drop(gone) if all(read[name].null_count() == read.height for name in gone) else read
        taken = fitting.take(odd)
        taken = taken.select(pl.col(name).cast(read.schema[name]) for name in names)
        return pl.concat([read, taken]).sort("number")

    def split(self, batch: RawBatch, file: int) -> tuple[pl.DataFrame, pl.Series]:
        """Return the rows of a batch by the names of fields, and which of them are certainly valid."""
        raw = batch.frame
        frame = raw.select(
            batch.numbers.alias("number"), pl.lit(file, pl.Int32).alias("file"), *self._fields(), *self._request()
        ).with_columns(*self._recorded())
        return frame, frame.select(self._plain().alias("plain"))["plain"]

    def zoneless(self, raw: pl.DataFrame) -> int:
        """Return how many timestamps of raw columns have no zone."""
        column = self.columns["time"][0]
        kind = self.types[column]
        if isinstance(kind, pl.Datetime):
            return raw.height if kind.time_zone is None else 0
        if kind not in _TEXTS:
            return 0
        return int((~raw[column].cast(pl.String).str.contains(_ZONE)).sum())

    def _fields(self) -> Iterator[pl.Expr]:
        yield self._time().alias("time")
        counts = {name: self._value(name, pl.Int64).cast(pl.Int64, strict=False) for name in COUNTS}
        whole = counts["uncached_tokens"] + sum((counts[name].fill_null(0) for name in _CACHES), pl.lit(0))
        yield pl.coalesce(counts["prompt_tokens"], whole).alias("prompt")
        yield counts["output_tokens"].alias("output")
        yield whole.alias("_whole")
        yield from (counts[name].alias(f"_{name}") for name in (*_CACHES, "reasoning_tokens", "total_tokens"))
        for field in ("id", "model", "session"):
            yield self._text(field).alias(field)
        if self.columns.get("service_tier") or "service_tier" in self.mapping.constants:
            yield self._text("service_tier").alias("tier")
        yield (self._text("cost") if self._has_texts("cost") else self._value("cost", pl.Float64)).alias("cost")

    def _request(self) -> Iterator[pl.Expr]:
        for name in self.attributes:
            field, kind = f"{ATTRIBUTE}{name}", self.plan.attributes[name].type
            value = self._text(field) if kind == STRING else self._value(field, pl.Null)
            constant = self.mapping.constants.get(field)
            if constant is not None:
                value = pl.coalesce(value, pl.lit(attribute_of(constant, kind)))
            if name == "session":
                value = pl.coalesce(value, self._text("session"))
            yield value.cast(schema_of(self.plan, (name,))[field]).alias(field)

    def _recorded(self) -> Iterator[pl.Expr]:
        """Yield the buckets as ``counted`` finds them in rows that are plain."""
        if not any(self.columns.get(name) for name in PARTS):
            return
        parts = [pl.col(f"_{name}") for name in _CACHES]
        read, short, long = (part.fill_null(0) for part in parts)
        reasoning = pl.col("_reasoning_tokens").fill_null(0)
        known = [part.is_not_null() for part in (*parts, pl.col("_reasoning_tokens"), pl.col("_whole"))]
        for bucket, tokens in (
            ("input", pl.col("prompt") - read - short - long), ("cache_read", read), ("cache_write", short),
            ("cache_write_1h", long), ("output", pl.col("output") - reasoning), ("reasoning", reasoning),
        ):  # fmt: skip
            yield pl.when(pl.any_horizontal(known)).then(tokens).alias(f"{RECORDED}{bucket}")
        for bucket in sorted(set(BUCKETS) - set(COUNTED)) if self.every else ():
            yield pl.when(pl.any_horizontal(known)).then(pl.lit(0, pl.Int64)).alias(f"{RECORDED}{bucket}")

    def _plain(self) -> pl.Expr:
        """Return which rows are certainly valid."""
        prompt, output, total = pl.col("prompt"), pl.col("output"), pl.col("_total_tokens")
        caches = [pl.col(f"_{name}") for name in _CACHES]
        right = (
            pl.col("number").is_not_null()
            & pl.col("time").is_between(0 if self.mapping.relative else micros(EARLY), _LAST, closed="left")
            & prompt.is_between(1, MOST_TOKENS)
            & output.is_between(0, MOST_TOKENS)
            & pl.all_horizontal(part.is_null() | part.is_between(0, prompt) for part in caches)
            & (sum((part.fill_null(0) for part in caches), pl.lit(0)) <= prompt)
            & (pl.col("_whole").is_null() | (pl.col("_whole") == prompt))
            & (pl.col("_reasoning_tokens").is_null() | pl.col("_reasoning_tokens").is_between(0, output))
            & (total.is_null() | (total == prompt + output))
        )
        cost = pl.col("cost")
        plain = (cost == 0) | cost.is_between(*_PLAIN_COST)
        if self._has_texts("cost"):
            plain = cost.str.contains(f"^{PLAIN_COST.pattern}$")
        return (right & (cost.is_null() | plain)).fill_null(False)

    def _time(self) -> pl.Expr:
        return self.instant(self.columns["time"][0])

    def instant(self, column: str) -> pl.Expr:
        """Return the microseconds since 1970 of a column of timestamps, null where they are not plainly right."""
        kind, value = self.types[column], pl.col(column)
        if isinstance(kind, pl.Datetime):
            return value.dt.epoch("us")
        start = micros(self.start) if self.mapping.relative else 0
        if kind in _TEXTS:
            text = value.cast(pl.String)
            plain = pl.when(text.str.contains(_ISO)).then(
                text.str.replace(_ZONE, "").str.replace(" ", "T", literal=True)
            )
            return plain.str.to_datetime("%Y-%m-%dT%H:%M:%S%.f", time_unit="us", strict=False).dt.epoch("us")
        unit = self.mapping.time_unit
        whole = value.cast(pl.Int64, strict=False)
        if unit == "ns":
            return start + pl.when(whole >= 0).then(whole // 1000)
        return start + pl.when(whole.is_between(0, _LAST // _PER_UNIT[unit])).then(whole * _PER_UNIT[unit])

    def text(self, field: str) -> pl.Expr | None:
        """Return a field as text, null where it is empty; None if it has no column."""
        texts = [pl.col(name).cast(pl.String) for name in self.columns.get(field, ())]
        return pl.coalesce(*(pl.when(text != "").then(text) for text in texts)) if texts else None

    def _has_texts(self, field: str) -> bool:
        return any(self.types[name] in _TEXTS for name in self.columns.get(field, ()))

    def _text(self, field: str) -> pl.Expr:
        found = self.text(field)
        found = pl.lit(None, pl.String) if found is None else found
        constant = self.mapping.constants.get(field) if field in _SET else None
        return found if constant is None else pl.coalesce(found, pl.lit(text_of(constant)))

    def _value(self, field: str, kind: Any) -> pl.Expr:
        names = self.columns.get(field, ())
        return pl.coalesce(*names) if names else pl.lit(None, kind)


def odd_rows(batch: RawBatch, plain: pl.Series) -> list[RawRow]:
    """Return the rows of a batch that are not plainly right, in the order of the file."""
    odd = [batch.row(place) for place in (~plain).arg_true()]
    return sorted([*odd, *batch.others], key=lambda row: row.number) if batch.others else odd


def asked_kinds(mapping: ColumnMapping, attributes: Mapping[str, RequestAttribute]) -> dict[str, Kind] | None:
    """Return as what each column is asked for; None where one column is asked for as two things."""
    kinds: dict[str, Kind] = {}
    for name, column in mapping.columns.items():
        kind = _kind(name, mapping, attributes)
        if any(kinds.setdefault(option, kind) != kind for option in column.split("|")):
            return None
    return kinds


def _kind(name: str, mapping: ColumnMapping, attributes: Mapping[str, RequestAttribute]) -> Kind:
    if name.startswith(ATTRIBUTE):
        return _OF_ATTRIBUTES.get(attributes[name.removeprefix(ATTRIBUTE)].type, "nothing")
    if name in COUNTS or (name == "time" and mapping.time_unit != "iso"):
        return "whole"
    return "amount" if name == "cost" else "nothing" if name in ("usage", "prefix") else "text"


def is_inside(option: str, names: Collection[str]) -> bool:
    """Return whether a path leads into a column that is there."""
    parts = option.split(".")
    return any(".".join(parts[:count]) in names for count in range(1, len(parts)))


def _suits(field: str, types: Sequence[Any], mapping: ColumnMapping, plan: RequestShape) -> bool:
    """Return whether all columns of a field have one type, and one that is read in columns."""
    if not types:
        return True
    wanted = _FIELDS.get(field, ())
    if field.startswith(ATTRIBUTE):
        wanted = _ATTRIBUTES.get(plan.attributes[field.removeprefix(ATTRIBUTE)].type, ())
    if field == "time" and (len(types) > 1 or (types[0] in _WHOLE and mapping.time_unit == "iso")):
        return False
    if field == "time" and types[0] in _TEXTS and mapping.relative:
        return False
    return all(kind == types[0] for kind in types) and any(types[0] == kind for kind in wanted)


class UnfitError(Exception):
    """A row cannot be held by a batch, as one of more tokens than a call can have."""


class Fitting:
    """A reader of rows whose results are batches.

    Rows that the policy set does not accept are among them, without attributes: their ids count as seen. ``refused``
    are these rows as those that are left out.
    """

    __slots__ = ("_attributes", "_files", "_plan", "reader", "refused")

    def __init__(self, reader: RowReader, plan: Plan, attributes: tuple[str, ...], files: tuple[str, ...]) -> None:
        self.reader = reader
        self._plan = plan
        self._attributes = attributes
        self._files = {name: place for place, name in enumerate(files)}
        self.refused: list[Reject] = []

    def take(self, raws: Iterable[RawRow]) -> pl.DataFrame:
        """Read rows; return those that could be read. Raises ``UnfitError``."""
        for raw in raws:
            self.reader.take(raw)
        return self.drain()

    def drain(self) -> pl.DataFrame:
        """Return what was read since the last time as a batch."""
        rows = list(self._fitted())
        self.reader.rows.clear()
        return batch_of(rows, self._plan, self._attributes, self._files.__getitem__)

    def rejects(self) -> list[Reject]:
        """Return the rows that were left out since the last time."""
        found = list(self.reader.rejects)
        self.reader.rejects.clear()
        return found

    def refusals(self) -> list[Reject]:
        """Return the rows that the policy set does not accept since the last time."""
        found = list(self.refused)
        self.refused.clear()
        return found

    def _fitted(self) -> Iterator[Row]:
        for row in self.reader.rows:
            yield row if fits(row, self._plan) else self._admitted(row)

    def _admitted(self, row: Row) -> Row:
        """Return a row with its attributes as the engine would take them; without any where it takes none."""
        admitted: dict[str, Any] = {}
        try:
            admitted = admit_request(self._plan, request_of(row, self._plan))
        except RequestError as error:
            self.refused.append(rejected(row, error))
        fitted = replace(row, attributes={name: admitted[name] for name in row.attributes if name in admitted})
        if not fits(fitted, self._plan):
            raise UnfitError(row.place)
        return fitted
