"""The form in which HTTP clients get a refusal: one status, body and set of headers, whatever answers.

The SDKs of OpenAI (``error.message``, ``error.type``, ``error.code``, ``error.param``) and Anthropic (``type: error``,
``error.type``, ``error.message``) both read the body. Those SDKs, in every language, repeat requests that were answered
with 408, 409, 429 or 5xx unless ``x-should-retry: false`` says not to. A denial uses none of these: 402 where money has
run out (RFC 9110, 15.5.3; Anthropic's ``billing_error``), 403 where rules do not allow the request.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from costlens_policy.engine.decision import DeniedError
from costlens_policy.engine.denial import ApprovalNeededError, RunDeniedError, RunEndedError, ShareRefusedError
from costlens_policy.errors import RequestError
from costlens_policy.frozen import frozen
from costlens_policy.guard.errors import GuardError, UnguardedCallError
from costlens_policy.ledger.errors import CallConflictError, LedgerUnavailableError, UnknownCallError
from costlens_policy.money import plain

__all__ = ["Refusal", "refusal_of"]

_LEDGER_PAUSE: Final = 1
"""Seconds after which a request may be repeated that met a ledger out of reach."""


@frozen
class Refusal:
    """An answer of HTTP that says why a request was refused.

    ``rule`` is what decided (``policy/rule``), ``budget`` and ``key`` the budget without room and whose share of it,
    ``resets_at`` when its period ends: each None where there is none. ``used`` is what that share has spent, ``held``
    what calls under way merely hold, ``set_aside`` what of that waits for calls of others, and ``limit`` the limit in
    force, in ``unit``; ``hold_ends_at`` is when the next of those holds ends by itself. ``over`` is the run that is
    over, if that is why. ``approval`` is the id of the approval that the call needs, if it does. ``retry_after`` is in
    seconds.
    """

    status: int
    type: str
    code: str
    message: str
    rule: str | None = None
    budget: str | None = None
    key: str | None = None
    resets_at: datetime | None = None
    unit: str | None = None
    used: Decimal | None = None
    held: Decimal | None = None
    set_aside: Decimal | None = None
    limit: Decimal | None = None
    hold_ends_at: datetime | None = None
    over: str | None = None
    approval: str | None = None
    retry_after: int | None = None

    @property
    def may_be_retried(self) -> bool:
        """Whether the same request may succeed if it is repeated at once."""
        return self.status == 503

    @property
    def body(self) -> dict[str, Any]:
        """The body, to be sent as JSON."""
        error = {
            "message": self.message,
            "type": self.type,
            "code": self.code,
            "param": None,
            "rule": self.rule,
            "budget": self.budget,
            "key": self.key,
            "resets_at": _time(self.resets_at),
            "unit": self.unit,
            "used": _amount(self.used),
            "held": _amount(self.held),
            "set_aside": _amount(self.set_aside),
            "limit": _amount(self.limit),
            "hold_ends_at": _time(self.hold_ends_at),
            "over": self.over,
            "approval": self.approval,
        }
        return {"type": "error", "error": error}

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers, in lower case: the SDKs do not repeat a request that would be refused again."""
        headers = {"content-type": "application/json"}
        if not self.may_be_retried:
            headers["x-should-retry"] = "false"
        if self.retry_after is not None:
            headers["retry-after"] = str(self.retry_after)
        return headers


def _time(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat()


def _amount(amount: Decimal | None) -> str | None:
    return None if amount is None else plain(amount)


def refusal_of(error: BaseException) -> Refusal | None:
    """Return how HTTP answers an error of this package; None for one that is not the caller's to know.

    402 and 403 are denials, 400 is a request that cannot be decided, 404 and 409 are ids of calls that are unknown or
    taken, and 503, the only one to be repeated, is a ledger that cannot be reached.
    """
    message = str(error)
    if isinstance(error, LedgerUnavailableError) or isinstance(error.__cause__, LedgerUnavailableError):
        said = "the ledger cannot be reached"  # what it says of itself names hosts and files
        return Refusal(503, "api_error", "ledger_unavailable", said, retry_after=_LEDGER_PAUSE)
    if isinstance(error, DeniedError):
        return _denial(error)
    if isinstance(error, UnguardedCallError):
        return Refusal(400, "invalid_request_error", "unguarded", message)
    if isinstance(error, RequestError | GuardError):
        return Refusal(400, "invalid_request_error", "invalid_request", message)
    if isinstance(error, CallConflictError):
        return Refusal(409, "invalid_request_error", "call_conflict", message)
    if isinstance(error, UnknownCallError):
        return Refusal(404, "not_found_error", "unknown_call", message)
    return None


def _denial(denied: DeniedError) -> Refusal:
    over = denied.over if isinstance(denied, RunDeniedError) else None
    if isinstance(denied, RunEndedError):
        return Refusal(403, "permission_error", "run_ended", str(denied), rule=denied.rule, over=over)
    if isinstance(denied, ApprovalNeededError):
        of_budget = _of_budget(denied)
        return replace(
            of_budget, status=403, type="permission_error", code="approval_needed", approval=denied.approval or None
        )
    if denied.budget is None:
        return Refusal(403, "permission_error", "policy_denied", str(denied), rule=denied.rule)
    resets_at, whose = denied.resets_at, f" of `{denied.key}`" if denied.key else ""
    more = "" if resets_at is None else f"; budget `{denied.budget}`{whose} resets at {resets_at.isoformat()}"
    seconds = None if resets_at is None else (resets_at - denied.decision.now).total_seconds()
    return replace(
        _of_budget(denied), message=str(denied) + more, hold_ends_at=denied.hold_ends_at, over=over,
        retry_after=None if seconds is None else max(1, math.ceil(seconds)),
    )  # fmt: skip


def _of_budget(denied: DeniedError) -> Refusal:
    """Return the refusal of a budget, with how it stands."""
    code = "share_refused" if isinstance(denied, ShareRefusedError) else "budget_exceeded"
    return Refusal(
        402, "billing_error", code, str(denied),
        rule=denied.rule, budget=denied.budget, key=denied.key, resets_at=denied.resets_at, unit=denied.unit,
        used=denied.used, held=denied.held, limit=denied.limit,
        set_aside=denied.set_aside if isinstance(denied, ShareRefusedError) else None,
    )  # fmt: skip
