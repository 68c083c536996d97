"""Files as one invoice: what is in two of them counts once, and what contradicts itself is refused."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, tzinfo
from decimal import Decimal
from hashlib import blake2b
from itertools import pairwise
from typing import Any, Final

from costlens_policy.catalogue import Usage
from costlens_policy.diagnostics.suggestion import listed
from costlens_policy.frozen import frozen
from costlens_policy.invoice.formats import FORMATS, Format, format_of, period_of
from costlens_policy.invoice.formats.tables import Table
from costlens_policy.invoice.lines import BilledLine, Fields, InvoiceError, model_stem
from costlens_policy.money import MAX_FRACTION_DIGITS, add, fraction_digits, multiply
from costlens_policy.replay.traffic.json_text import FURTHER_PAGES
from costlens_policy.replay.traffic.sources import RawRow, read_file

__all__ = ["Invoice", "read_invoice"]

_DOLLAR: Final = "USD"


@frozen
class Invoice:
    """Lines in US dollars.

    They cover the days from ``start`` on, before ``end``, also those for which nothing is billed. ``costs`` is false
    where no line has an amount. ``notes`` list what was counted once, converted or left out. ``is_whole`` is false
    where files announce pages that no file has.
    """

    files: tuple[str, ...]
    lines: tuple[BilledLine, ...]
    start: datetime
    end: datetime
    notes: tuple[str, ...] = ()
    is_whole: bool = True

    @property
    def providers(self) -> frozenset[str]:
        return frozenset(line.provider for line in self.lines)

    @property
    def costs(self) -> bool:
        return any(line.amount is not None for line in self.lines)


def read_invoice(
    files: Sequence[str],
    table: Table | None = None,
    rates: Mapping[str, Decimal] | None = None,
    zone: tzinfo = UTC,
) -> Invoice:
    """Read files of any of the formats, or as a table that is described.

    ``rates`` are US dollars for one unit of another currency, ``zone`` is that of times without one. Raises
    ``InvoiceError`` and ``TrafficError``.
    """
    read = [_File(name, table, zone) for name in files]
    by_file = [tuple(_in_dollars(line, rates or {}) for line in file.lines()) for file in read]
    lines, doubled = _once(by_file)
    _check_spans(lines)
    _check_groupings(by_file)
    _check_formats(lines)
    if not lines:
        ignored = sum(file.ignored for file in read)
        what = f"; {ignored:,} rows bill no models" if ignored else ""
        raise InvoiceError(f"no line of an invoice in {listed(files)}{what}")
    notes = [note for file in read for note in file.notes]
    if doubled:
        notes.append(f"{doubled:,} lines are in several files and count once")
    empty = [period for file in read for period in file.empty]
    further = sum(file.has_more for file in read)
    return Invoice(
        tuple(files),
        lines,
        min((*(line.start for line in lines), *(period[0] for period in empty))),
        max((*(line.end for line in lines), *(period[1] for period in empty))),
        (*notes, *_conversions(by_file, rates or {})),
        is_whole=further == 0 or further < len(read),
    )


class _File:
    """One file, read once. Counts what bills no models, and remembers whether further pages follow."""

    def __init__(self, name: str, table: Table | None, zone: tzinfo) -> None:
        self.name = name
        self.ignored = 0
        self.has_more = False
        self.notes: list[str] = []
        self.empty: list[tuple[datetime, datetime]] = []
        """Periods for which nothing is billed."""
        self._seen: set[bytes] = set()
        self._repeated: Counter[bool] = Counter()
        self._table = table
        self._zone = zone
        self._format: Format | None = None

    def lines(self) -> Iterator[BilledLine]:
        for row in read_file(self.name, self._note, empty_periods=True):
            fields = Fields(row, self._zone)
            if row.problem:
                raise fields.error(row.problem)
            found = () if row.empty else tuple(self._reads(fields))
            if not found and self._table is None and (period := period_of(fields)) is not None:
                self.empty.append(period)
                continue
            self.ignored += not found
            if not (found and self._is_repeated(row) and self._counts_once(found)):
                yield from found
        self.notes += self._repetitions()
        if self.ignored:
            self.notes.append(f"{self.ignored:,} rows of `{self.name}` bill no models and are left out")

    def _reads(self, fields: Fields) -> Iterator[BilledLine]:
        return (self._found(fields).reads if self._table is None else self._table.lines)(fields)

    def _is_repeated(self, row: RawRow) -> bool:
        """Whether an earlier row of the file has the same cells."""
        mark = blake2b(repr(sorted(row.fields.items())).encode("utf-8", "replace"), digest_size=16).digest()
        known = mark in self._seen
        self._seen.add(mark)
        return known

    def _counts_once(self, lines: tuple[BilledLine, ...]) -> bool:
        """Whether a line that is there twice is the same one, as in buckets, which have one line of a kind each."""
        once = lines[0].format in _EXCLUSIVE
        self._repeated[once] += 1
        return once

    def _repetitions(self) -> Iterator[str]:
        if self._repeated[True]:
            yield f"{self._repeated[True]:,} lines are in `{self.name}` more than once and count once"
        if self._repeated[False]:
            yield f"{self._repeated[False]:,} lines of `{self.name}` are equal to earlier ones in every cell, and count"

    def _note(self, text: str) -> None:
        if text.endswith(FURTHER_PAGES):
            self.has_more = True
        else:
            self.notes.append(text)

    def _found(self, fields: Fields) -> Format:
        """Return the format of the file, which its first row shows."""
        if self._format is None or not fields.has(*self._format.signature):
            self._format = format_of(fields)
        if self._format is None:
            if not fields.row.fields:
                raise fields.error("this is no line of an invoice, as it has no fields")
            names = listed(fields.row.fields, most=8)
            known = ", ".join(item.name for item in FORMATS)
            raise fields.error(
                f"no known format has the columns {names}; name them with `--map time=COLUMN --map amount=COLUMN` and "
                f"`--set provider=NAME` (known are {known})"
            )
        return self._format


def _in_dollars(line: BilledLine, rates: Mapping[str, Decimal]) -> BilledLine:
    """Return a line in US dollars. Raises ``InvoiceError`` for a currency without a rate."""
    if line.currency in ("", _DOLLAR) or line.amount is None:
        return line
    rate = rates.get(line.currency)
    if rate is None:
        raise InvoiceError(
            f"`{line.place}`: the line is in {line.currency}, the ledger in US dollars; give the rate of the invoice, "
            f"such as `--rate {line.currency}=1.08`"
        )
    amount = multiply(line.amount, rate)
    if fraction_digits(amount) > MAX_FRACTION_DIGITS:
        amount = round(amount, MAX_FRACTION_DIGITS)
    return replace(line, amount=amount)


def _conversions(by_file: Iterable[Iterable[BilledLine]], rates: Mapping[str, Decimal]) -> Iterator[str]:
    counts = Counter(line.currency for lines in by_file for line in lines if line.amount is not None)
    for currency in sorted(rates.keys() - counts.keys()):
        yield f"no line is in {currency}, so its rate is not used"
    for currency, count in sorted(counts.items()):
        if not currency:
            yield f"{count:,} lines name no currency and count as US dollars"
        elif currency != _DOLLAR:
            yield f"{count:,} lines in {currency} count at {rates[currency]:f} US dollars, the rate that was given"


@dataclass(slots=True)
class _Sum:
    """What the lines of one file with one identity come to together; equal sums are the same lines."""

    amount: Decimal | None = None
    usage: Usage | None = None
    requests: int | None = None
    lines: list[BilledLine] = field(default_factory=list, compare=False)

    def include(self, line: BilledLine) -> None:
        self.amount = _added(self.amount, line.amount, add)
        self.usage = _added(self.usage, line.usage, _usage_added)
        self.requests = _added(self.requests, line.requests, int.__add__)
        self.lines.append(line)


def _added(one: Any, other: Any, plus: Any) -> Any:
    return other if one is None else one if other is None else plus(one, other)


def _usage_added(one: Usage, other: Usage) -> Usage:
    return Usage(*map(int.__add__, one, other))


def _once(by_file: Iterable[Iterable[BilledLine]]) -> tuple[tuple[BilledLine, ...], int]:
    """Return the lines without those that an earlier file has, too, and how many these were.

    Raises ``InvoiceError`` where two files have different amounts for the same.
    """
    by_file = [tuple(lines) for lines in by_file]
    nameless = _nameless(by_file)
    known: dict[tuple[Any, ...], _Sum] = {}
    doubled = 0
    for lines in by_file:
        own: defaultdict[tuple[Any, ...], _Sum] = defaultdict(_Sum)
        for line in lines:
            own[(_without_account(line) if line.format in nameless else line).identity].include(line)
        for identity, found in own.items():
            before = known.setdefault(identity, found)
            if before is not found:
                if before != found:
                    raise InvoiceError(_contradiction(before.lines[0], found.lines[0], before, found))
                doubled += len(found.lines)
    return tuple(line for found in known.values() for line in found.lines), doubled


def _contradiction(one: BilledLine, other: BilledLine, first: _Sum, second: _Sum) -> str:
    values = " and ".join(f"{item.amount if item.amount is not None else item.requests}" for item in (first, second))
    what = " ".join(filter(None, (f"{one.start:%Y-%m-%d}", one.model, one.about)))
    return (
        f"`{one.place}` and `{other.place}` count the same differently ({what}: {values}); "
        "name only the later one of two exports"
    )


def _check_spans(lines: Iterable[BilledLine]) -> None:
    """Raise ``InvoiceError`` where two exports count the same time in spans of different lengths."""
    spans: defaultdict[tuple[str, str], dict[tuple[datetime, datetime], str]] = defaultdict(dict)
    for line in lines:
        if line.format in _EXCLUSIVE:
            spans[line.format, line.provider].setdefault((line.start, line.end), line.place)
    for found in spans.values():
        for (before, place), (after, other) in pairwise(sorted(found.items())):
            if after[0] < before[1]:
                raise InvoiceError(
                    f"`{place}` and `{other}` overlap in time: one counts {_span(before)}, the other {_span(after)}; "
                    "name exports of one bucket width"
                )


def _nameless(by_file: Iterable[Iterable[BilledLine]]) -> frozenset[str]:
    """Return the formats in which a file leaves the account out, as an API does and the dashboard does not."""
    return frozenset(
        line.format for lines in by_file for line in lines if line.format in _EXCLUSIVE and "account" not in line.keys
    )


def _without_account(line: BilledLine) -> BilledLine:
    return replace(line, keys={word: text for word, text in line.keys.items() if word != "account"})


@dataclass(slots=True)
class _Grouping:
    """By what one file groups the lines of a span, and the models that it has there."""

    place: str
    words: set[str] = field(default_factory=set)
    models: set[str] = field(default_factory=set)

    def include(self, line: BilledLine) -> None:
        self.words |= line.keys.keys() - {"account"}
        self.words |= {"line item" if line.amount is not None else "context"} if line.about else set()
        self.words |= {"model"} if line.model and line.amount is None else set()
        self.words |= {"tier"} if line.tier and line.amount is None else set()
        self.models.add(model_stem(line.model) if line.model else "")

    def counts_with(self, other: _Grouping) -> bool:
        """Whether both may have the same calls."""
        return "" in self.models | other.models or not self.models.isdisjoint(other.models)


def _check_groupings(by_file: Iterable[Iterable[BilledLine]]) -> None:
    """Raise ``InvoiceError`` where two files have one span grouped differently: each of them has all that is billed."""
    known: defaultdict[tuple[Any, ...], list[_Grouping]] = defaultdict(list)
    for lines in by_file:
        own: dict[tuple[Any, ...], _Grouping] = {}
        for line in lines:
            if line.format in _EXCLUSIVE:
                span = line.format, line.provider, line.start, line.end
                own.setdefault(span, _Grouping(line.place)).include(line)
        for span, found in own.items():
            for before in known[span]:
                if before.words != found.words and before.counts_with(found):
                    raise InvoiceError(
                        f"`{before.place}` and `{found.place}` count the same time, one {_grouped_by(before.words)}, "
                        f"the other {_grouped_by(found.words)}; name exports of one grouping"
                    )
            known[span].append(found)


def _grouped_by(words: set[str]) -> str:
    return f"by {' and '.join(sorted(words))}" if words else "as a whole"


def _check_formats(lines: Iterable[BilledLine]) -> None:
    """Raise ``InvoiceError`` where files of two formats have costs, or usage, of one provider for the same time."""
    latest: defaultdict[tuple[str, bool], dict[str, BilledLine]] = defaultdict(dict)
    for line in sorted(lines, key=lambda line: line.start):
        if line.kind not in ("usage", "tool"):
            continue
        of_kind = latest[line.provider, line.amount is None]
        for before in of_kind.values():
            if before.format != line.format and before.end > line.start:
                what = "usage" if line.amount is None else "costs"
                raise InvoiceError(
                    f"`{before.place}` and `{line.place}` have {what} of `{line.provider}` for the same time in two "
                    f"formats, `{before.format}` and `{line.format}`; name one of both exports"
                )
        if line.format not in of_kind or of_kind[line.format].end < line.end:
            of_kind[line.format] = line


_EXCLUSIVE: Final = frozenset({"openai-costs", "openai-usage", "anthropic-costs", "anthropic-usage"})
"""Formats whose buckets never overlap within one export."""


def _span(span: tuple[datetime, datetime]) -> str:
    return f"{span[0]:%Y-%m-%d %H:%M} to {span[1]:%Y-%m-%d %H:%M}"
