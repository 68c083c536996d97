"""An invoice held against the ledger: by day, model, key or provider, with each difference and what explains it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Final
from zoneinfo import ZoneInfo

from costlens_policy.frozen import frozen
from costlens_policy.invoice.causes import Billed, Cause, causes_of, constant_ratio, shifted_days
from costlens_policy.invoice.lines import DAY, BilledLine, InvoiceError, model_stem
from costlens_policy.invoice.reading import Invoice
from costlens_policy.invoice.recorded import HALF_HOUR, Cell, Place, Recorded, Tally
from costlens_policy.money import ZERO, add, multiply, plain, subtract
from costlens_policy.periods import day_at, start_of_day

__all__ = ["DIMENSIONS", "Agreement", "Row", "Tolerance", "agree", "span_of"]

DIMENSIONS: Final = Place._fields
"""What an invoice and a ledger can be compared by."""
_SHIFTS: Final = tuple(half for half in range(-28, 29) if half)
"""Half hours by which days may be another zone's."""


@frozen
class Tolerance:
    """A difference is within it if it is at most ``amount`` US dollars, or ``ratio`` of what is billed."""

    ratio: Decimal = Decimal("0.005")
    amount: Decimal = Decimal("0.01")

    def covers(self, difference: Decimal, billed: Decimal) -> bool:
        return abs(difference) <= max(self.amount, multiply(self.ratio, abs(billed)))


@frozen
class Row:
    """What is billed and what is recorded of one day, model and key. ``corrected`` is what corrections have added."""

    at: Place
    billed: Billed
    recorded: Tally
    corrected: Decimal
    within: bool
    causes: tuple[Cause, ...] = ()

    @property
    def difference(self) -> Decimal:
        """How much more is billed than the ledger has, corrections included."""
        return subtract(self.billed.amount, add(self.recorded.amount, self.corrected))

    @property
    def name(self) -> str:
        """The model as the ledger names it, else as the invoice does."""
        known = self.recorded.names.most_common(1) or self.billed.names.most_common(1)
        return known[0][0] if known else self.at.model


@frozen
class Agreement:
    """``rows`` stand in order of day, provider, model and key. ``apart`` are sums of what belongs to no call, by kind.

    ``causes`` are those of the whole, ``outside`` is what the ledger has of the same months beyond the invoice's days.
    """

    source: str
    start: datetime
    end: datetime
    zone: ZoneInfo
    by: tuple[str, ...]
    rows: tuple[Row, ...]
    total: Row
    apart: Mapping[str, Decimal]
    outside: Tally
    causes: tuple[Cause, ...]
    tolerance: Tolerance
    notes: tuple[str, ...]
    recorded: Recorded = field(repr=False, default_factory=lambda: Recorded({}))
    is_whole: bool = True
    corrected_otherwise: int = 0
    """Rows that were corrected for other days that overlap with these, or by another ``by``."""
    providers: str = ""
    """Those of the invoice, by which its corrections are known."""

    @property
    def days(self) -> str:
        """The first and the last day."""
        return _days(self.start, self.end, self.zone)

    @property
    def agrees(self) -> bool:
        """Whether the total and every row are within the tolerance."""
        return self.total.within and all(row.within for row in self.rows)


def span_of(invoice: Invoice, zone: ZoneInfo) -> tuple[datetime, datetime]:
    """Return from when until when a ledger has to be read: the months of the invoice, and a day around it."""
    first, last = day_at(invoice.start, zone), day_at(invoice.end - timedelta(microseconds=1), zone)
    after = (last.replace(day=1) + timedelta(days=32)).replace(day=1)
    starts, ends = start_of_day(first.replace(day=1), zone), start_of_day(after, zone)
    return min(starts, invoice.start - DAY), max(ends, invoice.end + DAY)


@dataclass(slots=True)
class _Names:
    """Which recorded name a billed one means, as the user says it."""

    same: Mapping[str, str]

    def model(self, name: str) -> str:
        return model_stem(self.same.get(name, name)) if name else ""

    def key(self, line: BilledLine, word: str) -> str:
        known = line.keys.get(word, "") if word else next(iter(line.keys.values()), "")
        return self.same.get(known, known)


def agree(
    invoice: Invoice,
    recorded: Recorded,
    *,
    source: str = "the ledger",
    by: Sequence[str] = ("day", "model"),
    zone: ZoneInfo | None = None,
    tolerance: Tolerance | None = None,
    same: Mapping[str, str] | None = None,
    key_of: str = "",
) -> Agreement:
    """Compare an invoice with what a ledger has recorded of the same days.

    ``by`` is a choice of ``DIMENSIONS``; ``same`` says which recorded model or key a billed name means, and ``key_of``
    which key of a line is compared (``api_key``, ``project``, …; by default the first that there is). Raises
    ``InvoiceError`` where the invoice cannot be compared that way.
    """
    zone, tolerance, names = zone or ZoneInfo("UTC"), tolerance or Tolerance(), _Names(same or {})
    if not invoice.costs:
        raise InvoiceError("the files report usage, but no costs; name an export of costs, too")
    notes = [*invoice.notes, *recorded.notes]
    by, more = _possible(by, invoice)
    notes += more
    if "day" in by:
        _check_days(invoice, zone)
    billed, apart = _billed(invoice, by, zone, names, key_of)
    span = invoice.start, invoice.end
    held = _grouped(recorded.cells, by, zone, span)
    corrected, finer, others = _corrected(recorded.targets, by, invoice, zone)
    if others:
        notes.append(f"{others:,} rows were corrected for other days or another `--by`, and do not count here")
    rows = [
        _row(at, billed.get(at, Billed()), held.get(at, Tally()), corrected.get(at, ZERO), tolerance)
        for at in sorted({*billed, *held, *corrected})
    ]
    total = _row(Place(), _sum_of(billed.values()), _tally_of(held.values()), _total(corrected.values()), tolerance)
    total = replace(total, causes=_causes_together(rows, total, tolerance))
    overall = _overall(rows, recorded.cells, by, zone, span, tolerance)
    outside = _tally_of(
        tally for cell, tally in recorded.cells.items() if not _within(cell, span) and _in_months(cell, span, zone)
    )
    if recorded.begins is not None and recorded.begins > invoice.start:
        notes.append(
            f"the history of {source} begins at {recorded.begins:%Y-%m-%d %H:%M} UTC, after the first day billed"
        )
    if not invoice.is_whole:
        notes.append("the files announce further pages that are not among them, so the invoice is not whole")
    notes += _partial(invoice, zone, outside)
    return Agreement(
        source, *span, zone, by, tuple(rows), total, apart, outside, overall, tolerance, tuple(notes),
        recorded, invoice.is_whole, finer + others, billed_by(invoice.providers),
    )  # fmt: skip


def _possible(by: Sequence[str], invoice: Invoice) -> tuple[tuple[str, ...], list[str]]:
    """Return by what can be compared, and a note where the invoice does not tell models apart."""
    costs = [line for line in invoice.lines if line.amount is not None and line.kind == "usage"]
    kept = tuple(name for name in DIMENSIONS if name in by)
    without = [line for line in costs if not line.model]
    if "model" not in kept or not without:
        return kept, []
    note = (
        f"`{without[0].place}` names no model, as {len(without):,} lines do not: models are not compared (OpenAI names "
        "them in costs grouped by `line_item`, Anthropic in costs grouped by `description`)"
    )
    return tuple(name for name in kept if name != "model"), [note]


def _check_days(invoice: Invoice, zone: ZoneInfo) -> None:
    """Raise ``InvoiceError`` for lines that no day of the zone holds."""
    for line in invoice.lines:
        if line.amount is None:
            continue
        day = day_at(line.start, zone)
        if line.end > start_of_day(day + timedelta(days=1), zone):
            if line.end - line.start > DAY + timedelta(hours=1):
                what = f"covers {(line.end - line.start) / DAY:.0f} days; leave `day` out of `--by`"
            else:
                begins = line.start.astimezone(UTC)
                what = f"is for a day from {begins:%H:%M} UTC on, which is no day of `{zone.key}`; set another `--zone`"
            raise InvoiceError(f"`{line.place}`: the line {what}")


def _billed(
    invoice: Invoice, by: Sequence[str], zone: ZoneInfo, names: _Names, key_of: str
) -> tuple[dict[Place, Billed], dict[str, Decimal]]:
    """Return what is billed by place, and the sums of credits, taxes and fees."""
    found: defaultdict[Place, Billed] = defaultdict(Billed)
    apart: dict[str, Decimal] = {}
    for line in invoice.lines:
        if line.kind not in ("usage", "tool"):
            apart[line.kind] = add(apart.get(line.kind, ZERO), line.amount or ZERO)
            continue
        day = f"{day_at(line.start, zone)}" if "day" in by else ""
        model = names.model(line.model) if "model" in by else ""
        key = names.key(line, key_of) if "key" in by else ""
        at = Place(day, line.provider if "provider" in by else "", model, key)
        found[at].include(line)
    return dict(found), apart


def _within(cell: Cell, span: tuple[datetime, datetime]) -> bool:
    return span[0] <= _instant(cell) < span[1]


def _instant(cell: Cell) -> datetime:
    return datetime.fromtimestamp(cell.half_hour * HALF_HOUR, UTC)


def _in_months(cell: Cell, span: tuple[datetime, datetime], zone: ZoneInfo) -> bool:
    first, last = (day_at(each, zone) for each in (span[0], span[1] - timedelta(microseconds=1)))
    day = day_at(_instant(cell), zone)
    return (first.year, first.month) <= (day.year, day.month) <= (last.year, last.month)


def _grouped(
    cells: Mapping[Cell, Tally], by: Sequence[str], zone: ZoneInfo, span: tuple[datetime, datetime]
) -> dict[Place, Tally]:
    """Return tallies by place."""
    found: defaultdict[Place, Tally] = defaultdict(Tally)
    for at, tally in _placed(cells, by, zone, span, 0):
        found[at].include(tally)
    return dict(found)


def _amounts(
    cells: Mapping[Cell, Tally], by: Sequence[str], zone: ZoneInfo, span: tuple[datetime, datetime], shift: int
) -> dict[Place, Decimal]:
    """Return amounts by place, if calls were so many half hours later than they were."""
    found: dict[Place, Decimal] = {}
    for at, tally in _placed(cells, by, zone, span, shift):
        found[at] = add(found.get(at, ZERO), tally.amount)
    return found


def _placed(
    cells: Mapping[Cell, Tally], by: Sequence[str], zone: ZoneInfo, span: tuple[datetime, datetime], shift: int
) -> Iterator[tuple[Place, Tally]]:
    """Yield the tallies of the span with their places; calls count as ``shift`` half hours later."""
    first, last = (-(-int(each.timestamp()) // HALF_HOUR) for each in span)
    days: dict[int, str] = {}
    for cell, tally in cells.items():
        half_hour = cell.half_hour + shift
        if not first <= half_hour < last:
            continue
        if half_hour not in days:
            instant = datetime.fromtimestamp(half_hour * HALF_HOUR, UTC)
            days[half_hour] = f"{day_at(instant, zone)}" if "day" in by else ""
        yield (
            Place(
                days[half_hour],
                cell.provider if "provider" in by else "",
                cell.model if "model" in by else "",
                cell.key if "key" in by else "",
            ),
            tally,
        )


def _corrected(
    targets: Mapping[Place, Decimal], by: Sequence[str], invoice: Invoice, zone: ZoneInfo
) -> tuple[dict[Place, Decimal], int, int]:
    """Return what earlier corrections have added by place, how many of them were made by finer rows than these, and how
    many there are of these days and providers that no row here can show.
    """
    days = _days(invoice.start, invoice.end, zone)
    providers = invoice.providers if "provider" in by else {billed_by(invoice.providers)}
    found: dict[Place, Decimal] = {}
    finer = others = 0
    for at, target in targets.items():
        those = frozenset(at.provider.split("+"))
        if those.isdisjoint(invoice.providers) or not _overlap(at.day, days):
            continue
        whole = "/" in at.day
        coarser = (whole and ("day" in by or at.day != days)) or ("model" in by and not at.model)
        if coarser or not those <= invoice.providers or ("provider" in by and len(those) > 1):
            others += 1
            continue
        here = Place(*(getattr(at, name) if name in by else "" for name in DIMENSIONS))
        finer += (not whole and "day" not in by) or at.provider not in providers
        finer += any(getattr(at, name) and name not in by for name in ("model", "key"))
        found[here] = add(found.get(here, ZERO), target)
    return found, finer, others


def _overlap(day: str, days: str) -> bool:
    first, _, last = days.partition("/")
    begins, _, ends = day.partition("/")
    return begins <= last and first <= (ends or begins)


def billed_by(providers: frozenset[str]) -> str:
    """Return the one text for the providers of an invoice by which its corrections are known."""
    return "+".join(sorted(providers))


def _days(start: datetime, end: datetime, zone: ZoneInfo) -> str:
    return f"{day_at(start, zone)}/{day_at(end - timedelta(microseconds=1), zone)}"


def _row(at: Place, billed: Billed, recorded: Tally, corrected: Decimal, tolerance: Tolerance) -> Row:
    difference = subtract(billed.amount, add(recorded.amount, corrected))
    within = tolerance.covers(difference, billed.amount)
    allowed = max(tolerance.amount, multiply(tolerance.ratio, abs(billed.amount)))
    causes = () if within else causes_of(billed, recorded, difference, allowed)
    return Row(at, billed, recorded, corrected, within, causes)


def _causes_together(rows: Iterable[Row], total: Row, tolerance: Tolerance) -> tuple[Cause, ...]:
    """Return the causes of the total: those of the rows, each with the sum of what it explains there."""
    by_name: defaultdict[str, list[Cause]] = defaultdict(list)
    for cause in (cause for row in rows for cause in row.causes):
        by_name[cause.name].append(cause)
    if total.within or not by_name:
        return total.causes
    found = [_together(name, causes) for name, causes in by_name.items()]
    left = subtract(total.difference, _total(cause.explains or ZERO for cause in found))
    if not tolerance.covers(left, total.billed.amount):
        text = f"${plain(left)} is in rows that are within the tolerance each, or that their causes leave over"
        found.append(Cause("remainder", text, left, {"usd": plain(left)}))
    return tuple(found)


def _together(name: str, causes: Sequence[Cause]) -> Cause:
    if len(causes) == 1:
        return causes[0]
    amounts = [cause.explains for cause in causes if cause.explains is not None]
    explains = _total(amounts) if amounts else None
    worth = f", together ${plain(explains)}" if explains is not None else ""
    return Cause(name, f"`{name}` in {len(causes):,} rows{worth}", explains, {"rows": len(causes)})


def _sum_of(billed: Iterable[Billed]) -> Billed:
    found = Billed()
    for each in billed:
        found.include_all(each)
    return found


def _tally_of(tallies: Iterable[Tally]) -> Tally:
    found = Tally()
    for each in tallies:
        found.include(each)
    return found


def _total(amounts: Iterable[Decimal]) -> Decimal:
    found = ZERO
    for amount in amounts:
        found = add(found, amount)
    return found


def _overall(
    rows: Sequence[Row],
    cells: Mapping[Cell, Tally],
    by: Sequence[str],
    zone: ZoneInfo,
    span: tuple[datetime, datetime],
    tolerance: Tolerance,
) -> tuple[Cause, ...]:
    """Return what explains the rows together: a constant ratio of prices, or days that begin at another hour."""
    if all(row.within for row in rows):
        return ()
    found = [constant_ratio([(row.billed.amount, add(row.recorded.amount, row.corrected)) for row in rows])]
    if "day" in by and not any(row.corrected for row in rows):
        billed = {row.at: row.billed.amount for row in rows}

        def amounts(shift: int) -> dict[Place, Decimal]:
            return _amounts(cells, by, zone, span, shift)

        found.append(shifted_days(billed, amounts, _SHIFTS, tolerance.covers))
    return tuple(cause for cause in found if cause is not None)


def _partial(invoice: Invoice, zone: ZoneInfo, outside: Tally) -> Iterator[str]:
    """Note that the invoice has a part of a month only."""
    if outside.calls:
        days = _days(invoice.start, invoice.end, zone).replace("/", " to ")
        yield f"the invoice covers {days} only: the ledger has {outside.calls:,} more calls in these months"
