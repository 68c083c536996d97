"""What HTTP clients get for each error, and that the SDKs understand it and do not repeat the request."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal

import pytest

from costlens_policy import (
    CallConflictError,
    DeniedError,
    Engine,
    Guard,
    GuardError,
    LedgerUnavailableError,
    UnguardedCallError,
)
from costlens_policy.errors import RequestError
from costlens_policy.integrations.refusals import Refusal, refusal_of
from costlens_policy.ledger import MemoryStore, UnknownCallError
from tests.guard.company import REQUEST, START, TEAM, Breakable, Clock

TWO_MINUTES = timedelta(minutes=2)

DENY = """
on_error: deny
access: [{id: no-interns, when: "request.?team.orValue('') == 'interns'", effect: deny, reason: interns ask first}]
"""


@pytest.fixture
def refused(company: Callable[..., Engine], clock: Clock) -> Callable[..., Refusal]:
    """Return a function from a policy and attributes to the refusal."""

    def refuse(policy: str, **attributes: object) -> Refusal:
        with Guard(company(policy), clock=clock) as guard:
            for _ in range(20):
                try:
                    guard.call({**REQUEST, **attributes})
                except DeniedError as denied:
                    found = refusal_of(denied)
                    assert found is not None
                    return found
        raise AssertionError("nothing was refused")

    return refuse


def test_a_budget_is_named_with_its_reset(refused: Callable[..., Refusal]) -> None:
    refusal = refused(TEAM)
    assert (refusal.status, refusal.code, refusal.budget, refusal.key) == (402, "budget_exceeded", "p/team", "red")
    assert refusal.body["error"]["resets_at"] == "2026-05-11T00:00:00+00:00"
    assert refusal.body["error"]["rule"] == "default"
    assert refusal.headers["retry-after"] == str(12 * 3600)
    assert "budget `p/team` of `red` resets at 2026-05-11T00:00:00+00:00" in refusal.message


def test_a_window_without_end_has_no_reset(refused: Callable[..., Refusal]) -> None:
    refusal = refused(TEAM.replace("{calendar: day}", "{rolling: 1h}"))
    assert refusal.status == 402
    assert refusal.resets_at is None
    assert "retry-after" not in refusal.headers


def test_a_refusal_says_what_is_spent_what_is_merely_held_and_when_the_next_hold_ends(
    company: Callable[..., Engine], clock: Clock
) -> None:
    with Guard(company(TEAM), clock=clock) as guard:
        guard.call(REQUEST).settle({"prompt_tokens": 1000, "completion_tokens": 0})
        calls = [guard.call(REQUEST, lease=timedelta(minutes=minutes)) for minutes in (9, 1, 2, 3, 4, 5, 6)]
        clock.move(seconds=30)
        with pytest.raises(DeniedError) as first:
            guard.call(REQUEST)
        calls[1].settle({"prompt_tokens": 1000, "completion_tokens": 100})
        with pytest.raises(DeniedError) as second:
            guard.call(REQUEST)
        with pytest.raises(DeniedError) as decided:
            raise DeniedError(guard.decide(REQUEST))
    refusal = refusal_of(first.value)
    assert refusal is not None
    error = refusal.body["error"]
    assert [error[name] for name in ("unit", "used", "held", "limit")] == ["usd", "0.001", "0.0084", "0.01"]
    assert error["hold_ends_at"] == "2026-05-10T12:01:00+00:00"
    assert "; the next hold on budget `p/team` of `red` ends at 2026-05-10T12:01:00+00:00; budget" in error["message"]
    denied = pickle.loads(pickle.dumps(second.value))
    assert (denied.used, denied.held, denied.hold_ends_at) == (
        Decimal("0.0022"),
        Decimal("0.0072"),
        START + TWO_MINUTES,
    )
    assert str(denied) == str(second.value)
    assert (decided.value.held, decided.value.hold_ends_at) == (denied.held, None), "who only decides asks no ledger"


def test_a_limit_that_is_an_expression_is_named_in_any_process(company: Callable[..., Engine], clock: Clock) -> None:
    limit = TEAM.replace("0.01", '"variables.share * 0.01"')
    with Guard(company(f"variables: {{share: '2.0'}}\n{limit}"), clock=clock) as guard:
        for _ in range(16):
            guard.call(REQUEST)
        with pytest.raises(DeniedError) as denied:
            guard.call(REQUEST)
    assert denied.value.limit == pickle.loads(pickle.dumps(denied.value)).limit == Decimal("0.02")


def test_a_budget_that_is_spent_has_no_hold_that_ends(refused: Callable[..., Refusal], clock: Clock) -> None:
    refusal = refused(TEAM.replace("0.01", "0.001"))
    assert (refusal.used, refusal.held, refusal.limit, refusal.hold_ends_at) == (0, 0, Decimal("0.001"), None)
    assert "next hold" not in refusal.message


def test_a_rule_is_named(refused: Callable[..., Refusal]) -> None:
    refusal = refused(DENY, team="interns")
    assert (refusal.status, refusal.rule, refusal.budget) == (403, "p/no-interns", None)
    assert "interns ask first" in refusal.message
    assert (refusal.unit, refusal.used, refusal.held, refusal.limit) == (None, None, None, None)


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (RequestError(("`modle` is unknown",)), 400, "invalid_request"),
        (GuardError("no"), 400, "invalid_request"),
        (UnguardedCallError("no"), 400, "unguarded"),
        (CallConflictError("no"), 409, "call_conflict"),
        (UnknownCallError("no"), 404, "unknown_call"),
        (LedgerUnavailableError("redis://secret@host is away"), 503, "ledger_unavailable"),
    ],
)
def test_other_errors(error: Exception, status: int, code: str) -> None:
    refusal = refusal_of(error)
    assert refusal is not None
    assert (refusal.status, refusal.code) == (status, code)
    assert "secret" not in json.dumps(refusal.body)
    assert ("x-should-retry" in refusal.headers) != (status == 503)


def test_a_denial_for_want_of_the_ledger_may_be_repeated(company: Callable[..., Engine]) -> None:
    store = Breakable(MemoryStore())
    with Guard(company(TEAM), ledger=store) as guard:
        store.broken = True
        with pytest.raises(DeniedError) as denied:
            guard.call(REQUEST)
        store.broken = False
    refusal = refusal_of(denied.value)
    assert refusal is not None
    assert (refusal.status, refusal.headers["retry-after"]) == (503, "1")
    assert "broken" not in refusal.message


def test_a_stranger_is_not_answered() -> None:
    assert refusal_of(ValueError("a defect")) is None


def test_an_approval_is_named_by_its_id(refused: Callable[..., Refusal]) -> None:
    refusal = refused(
        "budgets: [{id: b, hard_limit_usd: 1, window: {calendar: day}, thresholds:"
        " [{at_ratio: 0.0001, needs_approval: {reason: Ann decides}}]}]"
    )
    assert (refusal.status, refusal.code, refusal.budget) == (403, "approval_needed", "p/b")
    assert refusal.approval is not None
    assert f"costlens-policy budget approve {refusal.approval}" in refusal.message
    assert refusal.body["error"]["approval"] == refusal.approval
    assert refusal.headers["x-should-retry"] == "false"


def test_a_share_that_does_not_fit_is_told_from_a_full_budget(refused: Callable[..., Refusal]) -> None:
    refusal = refused(
        "budgets:\n"
        "  - {id: whole, hard_limit_usd: '0.0001 + 1.0', window: {lifetime: true}}\n"
        "  - {id: share, hard_limit_usd: '2.0', reserved_from: whole, window: {lifetime: true}}\n"
    )
    assert (refusal.status, refusal.code, refusal.budget) == (402, "share_refused", "p/whole")
    assert refusal.body["error"]["set_aside"] == "0"
