"""Alerts in the file."""

from __future__ import annotations

import sqlite3
from typing import Any

from costlens_policy.ledger.alerts import AlertClaim, PendingAlert
from costlens_policy.ledger.instants import instant_of
from costlens_policy.ledger.json_text import facts_text, facts_value

__all__ = ["claim", "fail", "mark_delivered", "take"]


def claim(db: sqlite3.Connection, alert: AlertClaim, now: int, visible_at: int) -> bool:
    inserted = db.execute(
        "INSERT INTO alerts (id, budget, key, period, threshold, facts, claimed_at, visible_at, attempts, problem)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, 1, '') ON CONFLICT (id) DO NOTHING",
        (alert.id, alert.budget, alert.key, alert.period, alert.threshold, facts_text(alert.facts), now, visible_at),
    )
    return inserted.rowcount == 1


def take(db: sqlite3.Connection, now: int, visible_at: int, limit: int) -> tuple[PendingAlert, ...]:
    rows = db.execute(
        "SELECT budget, key, period, threshold, facts, claimed_at, attempts, problem, number FROM alerts"
        " WHERE delivered_at IS NULL AND visible_at <= ? ORDER BY visible_at, number LIMIT ?",
        (now, limit),
    ).fetchall()
    taken = [(visible_at, row[-1]) for row in rows]
    db.executemany("UPDATE alerts SET visible_at = ?, attempts = attempts + 1 WHERE number = ?", taken)
    return tuple(_pending(*row[:-1]) for row in rows)


def mark_delivered(db: sqlite3.Connection, alert: AlertClaim, now: int) -> None:
    db.execute("UPDATE alerts SET delivered_at = ? WHERE id = ? AND delivered_at IS NULL", (now, alert.id))


def fail(db: sqlite3.Connection, alert: AlertClaim, retry_at: int, problem: str) -> None:
    db.execute("UPDATE alerts SET visible_at = ?, problem = ? WHERE id = ?", (retry_at, problem, alert.id))


def _pending(*row: Any) -> PendingAlert:
    budget, key, period, threshold, facts, claimed_at, attempts, problem = row
    alert = AlertClaim(budget, key, period, threshold, facts_value(facts))
    return PendingAlert(alert, instant_of(claimed_at), attempts, problem)
