"""Alerts in PostgreSQL."""

from __future__ import annotations

from typing import Any

from costlens_policy.ledger.alerts import AlertClaim, PendingAlert
from costlens_policy.ledger.instants import instant_of
from costlens_policy.ledger.json_text import facts_text, facts_value
from costlens_policy.ledger.postgresql.database import Database

__all__ = ["claim", "fail", "mark_delivered", "take"]


def claim(database: Database, alert: AlertClaim, now: int, visible_at: int) -> bool:
    inserted = database.execute(
        "INSERT INTO @ledger.alerts"
        " (id, budget, key, period, threshold, facts, claimed_at, visible_at, attempts, problem)"
        " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, 1, '') ON CONFLICT (id) DO NOTHING",
        alert.id, alert.budget, alert.key, alert.period, alert.threshold, facts_text(alert.facts), now, visible_at,
    )  # fmt: skip
    return inserted == 1


def take(database: Database, now: int, visible_at: int, limit: int) -> tuple[PendingAlert, ...]:
    rows = database.rows(
        "WITH due AS (SELECT number, visible_at AS due_at FROM @ledger.alerts"
        " WHERE delivered_at IS NULL AND visible_at <= %s ORDER BY visible_at, number LIMIT %s FOR UPDATE SKIP LOCKED),"
        " taken AS (UPDATE @ledger.alerts AS a SET visible_at = %s, attempts = a.attempts + 1 FROM due"
        " WHERE a.number = due.number"
        " RETURNING a.budget, a.key, a.period, a.threshold, a.facts, a.claimed_at, a.attempts - 1, a.problem,"
        " due.due_at, a.number)"
        " SELECT * FROM taken ORDER BY due_at, number",
        now, limit, visible_at,
    )  # fmt: skip
    return tuple(_pending(*row[:-2]) for row in rows)


def mark_delivered(database: Database, alert: AlertClaim, now: int) -> None:
    database.execute(
        "UPDATE @ledger.alerts SET delivered_at = %s WHERE id = %s AND delivered_at IS NULL", now, alert.id
    )


def fail(database: Database, alert: AlertClaim, retry_at: int, problem: str) -> None:
    database.execute(
        "UPDATE @ledger.alerts SET visible_at = %s, problem = %s WHERE id = %s", retry_at, problem, alert.id
    )


def _pending(*row: Any) -> PendingAlert:
    budget, key, period, threshold, facts, claimed_at, attempts, problem = row
    alert = AlertClaim(budget, key, period, threshold, facts_value(facts))
    return PendingAlert(alert, instant_of(claimed_at), attempts, problem)
