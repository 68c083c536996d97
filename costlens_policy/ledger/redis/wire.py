"""What goes to the scripts, and what comes back."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Final

from costlens_policy.ledger.account import SEPARATOR, Account
from costlens_policy.ledger.amounts import join_limbs, split_limbs
from costlens_policy.ledger.buckets import bucket_width
from costlens_policy.ledger.charges import Charge
from costlens_policy.ledger.grants import Grant
from costlens_policy.ledger.holds import HoldLine
from costlens_policy.ledger.instants import MICROSECOND, micros_or_none
from costlens_policy.ledger.json_text import json_text
from costlens_policy.ledger.stored import period_of

__all__ = [
    "CHARGED", "HELD", "account_named", "amounts_of", "charge_numbers", "charge_texts", "grants_of", "grants_text",
    "line_numbers", "line_texts", "rows_of", "span_numbers",
]  # fmt: skip

HELD: Final = 10
"""Values of a line held: name, limbs of amount, limit, used and held before, generation."""
CHARGED: Final = 10
"""Values of a line charged: name, limbs of amount, of what had been held, of used and held after, whether charged."""


def line_texts(line: HoldLine) -> tuple[str, ...]:
    account = line.account
    return account.name, account.scope, account.period.id


def line_numbers(line: HoldLine) -> tuple[int, ...]:
    limit = (-1, 0) if line.limit is None else split_limbs(line.limit)
    return (*split_limbs(line.amount), *limit, *span_numbers(line.account))


def charge_texts(charge: Charge) -> tuple[str, ...]:
    return charge.account.scope, charge.account.name


def charge_numbers(charge: Charge) -> tuple[int, ...]:
    return (*split_limbs(charge.amount), *span_numbers(charge.account))


@lru_cache(maxsize=4096)
def span_numbers(account: Account) -> tuple[int, ...]:
    """Return the width of the account's buckets, and start, reset and length of its period in microseconds, -1 for
    none.
    """
    period = account.period
    span = [-1 if at is None else at for at in map(micros_or_none, (period.starts_at, period.resets_at))]
    if period.rolling is None:
        return (0, *span, -1)
    return (bucket_width(period.rolling), *span, period.rolling // MICROSECOND)


def rows_of(text: str, width: int) -> list[list[str]]:
    """Return the values of a text in which each ends with a zero byte, in rows."""
    values = text.split("\0")
    return [values[at : at + width] for at in range(0, len(values) - 1, width)]


def amounts_of(limbs: Sequence[str]) -> list[int]:
    """Return the amounts of limbs, high and low in turn."""
    return [join_limbs(int(limbs[at]), int(limbs[at + 1])) for at in range(0, len(limbs), 2)]


def account_named(name: str, span: str) -> Account:
    """Return the account of a name, and of start, reset and length of its period."""
    budget, period, unit, key = name.split(SEPARATOR, 3)
    parts = [None if part == "-1" else int(part) for (part,) in rows_of(span, 1)]
    return Account(budget, key, unit, period_of(period, *parts))  # type: ignore[arg-type]  # stored as one of the units


def grants_text(grants: Iterable[Grant]) -> str:
    """Return grants as JSON in which amounts are two limbs, since scripts read numbers as doubles."""
    return json_text([[it.kind, *split_limbs(it.amount), it.until, it.period] for it in grants])


def grants_of(text: str) -> tuple[Grant, ...]:
    rows = json.loads(text) if text else []
    return tuple(Grant(kind, join_limbs(high, low), until, period) for kind, high, low, until, period in rows)
