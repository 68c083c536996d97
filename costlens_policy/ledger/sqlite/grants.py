"""Grants and adjustments in the file."""

from __future__ import annotations

import json
import sqlite3

from costlens_policy.ledger.account import Account, AccountBalance, Grants
from costlens_policy.ledger.adjustments import Adjusted, Adjustment
from costlens_policy.ledger.grants import Grant, adjusted_grants, grants_at
from costlens_policy.ledger.instants import micros
from costlens_policy.ledger.json_text import facts_text, json_text
from costlens_policy.ledger.sqlite.accounts import load_account
from costlens_policy.ledger.sqlite.entries import add_entry

__all__ = ["adjust", "grants_in_force", "limit_in_force"]


def limit_in_force(db: sqlite3.Connection, account: Account, limit: int, now: int) -> int:
    """Return the policy's limit with what is granted on top of it or instead."""
    return grants_in_force(db, account, now).applied_to(limit)


def grants_in_force(db: sqlite3.Connection, account: Account, now: int) -> Grants:
    return grants_at(_grants(db, account), account.period.id, now)


def adjust(db: sqlite3.Connection, adjustment: Adjustment) -> Adjusted:
    account, now = adjustment.account, micros(adjustment.now)
    known = db.execute("SELECT balance FROM adjustments WHERE id = ?", (adjustment.id,)).fetchone()
    if known is not None:
        used, held, override, topup = json.loads(known[0])
        balance = AccountBalance(account, used, held, Grants(override, topup))
        return Adjusted(adjustment.id, balance, repeated=True)
    row, amount = load_account(db, account), adjustment.amount
    row.move(now)
    row.enter()
    if adjustment.kind == "set":
        amount = row.set(amount, now)
    else:
        _put_grants(db, account, adjusted_grants(_grants(db, account), adjustment))
    row.save()
    grants = grants_in_force(db, account, now)
    kept = json_text([row.used, row.held, grants.override, grants.topup])
    inserted = db.execute(
        "INSERT INTO adjustments (id, balance, facts) VALUES (?, ?, ?)",
        (adjustment.id, kept, facts_text(adjustment.facts())),
    )
    assert inserted.lastrowid is not None
    entry = add_entry(db, now, adjustment.kind, inserted.lastrowid, row, amount, 0)
    db.execute("UPDATE adjustments SET entry = ? WHERE number = ?", (entry, inserted.lastrowid))
    return Adjusted(adjustment.id, AccountBalance(account, row.used, row.held, grants))


def _grants(db: sqlite3.Connection, account: Account) -> tuple[Grant, ...]:
    row = db.execute("SELECT grants FROM grants WHERE scope = ?", (account.scope,)).fetchone()
    return () if row is None else tuple(Grant(*grant) for grant in json.loads(row[0]))


def _put_grants(db: sqlite3.Connection, account: Account, grants: tuple[Grant, ...]) -> None:
    text = json_text([grant.to_json() for grant in grants])
    db.execute(
        "INSERT INTO grants (scope, grants) VALUES (?, ?) ON CONFLICT (scope) DO UPDATE SET grants = excluded.grants",
        (account.scope, text),
    )
