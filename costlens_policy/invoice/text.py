"""An agreement as a summary for people and programs, and as one CSV table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from costlens_policy.frozen import frozen
from costlens_policy.invoice.agreement import Agreement, Row
from costlens_policy.invoice.causes import Cause
from costlens_policy.invoice.corrections import Correction, Corrections, Made
from costlens_policy.ledger import decimal_of
from costlens_policy.money import plain
from costlens_policy.replay.tables import Summary, SummaryTable, change, csv_text, dollars, share

__all__ = ["Reconciled", "as_csv", "summary_of"]

_COLUMNS: Final = ("day", "provider", "model", "key")
_APART: Final = {"credit": "credits and discounts", "tax": "taxes", "fee": "fees and subscriptions"}


@frozen
class Reconciled:
    """What came of an invoice. ``all_rows`` shows rows that agree, too; ``made`` is None unless it was to correct."""

    agreement: Agreement
    all_rows: bool = False
    corrections: Corrections | None = None
    made: Made | None = None


def summary_of(result: Reconciled) -> Summary:
    """Return a summary: the verdict, the rows, what is apart, and all of it as data."""
    agreement = result.agreement
    tables = [_rows_table(result), _apart_table(agreement), *_made_tables(result)]
    notes = [f"{_at(agreement.by, row)}: {cause.text}" for row in agreement.rows for cause in row.causes]
    notes += [cause.text for cause in agreement.causes]
    notes += agreement.notes
    return Summary("Reconcile", _verdict(agreement), tables, notes, _assumptions(agreement), lambda: _data(result))


def _verdict(agreement: Agreement) -> str:
    total = agreement.total
    beyond = sum(not row.within for row in agreement.rows)
    days = agreement.days.replace("/", " to ")
    if agreement.agrees:
        word = "agrees"
    else:
        word = f"differs: {beyond:,} of {len(agreement.rows):,} rows are beyond the tolerance" if beyond else "differs"
    billed, recorded = dollars(total.billed.amount), dollars(total.recorded.amount)
    corrected = f", {change(total.corrected)} by corrections" if total.corrected else ""
    return (
        f"{days}: {word}\n"
        f"billed {billed}, recorded {recorded}{corrected}: difference {change(total.difference)} "
        f"({share(total.difference, total.billed.amount)})"
    )


def _assumptions(agreement: Agreement) -> Iterator[str]:
    tolerance = agreement.tolerance
    yield (
        f"a difference is within the tolerance if it is at most {plain(tolerance.ratio * 100)} % of what is billed, or "
        f"{dollars(tolerance.amount)}"
    )
    yield f"days are those of {agreement.zone.key}; a call counts on the day on which it was charged"
    yield f"recorded is what {agreement.source} has; causes are what the figures are consistent with, not more"


def _at(by: tuple[str, ...], row: Row) -> str:
    return " ".join(filter(None, (_cell(row, name) for name in by))) or "all"


def _cell(row: Row, name: str) -> str:
    return (row.name or "no model") if name == "model" else str(getattr(row.at, name))


def _rows_table(result: Reconciled) -> SummaryTable:
    agreement = result.agreement
    shown = [row for row in agreement.rows if result.all_rows or not row.within]
    corrected = any(row.corrected for row in shown)
    headings = (*agreement.by, "billed", "recorded", *(["corrected"] if corrected else []), "difference", "", "cause")
    rows = [
        (
            *(_cell(row, name) for name in agreement.by),
            dollars(row.billed.amount),
            dollars(row.recorded.amount),
            *([change(row.corrected)] if corrected else []),
            change(row.difference),
            share(row.difference, row.billed.amount),
            ", ".join(cause.name for cause in row.causes) or "within tolerance",
        )
        for row in shown
    ]
    first = len(agreement.by)
    numbers = frozenset(range(first, first + 4 + corrected))
    title = "Rows" if result.all_rows else "Rows beyond the tolerance"
    return SummaryTable(title, headings, rows, numbers)


def _apart_table(agreement: Agreement) -> SummaryTable:
    rows = [(_APART.get(kind, kind), dollars(amount)) for kind, amount in sorted(agreement.apart.items())]
    return SummaryTable("Billed, and not for calls", ("what", "billed"), rows, frozenset({1}))


def _made_tables(result: Reconciled) -> Iterator[SummaryTable]:
    if result.corrections is None:
        return
    by = result.agreement.by
    if result.made is not None:
        rows = [_correction_cells(item, "") for item in result.made.done]
        rows += [_correction_cells(item, reason) for item, reason in result.made.refused]
        yield SummaryTable("Corrections", ("day", "model", "budget", "key", "by", "refused"), rows, frozenset({4}))
    left = [(_at(by, row), change(row.difference), _why(row)) for row in result.corrections.unassigned]
    yield SummaryTable("Not corrected", ("row", "difference", "why"), left, frozenset({1}))


def _why(row: Row) -> str:
    if row.recorded.charged:
        return "the history of the ledger begins later"
    return "no budget in US dollars has counted a call"


def _correction_cells(item: Correction, refused: str) -> tuple[str, ...]:
    account = item.account
    return (
        item.at.day, item.at.model, account.budget, account.key, change(decimal_of(item.amount, "usd")), refused,
    )  # fmt: skip


def _data(result: Reconciled) -> dict[str, Any]:
    agreement = result.agreement
    data: dict[str, Any] = {
        "source": agreement.source,
        "from": agreement.start.isoformat().replace("+00:00", "Z"),
        "until": agreement.end.isoformat().replace("+00:00", "Z"),
        "zone": agreement.zone.key,
        "by": list(agreement.by),
        "agrees": agreement.agrees,
        "whole": agreement.is_whole,
        "tolerance": {"ratio": plain(agreement.tolerance.ratio), "usd": plain(agreement.tolerance.amount)},
        "total": _row_data((), agreement.total),
        "rows": [_row_data(agreement.by, row) for row in agreement.rows],
        "causes": [_cause_data(cause) for cause in agreement.causes],
        "apart": {kind: plain(amount) for kind, amount in sorted(agreement.apart.items())},
        "outside": {"calls": agreement.outside.calls, "usd": plain(agreement.outside.amount)},
        "notes": list(agreement.notes),
    }
    if result.corrections is not None and result.made is not None:
        data["corrections"] = [_correction_data(item) for item in result.made.done]
        data["refused"] = [_correction_data(item) | {"problem": problem} for item, problem in result.made.refused]
        data["unassigned"] = [_row_data(agreement.by, row) for row in result.corrections.unassigned]
    return data


def _row_data(by: tuple[str, ...], row: Row) -> dict[str, Any]:
    return {
        **{name: row.name if name == "model" else getattr(row.at, name) for name in by},
        "billed_usd": plain(row.billed.amount),
        "recorded_usd": plain(row.recorded.amount),
        "corrected_usd": plain(row.corrected),
        "difference_usd": plain(row.difference),
        "billed_requests": row.billed.requests,
        "recorded_calls": row.recorded.calls,
        "within": row.within,
        "causes": [_cause_data(cause) for cause in row.causes],
    }


def _cause_data(cause: Cause) -> dict[str, Any]:
    explains = None if cause.explains is None else plain(cause.explains)
    return {"cause": cause.name, "text": cause.text, "explains_usd": explains, "figures": dict(cause.figures)}


def _correction_data(item: Correction) -> dict[str, Any]:
    account = item.account
    return {
        **item.at._asdict(), "budget": account.budget, "scope_key": account.key, "period": account.period.id,
        "by_usd": plain(decimal_of(item.amount, "usd")), "id": item.id,
    }  # fmt: skip


def as_csv(summary: Summary) -> str:
    """Return the rows as CSV, the causes in one cell."""
    data: Mapping[str, Any] = summary.data()
    names = [name for name in _COLUMNS if name in data["by"]]
    figures = ("billed_usd", "recorded_usd", "corrected_usd", "difference_usd", "billed_requests", "recorded_calls")
    rows: list[list[object]] = [[*names, *figures, "within", "causes"]]
    for row in data["rows"]:
        causes = " ".join(cause["cause"] for cause in row["causes"])
        cells = [*(row[name] for name in names), *(row[name] for name in figures), row["within"], causes]
        rows.append(["" if cell is None else cell for cell in cells])
    return csv_text(rows)
