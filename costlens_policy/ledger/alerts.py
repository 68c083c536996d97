"""Alerts: each is raised by one process only, and delivered at least once."""

from __future__ import annotations

from dataclasses import field
from datetime import datetime

from costlens_policy.frozen import frozen
from costlens_policy.ledger.account import checked_text
from costlens_policy.ledger.calls import Facts
from costlens_policy.ledger.errors import AmountError

__all__ = ["AlertClaim", "PendingAlert"]


@frozen
class AlertClaim:
    """An alert that is due.

    ``period`` is ``Period.alert_id``; the four texts together are claimed once. ``facts`` is what to deliver.
    """

    budget: str
    key: str
    period: str
    threshold: str
    facts: Facts = field(default_factory=dict)

    def __post_init__(self) -> None:
        checked_text(self.id, "the name of an alert")
        if any("\x1f" in text for text in (self.budget, self.period, self.threshold)):
            raise AmountError("the name of an alert must not contain a control character")

    @property
    def id(self) -> str:
        return "\x1f".join((self.budget, self.period, self.threshold, self.key))


@frozen
class PendingAlert:
    """An alert that was claimed and not yet reported as delivered.

    ``attempts`` counts who took it before, the claimer included.
    """

    claim: AlertClaim
    claimed_at: datetime
    attempts: int
    problem: str = ""
