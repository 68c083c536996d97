"""A ledger that cannot be reached: refused or bounded, as the policy set says, and never in silence."""

from __future__ import annotations

import os
import random
import threading
import time
from contextlib import contextmanager
from datetime import timedelta
from decimal import Decimal
from itertools import pairwise

import pytest

from costlens_policy import DeniedError, Guard
from costlens_policy.guard import any_guard
from costlens_policy.guard import link as links
from costlens_policy.guard.link import Link
from costlens_policy.ledger import (
    Account,
    Charge,
    Hold,
    HoldLine,
    LedgerBusyError,
    LedgerUnavailableError,
    MemoryStore,
    Period,
    Settlement,
    open_ledger,
)
from tests.guard.company import REQUEST, START, TEAM, Breakable, Timer

ALLOW = "ledger: {unreachable: allow, allowance_usd: 0.004}"
USAGE = {"prompt_tokens": 1000, "completion_tokens": 50}


@pytest.fixture(autouse=True)
def hasty(monkeypatch):
    """Do not try for seconds to write what waits when a guard is closed."""
    monkeypatch.setattr(any_guard, "_CLOSING", 0.3)


@pytest.fixture
def no_looks(monkeypatch):
    """Let no look for alerts take the turn of a call within the next two seconds."""
    monkeypatch.setattr(random, "uniform", lambda low, high: high)


@pytest.fixture
def fragile(guard_of, ledger):
    """Return a function that gives a guard, its store, and the timer of its pauses."""

    def make(policy=TEAM, more=ALLOW, **options):
        store = Breakable(open_ledger(ledger) if isinstance(ledger, str) else ledger)
        timer = Timer()
        guard = guard_of(policy, ledger=store, more=more, timer=timer, **options)
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

    def test_what_was_given_back_meanwhile_is_not_held_until_its_lease_ends(self, fragile):
        guard, store, timer = fragile(more="")
        call = guard.call(REQUEST)
        store.broken = True
        call.release()
        store.broken = False
        timer.seconds += 1
        assert guard.spend("team", "red")[0].held == 0


class TestAllow:
    def test_a_bounded_allowance(self, fragile):
        guard, store, timer = fragile()
        guard.call(REQUEST).settle(USAGE)
        store.broken = True
        calls = [guard.call(REQUEST) for _ in range(3)]
        assert calls[0].decision.reasons[-2:] == (
            "ledger: it cannot be reached: the store is broken",
            "ledger: counted by this process alone, $0.00 of the allowance of $0.004 is taken",
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
        assert guard.events[-1].text == "the ledger is back; 2 charges were written late"

    @pytest.mark.parametrize(("usd", "fit"), [("0.0024", 2), ("0.00239999", 1), ("0.0012", 1), ("0.0011999", 0)])
    def test_the_allowance_lets_calls_through_up_to_its_last_digit(self, fragile, usd, fit):
        guard, store, _ = fragile(more=f"ledger: {{unreachable: allow, allowance_usd: {usd}}}")
        store.broken = True
        for _ in range(fit):
            guard.call(REQUEST)
        with pytest.raises(DeniedError, match="the allowance has no room"):
            guard.call(REQUEST)

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
        guard, store, timer = fragile(more="ledger: {unreachable: allow, allowance_usd: 100}")
        for _ in range(5):
            guard.call(REQUEST).settle(USAGE)
        store.broken = True
        for _ in range(4):
            guard.call(REQUEST).settle(USAGE)
        with pytest.raises(DeniedError, match="no room") as denied:
            guard.call(REQUEST)
        assert denied.value.budget == "p/team"
        store.broken = False
        timer.seconds += 1
        assert guard.spend()[0].used <= Decimal("0.01")

    def test_a_call_without_a_price_has_no_place(self, fragile):
        policy = "budgets: [{id: all, hard_limit_requests: 100, window: {lifetime: true}}]"
        guard, store, _ = fragile(policy=policy, models="free")
        guard.call(REQUEST)
        store.broken = True
        with pytest.raises(DeniedError, match="without a price cannot count against the allowance"):
            guard.call(REQUEST)

    def test_a_guard_starts_without_its_ledger(self, company, clock, tmp_path):
        folder = tmp_path / "later"
        url = f"sqlite:///{folder / 'spend.db'}"
        with pytest.raises(LedgerUnavailableError):
            Guard(company(TEAM), url)
        timer = Timer()
        guard = Guard(company(TEAM, more=ALLOW), url, clock=clock, timer=timer, alert_sinks=[])
        guard.call(REQUEST).settle(USAGE)
        folder.mkdir()
        timer.seconds += 1
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
        reserve = store.inner.reserve

        def deaf(hold):
            reserve(hold)
            raise LedgerUnavailableError("the answer was lost")

        store.inner.reserve = deaf
        call = guard.call(REQUEST)
        store.inner.reserve = reserve
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
    guard.close()
    assert "1 charges or ends of runs are lost" in caplog.text


class TestOneFault:
    """Many calls that meet one fault make one pause, and only attempts after it make it longer."""

    def test_the_pause_does_not_grow_with_the_callers(self):
        timer, together = Timer(), threading.Barrier(12)
        link = Link(MemoryStore, timer)

        def stall(_):
            together.wait(10)
            raise LedgerUnavailableError("no answer")

        threads = [threading.Thread(target=raises_unavailable, args=(link, stall)) for _ in range(12)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        timer.seconds += 0.26
        assert link.ask(lambda _: "served") == "served"

    def test_a_call_that_began_before_the_ledger_was_back_says_nothing_new(self):
        timer = Timer()
        link = Link(MemoryStore, timer)

        def slow(_):
            raises_unavailable(link, fail)
            timer.seconds += 1
            link.ask(lambda _: None)
            raise LedgerUnavailableError("no answer, long ago")

        raises_unavailable(link, slow)
        assert link.ask(lambda _: "served") == "served"

    def test_each_failed_attempt_doubles_it_up_to_half_a_minute(self):
        timer, asked = Timer(), []
        link = Link(MemoryStore, timer)

        def refuse(store):
            asked.append(timer.seconds)
            fail(store)

        raises_unavailable(link, refuse)
        for pause in (0.25, 0.5, 1, 2, 4, 8, 16, 30, 30, 30):
            timer.seconds = asked[-1] + pause - 0.01
            raises_unavailable(link, refuse)
            timer.seconds += 0.02
            raises_unavailable(link, refuse)
        steps = [round(after - before, 2) for before, after in pairwise(asked)]
        assert steps == [0.26, 0.51, 1.01, 2.01, 4.01, 8.01, 16.01, 30.01, 30.01, 30.01]

    def test_an_attempt_that_ends_in_another_way_lets_the_next_one_try(self):
        timer = Timer()
        link = Link(MemoryStore, timer)
        raises_unavailable(link, fail)
        timer.seconds += 1
        with pytest.raises(KeyboardInterrupt):
            link.ask(interrupt)
        assert link.ask(lambda _: "served") == "served"


class TestBusy:
    """What others have locked is refused to whoever asks for it, and to nobody else."""

    def test_only_that_call_is_refused(self, fragile):
        guard, store, _ = fragile(more="")
        busy_for(store, "reserve", "red")
        for _ in range(3):
            with pytest.raises(DeniedError, match="ledger: it is busy: others keep it"):
                guard.call(REQUEST)
            guard.call({**REQUEST, "team": "blue"}).settle(USAGE)
        assert kinds(guard) == []

    def test_a_charge_is_put_off_and_nobody_waits_for_it(self, fragile):
        guard, store, _ = fragile(more="")
        call = guard.call(REQUEST)
        free = busy_for(store, "charge", "red")
        assert not call.settle(USAGE).recorded
        asked = len(store.asked)
        guard.call({**REQUEST, "team": "blue"}).release()
        assert "charge" not in store.asked[asked:]
        free()
        wait_until(lambda: guard.spend("team", "red")[0].used == Decimal("0.0011"))
        assert guard.spend("team", "red")[0].held == 0

    def test_the_allowance_is_renewed_once_nothing_waits(self, fragile):
        guard, store, _ = fragile()
        free = [busy_for(store, "reserve", "red"), busy_for(store, "charge", "red")]
        for _ in range(3):
            guard.call(REQUEST).settle({"prompt_tokens": 1000, "completion_tokens": 100})
        with pytest.raises(DeniedError, match="the allowance has no room"):
            guard.call(REQUEST)
        for each in free:
            each()
        wait_until(lambda: guard.spend("team", "red")[0].used == Decimal("0.0036"))
        busy_for(store, "reserve", "red")
        wait_until(lambda: is_let_through(guard))

    def test_closing_writes_what_was_put_off(self, fragile, guard_of):
        guard, store, _ = fragile(more="")
        call = guard.call(REQUEST)
        free = busy_for(store, "charge", "red")
        call.settle(USAGE)
        free()
        guard.close()
        assert guard_of(TEAM, ledger=store).spend("team", "red")[0].used == Decimal("0.0011")


class TestHoldWithoutAnswer:
    """A hold that may have been made though its call was refused is given back."""

    @pytest.mark.parametrize("comes", ["at once", "later"])
    def test_is_given_back_once_the_ledger_answers(self, fragile, comes):
        guard, store, timer = fragile(more="")
        late = deaf_for_once(store, at_once=comes == "at once")
        with pytest.raises(DeniedError, match="the answer was lost"):
            guard.call(REQUEST)
        timer.seconds += 1
        guard.spend()
        for request in late:
            request()  # reaches the store only now
        assert all(line.held == 0 for line in guard.spend())

    def test_is_given_back_without_anybody_asking(self, fragile, guard_of):
        guard, store, timer = fragile(more="")
        deaf_for_once(store, at_once=True)
        with pytest.raises(DeniedError):
            guard.call(REQUEST)
        timer.seconds += 1
        another = guard_of(TEAM, ledger=store)
        wait_until(lambda: another.spend("team", "red")[0].held == 0)

    def test_the_same_id_can_be_asked_for_again(self, fragile):
        guard, store, timer = fragile(more="")
        deaf_for_once(store, at_once=True)
        with pytest.raises(DeniedError):
            guard.call(REQUEST, id="job-1")
        timer.seconds += 1
        guard.call(REQUEST, id="job-1").settle(USAGE)
        (line,) = guard.spend()
        assert (line.used, line.held) == (Decimal("0.0011"), 0)

    def test_an_interrupt_while_it_is_made(self, fragile):
        guard, store, _ = fragile(more="")
        reserve = store.inner.reserve

        def interrupted(hold):
            reserve(hold)
            raise KeyboardInterrupt

        store.inner.reserve = interrupted
        with pytest.raises(KeyboardInterrupt):
            guard.call(REQUEST)
        store.inner.reserve = reserve
        assert all(line.held == 0 for line in guard.spend())

    def test_calls_that_were_not_asked_for_in_a_pause_leave_nothing_behind(self, fragile):
        guard, store, timer = fragile(more="")
        store.broken = True
        for _ in range(50):
            with pytest.raises(DeniedError):
                guard.call(REQUEST)
        store.broken = False
        store.asked.clear()
        timer.seconds += 1
        guard.spend()
        assert store.asked.count("void") <= 1

    def test_one_that_the_allowance_let_through_is_given_back_when_it_is_released(self, fragile):
        guard, store, timer = fragile()
        deaf_for_once(store, at_once=True)
        call = guard.call(REQUEST)
        timer.seconds += 1
        assert guard.spend()[0].held > 0, "it is under way"
        call.release()
        assert guard.spend()[0].held == 0


def test_a_charge_that_is_released_while_it_is_written_stays_a_charge():
    store, timer, now = Breakable(MemoryStore()), Timer(), START
    link = Link(lambda: store, timer)
    account = Account("p/team", "red", "usd", Period("lifetime"))
    link.reserve(Hold("job", (HoldLine(account, 12, 100),), now, timedelta(minutes=5)))
    store.broken = True
    with pytest.raises(LedgerUnavailableError):
        link.settle(Settlement("job", (Charge(account, 11),), now))
    store.broken = False
    timer.seconds += 1
    charge = store.inner.charge

    def failing(settlement):
        link.release_later(settlement.call, settlement.now)
        store.inner.charge = charge
        raise LedgerUnavailableError("no answer")

    store.inner.charge = failing
    raises_unavailable(link, lambda _: None)
    timer.seconds += 2
    ((_, used, held, *_),) = link.ask(lambda store: store.balances([account], now))
    assert (used, held) == (11, 0)


def test_no_call_writes_or_waits_for_long_where_much_waits(fragile, monkeypatch):
    guard, store, timer = fragile(more="")
    calls = [guard.call(REQUEST) for _ in range(5)]
    store.broken = True
    for call in calls:
        call.settle(USAGE)
    store.broken = False
    timer.seconds += 1
    monkeypatch.setattr(links, "_LONGEST_WAIT", 0.0)
    store.asked.clear()
    with pytest.raises(DeniedError, match="wait to be written to the ledger first"):
        guard.call(REQUEST)
    assert 0 < store.asked.count("charge") < 5
    monkeypatch.setattr(links, "_LONGEST_WAIT", 5.0)
    assert guard.spend()[0].used == Decimal("0.0055"), "its turn comes at once, and nothing is lost"


def test_no_call_waits_for_long_for_the_thread_that_writes(fragile, monkeypatch, no_looks):
    guard, store, timer = fragile(more="")
    monkeypatch.setattr(links, "_LONGEST_WAIT", 0.0)
    with written_slowly(guard, store, timer), pytest.raises(DeniedError, match="wait to be written to the ledger"):
        guard.call(REQUEST)
    monkeypatch.setattr(links, "_LONGEST_WAIT", 5.0)
    assert guard.spend()[0].used == Decimal("0.0011")


def test_a_store_that_did_what_it_was_asked_before_its_answer_was_lost_holds_one_call(guard_of, ledger):
    """Stores ask again where a connection was cut, so that every answer is about the second time."""
    store = open_ledger(ledger) if isinstance(ledger, str) else ledger
    twice = Breakable(store)
    for name in ("reserve", "charge", "release", "void"):
        setattr(twice, name, asked_twice(getattr(store, name)))
    guard = guard_of(TEAM, ledger=twice, more=ALLOW)
    guard.call(REQUEST).release()
    with guard.call(REQUEST) as call:
        charged = call.settle(USAGE)
    with guard.call(REQUEST, id="job") as call:
        call.settle(USAGE)
    (line,) = guard.spend()
    assert (charged.recorded, line.used, line.held) == (True, Decimal("0.0022"), 0)


def asked_twice(operation):
    def ask(*arguments):
        operation(*arguments)
        return operation(*arguments)

    return ask


def test_closing_writes_what_waits_whatever_the_pause(fragile, guard_of):
    guard, store, _ = fragile(more="")
    calls = [guard.call(REQUEST) for _ in range(5)]
    store.broken = True
    for call in calls:
        call.settle(USAGE)
    with pytest.raises(LedgerUnavailableError):
        guard.spend()
    store.broken = False
    guard.close()
    assert guard_of(TEAM, ledger=store).spend()[0].used == Decimal("0.0055")


def test_a_process_that_ends_without_closing_writes_what_waits_once(fragile):
    guard, store, _ = fragile(more="")
    call = guard.call(REQUEST)
    store.broken = True
    call.settle(USAGE)
    store.broken = False
    links.write_at_exit()
    assert guard.spend()[0].used == Decimal("0.0011")


def test_closing_waits_a_stated_time_for_the_ledger(fragile, guard_of, monkeypatch):
    monkeypatch.setattr(any_guard, "_CLOSING", 10)
    guard, store, _ = fragile(more="")
    call = guard.call(REQUEST)
    store.broken = True
    call.settle(USAGE)
    threading.Timer(0.1, lambda: setattr(store, "broken", False)).start()
    guard.close()
    assert guard_of(TEAM, ledger=store).spend()[0].used == Decimal("0.0011")


def test_a_charge_that_is_interrupted_is_written_nevertheless(fragile):
    guard, store, _ = fragile(more="")
    call, charge = guard.call(REQUEST), store.inner.charge

    def interrupted(settlement):
        store.inner.charge = charge
        raise KeyboardInterrupt

    store.inner.charge = interrupted
    with pytest.raises(KeyboardInterrupt), call:
        call.settle(USAGE)
    (line,) = guard.spend()
    assert (line.used, line.held) == (Decimal("0.0011"), 0)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_process_leaves_to_its_parent_what_waits(fragile, no_looks):
    guard, store, timer = fragile(more="")
    with written_slowly(guard, store, timer):
        child = os.fork()
        if not child:
            store.asked.clear()
            guard.call({**REQUEST, "team": "blue"}).release()
            os._exit("charge" in store.asked)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert guard.spend("team", "red")[0].used == Decimal("0.0011")


@contextmanager
def written_slowly(guard, store, timer):
    """Have the guard's own thread write a charge that had to wait, and stop in the middle until the block is over."""
    charge, begun, over = store.inner.charge, threading.Event(), threading.Event()

    def slow(settlement):
        begun.set()
        over.wait(10)
        return charge(settlement)

    call = guard.call(REQUEST)
    store.inner.charge, store.broken = slow, True
    call.settle(USAGE)
    store.broken = False
    timer.seconds += 1
    assert begun.wait(10)
    try:
        yield
    finally:
        over.set()
        store.inner.charge = charge


def is_let_through(guard):
    try:
        guard.call(REQUEST).release()
    except DeniedError:
        return False
    return True


def raises_unavailable(link, operation):
    with pytest.raises(LedgerUnavailableError):
        link.ask(operation)


def fail(_):
    raise LedgerUnavailableError("the store is broken")


def interrupt(_):
    raise KeyboardInterrupt


def wait_until(condition):
    for _ in range(400):
        if condition():
            return
        time.sleep(0.02)
    raise AssertionError("it never came to be")


def busy_for(store, operation, key):
    """Let an operation on a scope key be refused as busy; return a function that ends it."""
    method = getattr(store.inner, operation)

    def refuse(asked):
        lines = asked.lines if isinstance(asked, Hold) else asked.charges
        assert isinstance(asked, Hold | Settlement)
        if any(line.account.key == key for line in lines):
            raise LedgerBusyError("others keep it")
        return method(asked)

    setattr(store.inner, operation, refuse)
    return lambda: setattr(store.inner, operation, method)


def deaf_for_once(store, *, at_once):
    """Let the next hold be made, at once or by who calls what is in the list, though its answer is lost."""
    reserve, late = store.inner.reserve, []

    def deaf(hold):
        store.inner.reserve = reserve
        if at_once:
            reserve(hold)
        else:
            late.append(lambda: reserve(hold))
        raise LedgerUnavailableError("the answer was lost")

    store.inner.reserve = deaf
    return late
