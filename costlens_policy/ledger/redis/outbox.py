"""Alerts in Redis."""

from __future__ import annotations

from costlens_policy.ledger.account import SEPARATOR
from costlens_policy.ledger.alerts import AlertClaim, PendingAlert
from costlens_policy.ledger.instants import instant_of
from costlens_policy.ledger.json_text import facts_text, facts_value
from costlens_policy.ledger.redis.server import Server

__all__ = ["claim", "finish", "take"]


def claim(server: Server, alert: AlertClaim, now: int, visible_at: int) -> bool:
    keys = f"n:{alert.id}", "pending"
    return bool(server.run("claim_alert", keys, (alert.id,), (now, visible_at), facts_text(alert.facts)))


def take(server: Server, now: int, visible_at: int, limit: int) -> tuple[PendingAlert, ...]:
    rows = server.run("take_alerts", ("pending",), (), (now, visible_at, limit))
    return tuple(_pending(*row) for row in rows)


def finish(server: Server, alert: AlertClaim, retry_at: int, problem: str) -> None:
    server.run("finish_alert", (f"n:{alert.id}", "pending"), (alert.id,), (retry_at,), problem)


def _pending(id: str, claimed_at: str, facts: str, attempts: str, problem: str) -> PendingAlert:
    budget, period, threshold, key = id.split(SEPARATOR, 3)
    alert = AlertClaim(budget, key, period, threshold, facts_value(facts))
    return PendingAlert(alert, instant_of(int(claimed_at)), int(attempts), problem)
