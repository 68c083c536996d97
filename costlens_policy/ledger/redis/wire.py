"""What goes to the scripts, and what comes back."""

from __future__ import annotations

import json
from collections.abc import Iterable
from functools import lru_cache
from typing import Any

from costlens_policy.ledger.account import SEPARATOR, Account
from costlens_policy.ledger.amounts import join_limbs, split_limbs
from costlens_policy.ledger.buckets import bucket_width
from costlens_policy.ledger.charges import Charge, ChargedLine
from costlens_policy.ledger.grants import Grant
from costlens_policy.ledger.holds import HoldLine, LineState
from costlens_policy.ledger.instants import MICROSECOND, micros_or_none
from costlens_policy.ledger.json_text import json_text
from costlens_policy.ledger.stored import period_of

__all__ = [
    "account_named", "charge_arguments", "charged_line", "grants_of", "grants_text", "line_arguments", "line_state",
    "span_arguments",
]  # fmt: skip


def line_arguments(line: HoldLine) -> Iterable[Any]:
    account = line.account
    limit = ("", "") if line.limit is None else split_limbs(line.limit)
    yield from (account.name, *split_limbs(line.amount), *limit, account.scope, account.period.id)
    yield from span_arguments(account)


def charge_arguments(charge: Charge) -> Iterable[Any]:
    account = charge.account
    yield from (account.scope, account.name, *split_limbs(charge.amount))
    yield from span_arguments(account)


@lru_cache(maxsize=4096)
def span_arguments(account: Account) -> tuple[Any, ...]:
    """Return start, reset and length of the account's period in microseconds, and the width of its buckets."""
    period = account.period
    length, width = ("", 0) if period.rolling is None else (period.rolling // MICROSECOND, bucket_width(period.rolling))
    span = [micros_or_none(at) for at in (period.starts_at, period.resets_at)]
    return (*("" if at is None else at for at in span), length, width)


def line_state(account: Account, row: list[Any]) -> LineState:
    """Return a line of ``reserve``: name, and limbs of amount, limit, used and held."""
    amount, limit, used, held = _amounts(row[1:9])
    return LineState(account, amount, None if row[3] < 0 else limit, used, held)


def charged_line(account: Account, row: list[Any]) -> ChargedLine:
    """Return a line of ``settle``: name, and limbs of amount, what had been held, used and held."""
    return ChargedLine(account, *_amounts(row[1:9]))


def account_named(name: str, starts_at: str, resets_at: str, length: str) -> Account:
    """Return the account of a name, whose times and length are in microseconds or empty."""
    budget, period, unit, key = name.split(SEPARATOR, 3)
    span = [int(text) if text else None for text in (starts_at, resets_at, length)]
    return Account(budget, key, unit, period_of(period, *span))  # type: ignore[arg-type]  # stored as one of the units


def grants_text(grants: Iterable[Grant]) -> str:
    """Return grants as JSON in which amounts are two limbs, since scripts read numbers as doubles."""
    return json_text([[it.kind, *split_limbs(it.amount), it.until, it.period] for it in grants])


def grants_of(text: str) -> tuple[Grant, ...]:
    rows = json.loads(text) if text else []
    return tuple(Grant(kind, join_limbs(high, low), until, period) for kind, high, low, until, period in rows)


def _amounts(limbs: list[int]) -> list[int]:
    return [join_limbs(limbs[index], limbs[index + 1]) for index in range(0, len(limbs), 2)]
