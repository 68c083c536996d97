"""Alerts in memory."""

from __future__ import annotations

from datetime import datetime, timedelta
from threading import Lock

from costlens_policy.ledger.alerts import AlertClaim, PendingAlert

__all__ = ["Outbox"]


class Outbox:
    """Claims, and those of them that nobody has reported as delivered."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._claimed: set[str] = set()
        self._pending: dict[str, tuple[datetime, PendingAlert]] = {}

    def claim(self, claim: AlertClaim, now: datetime, lease: timedelta) -> bool:
        with self._lock:
            if claim.id in self._claimed:
                return False
            self._claimed.add(claim.id)
            self._pending[claim.id] = (now + lease, PendingAlert(claim, now, 1))
            return True

    def take(self, now: datetime, lease: timedelta, limit: int) -> tuple[PendingAlert, ...]:
        with self._lock:
            due = sorted((at, number, alert) for number, (at, alert) in enumerate(self._pending.values()) if at <= now)
            taken = tuple(alert for _, _, alert in due[:limit])
            for alert in taken:
                again = PendingAlert(alert.claim, alert.claimed_at, alert.attempts + 1, alert.problem)
                self._pending[alert.claim.id] = (now + lease, again)
            return taken

    def delivered(self, claim: AlertClaim) -> None:
        with self._lock:
            self._pending.pop(claim.id, None)

    def failed(self, claim: AlertClaim, retry_at: datetime, problem: str) -> None:
        with self._lock:
            if claim.id in self._pending:
                _, alert = self._pending[claim.id]
                again = PendingAlert(alert.claim, alert.claimed_at, alert.attempts, problem)
                self._pending[claim.id] = (retry_at, again)
