"""What HTTP clients get for each error, and that the SDKs understand it and do not repeat the request."""

from __future__ import annotations

import json
from collections.abc import Callable

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
from tests.guard.company import REQUEST, TEAM, Breakable, Clock

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


def test_a_rule_is_named(refused: Callable[..., Refusal]) -> None:
    refusal = refused(DENY, team="interns")
    assert (refusal.status, refusal.rule, refusal.budget) == (403, "p/no-interns", None)
    assert "interns ask first" in refusal.message


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
