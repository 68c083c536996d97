"""Calls of traffic logs, by the readers and mappings of replay, and a report on them. Rows are not kept.

A report reads columns beside those of replay: labels, latency, denials, the cost of a baseline.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal
from difflib import get_close_matches
from typing import Any, Final, Literal

import polars as pl

from costlens_policy.catalogue import Model, Usage
from costlens_policy.frozen import frozen
from costlens_policy.replay import READY, ColumnMapping, Row, TrafficError, find_files
from costlens_policy.replay.judged import Answer, Quality
from costlens_policy.replay.settings import START
from costlens_policy.replay.stream.copy import SeenIds
from costlens_policy.replay.stream.layout import odd_rows
from costlens_policy.replay.stream.tables import Kind, Table
from costlens_policy.replay.stream.wider import OwnColumn, wider_tables
from costlens_policy.replay.traffic.cells import cell, cost_of, text_of, timestamp_of
from costlens_policy.replay.traffic.mapping import FIELDS, TEXTS
from costlens_policy.replay.traffic.model_columns import unknown_models, with_models
from costlens_policy.replay.traffic.reading import TEXTS_ONLY, FileCheck, RowReader, raw_rows
from costlens_policy.replay.traffic.row import Reject
from costlens_policy.replay.traffic.sources import RawRow
from costlens_policy.report.calls import CallQuery, Columns, Read, ReportedCall, ReportError, micros, shown_calls
from costlens_policy.report.columns import REFUSED, CallColumns
from costlens_policy.report.prices import Prices
from costlens_policy.report.summarize import Report, Settings, summarize
from costlens_policy.usage import USUAL_TERMS, ServiceTerms

__all__ = ["Collected", "Costs", "Extras", "TrafficSource", "report_on", "source_of", "split_columns"]

Costs = Literal["recorded", "computed", "either"]
"""Which cost of a call counts: the one that the log states, the one that prices give, or the first that is known."""

_OUTSIDE: Final = "outside the requested time range"
_MOST: Final = 8
_MICROSECOND: Final = timedelta(microseconds=1)
_UNREADABLE: Final = "rows that cannot be read"
_TWO_THINGS: Final = "a label or an amount has one value for all calls"


@frozen
class Collected:
    """Calls in columns, and the reader of the rows that they were in."""

    columns: Columns
    reader: RowReader


@dataclass(slots=True)
class TrafficSource:
    """Files of traffic. ``baseline`` is a model that all calls are priced at, too."""

    files: Sequence[str]
    mapping: ColumnMapping
    extras: Extras
    prices: Prices
    start: datetime
    costs: Costs = "either"
    baseline: Model | None = None
    left_out: Counter[str] = field(default_factory=Counter)
    counts: Counter[str] = field(default_factory=Counter)
    priced_as: dict[str, str] = field(default_factory=dict)
    unpriced: Counter[str | None] = field(default_factory=Counter)
    odd_latency: str = ""
    doubts: Counter[str] = field(default_factory=Counter)
    judged: dict[str, Quality] = field(default_factory=dict)
    by_rows: str = ""
    """Why the files were read row by row; empty where they were read in columns, or nothing has been read."""

    def read(
        self,
        query: CallQuery,
        tick: Callable[[], None] | None = None,
        each: Callable[[ReportedCall], None] | None = None,
    ) -> Read:
        """Read all files; ``each`` is given each call. Raises ``TrafficError`` for what cannot be used as a whole.

        Files that can be are read in columns, unless each call is asked for.
        """
        collected = self.collect(query, tick, each)
        return self.read_of(collected.columns.close(), collected.reader, query)

    def collect(
        self,
        query: CallQuery,
        tick: Callable[[], None] | None = None,
        each: Callable[[ReportedCall], None] | None = None,
    ) -> Collected:
        """Collect the calls of all files, as ``read`` does. What is counted on the way is kept here."""
        self.mapping = with_models(self.mapping, self.prices.model)
        found = None if each is not None else self._in_columns(query, tick)
        if found is not None:
            return found
        reader, columns = self.reader({}), Columns(query.dimensions)
        for name in self.files:
            for raw in raw_rows(name, reader):
                for call in self._calls(raw, reader, query):
                    columns.add(call)
                    if each is not None:
                        each(call)
                if tick is not None:
                    tick()
        return Collected(columns, reader)

    def reader(self, ids: dict[str, str] | None) -> RowReader:
        """Return a reader of the rows; ``ids`` are those that it has seen."""
        extras = self.extras
        return RowReader(
            self.mapping, TEXTS_ONLY, self.start, ids=ids, files=tuple(self.files), more=extras.must_be_there,
            known=tuple(extras.columns.values()), costs_alone=True,
        )  # fmt: skip

    def _in_columns(self, query: CallQuery, tick: Callable[[], None] | None) -> Collected | None:
        """Read all files in columns; None where one of them has to be read row by row.

        Rows with repeated ids are left to the reader of rows. Which these are shows once all rows were read, and then
        everything is read again.
        """
        own = self.extras.own_columns
        tables = _TWO_THINGS if own is None else wider_tables(self.files, self.mapping, own, self.start)
        if isinstance(tables, str):
            self.by_rows = tables
            return None
        repeated: pl.Series | None = None
        while True:
            columns, reader, ids = Columns(query.dimensions), self.reader({}), SeenIds()
            if repeated is None:
                reader.ids = ids
            for table in tables:
                found = CallColumns(table.layout, table.own, self._constants(), query.dimensions, self.prices,
                                    self.costs, self.baseline)  # fmt: skip
                self._take_table(table.table, found, columns, reader, query, repeated, ids, tick)
            if repeated is not None:
                return Collected(columns, reader)
            repeated = ids.repeated()
            if not len(repeated):
                return Collected(columns, reader)
            for counted in (self.left_out, self.counts, self.unpriced, self.doubts, self.priced_as):
                counted.clear()
            self.odd_latency = ""

    def _constants(self) -> dict[str, str]:
        return {name: text_of(value) for name, value in self.extras.constants.items()}

    def _take_table(
        self, table: Table, found: CallColumns, columns: Columns, reader: RowReader, query: CallQuery,
        repeated: pl.Series | None, ids: SeenIds, tick: Callable[[], None] | None,
    ) -> None:  # fmt: skip
        """Add the calls of a file."""
        since, until = (None if at is None else micros(at) for at in (query.since, query.until))
        for batch in table.batches(0, FileCheck(table.name, reader)):
            calls = found.calls(batch, repeated, since, until)
            columns.add_frame(calls.frame)
            ids.add(calls.ids)
            reader.silent += calls.silent
            reader.zoneless += calls.zoneless
            for raw in odd_rows(batch, calls.plain):
                for call in self._calls(raw, reader, query):
                    columns.add(call)
            for _ in range(len(calls.plain) + len(batch.others) if tick is not None else 0):
                tick()  # type: ignore[misc]  # there is one
        self._count(found)

    def _count(self, found: CallColumns) -> None:
        """Add what was counted in columns."""
        self.left_out[_OUTSIDE] += found.counts.pop("outside", 0)
        self.counts.update(found.counts)
        self.unpriced.update(found.unpriced)
        self.doubts.update(found.doubts)
        for name, provider in found.named:
            self._note_name(name, provider)
        self.extras.saw_denials(found.shows_denials)

    def _calls(self, raw: RawRow, reader: RowReader, query: CallQuery) -> Iterator[ReportedCall]:
        """Yield the call of a row, or nothing where it is left out."""
        try:
            labels = self.extras.labels(raw.fields)
            if not raw.problem and self.extras.denied(raw.fields):
                call = self._denied(raw, reader, labels)
                if self._within(call.time, query):
                    yield call
                return
            reader.take(raw)
            row = reader.rows.pop() if reader.rows else None
            if row is not None and self._within(row.time, query):
                if row.outcomes:
                    self._judge(row, labels.get("provider"))
                yield self._call(row, raw.fields, labels)
        except ValueError as error:
            reader.rejects.append(Reject(raw.file, raw.number, str(error), raw.text))

    def _judge(self, row: Row, provider: str | None) -> None:
        """Count the quality of the answer that was given, where it is recorded."""
        model = None if row.model is None else self.prices.model(row.model, provider)
        name = model.name if model is not None else row.model or ""
        right = row.outcomes.get(name)
        if right is None:
            self.counts["of others"] += 1
        else:
            self.judged.setdefault(name, Quality()).add(Answer(right, None))

    def _within(self, instant: datetime, query: CallQuery) -> bool:
        within = query.covers(instant)
        self.left_out[_OUTSIDE] += not within
        return within

    def _denied(self, raw: RawRow, reader: RowReader, labels: dict[str, str]) -> ReportedCall:
        mapping = self.mapping
        value = cell(raw.fields, mapping.columns.get("time", "time"))
        if value is None:
            raise ValueError("no time")
        instant, zoneless = timestamp_of(value, mapping.time_unit, self.start if mapping.relative else None)
        reader.zoneless += zoneless
        id = cell(raw.fields, mapping.columns["id"]) if "id" in mapping.columns else None
        if id is not None and reader.ids is not None:
            place = f"{raw.file}:{raw.number}"
            first = reader.ids.setdefault(text_of(id), place)
            if first != place:
                raise ValueError(f"duplicate id `{text_of(id)}`, first seen at {first}")
        model = cell(raw.fields, mapping.columns["model"]) if "model" in mapping.columns else None
        return ReportedCall(instant, self._labels(None if model is None else text_of(model), labels), denied=True)

    def _labels(self, model: str | None, labels: dict[str, str]) -> dict[str, str]:
        if model is not None:
            labels["model"] = model
            if "provider" not in labels and (provider := self.prices.provider(model)) is not None:
                labels["provider"] = provider
        return labels

    def _call(self, row: Row, fields: Mapping[str, Any], labels: dict[str, str]) -> ReportedCall:
        provider = labels.get("provider")
        labels = self._labels(row.model, labels)
        if row.prompt_tokens is None and row.output_tokens is None and not row.answers:  # a cost alone
            latency, known = self._latency(fields, row.time), self.costs != "computed"
            self.counts["recorded"] += known
            self.counts["unmeasured"] += not known
            cost = row.logged_cost if known else None
            return ReportedCall(row.time, labels, Usage(), row.cache_known, cost, None, latency)
        usage = row.recorded or self._counted(row)
        latency, baseline = self._latency(fields, row.time), self._baseline(row, fields, usage)
        cost = self._cost(row, usage, provider)
        return ReportedCall(row.time, labels, usage, row.cache_known, cost, baseline, latency)

    def _latency(self, fields: Mapping[str, Any], began: datetime) -> int | None:
        """Return how long a call took. One that cannot be read takes nothing away of what the call cost."""
        try:
            return self.extras.latency(fields, began)
        except ValueError as error:
            self.counts["odd latencies"] += 1
            self.odd_latency = self.odd_latency or str(error)
            return None

    def _counted(self, row: Row) -> Usage:
        prompt, output = row.prompt_tokens, row.output_tokens
        if prompt is None:
            text = row.attributes.get("prompt") or row.attributes.get("messages")
            prompt = TEXTS_ONLY.tokenizer.count(text_of(text))
            self.counts["estimated"] += 1
        if output is None:
            output = row.answers.get(row.model or "")
            if output is None:
                raise ValueError("answers of several models, but no called model")
        return Usage(input=prompt, output=output)

    def _cost(self, row: Row, usage: Usage, provider: str | None) -> Decimal | None:
        if row.logged_cost is not None and self.costs != "computed":
            self.counts["recorded"] += 1
            return row.logged_cost
        if self.costs == "recorded":
            self.counts["unstated"] += 1
            return None
        terms = ServiceTerms.of(row.service_tier)
        priced = self.prices.cost(row.model, usage, row.time, provider, terms=terms, other_models=row.other_models)
        if priced.note and priced.cost is not None:
            self.doubts[priced.note] += 1
        if priced.cost is not None:
            self.counts["computed"] += 1
            self.counts["tiered"] += terms != USUAL_TERMS
            self.counts["others"] += bool(row.other_models)
            self.counts["uncached"] += not row.cache_known
            self._note_name(row.model or "", provider)
        else:
            self.unpriced[row.model] += 1
        return priced.cost

    def _note_name(self, name: str, provider: str | None) -> None:
        if name not in self.priced_as:
            model = self.prices.model(name, provider)
            self.priced_as[name] = "" if model is None else model.name

    def _baseline(self, row: Row, fields: Mapping[str, Any], usage: Usage) -> Decimal | None:
        if self.baseline is not None:
            return self.prices.baseline(self.baseline, usage, row.time, terms=ServiceTerms.of(row.service_tier))
        stated = self.extras.value(fields, "baseline_cost")
        try:
            return None if stated is None else cost_of(stated)
        except ValueError:
            self.counts["odd baselines"] += 1
            return None

    def read_of(self, calls: pl.DataFrame, reader: RowReader, query: CallQuery, unlisted: int = 0) -> Read:
        """Return calls that were collected, with what was counted; so many rejects are not among the reader's."""
        if reader.rejects:
            self.left_out[_UNREADABLE] = len(reader.rejects) + unlisted
        late = 0  # a report groups by time, so the order of rows makes no difference
        notes = reader.all_notes(late)
        notes += self._unpriced()
        if odd := self.counts["odd latencies"]:
            notes.append(f"the latency of {shown_calls(odd)} cannot be read, such as: {self.odd_latency}")
        if odd := self.counts["odd baselines"]:
            notes.append(f"the baseline cost of {shown_calls(odd)} cannot be read")
        notes += [f"{note} ({shown_calls(count)})" for note, count in _largest(self.doubts)[:_MOST] if count]
        notes += unknown_models(self.mapping, self.prices.model, self.prices.suggest, self.prices.source)
        if others := self.counts["of others"]:
            notes.append(f"the outcomes of {shown_calls(others)} are of other models than the one that was called")
        if self.counts["estimated"]:
            notes.append(f"{self.counts['estimated']:,} prompts have no token count and were counted by an estimate")
        return Read(
            source=", ".join("standard input" if name == "-" else name for name in self.files),
            frame=calls,
            dimensions=query.dimensions,
            left_out={reason: count for reason, count in self.left_out.items() if count},
            notes=tuple(notes),
            assumptions=tuple(self._assumptions()),
            rejects=tuple(reader.rejects),
            denials_known=self.extras.denials_seen,
            baseline="" if self.baseline is None else self.baseline.name,
            judged=self.judged,
        )

    def _unpriced(self) -> Iterator[str]:
        if self.counts["unstated"]:
            yield f"the log records no cost of {shown_calls(self.counts['unstated'])}"
        if unmeasured := self.counts["unmeasured"]:
            yield f"{shown_calls(unmeasured)} without tokens have no price to compute"
        if nameless := self.unpriced.pop(None, 0):
            yield f"the log records no model for {shown_calls(nameless)}, so they have no price"
        if self.unpriced:
            named = [f"`{name}` ({shown_calls(count)})" for name, count in _largest(self.unpriced)[:_MOST]]
            more = f", and {len(self.unpriced) - _MOST:,} more models" if len(self.unpriced) > _MOST else ""
            yield f"no price in {self.prices.source} on the day of the call: {', '.join(named)}{more}"

    def _tiers(self) -> str:
        tiered, computed = self.counts["tiered"], self.counts["computed"]
        if not tiered:
            return "standard service tier, since the log records none"
        return "service tier in the log" + ("" if tiered == computed else ", otherwise the standard one")

    def _assumptions(self) -> Iterator[str]:
        if self.counts["recorded"]:
            yield f"the cost of {shown_calls(self.counts['recorded'])} is the one in the log"
        if self.counts["computed"]:
            yield (
                f"the cost of {shown_calls(self.counts['computed'])} is computed from their tokens at the prices of "
                f"their time (UTC) in {self.prices.source}, at the {self._tiers()}"
            )
            if count := self.counts["others"]:
                yield f"{shown_calls(count)} used further models; their cost counts toward the requested model"
            other = [
                f"`{name}` as `{model}`"
                for name, model in sorted(self.priced_as.items())
                if model.rpartition("/")[2] != name.rpartition("/")[2]
            ]
            if other:
                yield f"priced under another name: {', '.join(other[:8])}{', …' if len(other) > 8 else ''}"
        if self.counts["uncached"]:
            yield (
                f"the computed cost of {shown_calls(self.counts['uncached'])} treats the whole prompt as uncached, "
                "since the log does not report the cached part; `replay` models prompt caches"
            )


def _largest(counter: Counter[Any]) -> list[tuple[str, int]]:
    """Return what was counted, the most frequent first, of equal ones by name."""
    return sorted(counter.items(), key=lambda item: (-item[1], item[0]))


def report_on(
    files: Sequence[str],
    *,
    mapping: ColumnMapping = READY["plain"],
    settings: Settings | None = None,
    prices: Prices | None = None,
    baseline: str | None = None,
) -> Report:
    """Report on files, folders or globs of traffic; ``baseline`` is a model that savings are shown against.

    Raises ``TrafficError`` for what cannot be read, ``ReportError`` where no call is left or the baseline has no price.
    """
    chosen = settings or Settings()
    source = source_of(find_files(files), mapping, chosen.by, prices or Prices(), baseline)
    return summarize(source.read(CallQuery(chosen.by)), chosen)


def source_of(
    files: Sequence[str], mapping: ColumnMapping, by: tuple[str, ...], prices: Prices, baseline: str | None
) -> TrafficSource:
    """Return the source of a report. Raises ``ReportError`` where the baseline has no price."""
    model = None if baseline is None else prices.model(baseline)
    if baseline is not None and model is None:
        raise ReportError(f"no price for the baseline `{baseline}`")
    extras = Extras.of(mapping, {}, {}, by, START)
    return TrafficSource(files, extras.reader_mapping, extras, prices, START, baseline=model)


_EXTRAS: Final = ("latency_ms", "latency_s", "end_time", "denied", "baseline_cost")
"""Fields that only a report reads. ``end_time`` is in the unit of ``time``."""
_KINDS: Final[Mapping[str, Kind | Literal["time"]]] = {
    "latency_ms": "amount", "latency_s": "amount", "end_time": "time", "denied": "word", "baseline_cost": "amount",
}  # fmt: skip
"""As what columns ask for them; labels are texts."""


def split_columns(
    columns: Mapping[str, str], constants: Mapping[str, str]
) -> tuple[dict[str, str], dict[str, str], dict[str, str], dict[str, str]]:
    """Separate the fields of replay from those of a report: two mappings of columns, then two of constants."""
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
    """Reads what a report needs from raw rows. ``named`` are the fields whose columns the caller specified."""

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
        """Return the reader: labels are in the specified columns, or else in columns of the same name."""
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
        """Return the columns that the caller specified, by field."""
        return {name: self.columns[name] for name in self.named}

    @property
    def own_columns(self) -> dict[str, OwnColumn] | None:
        """Return the columns that only reports read, by field; None where these have a value without a column."""
        if not self.constants.keys().isdisjoint(_EXTRAS):
            return None
        names = {*_EXTRAS, *self.dimensions} - {"model"}
        return {name: (column, _KINDS.get(name, "text")) for name, column in self.columns.items() if name in names}

    @property
    def denials_seen(self) -> bool:
        """Whether any row recorded if it was denied."""
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
        """Return whether a row records a request that was refused."""
        value = self.value(fields, "denied")
        return value is not None and str(value).strip().lower() in REFUSED

    def saw_denials(self, seen: bool) -> None:
        """Note that rows record whether they were denied."""
        if seen:
            self._seen.add("denied")

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
            raise ValueError(f"it ends at `{value}`, before it starts")
        return (ended - began) // _MICROSECOND


def _no_field(name: str, dimensions: tuple[str, ...]) -> str:
    close = get_close_matches(name, (*FIELDS, *_EXTRAS, *dimensions), n=1)
    add = f"to group by it, add it to `--by`; the dimensions are {', '.join(dimensions)}"
    return f"unknown field `{name}`; {f'did you mean `{close[0]}`?' if close else add}"
