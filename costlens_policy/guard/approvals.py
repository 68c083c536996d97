"""Approvals that calls need: asked for in the ledger, waited for, and answered there by people.

An approval has one id for its account and threshold, which every process works out by itself, so that it is asked for
once however many calls need it. The request, each answer, its author and reason are entries of the ledger; an answer
holds for the account's period at the longest. The last answer counts.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from datetime import timedelta
from hashlib import sha256
from typing import Final

from costlens_policy.engine.decision import ApprovalNeeded, Decision
from costlens_policy.engine.denial import ApprovalNeededError, PendingApproval
from costlens_policy.guard.balances import Snapshot
from costlens_policy.guard.shared import Shared
from costlens_policy.ledger import Account, Adjustment, LedgerError
from costlens_policy.ledger.amounts import amount_of

__all__ = ["Waiting", "Waits", "approval_error", "approval_id"]

_LOG: Final = logging.getLogger("costlens_policy.guard")
_ASKED_BY: Final = "costlens-policy"
_FIRST_PAUSE: Final = 0.1
_LONGEST_PAUSE: Final = 2.0


def approval_id(account: Account, threshold: str) -> str:
    """Return the id of the approval of calls past a threshold of an account."""
    return f"ap-{sha256(f'{account.name}~{threshold}'.encode()).hexdigest()[:16]}"


def approval_error(shared: Shared, decision: Decision, snapshot: Snapshot) -> ApprovalNeededError:
    """Ask for the approvals that a denied decision needs, and return the error that names them.

    One that the ledger cannot record now is asked for by the next call.
    """
    pending = []
    for needed in decision.approvals:
        place = (needed.budget, needed.key)
        if snapshot.find(place) is None:
            continue
        balance = snapshot.balances[place]
        id = approval_id(balance.account, needed.threshold)
        denied = any(item.threshold == needed.threshold and item.up_to is None for item in balance.grants.approvals)
        if not denied:
            _ask(shared, id, balance.account, needed, decision)
            shared.alerts.needs_approval(balance, id, needed.threshold, needed.reason)
        pending.append(
            PendingApproval(
                id, needed.budget, needed.key, needed.threshold, needed.amount, needed.reason, denied,
                _wait(decision, needed),
            )
        )  # fmt: skip
    return ApprovalNeededError(decision, tuple(pending))


def _ask(shared: Shared, id: str, account: Account, needed: ApprovalNeeded, decision: Decision) -> None:
    try:
        amount = amount_of(needed.amount, account.unit)
        asked = Adjustment(
            id, "ask", account, amount, _ASKED_BY, needed.reason, decision.now, threshold=needed.threshold
        )
        shared.link.ask(lambda store: store.adjust(asked))
    except LedgerError as error:
        _LOG.warning("approval `%s` could not be asked for: %s", id, error)


def _wait(decision: Decision, needed: ApprovalNeeded) -> timedelta:
    """Return how long the policy lets a call wait for an approval."""
    step = decision.plan.budgets[needed.budget][1]
    found = (item.approval.wait for item in step.thresholds if item.name == needed.threshold and item.approval)
    return next(found, timedelta(0))


class Waiting(Exception):  # noqa: N818 - no failure: the call goes on after a pause
    """A call waits for an approval, and looks for an answer again after ``pause`` seconds. It holds nothing."""

    def __init__(self, pause: float) -> None:
        super().__init__(pause)
        self.pause = pause


class Waits:
    """The pauses of one call."""

    __slots__ = ("_pauses",)

    def __init__(self) -> None:
        self._pauses: Iterator[float] | None = None

    def after(self, error: ApprovalNeededError, longest: timedelta | None) -> float | None:
        """Return for how many seconds a call pauses that was refused; None where it waits no longer.

        Together the pauses are as long as the shortest wait of the approvals that the call needed first, and
        ``longest`` at most. Where one is denied, nobody waits.
        """
        if not error.approvals or any(item.denied for item in error.approvals):
            return None
        if self._pauses is None:
            waits = [item.wait for item in error.approvals]
            self._pauses = _pauses(min(waits if longest is None else [*waits, longest]).total_seconds())
        return next(self._pauses, None)


def _pauses(left: float) -> Iterator[float]:
    pause = _FIRST_PAUSE
    while left > 0:
        yield min(pause, left)
        left -= pause
        pause = min(2 * pause, _LONGEST_PAUSE)
