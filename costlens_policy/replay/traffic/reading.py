"""From raw rows to rows: each is read by the mapping, or rejected with the reason."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from difflib import get_close_matches
from itertools import pairwise
from typing import Any, Final, Protocol

from costlens_policy.catalogue import Usage
from costlens_policy.checker.attributes import SIGNALS
from costlens_policy.compiler.attributes import RequestAttribute
from costlens_policy.compiler.plan import Plan
from costlens_policy.expressions import ANY_LIST, DYN, STRING
from costlens_policy.frozen import frozen
from costlens_policy.replay.traffic.cells import (
    Counted,
    attribute_of,
    cell,
    cost_of,
    counted,
    object_of,
    outcome_of,
    plain_numbers,
    text_of,
    timestamp_of,
    tokens_of,
)
from costlens_policy.replay.traffic.copies import local
from costlens_policy.replay.traffic.mapping import COUNTS, ColumnMapping
from costlens_policy.replay.traffic.places import kind_of, rereadable
from costlens_policy.replay.traffic.recognition import ColumnCheck, with_requests
from costlens_policy.replay.traffic.row import Reject, Row, Traffic, TrafficError
from costlens_policy.replay.traffic.sources import RawRow, read_file
from costlens_policy.replay.traffic.span_tokens import SpanTokens
from costlens_policy.replay.traffic.spans import Spans
from costlens_policy.replay.traffic.transcripts import Transcripts
from costlens_policy.tokens import ESTIMATE, Tokenizer
from costlens_policy.usage import Reported, UsageError, added, read_usage

__all__ = ["EARLY", "TEXTS_ONLY", "FileCheck", "RequestShape", "RowReader", "raw_rows", "read_traffic"]

EARLY: Final = datetime(2015, 1, 1, tzinfo=UTC)
"""Earlier calls cause a note: their time unit may be wrong."""


class RequestShape(Protocol):
    """Which attributes requests have, and how the tokens of their texts are counted. A plan is one."""

    @property
    def attributes(self) -> Mapping[str, RequestAttribute]: ...

    @property
    def tokenizer(self) -> Tokenizer: ...


@frozen
class _TextsOnly:
    attributes: Mapping[str, RequestAttribute]
    tokenizer: Tokenizer


TEXTS_ONLY: Final[RequestShape] = _TextsOnly(
    {"prompt": RequestAttribute("prompt", STRING), "messages": RequestAttribute("messages", ANY_LIST)}, ESTIMATE
)
"""For who reads traffic without deciding it: of a request, only the texts are of interest."""

_MOST_NOTES: Final = 8
_NUMBERS: Final = re.compile(r"[0-9][0-9,.]*")
"""Numbers of a note, which differ from row to row."""


def read_traffic(
    files: Iterable[str],
    mapping: ColumnMapping,
    plan: Plan,
    start: datetime,
    tick: Callable[[], None] | None = None,
) -> Traffic:
    """Read all files and put the rows in time order.

    ``plan`` declares the attributes and counts the tokens of texts; ``start`` is what relative times are relative to,
    and the time of rows without one; ``tick`` is called for each row. Raises ``TrafficError``.
    """
    names = tuple(files)
    mapping = with_requests(mapping, names, plan.attributes)
    reader = RowReader(mapping, plan, start, files=names)
    for name in names:
        for raw in raw_rows(name, reader):
            reader.take(raw)
            if tick is not None:
                tick()
    return reader.traffic(names)


def _cut(name: str) -> str:
    """Add a note if a file ends in the middle of a line: its last number may have lost digits."""
    path = local(name)
    if not path.lower().endswith((".csv", ".tsv", ".jsonl", ".ndjson")) or not rereadable(name):
        return ""
    try:
        with open(path, "rb") as stream:
            size = stream.seek(0, 2)
            stream.seek(max(size - 2, 0))
            return "" if set(stream.read(2)) & set(b"\n\r") or not size else _NO_END.format(name)
    except OSError:
        return ""  # reading it says what is wrong


_NO_END: Final = "`{}` does not end with a newline; is it truncated?"


def raw_rows(name: str, reader: RowReader) -> Iterator[RawRow]:
    """Yield the rows of a file that may be calls. Columns that were asked for have to be there.

    What is strange about the file as a whole is noted. Raises ``TrafficError``.
    """
    check = FileCheck(name, reader)
    for raw in reader.shaped(name):
        if not raw.problem:
            check.look(raw.fields)
        yield raw
    check.end()


class FileCheck:
    """What is asked of one file while its rows pass by: that there are any, and the columns that were asked for."""

    __slots__ = ("_columns", "_reader", "_seen", "_whole", "name")

    def __init__(self, name: str, reader: RowReader) -> None:
        self.name = name
        self._reader = reader
        self._columns = reader.column_check(name)
        self._whole = kind_of(name) in ("csv", "parquet")
        """Whether the first row has every column."""
        self._seen = False
        if cut := _cut(name):
            reader.notes.append(cut)

    def look(self, fields: Mapping[str, Any]) -> None:
        """Look at a row; of rows with the same columns, the first is enough. Raises ``TrafficError``."""
        self._columns.look(fields)
        if not self._seen:
            self._reader.examine()
            if self._whole:
                self._columns.check()
        self._seen = True

    def note(self, text: str) -> None:
        """Add a note on the file."""
        self._reader.notes.append(text)

    def end(self) -> None:
        """Say what was not there. Raises ``TrafficError``."""
        if self._seen:
            self._columns.check()
            self._reader.note_unread(self._columns)
        else:
            self._reader.notes.append(f"`{self.name}` contains no rows")


@dataclass(slots=True)
class RowReader:
    """Reads rows one after the other into ``rows`` or, with the reason, into ``rejects``.

    ``ids`` are those seen so far, with their places; with None, repeated ids are not looked for. ``files`` are all
    files to be read, since only all of them show which spans are sums and which lines repeat a message. ``more`` are
    further required columns, by field; ``known`` are optional ones. ``costs_alone``: a row that has a cost and no
    tokens is read, with None for both.
    """

    mapping: ColumnMapping
    shape: RequestShape
    start: datetime
    rows: list[Row] = field(default_factory=list)
    rejects: list[Reject] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    zoneless: int = 0
    timeless: int = 0
    early: int = 0
    silent: int = 0
    assumed: int = 0
    unmeasured: int = 0
    dropped: int = 0
    ids: dict[str, str] | None = field(default_factory=dict)
    beyond: int = 0
    contradicted: int = 0
    unread: dict[str, str] = field(default_factory=dict)
    similar: dict[str, str] = field(default_factory=dict)
    files: tuple[str, ...] = ()
    more: Mapping[str, str] = field(default_factory=dict)
    known: tuple[str, ...] = ()
    costs_alone: bool = False
    usage_notes: Counter[str] = field(default_factory=Counter)
    attributes: list[tuple[str, str]] = field(init=False)
    signals: list[tuple[str, str]] = field(init=False)
    """Fields that hold one signal each."""
    counts: tuple[str, ...] = field(init=False)
    _types_of_signals: dict[str, str] = field(init=False)
    _shaper: Spans | Transcripts | None = None
    _once: dict[str, list[RawRow]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        names = dict.fromkeys((*self.mapping.columns, *self.mapping.constants))
        fields = [(name, name.removeprefix("request.")) for name in names if name.startswith("request.")]
        of_signals = f"{SIGNALS}."
        self.attributes = [field for field in fields if not field[1].startswith(of_signals)]
        self.signals = [(name, of.removeprefix(of_signals)) for name, of in fields if of.startswith(of_signals)]
        declared = self.shape.attributes.get(SIGNALS)
        self._types_of_signals = {} if declared is None else {item.name: item.type for item in declared.signals}
        self.counts = tuple(name for name in COUNTS if name in names)

    def column_check(self, file: str) -> ColumnCheck:
        """Return what looks for the columns of a file."""
        attributes = () if self.shape is TEXTS_ONLY else self.shape.attributes
        return ColumnCheck(file, self.mapping, self.more, self.known, attributes)

    def check_columns(self, fields: Mapping[str, Any]) -> None:
        """Look at the columns of rows that all have the same. Raises ``TrafficError`` where one is not there."""
        check = self.column_check(self.files[0])
        check.look(fields)
        check.check()
        self.note_unread(check)

    def shaped(self, name: str) -> Iterator[RawRow]:
        """Yield the rows of a file that may be calls: all, or the spans and lines of transcripts that are."""
        if not (self.mapping.spans or self.mapping.transcripts):
            yield from read_file(name, self.notes.append)
            return
        if self._shaper is None:
            self._survey(self.files or (name,))
        assert self._shaper is not None
        for raw in self._once.pop(name, None) or read_file(name, self.notes.append):
            yield from self._shaper.rows(raw)

    def _survey(self, files: Sequence[str]) -> None:
        """Read everything once, and keep what cannot be read again."""
        columns = (*self.mapping.columns.values(), *self.more.values(), *self.known)
        of_parents = any(option.startswith("parent.") for column in columns for option in column.split("|"))
        self._shaper = Spans(of_parents) if self.mapping.spans else Transcripts()
        for name in files:
            rows: Iterable[RawRow] = read_file(name)
            if not rereadable(name):
                rows = self._once[name] = list(rows)
            for raw in rows:
                self._shaper.survey(raw)

    def examine(self) -> None:
        """Refuse a mapping whose attributes or signals the policy set does not have."""
        for _, name in self.attributes:
            if name not in self.shape.attributes:
                raise TrafficError(self._no_attribute(name))
        for _, name in self.signals:
            if name not in self._types_of_signals:
                close = get_close_matches(name, self._types_of_signals, n=1)
                hint = f"did you mean `{close[0]}`?" if close else "declare it in a document of `kind: Signals`"
                raise TrafficError(f"the policy set has no signal `{name}`; {hint}")

    def note_unread(self, columns: ColumnCheck) -> None:
        """Record the columns of a file that look like tokens, money or attributes but are not read, and a sample."""
        if columns.is_sample:
            column = self.mapping.sampled
            self.notes.append(f"`{columns.file}` is a sample (`{column}`): totals are those of the rows that it has")
        for name in columns.unread:
            self.unread.setdefault(name, columns.file)
        self.similar |= columns.similar

    def _no_attribute(self, name: str) -> str:
        close = get_close_matches(name, self.shape.attributes, n=1)
        hint = f"did you mean `{close[0]}`?" if close else "declare it under `attributes` of the policy set"
        return f"the policy set has no attribute `{name}`; {hint}"

    def take(self, raw: RawRow) -> None:
        """Read a row."""
        problem = raw.problem
        if not problem:
            if any(cell(raw.fields, column) in values for column, values in self.mapping.drop.items()):
                self.dropped += 1
                return
            try:
                row = self._row(raw)
            except (ValueError, UsageError) as error:
                problem = str(error)
            else:
                problem = self._repeats(row)
                if not problem:
                    self.rows.append(row)
                    return
        text = raw.text or json.dumps(dict(raw.fields), default=str)
        self.rejects.append(Reject(raw.file, raw.number, problem, text))

    def _row(self, raw: RawRow) -> Row:
        mapping, fields = self.mapping, raw.fields
        time = self._time(fields)
        counts = self._counts(fields)
        prompt, output = counts.counted.prompt, counts.counted.output
        attributes = self._attributes(fields)
        answers = {
            model: self.shape.tokenizer.count(text_of(value))
            for model, column in mapping.answers.items()
            if (value := cell(fields, column)) is not None
        }
        cost = self._value(fields, "cost")
        has_texts = "prompt" in attributes or "messages" in attributes or bool(answers)
        if self.costs_alone and prompt is None and output is None and not has_texts and cost and cost_of(cost):
            self.unmeasured += 1
        else:
            self._check_tokens(prompt, output, attributes, answers)
        self.silent += output == 0
        self.assumed += bool(self.mapping.assumed) and cell(fields, self.mapping.assumed) is not None
        model = self._value(fields, "model")
        session = self._value(fields, "session")
        id = self._value(fields, "id")
        return Row(
            raw.file,
            raw.number,
            time,
            None if id is None else text_of(id),
            None if model is None else text_of(model),
            None if session is None else text_of(session),
            prompt,
            output,
            counts.counted.recorded,
            None if cost is None else cost_of(cost),
            _blocks(self._value(fields, "prefix")),
            attributes,
            {
                model: outcome_of(value)
                for model, column in mapping.outcomes.items()
                if (value := cell(fields, column)) is not None
            },
            answers,
            counts.service_tier,
            counts.other_models,
            counts.counted.cache_known,
        )

    @staticmethod
    def _check_tokens(
        prompt: int | None, output: int | None, attributes: Mapping[str, Any], answers: Mapping[str, int]
    ) -> None:
        """Raise ``ValueError`` for a row that does not tell how long prompt and answer were."""
        if prompt is None and "prompt" not in attributes and "messages" not in attributes:
            raise ValueError("neither prompt tokens nor a prompt to count")
        if prompt == 0:
            raise ValueError("0 prompt tokens")
        if output is None and not answers:
            raise ValueError("no output tokens")

    def _value(self, fields: Mapping[str, Any], name: str) -> Any:
        column = self.mapping.columns.get(name)
        value = None if column is None else cell(fields, column)
        return self.mapping.constants.get(name) if value is None else value

    def _tokens(self, fields: Mapping[str, Any], name: str) -> int | None:
        value = self._value(fields, name)
        if value is None:
            return None
        try:
            return tokens_of(value)
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from None

    def _counts(self, fields: Mapping[str, Any]) -> _RowCounts:
        """Return the tokens of a row: from a provider's object, or else from counts in columns."""
        tier = self._value(fields, "service_tier")
        named = None if tier is None else text_of(tier)
        report = self._usage(fields)
        if report is not None:
            if isinstance(report, SpanTokens):
                return _RowCounts(report.counted, named)
            report = plain_numbers(report)
            reported = read_usage(report)
            usage, others = _own(reported, self._value(fields, "model"))
            for note in reported.notes:
                self.usage_notes[_NUMBERS.sub("#", note)] += 1
            counts = Counted(usage.prompt_tokens, _written(usage), usage, _has_cache(report))
            return _RowCounts(counts, reported.terms._replace(tier=named or reported.terms.tier).text, others)
        counts = counted({name: self._tokens(fields, name) for name in self.counts})
        self.beyond += counts.beyond > 0
        self.contradicted += counts.contradicted
        return _RowCounts(counts, named)

    def _usage(self, fields: Mapping[str, Any]) -> Any:
        """Return the usage object of a row; None if its counts are in separate columns.

        If the mapping has such columns, too, a value that is not an object is ignored.
        """
        report = object_of(self._value(fields, "usage"))
        named = "usage" in self.mapping.named or not self.counts
        return report if named or (isinstance(report, Mapping) and report) else None

    def _attributes(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for name, attribute in self.attributes:
            if (value := self._value(fields, name)) is not None:
                found[attribute] = attribute_of(value, self.shape.attributes[attribute].type)
        signals = {
            signal: attribute_of(value, STRING if self._types_of_signals[signal] == "string" else DYN)
            for name, signal in self.signals
            if (value := self._value(fields, name)) is not None
        }
        if signals:
            given = found.get(SIGNALS)
            found[SIGNALS] = {**given, **signals} if isinstance(given, Mapping) else signals
        session = self._value(fields, "session")
        if session is not None:
            found.setdefault("session", text_of(session))
        return found

    def _time(self, fields: Mapping[str, Any]) -> datetime:
        value = self._value(fields, "time")
        if value is None:
            if "time" in self.mapping.columns and not self.mapping.timeless:
                raise ValueError("no time")
            self.timeless += 1
            return self.start
        instant, zoneless = timestamp_of(value, self.mapping.time_unit, self.start if self.mapping.relative else None)
        self.zoneless += zoneless
        self.early += instant < EARLY and not self.mapping.relative
        return instant

    def _repeats(self, row: Row) -> str:
        """Raise ``ValueError`` for a duplicate id."""
        if row.id is None or self.ids is None:
            return ""
        first = self.ids.setdefault(row.id, row.place)
        return "" if first == row.place else f"duplicate id `{row.id}`, first seen at {first}"

    def traffic(self, files: tuple[str, ...]) -> Traffic:
        """Return all rows in time order."""
        rows = self.rows
        late = sum(later.time < earlier.time for earlier, later in pairwise(rows))
        if late:
            rows.sort(key=lambda row: row.time)
        return Traffic(tuple(rows), tuple(self.rejects), files, tuple(self.all_notes(late)))

    def all_notes(self, late: int) -> list[str]:
        """Return what had to be assumed or was put right. ``late`` rows came before the one before them."""
        notes = (
            (late, f"rows were not in time order ({late} steps back) and were sorted"),
            (self.zoneless, f"{self.zoneless} timestamps have no zone and were read as UTC"),
            (self.timeless, f"{self.timeless} rows have no timestamp and were placed at {self.start.isoformat()}"),
            (self.early, f"{self.early} timestamps are before {EARLY.year}; is `time_unit` right?"),
            (self.silent, f"{self.silent} rows have 0 output tokens; they were kept"),
            (
                self.assumed,
                f"{self.assumed} rows have a charge at its worst, since no usage was reported; their tokens are those"
                " that were assumed",
            ),
            (self.unmeasured, f"{self.unmeasured} rows have a cost and no tokens; their cost counts"),
            (
                self.beyond,
                f"{self.beyond} rows have a total above the sum of their tokens; the rest was counted as output",
            ),
            (
                self.contradicted,
                f"{self.contradicted} rows have a total below the sum of their tokens; the tokens were counted",
            ),
        )
        about = [*self._about_mapping(), *self.notes, *(text for count, text in notes if count)]
        about += [f"usage of {count} rows: {note}" for note, count in self.usage_notes.most_common(_MOST_NOTES)]
        if self._shaper is not None:
            about += self._shaper.notes()
        if self.unread:
            named = [f"`{name}` of `{file}`" for name, file in list(self.unread.items())[:_MOST_NAMED]]
            more = f", and {len(self.unread) - _MOST_NAMED} more" if len(self.unread) > _MOST_NAMED else ""
            about.append(f"not read, although they look like tokens or money: {', '.join(named)}{more}")
        similar = sorted(self.similar.items())[:_MOST_NAMED]
        return about + [f"`{name}` is not read; {_hint(name, meant)}" for name, meant in similar]

    def _about_mapping(self) -> Iterator[str]:
        mapping = self.mapping
        if mapping.recognized:
            yield f"read by `--mapping {mapping.name}`, detected from the columns"
        if mapping.relative:
            yield f"timestamps are relative to {self.start.isoformat()} in every session"
        if mapping.summed:
            yield "each row aggregates several requests, which count as one request of their total length"
        if self.dropped:
            left_out = ", ".join(f"{column} = {', '.join(values)}" for column, values in mapping.drop.items())
            yield f"{self.dropped} rows were left out as the mapping specifies ({left_out})"


_MOST_NAMED: Final = 8


def _hint(column: str, meant: str) -> str:
    """Return what may be done about an unread column that is a field but for its spelling or place."""
    if not meant.startswith("request."):
        return f"did you mean `{meant}`?"
    return f"if it is the attribute `{meant}`, set `--column {meant}={column}`"


@frozen
class _RowCounts:
    counted: Counted
    service_tier: str | None
    other_models: tuple[tuple[str, Usage], ...] = ()


def _own(reported: Reported, model: Any) -> tuple[Usage, tuple[tuple[str, Usage], ...]]:
    """Split a usage by model into that of the row's own model and that of others."""
    usage, others = reported.usage, list[tuple[str, Usage]]()
    if reported.unknown:
        usage = added(usage, Usage(output=reported.unknown))
    for name, used in reported.other_models:
        if name == model:
            usage = added(usage, used)
        else:
            others.append((name, used))
    return usage, tuple(others)


def _has_cache(report: Any) -> bool:
    """Return whether a usage object has a count of cached tokens, be it 0."""
    return isinstance(report, Mapping) and any(
        "cach" in str(name).lower() if isinstance(value, int | float) else _has_cache(value)
        for name, value in report.items()
    )


def _written(usage: Usage) -> int:
    return usage.output + usage.reasoning + usage.output_audio + usage.output_image


def _blocks(value: Any) -> tuple[Any, ...]:
    if value is None:
        return ()
    if not isinstance(value, list):
        raise ValueError("the prefix must be a list of blocks")
    return tuple(value)
