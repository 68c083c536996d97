"""The id of a call makes asking for it again harmless."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest

from costlens_policy import DeniedError, Guard, LivePolicies
from costlens_policy.ledger import CallConflictError
from tests.guard.company import REQUEST, TEAM, write_company

USAGE = {"prompt_tokens": 1000, "completion_tokens": 50}
SMALL = TEAM.replace("0.01", "0.0012")


def held(guard):
    return guard.spend("team", "red")[0].held


def test_the_same_hold_in_one_process(guard_of):
    guard = guard_of(SMALL)
    first, again = guard.call(REQUEST, id="job-1"), guard.call(REQUEST, id="job-1")
    assert first.decision is again.decision
    assert held(guard) == Decimal("0.0012")
    first.settle(USAGE)
    assert again.charged is first.charged


def test_the_id_of_a_call_under_way_for_another_request(guard_of):
    guard = guard_of(TEAM)
    guard.call(REQUEST, id="job-1").release()
    call = guard.call(REQUEST, id="job-1")
    with pytest.raises(CallConflictError, match="`job-1` belongs to another call, which is under way"):
        guard.call({**REQUEST, "prompt": "other"}, id="job-1")
    assert call.decision.allowed


@pytest.fixture
def two(guard_of):
    """Return two guards on one ledger, as two processes have them; the budget has room for one call."""
    return guard_of(SMALL), guard_of(SMALL)


def test_the_same_hold_in_another_process(two):
    here, there = two
    first, again = here.call(REQUEST, id="job-1"), there.call(REQUEST, id="job-1")
    assert again.decision.to_dict() == first.decision.to_dict()
    assert held(here) == Decimal("0.0012")
    with pytest.raises(DeniedError):
        there.call(REQUEST, id="job-2")
    assert not again.settle(USAGE).repeated
    repeated = first.settle({"prompt_tokens": 1, "completion_tokens": 1})
    assert repeated.repeated
    assert repeated.budgets[0].amount == Decimal("0.0011")
    assert here.spend()[0].used == Decimal("0.0011")


def test_settled_is_a_conflict(two):
    two[0].call(REQUEST, id="job-1").settle(USAGE)
    for guard in two:
        with pytest.raises(CallConflictError, match="`job-1` is settled; use a new id"):
            guard.call(REQUEST, id="job-1")


def test_given_back_is_held_anew(two):
    here, there = two
    for _ in range(3):
        here.call(REQUEST, id="job-1").release()
    again = there.call(REQUEST, id="job-1")
    assert held(there) == Decimal("0.0012")
    again.settle(USAGE)
    with pytest.raises(CallConflictError):
        here.call(REQUEST, id="job-1")


def test_a_lease_that_has_ended_is_held_anew(two, clock):
    here, there = two
    first = here.call(REQUEST, id="batch", lease=timedelta(minutes=1))
    clock.move(minutes=5)
    there.call(REQUEST, id="batch").settle(USAGE)
    assert first.settle(USAGE).late  # both were sent, as far as anybody knows


def test_the_id_of_another_request(two):
    here, there = two
    here.call(REQUEST, id="job-1")
    with pytest.raises(CallConflictError, match="belongs to another call"):
        there.call({**REQUEST, "prompt_tokens": 5}, id="job-1")


@pytest.mark.parametrize("policy", [TEAM, ""], ids=["one budget", "none"])
@pytest.mark.parametrize(
    "other", [{"prompt": "other"}, {"team": "blue"}, {"params": {"temperature": 1}}], ids=["text", "team", "params"]
)
def test_the_id_of_another_request_of_the_same_size(guard_of, policy, other):
    here, there = guard_of(policy), guard_of(policy)
    here.call(REQUEST, id="job-1")
    with pytest.raises(CallConflictError, match="belongs to another call"):
        there.call({**REQUEST, **other}, id="job-1")
    assert there.call({**REQUEST, "id": "job-1"}, id="job-1").repeated, "the id is no part of the request"


def test_the_id_of_a_call_that_counts_on_no_budget(guard_of):
    policy = TEAM.replace("id: team", "id: team\n    when: has(request.team)")
    here, there = guard_of(policy), guard_of(policy)
    here.call({"prompt": "Hi"}, id="free")
    here.call(REQUEST, id="counted")
    with pytest.raises(CallConflictError, match="belongs to another call"):
        there.call(REQUEST, id="free")
    with pytest.raises(CallConflictError, match="belongs to another call"):
        there.call({"prompt": "Hi"}, id="counted")


def test_whether_it_was_held_before(two):
    here, there = two
    first = here.call(REQUEST, id="job-1")
    assert [first.repeated, here.call(REQUEST, id="job-1").repeated] == [False, True]
    assert there.call(REQUEST, id="job-1").repeated
    first.release()
    assert not here.call(REQUEST, id="job-1").repeated


@pytest.mark.parametrize(
    "policy",
    [
        TEAM + "    reason: a friendlier text\n",
        TEAM + "  - {id: more, hard_limit_usd: 0, window: {lifetime: true}}\n",
        "",
    ],
    ids=["a reason", "a further budget", "no budget"],
)
def test_policies_that_were_replaced_meanwhile(tmp_path, ledger, clock, policy):
    write_company(tmp_path / "live", TEAM)
    live = LivePolicies(tmp_path / "live", interval=None)
    with Guard(live, ledger, clock=clock, alert_sinks=[]) as guard:
        first = guard.call(REQUEST, id="job-1").decision
        write_company(tmp_path / "live", policy)
        live.refresh()
        again = guard.call(REQUEST, id="job-1")  # nobody has the first call any more
        assert again.repeated
        assert again.decision.to_dict() == first.to_dict()
        assert again.settle(USAGE).cost == Decimal("0.0011")


def test_other_policies_that_come_to_the_same(guard_of):
    guard_of(TEAM).call(REQUEST, id="job-1")
    there = guard_of(TEAM + "    reason: a friendlier text\n")
    again = there.call(REQUEST, id="job-1")
    assert (again.repeated, again.model) == (True, "nano")
    assert held(there) == Decimal("0.0012")


def test_the_id_of_another_request_that_counts_on_other_budgets(guard_of):
    policy = TEAM + "  - {id: big, when: request.prompt_tokens > 500, hard_limit_usd: 1, window: {calendar: day}}\n"
    here, there = guard_of(policy), guard_of(policy)
    here.call(REQUEST, id="job-1")
    with pytest.raises(CallConflictError, match="belongs to another call"):
        there.call({**REQUEST, "prompt_tokens": 5}, id="job-1")
