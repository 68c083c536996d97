"""A ledger that cannot be reached: refused or bounded, as the policy set says, and never in silence."""

from __future__ import annotations

import threading
from decimal import Decimal

import pytest

from costlens_policy import DeniedError, Guard
from costlens_policy.ledger import LedgerUnavailableError, open_ledger
from tests.guard.company import REQUEST, TEAM, Breakable

ALLOW = "ledger: {unreachable: allow, allowance_usd: 0.004}"
USAGE = {"prompt_tokens": 1000, "completion_tokens": 50}


class Timer:
    """Steady seconds that move when they are told to."""

    def __init__(self):
        self.seconds = 1000.0

    def __call__(self):
        return self.seconds


@pytest.fixture
def fragile(guard_of, ledger):
    """Return a function that gives a guard, its store, and the timer of its pauses."""

    def make(policy=TEAM, more=ALLOW, **options):
        store = Breakable(open_ledger(ledger) if isinstance(ledger, str) else ledger)
        timer = Timer()
        guard = guard_of(policy, ledger=store, more=more, **options)
        guard._service.link._timer = timer
        return guard, store, timer

    return make


def kinds(guard):
    assert guard.flush()
    return [event.kind for event in guard.events]


class TestDeny:
    def test_refuses_and_says_why(self, fragile):
        guard, store, timer = fragile(more="")
        guard.call(REQUEST).settle(USAGE)
        store.broken = True
        with pytest.raises(DeniedError, match="ledger: it cannot be reached: the store is broken") as denied:
            guard.call(REQUEST)
        assert isinstance(denied.value.__cause__, LedgerUnavailableError)
        assert denied.value.budget is None
        assert "ledger-lost" in kinds(guard)
        store.broken = False
        timer.seconds += 1
        guard.call(REQUEST).settle(USAGE)
        assert kinds(guard) == ["ledger-lost", "ledger-back"]

    def test_what_was_spent_meanwhile_is_not_lost(self, fragile):
        guard, store, timer = fragile(more="")
        calls = [guard.call(REQUEST) for _ in range(3)]
        store.broken = True
        for call in calls:
            charged = call.settle(USAGE)
            assert (charged.recorded, charged.cost) == (False, Decimal("0.0011"))
        store.broken = False
        timer.seconds += 1
        (line,) = guard.spend()
        assert (line.used, line.held) == (Decimal("0.0033"), 0)

    def test_a_call_that_counts_nowhere_needs_no_ledger(self, fragile):
        guard, store, _ = fragile(policy="", more="")
        store.broken = True
        assert guard.call(REQUEST).settle(USAGE).recorded

    def test_what_is_held_when_it_breaks_ends_with_its_lease(self, fragile, clock):
        guard, store, timer = fragile(more="")
        call = guard.call(REQUEST)
        store.broken = True
        call.release()
        store.broken = False
        timer.seconds += 1
        assert guard.spend()[0].held > 0
        clock.move(minutes=11)
        assert guard.spend("team", "red")[0].held == 0


class TestAllow:
    def test_a_bounded_allowance(self, fragile):
        guard, store, timer = fragile()
        guard.call(REQUEST).settle(USAGE)
        store.broken = True
        calls = [guard.call(REQUEST) for _ in range(3)]
        assert calls[0].decision.reasons[-2:] == (
            "ledger: it cannot be reached: the store is broken",
            "ledger: counted by this process alone, $0.00 of the allowance of $0.004 are taken",
        )
        with pytest.raises(DeniedError, match=r"the allowance has no room for \$0.0012: \$0.0036 of the allowance"):
            guard.call(REQUEST)
        calls[0].release()
        assert not calls[1].settle(USAGE).recorded
        guard.call(REQUEST).settle(USAGE)
        with pytest.raises(DeniedError):
            guard.call(REQUEST)
        store.broken = False
        timer.seconds += 1
        assert calls[2].settle(USAGE).recorded
        (line,) = guard.spend()
        assert (line.used, line.held) == (Decimal("0.0044"), 0)
        assert kinds(guard) == ["ledger-lost", "ledger-back"]
        assert guard.events[-1].text == "the ledger is back, 2 charges came late"

    def test_the_allowance_is_renewed(self, fragile):
        guard, store, timer = fragile()
        for _ in range(3):
            store.broken = True
            for _ in range(3):
                guard.call(REQUEST).settle(USAGE)
            with pytest.raises(DeniedError):
                guard.call(REQUEST)
            store.broken = False
            timer.seconds += 1
            guard.spend()
        assert guard.spend()[0].used == Decimal("0.0099")

    def test_budgets_that_are_known_to_be_full_still_refuse(self, fragile):
        guard, store, _ = fragile(more="ledger: {unreachable: allow, allowance_usd: 100}")
        for _ in range(5):
            guard.call(REQUEST).settle(USAGE)
        store.broken = True
        for _ in range(4):
            guard.call(REQUEST).settle(USAGE)
        with pytest.raises(DeniedError, match="no room") as denied:
            guard.call(REQUEST)
        assert denied.value.budget == "p/team"
        store.broken = False
        guard._service.link._timer.seconds += 1
        assert guard.spend()[0].used <= Decimal("0.01")

    def test_a_call_without_a_price_has_no_place(self, fragile):
        policy = "budgets: [{id: all, hard_limit_requests: 100, window: {lifetime: true}}]"
        guard, store, _ = fragile(policy=policy, models="free")
        guard.call(REQUEST)
        store.broken = True
        with pytest.raises(DeniedError, match="without a price has no place in the allowance"):
            guard.call(REQUEST)

    def test_a_guard_starts_without_its_ledger(self, company, clock, tmp_path):
        folder = tmp_path / "later"
        url = f"sqlite:///{folder / 'spend.db'}"
        with pytest.raises(LedgerUnavailableError):
            Guard(company(TEAM), url)
        guard = Guard(company(TEAM, more=ALLOW), url, clock=clock, alert_sinks=[])
        guard.call(REQUEST).settle(USAGE)
        folder.mkdir()
        guard._service.link._timer = lambda: 1e9
        assert guard.spend()[0].used == Decimal("0.0011")
        guard.close()

    def test_a_named_call_without_a_ledger(self, fragile):
        guard, store, timer = fragile()
        guard.call(REQUEST, id="job-1").release()
        store.broken = True
        guard.call(REQUEST, id="job-1").settle(USAGE)
        store.broken = False
        timer.seconds += 1
        assert guard.spend()[0].used == Decimal("0.0011")

    def test_a_hold_that_was_recorded_though_nobody_heard_is_charged_once(self, fragile):
        guard, store, timer = fragile()
        reserve = store._store.reserve

        def deaf(hold):
            reserve(hold)
            raise LedgerUnavailableError("the answer was lost")

        store._store.reserve = deaf
        call = guard.call(REQUEST)
        store._store.reserve = reserve
        timer.seconds += 1
        call.settle(USAGE)
        (line,) = guard.spend()
        assert (line.used, line.held) == (Decimal("0.0011"), 0)

    def test_threads_share_the_bound(self, fragile):
        guard, store, timer = fragile(policy=TEAM.replace("0.01", "1"))
        store.broken = True
        through = []

        def work():
            for _ in range(20):
                try:
                    guard.call(REQUEST).settle({"prompt_tokens": 1000, "completion_tokens": 100})
                    through.append(1)
                except DeniedError:
                    pass

        threads = [threading.Thread(target=work) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(through) == 3
        store.broken = False
        timer.seconds += 1
        assert guard.spend()[0].used == Decimal("0.0036")


def test_the_store_is_left_alone_for_a_while(fragile):
    guard, store, timer = fragile(more="")
    store.broken = True
    store.asked.clear()
    for _ in range(10):
        with pytest.raises(DeniedError):
            guard.call(REQUEST)
    assert len(store.asked) == 1
    timer.seconds += 0.3
    with pytest.raises(DeniedError):
        guard.call(REQUEST)
    assert len(store.asked) == 2
    timer.seconds += 0.3
    with pytest.raises(DeniedError):
        guard.call(REQUEST)
    assert len(store.asked) == 2


def test_what_is_lost_at_the_end_is_said(fragile, caplog):
    guard, store, _ = fragile(more="")
    call = guard.call(REQUEST)
    store.broken = True
    call.settle(USAGE)
    store._store.close = lambda: None
    guard._service.link._store = None
    guard.close()
    assert "1 charges are lost" in caplog.text
