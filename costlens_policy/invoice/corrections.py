"""Corrections: what an invoice has beyond the ledger, as entries of their own on the accounts that counted the calls.

The difference of a row is shared among the accounts of its calls as their charges were. A budget that counted all of
them is corrected by the whole difference, one that counted a third by a third. What was corrected before is part of
it, so that reading an invoice twice corrects once, and a later invoice corrects by what has changed since.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import date, datetime
from decimal import Decimal

from costlens_policy.frozen import frozen
from costlens_policy.invoice.agreement import Agreement, Row
from costlens_policy.invoice.lines import InvoiceError
from costlens_policy.invoice.recorded import RECONCILED, Corrected, Place
from costlens_policy.ledger import Account, Adjustment, AdjustmentError, Store
from costlens_policy.ledger.amounts import amount_of
from costlens_policy.money import plain, subtract
from costlens_policy.periods import start_of_day

__all__ = ["Correction", "Corrections", "Made", "correct", "corrections_of"]


@frozen
class Correction:
    """By how much an account is to be corrected for a row, in femto-dollars. ``target`` is what the whole row is."""

    id: str
    at: Place
    account: Account
    amount: int
    target: Decimal


@frozen
class Corrections:
    """``unassigned`` are rows of which no budget in US dollars has counted a call, or calls may be missing."""

    made: tuple[Correction, ...]
    unassigned: tuple[Row, ...]


@frozen
class Made:
    """What became of corrections. ``refused`` have the reason, such as that more would go than was spent."""

    done: tuple[Correction, ...]
    refused: tuple[tuple[Correction, str], ...]


def corrections_of(agreement: Agreement) -> Corrections:
    """Return what brings the ledger to the invoice: for each row beyond the tolerance, and for those half corrected.

    Raises ``InvoiceError`` where the invoice is not whole, or its days are another zone's.
    """
    if not agreement.is_whole:
        raise InvoiceError("an invoice with pages that are missing corrects nothing; name all pages")
    if any(cause.name == "days" for cause in agreement.causes):
        raise InvoiceError("the days of the invoice are not those of `--zone`; set the zone before correcting by day")
    if agreement.corrected_otherwise:
        raise InvoiceError("the ledger has corrections of these days by another `--by`; use the one of the first time")
    made: list[Correction] = []
    unassigned: list[Row] = []
    for row in agreement.rows:
        found = () if _is_cut_off(agreement, row) else tuple(_of_row(agreement, row))
        made += found
        if not found and not row.within:
            unassigned.append(row)
    return Corrections(tuple(made), tuple(unassigned))


def _is_cut_off(agreement: Agreement, row: Row) -> bool:
    """Whether the history of the ledger begins within the row, so that some of its calls may be missing."""
    begins = agreement.recorded.begins
    if begins is None:
        return False
    starts = start_of_day(date.fromisoformat(row.at.day), agreement.zone) if row.at.day else agreement.start
    return starts < begins


def _of_row(agreement: Agreement, row: Row) -> Iterator[Correction]:
    at = row.at._replace(day=row.at.day or agreement.days, provider=row.at.provider or agreement.providers)
    known = agreement.recorded.targets.get(at)
    if row.within and known is None:
        return
    target = known if row.within and known is not None else subtract(row.billed.amount, row.recorded.amount)
    for account, whole in _shares(row, target):
        before = agreement.recorded.corrections.get((at, account.name), Corrected())
        if whole != before.amount:
            yield Correction(_id(at, account, before.count), at, account, whole - before.amount, target)


def _shares(row: Row, target: Decimal) -> Iterator[tuple[Account, int]]:
    """Yield what each account's part of the target is. The parts of a budget that counted all calls add up to it."""
    whole = int(target.scaleb(15).to_integral_value())
    recorded = amount_of(row.recorded.amount, "usd")
    budgets: defaultdict[str, list[tuple[Account, int]]] = defaultdict(list)
    for account, charged in row.recorded.charged.items():
        budgets[account.budget].append((account, charged))
    for accounts in budgets.values():
        of = max(recorded, sum(charged for _, charged in accounts))
        counted = given = 0
        for account, charged in sorted(accounts, key=lambda item: item[0].name):
            counted += charged
            until_here = whole * counted // of if of else 0
            if charged:
                yield account, until_here - given
            given = until_here


def _id(at: Place, account: Account, before: int) -> str:
    """Return an id by which two who correct the same at once do it once."""
    text = "\n".join((*at, account.name, str(before)))
    return f"reconcile {hashlib.sha256(text.encode()).hexdigest()[:32]}"


def correct(store: Store, corrections: Iterable[Correction], *, author: str, reason: str, now: datetime) -> Made:
    """Enter corrections into a ledger, each once. Raises ``LedgerError``, and ``AdjustmentError`` without a reason."""
    done: list[Correction] = []
    refused: list[tuple[Correction, str]] = []
    for item in corrections:
        about = {RECONCILED: {**item.at._asdict(), "target": plain(item.target)}}
        adjustment = Adjustment(item.id, "correct", item.account, item.amount, author, reason, now, about=about)
        try:
            store.adjust(adjustment)
        except AdjustmentError as error:
            refused.append((item, str(error)))
        else:
            done.append(item)
    return Made(tuple(done), tuple(refused))
