"""What the stores of this package report, in the same words whatever the store. The laws ask for kinds of errors."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from costlens_policy.ledger import (
    Adjustment,
    AdjustmentError,
    AmountError,
    CallConflictError,
    EntryQuery,
    LedgerError,
    LedgerUnavailableError,
    Store,
    UnknownCallError,
)
from costlens_policy.ledger.laws.build import LEASE, NOW, account, hold, settlement

TEAM = account()
NEVER_HELD = "the call `z` was never held in this ledger; use `charge` to record it without a hold"


def override(id: str) -> Adjustment:
    return Adjustment(id, "override", TEAM, 30, "ann", "a launch", NOW, NOW + timedelta(days=1))


@pytest.mark.parametrize(
    ("asked", "error", "message"),
    [
        (
            lambda store: store.reserve(hold("held", TEAM, 11, 100)),
            CallConflictError,
            "the call id `held` is already used by a call with other amounts; use a new id",
        ),
        (
            lambda store: store.reserve(hold("charged", TEAM, 3, 100)),
            CallConflictError,
            "the call id `charged` is already used by a call that was charged without a hold; use a new id",
        ),
        (lambda store: store.settle(settlement("z", TEAM, 5)), UnknownCallError, NEVER_HELD),
        (lambda store: store.extend("z", LEASE, NOW), UnknownCallError, NEVER_HELD),
        (
            lambda store: store.reserve(hold("a", TEAM, 1, 1, NOW.replace(tzinfo=None))),
            AmountError,
            "a timestamp must have a time zone, got `2026-11-24 12:00:00`",
        ),
        (
            lambda store: store.reserve(hold("a", TEAM, 1, 1, lease=timedelta(0))),
            AmountError,
            "a lease must be positive and at most 31 days, got `0:00:00`",
        ),
        (
            lambda store: store.entries(EntryQuery(after="x")),
            AmountError,
            "`x` is not the start of a page; use `next` of the page before it",
        ),
        (
            lambda store: store.adjust(override("p")),
            AdjustmentError,
            "another override is in force until 2026-11-25 12:00:00 UTC; revoke it first",
        ),
    ],
    ids=[
        "other amounts", "charged without a hold", "settled", "extended", "no time zone", "no lease", "no page",
        "two overrides",
    ],
)  # fmt: skip
def test_a_mistake_is_reported_in_the_same_words_by_every_store(
    store: Store, asked: Callable[[Store], Any], error: type[LedgerError], message: str
) -> None:
    store.reserve(hold("held", TEAM, 10, 100))
    store.charge(settlement("charged", TEAM, 3))
    store.adjust(override("o"))
    with pytest.raises(error, match=f"^{re.escape(message)}$"):
        asked(store)


@pytest.mark.parametrize("ledger_url", ["redis", "postgresql"], indirect=True)
def test_a_server_that_was_closed_says_what_to_do(store: Store) -> None:
    store.close()
    with pytest.raises(LedgerUnavailableError, match=r"^the ledger was closed; open it again with `open_ledger`$"):
        store.balances([TEAM], NOW)
