"""Laws of calls: what is held, charged and freed."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from costlens_policy.ledger import (
    AmountError,
    CallConflictError,
    EntryQuery,
    Held,
    Hold,
    Period,
    Refused,
    Released,
    ReservationQuery,
    Store,
    UnknownCallError,
)
from costlens_policy.ledger.laws.build import LEASE, NOW, account, hold, hold_lines, settlement, settlement_lines

__all__ = ["LeaseLaws", "ReserveLaws", "SettleLaws", "VoidLaws"]

_TEAM = account()

_OTHER = account("company/total", "")
_SHORT = timedelta(seconds=10)
_LATER = NOW + timedelta(minutes=5)


class ReserveLaws:
    """All lines or none are held, never above a limit, once per id."""

    def test_room_up_to_the_last_unit(self, store: Store) -> None:
        assert isinstance(store.reserve(hold("a", _TEAM, 60, 100)), Held)
        assert isinstance(store.reserve(hold("b", _TEAM, 41, 100)), Refused)
        assert isinstance(store.reserve(hold("c", _TEAM, 40, 100)), Held)
        assert isinstance(store.reserve(hold("d", _TEAM, 1, 100)), Refused)
        assert isinstance(store.reserve(hold("e", _TEAM, 0, 100)), Held)

    def test_the_answer_has_the_balances_before_the_call(self, store: Store) -> None:
        store.reserve(hold("a", _TEAM, 60, 100))
        store.settle(settlement("a", _TEAM, 50))
        store.reserve(hold("b", _TEAM, 10, 100))
        held = store.reserve(hold("c", _TEAM, 15, 100))
        assert isinstance(held, Held)
        assert (held.state, held.repeated) == ("held", False)
        (line,) = held.lines
        assert (line.account, line.amount, line.limit) == (_TEAM, 15, 100)
        assert (line.used, line.held, line.held_after) == (50, 10, 25)

    def test_a_refusal_says_which_lines_have_no_room_and_holds_nothing(self, store: Store) -> None:
        store.reserve(hold("a", _OTHER, 95, 100))
        refused = store.reserve(hold_lines("b", (_TEAM, 10, 100), (_OTHER, 10, 100)))
        assert isinstance(refused, Refused)
        assert [(line.account, line.used, line.held) for line in refused.lines] == [(_TEAM, 0, 0), (_OTHER, 0, 95)]
        assert [line.account for line in refused.without_room] == [_OTHER]
        assert [(balance.used, balance.held) for balance in store.balances([_TEAM, _OTHER], NOW)] == [(0, 0), (0, 95)]

    def test_a_refused_call_may_ask_again_for_less(self, store: Store) -> None:
        assert isinstance(store.reserve(hold("a", _TEAM, 101, 100)), Refused)
        held = store.reserve(hold("a", _TEAM, 99, 100))
        assert isinstance(held, Held)
        assert not held.repeated

    def test_a_line_without_a_limit_is_counted_and_never_refused(self, store: Store) -> None:
        store.reserve(hold("a", _TEAM, 10**9, None))
        (balance,) = store.balances([_TEAM], NOW)
        assert balance.held == 10**9

    def test_a_call_on_record_bars_another_one_and_nothing_is_held(self, store: Store) -> None:
        asked = replace(hold("a", _TEAM, 60, 100), unless=("end of the run", "end of its root"))
        held = store.reserve(asked)
        assert isinstance(held, Held)
        store.void("end of its root", NOW)
        assert store.reserve(asked) == held._replace(repeated=True)  # what is held stays held
        barred = store.reserve(replace(asked, call="b"))
        assert barred == Refused("b", (), "end of its root")
        store.void("end of the run", NOW)
        assert store.reserve(replace(asked, call="b")) == Refused("b", (), "end of the run")
        assert store.reserve(Hold("c", (), NOW, LEASE, unless=asked.unless)) == Refused("c", (), "end of the run")
        assert [(balance.used, balance.held) for balance in store.balances([_TEAM], NOW)] == [(0, 60)]
        assert store.reservation("b", NOW) is None

    def test_two_versions_of_the_policies_share_what_is_spent_and_keep_to_their_own_limits(self, store: Store) -> None:
        team = account()
        assert isinstance(store.reserve(hold("old", team, 8, 10)), Held)
        assert isinstance(store.reserve(hold("new", team, 10, 20)), Held)
        assert isinstance(store.reserve(hold("old again", team, 1, 10)), Refused)
        store.settle(settlement("new", team, 0))
        refused = store.reserve(hold("old again", team, 3, 10))
        assert [(line.used, line.held, line.limit) for line in refused.lines] == [(0, 8, 10)]
        assert isinstance(store.reserve(hold("old again", team, 2, 10)), Held), (
            "what the other version gave back is free"
        )

    def test_repeating_a_call_gives_the_first_answer(self, store: Store) -> None:
        ask = hold_lines("a", (_TEAM, 60, 100), (_OTHER, 60, None), model="gpt-5")
        first = store.reserve(ask)
        assert isinstance(first, Held)
        store.reserve(hold("b", _TEAM, 10, 100))
        again = store.reserve(ask)
        assert isinstance(again, Held)
        assert again == first._replace(repeated=True)
        assert [balance.held for balance in store.balances([_TEAM, _OTHER], NOW)] == [70, 60]

    def test_repeating_says_what_became_of_the_call(self, store: Store) -> None:
        for call in "abc":
            store.reserve(hold(call, _TEAM, 10, 100))
        store.settle(settlement("a", _TEAM, 5))
        store.release("b", NOW)
        later = NOW + timedelta(minutes=2)
        states = [store.reserve(hold(call, _TEAM, 10, 100, later)) for call in "abc"]
        assert [answer.state for answer in states if isinstance(answer, Held)] == ["settled", "released", "expired"]
        (balance,) = store.balances([_TEAM], later)
        assert (balance.used, balance.held) == (5, 0)

    def test_one_id_for_two_calls_is_an_error(self, store: Store) -> None:
        store.reserve(hold("a", _TEAM, 10, 100))
        with pytest.raises(CallConflictError):
            store.reserve(hold("a", _TEAM, 11, 100))
        with pytest.raises(CallConflictError):
            store.reserve(hold("a", _OTHER, 10, 100))
        store.charge(settlement("b", _TEAM, 3))
        with pytest.raises(CallConflictError):
            store.reserve(hold("b", _TEAM, 3, 100))
        (balance,) = store.balances([_TEAM], NOW)
        assert (balance.used, balance.held) == (3, 10)

    def test_a_call_without_lines_is_only_remembered(self, store: Store) -> None:
        held = store.reserve(Hold("a", (), NOW, LEASE))
        assert isinstance(held, Held)
        assert held.lines == ()
        assert store.release("a", NOW).state == "released"

    def test_accounts_with_unusual_names_are_told_apart(self, store: Store) -> None:
        keys = ["", " ", "a", "A", "ä", "a\u0308", "日本", "a'b\"c;--", "a:b", "{a}", "a\x1fb", "*", "%", "\\"]
        keys.append("\U0001f600")
        accounts = [account(key=key) for key in keys]
        for number, each in enumerate(accounts, 1):
            assert isinstance(store.reserve(hold(f"call {each.key}", each, number, 100)), Held)
        assert [balance.held for balance in store.balances(accounts, NOW)] == list(range(1, len(keys) + 1))

    def test_a_time_without_a_zone_is_refused(self, store: Store) -> None:
        with pytest.raises(AmountError):
            store.reserve(hold("a", _TEAM, 1, 1, NOW.replace(tzinfo=None)))


class VoidLaws:
    """A call that is voided is given back, and holds nothing that comes later."""

    def test_voiding_gives_back_what_is_held(self, store: Store) -> None:
        store.reserve(hold("a", _TEAM, 60, 100))
        for _ in range(2):
            assert store.void("a", NOW).state == "released"
        assert store.balances([_TEAM], NOW)[0].held == 0

    def test_a_hold_that_comes_after_it_was_voided_holds_nothing(self, store: Store) -> None:
        for _ in range(2):
            assert store.void("a", NOW).state == "released"
        late = store.reserve(hold("a", _TEAM, 60, 100))
        assert isinstance(late, Held)
        assert (late.state, late.repeated, late.lines) == ("released", True, ())
        assert store.balances([_TEAM], NOW)[0].held == 0
        assert store.extend("a", LEASE, NOW).state == "released"
        found = store.reservation("a", NOW)
        assert found is not None
        assert (found.state, found.lines) == ("released", ())

    def test_a_charge_of_a_voided_call_counts(self, store: Store) -> None:
        store.void("a", NOW)
        settled = store.charge(settlement("a", _TEAM, 7))
        assert settled.lines[0].used == 7
        assert store.void("a", NOW).state == "settled"
        assert store.balances([_TEAM], NOW)[0].used == 7


class SettleLaws:
    """A call is charged exactly once, also late, also more than was held."""

    def test_the_charge_replaces_the_hold(self, store: Store) -> None:
        store.reserve(hold_lines("a", (_TEAM, 60, 100), (_OTHER, 60, 100)))
        settled = store.settle(settlement_lines("a", (_TEAM, 20), (_OTHER, 25)))
        assert [line.account for line in settled.lines] == [_TEAM, _OTHER]
        assert [(line.amount, line.was_held, line.used, line.held) for line in settled.lines] == [
            (20, 60, 20, 0),
            (25, 60, 25, 0),
        ]
        assert (settled.late, settled.repeated, settled.settled_at) == (False, False, NOW)
        assert isinstance(store.reserve(hold("b", _TEAM, 80, 100)), Held)

    def test_settling_twice_counts_once(self, store: Store) -> None:
        store.reserve(hold("a", _TEAM, 60, 100))
        first = store.settle(settlement("a", _TEAM, 20))
        again = store.settle(settlement("a", _TEAM, 59, _LATER))
        assert again == first._replace(repeated=True)
        assert store.charge(settlement("a", _TEAM, 33)) == again
        assert store.balances([_TEAM], NOW)[0].used == 20
        assert len(store.entries(EntryQuery()).items) == 1

    def test_more_than_was_held_is_an_overdraft_and_the_next_call_sees_it(self, store: Store) -> None:
        store.reserve(hold("a", _TEAM, 60, 100))
        settled = store.settle(settlement("a", _TEAM, 130))
        assert settled.lines[0].overdraft == 70
        (entry,) = store.entries(EntryQuery()).items
        assert (entry.amount, entry.was_held, entry.overdraft) == (130, 60, 70)
        refused = store.reserve(hold("b", _TEAM, 1, 100))
        assert isinstance(refused, Refused)
        assert refused.lines[0].used == 130

    def test_a_late_charge_counts(self, store: Store) -> None:
        store.reserve(hold("a", _TEAM, 60, 100))
        store.reserve(hold("b", _TEAM, 90, 100, _LATER))
        settled = store.settle(settlement("a", _TEAM, 50, _LATER))
        assert settled.late
        assert (settled.lines[0].was_held, settled.lines[0].used, settled.lines[0].held) == (60, 50, 90)
        (entry,) = store.entries(EntryQuery()).items
        assert entry.late

    def test_a_charge_after_the_release_counts(self, store: Store) -> None:
        store.reserve(hold("a", _TEAM, 60, 100))
        assert store.release("a", NOW) == Released("a", "released")
        assert store.balances([_TEAM], NOW)[0].held == 0
        assert store.settle(settlement("a", _TEAM, 5)).late
        assert store.release("a", NOW) == Released("a", "settled")
        (balance,) = store.balances([_TEAM], NOW)
        assert (balance.used, balance.held) == (5, 0)

    def test_releasing_twice_or_nothing_changes_nothing(self, store: Store) -> None:
        store.reserve(hold("a", _TEAM, 60, 100))
        store.reserve(hold("b", _TEAM, 10, 100))
        assert [store.release(call, NOW).state for call in ("a", "a", "c")] == ["released", "released", "unknown"]
        assert store.balances([_TEAM], NOW)[0].held == 10

    def test_an_unknown_call_is_an_error_unless_it_is_charged_on_purpose(self, store: Store) -> None:
        with pytest.raises(UnknownCallError):
            store.settle(settlement("a", _TEAM, 5))
        first = store.charge(settlement("a", _TEAM, 5, model="gpt-5"))
        assert (first.lines[0].was_held, first.lines[0].overdraft, first.late) == (0, 5, False)
        assert store.charge(settlement("a", _TEAM, 5)) == first._replace(repeated=True)
        assert store.settle(settlement("a", _TEAM, 5)) == first._replace(repeated=True)
        assert store.release("a", NOW).state == "settled"
        assert store.balances([_TEAM], NOW)[0].used == 5

    def test_charging_a_held_call_settles_it(self, store: Store) -> None:
        store.reserve(hold("a", _TEAM, 60, 100))
        store.charge(settlement("a", _TEAM, 5))
        (balance,) = store.balances([_TEAM], NOW)
        assert (balance.used, balance.held) == (5, 0)

    def test_accounts_that_were_not_held_are_charged_and_those_not_charged_are_freed(self, store: Store) -> None:
        third = account("models/opus", "")
        store.reserve(hold_lines("a", (_TEAM, 60, 100), (_OTHER, 60, 100)))
        settled = store.settle(settlement_lines("a", (third, 7), (_TEAM, 9)))
        assert [(line.account, line.amount, line.was_held) for line in settled.lines] == [
            (_TEAM, 9, 60),
            (_OTHER, 0, 60),
            (third, 7, 0),
        ]
        balances = store.balances([_TEAM, _OTHER, third], NOW)
        assert [(balance.used, balance.held) for balance in balances] == [(9, 0), (0, 0), (7, 0)]
        assert [entry.account for entry in store.entries(EntryQuery(call="a")).items] == [_TEAM, third]
        assert store.settle(settlement_lines("a")) == settled._replace(repeated=True)

    def test_a_charge_counts_in_the_period_of_its_hold(self, store: Store) -> None:
        day = [account(period=Period(f"day:2026-11-{number}:UTC")) for number in (24, 25)]
        store.reserve(hold("a", day[0], 60, 100))
        settled = store.settle(settlement("a", day[1], 50, _LATER))
        assert settled.lines[0].account == day[0]
        assert [balance.used for balance in store.balances(day, _LATER)] == [50, 0]

    def test_facts_of_the_hold_and_of_the_charge_are_kept_together(self, store: Store) -> None:
        store.reserve(
            hold("a", _TEAM, 60, 100, model="gpt-5", tags={"team": "research", "n": [1, 2.5, None, "ü\x00\x1f"]})
        )
        store.settle(settlement("a", _TEAM, 50, _LATER, model="gpt-5-mini", usage={"prompt": 12}))
        (entry,) = store.entries(EntryQuery()).items
        assert entry.facts == {
            "model": "gpt-5-mini",
            "tags": {"team": "research", "n": [1, 2.5, None, "ü\x00\x1f"]},
            "usage": {"prompt": 12},
        }
        assert (entry.kind, entry.call, entry.at, entry.counts, entry.late) == ("charge", "a", _LATER, True, True)

    def test_a_call_without_lines_is_settled_once_and_its_facts_are_kept(self, store: Store) -> None:
        store.reserve(Hold("a", (), NOW, LEASE, {"model": "gpt-5", "team": "research"}))
        store.reserve(Hold("b", (), NOW, LEASE))
        store.reserve(Hold("c", (), NOW, LEASE, {"model": "gpt-5"}))
        store.release("c", NOW)
        for call in "ab":
            first = store.settle(settlement_lines(call, model="gpt-5-mini", cost_usd="0.1"))
            again = store.settle(settlement_lines(call, model="gpt-5", cost_usd="0.2"))
            assert (first.lines, first.late, first.repeated) == ((), False, False)
            assert again == first._replace(repeated=True)
        found = [store.reservation(call, NOW) for call in "abc"]
        assert [item.state for item in found if item is not None] == ["settled", "settled", "released"]
        assert [dict(item.facts) for item in found if item is not None] == [
            {"model": "gpt-5-mini", "team": "research", "cost_usd": "0.1"},
            {"model": "gpt-5-mini", "cost_usd": "0.1"},
            {"model": "gpt-5"},
        ]
        assert store.entries(EntryQuery()).items == ()
        assert store.reservations(ReservationQuery(), NOW).items == ()


class LeaseLaws:
    """What is held by a client that died becomes free by itself, whatever the clocks do."""

    def test_an_expired_hold_is_free_for_the_next_call(self, store: Store) -> None:
        first = store.reserve(hold("a", _TEAM, 60, 100, lease=_SHORT))
        assert isinstance(first, Held)
        assert first.expires_at == NOW + _SHORT
        assert isinstance(store.reserve(hold("b", _TEAM, 60, 100, NOW + _SHORT - timedelta(microseconds=1))), Refused)
        assert store.balances([_TEAM], NOW + _SHORT)[0].held == 0
        assert isinstance(store.reserve(hold("b", _TEAM, 60, 100, NOW + _SHORT)), Held)

    def test_many_expired_holds_are_free_at_once(self, store: Store) -> None:
        for number in range(50):
            store.reserve(hold(f"{number}", _TEAM, 2, 100, NOW + timedelta(milliseconds=73 * number), lease=_SHORT))
        answer = store.reserve(hold("b", _TEAM, 100, 100, NOW + timedelta(minutes=1)))
        assert isinstance(answer, Held)
        assert answer.lines[0].held == 0

    def test_only_what_has_expired_is_freed(self, store: Store) -> None:
        store.reserve(hold("a", _TEAM, 30, 100, lease=_SHORT))
        store.reserve(hold("b", _TEAM, 40, 100, lease=LEASE))
        refused = store.reserve(hold("c", _TEAM, 61, 100, NOW + _SHORT))
        assert isinstance(refused, Refused)
        assert refused.lines[0].held == 40

    def test_the_next_end_is_that_of_what_is_still_held(self, store: Store) -> None:
        assert store.next_end(_TEAM, NOW) is None
        store.reserve(hold_lines("a", (_TEAM, 30, 100), (_OTHER, 30, 100), lease=_SHORT))
        store.reserve(hold("b", _TEAM, 40, 100))
        store.reserve(hold("c", _TEAM, 0, 100, lease=timedelta(seconds=1)))
        assert store.next_end(_TEAM, NOW) == NOW + _SHORT
        assert store.next_end(_TEAM, NOW + _SHORT) == NOW + LEASE, "by this clock, the first has ended"
        store.settle(settlement_lines("a", (_TEAM, 5), (_OTHER, 5)))
        assert [store.next_end(each, NOW) for each in (_TEAM, _OTHER)] == [NOW + LEASE, None]
        store.release("b", NOW)
        assert store.next_end(_TEAM, NOW) is None
        assert store.balances([_TEAM], NOW)[0].used == 5

    def test_a_clock_that_goes_back_revives_no_hold_and_loses_none(self, store: Store) -> None:
        """What a clock that is ahead has freed stays free, what came after stays held."""
        store.reserve(hold("a", _TEAM, 60, 100, lease=_SHORT))
        ahead = store.reserve(hold("b", _TEAM, 50, 100, NOW + LEASE, lease=_SHORT))
        assert isinstance(ahead, Held)
        behind = store.reserve(hold("c", _TEAM, 7, 100, lease=_SHORT))
        assert isinstance(behind, Held)
        assert behind.lines[0].held == 50
        assert store.settle(settlement("a", _TEAM, 5)).late
        (balance,) = store.balances([_TEAM], NOW)
        assert (balance.used, balance.held) == (5, 57)
        store.release("c", NOW)
        store.release("b", NOW)
        assert store.balances([_TEAM], NOW)[0].held == 0

    def test_a_new_hold_with_the_same_end_is_not_mistaken_for_one_that_was_freed(self, store: Store) -> None:
        store.reserve(hold("a", _TEAM, 60, 100, lease=_SHORT))
        store.reserve(hold("b", _TEAM, 1, 100, NOW + LEASE))
        store.reserve(hold("c", _TEAM, 20, 100, lease=_SHORT))
        store.release("a", NOW)
        assert store.balances([_TEAM], NOW)[0].held == 21

    def test_extending_moves_the_end(self, store: Store) -> None:
        store.reserve(hold_lines("a", (_TEAM, 60, 100), (_OTHER, 5, None), lease=_SHORT))
        extended = store.extend("a", LEASE, NOW + timedelta(seconds=5))
        assert (extended.state, extended.expires_at) == ("held", NOW + timedelta(seconds=65))
        assert store.balances([_TEAM, _OTHER], NOW + timedelta(seconds=64))[0].held == 60
        assert isinstance(store.reserve(hold("b", _TEAM, 60, 100, NOW + timedelta(seconds=64))), Refused)
        assert isinstance(store.reserve(hold("b", _TEAM, 60, 100, NOW + timedelta(seconds=65))), Held)
        assert [balance.held for balance in store.balances([_TEAM, _OTHER], NOW + timedelta(seconds=65))] == [60, 0]

    def test_extending_never_shortens(self, store: Store) -> None:
        store.reserve(hold("a", _TEAM, 60, 100, lease=LEASE))
        assert store.extend("a", _SHORT, NOW).expires_at == NOW + LEASE

    def test_what_has_ended_is_not_extended(self, store: Store) -> None:
        for call in "abcd":
            store.reserve(hold(call, _TEAM, 10, None, lease=_SHORT))
        store.settle(settlement("a", _TEAM, 5))
        store.release("b", NOW)
        later = NOW + _SHORT
        assert [store.extend(call, LEASE, later).state for call in "abc"] == ["settled", "released", "expired"]
        store.reserve(hold("e", _TEAM, 1, None, later))
        assert store.extend("d", LEASE, NOW).state == "expired", "another clock has freed it"
        assert store.balances([_TEAM], NOW)[0].held == 1
        with pytest.raises(UnknownCallError):
            store.extend("z", LEASE, NOW)

    def test_an_extended_call_settles_and_is_released_as_any_other(self, store: Store) -> None:
        for call in "ab":
            store.reserve(hold(call, _TEAM, 10, 100, lease=_SHORT))
            store.extend(call, LEASE, NOW)
        assert not store.settle(settlement("a", _TEAM, 5, NOW + timedelta(seconds=30))).late
        store.release("b", NOW + timedelta(seconds=30))
        (balance,) = store.balances([_TEAM], NOW)
        assert (balance.used, balance.held) == (5, 0)

    def test_a_lease_must_be_positive_and_at_most_31_days(self, store: Store) -> None:
        for lease in (timedelta(0), -_SHORT, timedelta(days=31, microseconds=1)):
            with pytest.raises(AmountError):
                store.reserve(hold("a", _TEAM, 60, 100, lease=lease))
