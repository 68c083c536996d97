"""What goes to the functions of the database, and what comes back."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import Any

from costlens_policy.ledger.account import Account
from costlens_policy.ledger.buckets import bucket_width
from costlens_policy.ledger.charges import Charge, ChargedLine
from costlens_policy.ledger.holds import HoldLine, LineState
from costlens_policy.ledger.instants import MICROSECOND, micros_or_none
from costlens_policy.ledger.json_text import json_text
from costlens_policy.ledger.stored import period_of

__all__ = ["account_array", "account_of", "asked", "charged", "charged_lines", "line_states"]


def asked(lines: Iterable[HoldLine]) -> str:
    """Return lines for ``reserve`` as JSON, in the order in which accounts are locked."""
    rows = [
        (account_array(line.account), line.account.scope, line.amount, line.limit, place)
        for place, line in enumerate(lines)
    ]
    return json_text(sorted(rows, key=lambda row: row[0][0]))


def charged(charges: Iterable[Charge]) -> str:
    """Return charges for ``settle`` as JSON."""
    rows = [(account_array(charge.account), charge.account.scope, charge.amount) for charge in charges]
    return json_text(rows)


def line_states(rows: list[Any], known: Iterable[Account]) -> tuple[LineState, ...]:
    """Return the lines of ``reserve`` in the order of the call; ``known`` accounts need not be made anew."""
    accounts = {account.name: account for account in known}
    return tuple(
        LineState(accounts.get(row[0][0]) or account_of(row[0][1:8]), row[2], row[3], row[4], row[5])
        for row in sorted(rows, key=lambda row: row[7])
    )


def charged_lines(rows: list[Any], known: Iterable[Account]) -> tuple[ChargedLine, ...]:
    """Return the lines of ``settle``: those that were held, then the others."""
    accounts = {account.name: account for account in known}
    return tuple(
        ChargedLine(accounts.get(row[0][0]) or account_of(row[0][1:8]), row[1], row[2], row[3], row[4])
        for row in sorted(rows, key=lambda row: row[6])
    )


@lru_cache(maxsize=4096)
def account_array(account: Account) -> tuple[Any, ...]:
    """Return an account as the functions take it."""
    period = account.period
    length, width = (
        (None, 0) if period.rolling is None else (period.rolling // MICROSECOND, bucket_width(period.rolling))
    )
    span = micros_or_none(period.starts_at), micros_or_none(period.resets_at)
    return (account.name, account.budget, account.key, account.unit, period.id, *span, length, width)


def account_of(row: Any) -> Account:
    """Return the account of budget, key, unit, period, start, reset and length."""
    budget, key, unit, period, *span = row
    return Account(budget, key, unit, period_of(period, *span))
