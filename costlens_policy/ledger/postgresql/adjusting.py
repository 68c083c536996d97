"""Adjustments in PostgreSQL, each in one short transaction."""

from __future__ import annotations

from typing import Any

from psycopg.types.json import Jsonb

from costlens_policy.ledger.account import AccountBalance, Grants
from costlens_policy.ledger.adjustments import Adjusted, Adjustment
from costlens_policy.ledger.grants import Grant, adjusted_grants, grants_at
from costlens_policy.ledger.instants import micros
from costlens_policy.ledger.json_text import facts_text, json_text
from costlens_policy.ledger.postgresql.database import Database
from costlens_policy.ledger.postgresql.session import Connection
from costlens_policy.ledger.postgresql.wire import account_array

__all__ = ["adjust"]


def adjust(database: Database, adjustment: Adjustment) -> Adjusted:
    def operation(connection: Connection) -> Adjusted:
        with connection.transaction():
            return _adjust(connection, database, adjustment)

    return database.run(operation)


def _adjust(connection: Connection, database: Database, adjustment: Adjustment) -> Adjusted:
    def one(statement: str, *arguments: Any) -> Any:
        return connection.execute(database.sql(statement), arguments).fetchone()

    account, now = adjustment.account, micros(adjustment.now)
    known = one("SELECT balance FROM @ledger.adjustments WHERE id = %s", adjustment.id)
    if known is not None:
        used, held, override, topup = known[0]
        return Adjusted(adjustment.id, AccountBalance(account, used, held, Grants(override, topup)), repeated=True)
    given = Jsonb(account_array(account), dumps=json_text)
    id, used = one("SELECT id, used::text FROM @ledger.touched(%s, %s)", given, now)
    grants, amount = _grants(one, adjustment), adjustment.amount
    if adjustment.kind == "set":
        amount -= int(used)
        one("SELECT @ledger.set_used(%s, %s, %s)", id, now, adjustment.amount)
    in_force = grants_at(grants, account.period.id, now)
    used, held = one("SELECT used::text, held::text FROM @ledger.accounts WHERE id = %s", id)
    balance = AccountBalance(account, int(used), int(held), in_force)
    _record(one, adjustment, id, amount, balance)
    return Adjusted(adjustment.id, balance)


def _grants(one: Any, adjustment: Adjustment) -> tuple[Grant, ...]:
    """Return the grants of the scope, after the adjustment has changed them."""
    scope = adjustment.account.scope
    one("INSERT INTO @ledger.grants VALUES (%s, '[]') ON CONFLICT DO NOTHING RETURNING scope", scope)
    (rows,) = one("SELECT grants FROM @ledger.grants WHERE scope = %s FOR UPDATE", scope)
    grants = tuple(Grant(*row) for row in rows)
    if adjustment.kind == "set":
        return grants
    grants = adjusted_grants(grants, adjustment)
    kept = Jsonb([grant.to_json() for grant in grants], dumps=json_text)
    one("UPDATE @ledger.grants SET grants = %s WHERE scope = %s RETURNING scope", kept, scope)
    return grants


def _record(one: Any, adjustment: Adjustment, account: int, amount: int, balance: AccountBalance) -> None:
    kept = [balance.used, balance.held, balance.grants.override, balance.grants.topup]
    (number,) = one(
        "INSERT INTO @ledger.adjustments (id, balance, facts) VALUES (%s, %s, %s) RETURNING number",
        adjustment.id, Jsonb(kept, dumps=json_text), facts_text(adjustment.facts()),
    )  # fmt: skip
    (entry,) = one(
        "INSERT INTO @ledger.entries (at, kind, source, account, amount, was_held)"
        " VALUES (%s, %s, %s, %s, %s, 0) RETURNING id",
        micros(adjustment.now), adjustment.kind, number, account, amount,
    )  # fmt: skip
    one("UPDATE @ledger.adjustments SET entry = %s WHERE number = %s RETURNING number", entry, number)
