"""What goes to the scripts, and what comes back."""

from __future__ import annotations

import json
from collections.abc import Iterable
from functools import lru_cache
from typing import Any

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
    "account_named", "amounts_in", "charge_arguments", "grants_of", "grants_text", "line_arguments", "span_arguments",
]  # fmt: skip


def line_arguments(line: HoldLine) -> tuple[Any, ...]:
    account = line.account
    about = account.name, account.scope, account.period.id, span_arguments(account), *split_limbs(line.amount)
    return about if line.limit is None else (*about, *split_limbs(line.limit))


def charge_arguments(charge: Charge) -> tuple[Any, ...]:
    account = charge.account
    return (account.scope, account.name, span_arguments(account), *split_limbs(charge.amount))


@lru_cache(maxsize=4096)
def span_arguments(account: Account) -> tuple[int | bool, ...]:
    """Return the width of the account's buckets, and start, reset and length of its period in microseconds or false."""
    period = account.period
    start, reset = (at or False for at in map(micros_or_none, (period.starts_at, period.resets_at)))
    if period.rolling is None:
        return (0, start, reset, False)
    return (bucket_width(period.rolling), start, reset, period.rolling // MICROSECOND)


def amounts_in(numbers: str) -> list[int]:
    """Return the amounts of a text of limbs, high and low in turn."""
    limbs = [int(number) for number in numbers.split()]
    return [join_limbs(high, low) for high, low in zip(limbs[::2], limbs[1::2], strict=True)]


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
