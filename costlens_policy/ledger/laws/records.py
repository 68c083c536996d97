"""Laws of what is kept beside balances: the history, manual adjustments, alerts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from costlens_policy.ledger import (
    Account,
    AccountQuery,
    Adjustment,
    AdjustmentError,
    AdjustmentKind,
    AlertClaim,
    AmountError,
    Entry,
    EntryQuery,
    Grants,
    Held,
    Page,
    Period,
    Refused,
    ReservationQuery,
    Store,
)
from costlens_policy.ledger.laws.build import (
    LEASE,
    LIFETIME,
    NOW,
    account,
    from_first_use,
    hold,
    hold_lines,
    settlement,
    settlement_lines,
)

__all__ = ["AdjustmentLaws", "AlertLaws", "ApprovalLaws", "HistoryLaws"]

_NOVEMBER = Period("month:2026-11-01:UTC", NOW.replace(day=1, hour=0), NOW.replace(month=12, day=1, hour=0))

_TEAMS = [account(key=key, period=period) for key in ("ops", "research") for period in (LIFETIME, _NOVEMBER)]

_MINUTE = timedelta(minutes=1)


def _pages(read: Callable[[Any], Page[Any]], query: Any) -> list[Any]:
    """Read page after page of two items."""
    found: list[Any] = []
    query = replace(query, limit=2)
    while True:
        page = read(query)
        assert len(page.items) <= 2
        found += page.items
        if not page.next:
            return found
        query = replace(query, after=page.next)


def _amounts(store: Store, **query: Any) -> list[int]:
    return [entry.amount for entry in _pages(store.entries, EntryQuery(**query))]


class HistoryLaws:
    """Every entry is read once, page by page, whatever is asked for."""

    @pytest.fixture
    def spent(self, store: Store) -> Store:
        """Eight charges, two on each account, a minute apart; the fifth by a clock that is an hour ahead."""
        for number in range(8):
            at = NOW + number * _MINUTE + (timedelta(hours=1) if number == 4 else timedelta(0))
            store.charge(settlement(f"call {number}", _TEAMS[number % 4], number, at, number=number))
        return store

    def test_entries_come_in_the_order_in_which_they_were_made(self, spent: Store) -> None:
        assert _amounts(spent) == [0, 1, 2, 3, 4, 5, 6, 7]
        assert _amounts(spent, newest_first=True) == [7, 6, 5, 4, 3, 2, 1, 0]

    def test_entries_of_an_account_a_budget_a_key_a_call(self, spent: Store) -> None:
        assert _amounts(spent, account=_TEAMS[1]) == [1, 5]
        assert _amounts(spent, account=_TEAMS[1], newest_first=True) == [5, 1]
        assert _amounts(spent, key="research") == [2, 3, 6, 7]
        assert _amounts(spent, budget="teams/monthly", key="ops") == [0, 1, 4, 5]
        assert _amounts(spent, budget="other") == []
        assert _amounts(spent, account=account(key="nobody")) == []
        assert _amounts(spent, call="call 3") == [3]
        assert _amounts(spent, call="call 9") == []

    def test_entries_of_a_span_of_time_also_where_clocks_differ(self, spent: Store) -> None:
        span = {"since": NOW + 2 * _MINUTE, "until": NOW + 6 * _MINUTE}
        assert _amounts(spent, **span) == [2, 3, 5]
        assert _amounts(spent, **span, newest_first=True) == [5, 3, 2]
        assert _amounts(spent, since=NOW + 30 * _MINUTE) == [4]
        assert _amounts(spent, since=NOW + 300 * _MINUTE) == []
        assert _amounts(spent, key="ops", **span) == [5]

    def test_entries_of_a_call_with_several_lines_stand_together(self, store: Store) -> None:
        teams = [account(key=str(number)) for number in range(4)]
        store.reserve(hold_lines("a", *((team, 9, None) for team in teams)))
        store.settle(settlement_lines("a", *((team, number) for number, team in enumerate(teams))))
        store.charge(settlement("b", teams[0], 7))
        entries = _pages(store.entries, EntryQuery(call="a"))
        assert [(entry.account, entry.amount, entry.was_held) for entry in entries] == [
            (team, number, 9) for number, team in enumerate(teams)
        ]
        assert len({entry.id for entry in _pages(store.entries, EntryQuery())}) == 5

    def test_a_page_that_was_read_to_its_end_goes_on_where_new_entries_begin(self, spent: Store) -> None:
        last = _pages(spent.entries, EntryQuery())[-1]
        assert spent.entries(EntryQuery(after=last.id)).items == ()
        spent.charge(settlement("new", _TEAMS[0], 99))
        assert [entry.amount for entry in spent.entries(EntryQuery(after=last.id)).items] == [99]

    def test_periods_read_back_as_they_were(self, store: Store) -> None:
        kinds = [LIFETIME, _NOVEMBER, Period("rolling:90s", rolling=timedelta(seconds=90))]
        for number, period in enumerate(kinds):
            store.charge(settlement(f"{number}", account(period=period), 1))
        assert [entry.account.period for entry in store.entries(EntryQuery()).items] == kinds
        assert {balance.account.period for balance in store.accounts(AccountQuery(), NOW).items} == set(kinds)

    def test_units_have_accounts_of_their_own(self, store: Store) -> None:
        weights = (
            "input=1000000.123456,cached_input=0.000001,cache_write_1h=2,output=6,reasoning=7",
            "output=6",
            "input=6",
        )
        units = ["tokens", *(f"tokens({weight})" for weight in weights)]
        for number, unit in enumerate(units):
            key = account(unit=unit, key="k" * 512)
            store.reserve(hold(f"held {number}", key, 10 * number, None))
            store.charge(settlement(f"spent {number}", key, number))
        found = {item.account.unit: (item.used, item.held) for item in store.accounts(AccountQuery(), NOW).items}
        assert found == {unit: (number, 10 * number) for number, unit in enumerate(units)}
        (one,) = store.accounts(AccountQuery(unit=units[1]), NOW).items
        assert (one.account.unit, one.used) == (units[1], 1)
        assert [entry.account.unit for entry in _pages(store.entries, EntryQuery())] == units

    def test_accounts_by_name(self, spent: Store) -> None:
        spent.reserve(hold("held", account("teams", "x", "tokens"), 5, None))
        spent.reserve(hold("refused", account("never", "x"), 5, 4))
        everything = _pages(lambda query: spent.accounts(query, NOW), AccountQuery())
        names = [balance.account.name for balance in everything]
        assert names == sorted(names)
        assert len(names) == 5
        found = spent.accounts(AccountQuery(budget="teams/monthly", period=_NOVEMBER.id), NOW).items
        assert [(balance.account.key, balance.used) for balance in found] == [("ops", 6), ("research", 10)]
        by_key = _pages(lambda query: spent.accounts(query, NOW), AccountQuery(key="research"))
        assert [balance.account.period.id for balance in by_key] == ["lifetime", _NOVEMBER.id]
        (held,) = spent.accounts(AccountQuery(budget="teams"), NOW).items
        assert (held.account.unit, held.held) == ("tokens", 5)
        assert spent.accounts(AccountQuery(unit="requests"), NOW).items == ()
        one = AccountQuery("teams/monthly", "lifetime", "usd", "ops")
        assert [balance.account for balance in spent.accounts(one, NOW).items] == [_TEAMS[0]]

    def test_reservations_by_the_end_of_their_lease(self, store: Store) -> None:
        for number, team in enumerate((*_TEAMS, _TEAMS[0])):
            store.reserve(hold(f"call {number}", team, number, None, lease=(5 - number) * _MINUTE, number=number))
        store.settle(settlement("call 1", _TEAMS[1], 1))
        store.release("call 2", NOW)
        listed = _pages(lambda query: store.reservations(query, NOW), ReservationQuery())
        assert [item.call for item in listed] == ["call 4", "call 3", "call 0"]
        assert (listed[0].state, listed[0].reserved_at, listed[0].expires_at) == ("held", NOW, NOW + _MINUTE)
        assert listed[0].facts == {"number": 4}
        assert [(line.account, line.amount) for line in listed[0].lines] == [(_TEAMS[0], 4)]
        later = NOW + 2 * _MINUTE
        query = ReservationQuery(expired=True)
        assert [(item.call, item.state) for item in _pages(lambda query: store.reservations(query, later), query)] == [
            ("call 4", "expired"),
            ("call 3", "expired"),
        ]
        assert [item.call for item in store.reservations(ReservationQuery(key="ops"), later).items] == ["call 0"]
        assert [item.call for item in store.reservations(ReservationQuery(budget="none"), later).items] == []

    def test_a_call_by_its_id_while_it_is_held_and_after(self, store: Store) -> None:
        team, other, late = _TEAMS[0], _TEAMS[2], account(budget="all")
        store.reserve(hold_lines("call", (team, 5, 10), (other, 6, None), lease=_MINUTE, model="a"))
        store.reserve(hold("another", team, 1, None))
        held = store.reservation("call", NOW)
        assert held is not None
        assert [(line.account, line.amount) for line in held.lines] == [(team, 5), (other, 6)]
        assert [line.account.period for line in held.lines] == [team.period, other.period]
        assert (held.call, held.state, held.settled, held.facts) == ("call", "held", None, {"model": "a"})
        assert (held.reserved_at, held.expires_at) == (NOW, NOW + _MINUTE)
        assert store.reservation("call", NOW + _MINUTE) == replace(held, state="expired")
        assert store.reservation("nobody's", NOW) is None
        store.release("call", NOW)
        assert store.reservation("call", NOW) == replace(held, state="released")
        settled = store.settle(settlement_lines("call", (late, 7), (team, 4), now=NOW + _MINUTE, tokens=9))
        again = store.reservation("call", NOW)
        expected = replace(
            held, state="settled", facts={"model": "a", "tokens": 9}, settled=settled._replace(repeated=True)
        )
        assert again == expected

    def test_a_call_by_its_id_that_was_charged_without_a_hold(self, store: Store) -> None:
        settled = store.charge(settlement("call", _TEAMS[1], 7, NOW, model="a"))
        found = store.reservation("call", NOW)
        assert found is not None
        assert (found.state, found.lines, found.facts) == ("settled", (), {"model": "a"})
        assert (found.reserved_at, found.expires_at, found.settled) == (NOW, NOW, settled._replace(repeated=True))

    @pytest.mark.parametrize("after", ["x", "-1", "1.5", "٣", "1:2"])
    def test_a_text_that_no_page_has_given_is_refused(self, store: Store, after: str) -> None:
        with pytest.raises(AmountError):
            store.entries(EntryQuery(after=after))


_DECEMBER = Period("month:2026-12-01:UTC", NOW.replace(month=12, day=1, hour=0), NOW.replace(year=2027, month=1, day=1))

_TEAM = account(period=_NOVEMBER)

_NEXT = account(period=_DECEMBER)

_DAY = timedelta(days=1)


def _adjustment(id: str, kind: Any, amount: int, of: Account = _TEAM, **more: Any) -> Adjustment:
    fields = {"id": id, "kind": kind, "account": of, "amount": amount, "author": "ann", "reason": "launch week"}
    return Adjustment(**{**fields, "now": NOW, "expires_at": NOW + _DAY, **more})


class AdjustmentLaws:
    """What people change is in force as long as it should, once per id, and recorded."""

    def test_a_top_up_adds_to_the_limit_until_it_expires(self, store: Store) -> None:
        answer = store.adjust(_adjustment("t", "topup", 50))
        assert (answer.balance.grants, answer.repeated) == (Grants(None, 50), False)
        held = store.reserve(hold("a", _TEAM, 150, 100))
        assert isinstance(held, Held)
        assert held.lines[0].limit == 150
        store.release("a", NOW)
        refused = store.reserve(hold("b", _TEAM, 101, 100, NOW + _DAY))
        assert isinstance(refused, Refused)
        assert refused.lines[0].limit == 100
        assert store.balances([_TEAM], NOW + _DAY)[0].grants == Grants()

    def test_a_top_up_ends_with_its_period(self, store: Store) -> None:
        store.adjust(_adjustment("t", "topup", 50, expires_at=NOW + 60 * _DAY))
        store.adjust(_adjustment("u", "topup", 5, expires_at=None))
        in_december = NOW + 10 * _DAY
        balances = store.balances([_TEAM, _NEXT], in_december)
        assert [balance.grants for balance in balances] == [Grants(), Grants()]
        assert [balance.grants.topup for balance in store.balances([_TEAM, _NEXT], NOW)] == [55, 0]

    def test_an_override_replaces_the_limit_in_every_period(self, store: Store) -> None:
        store.adjust(_adjustment("o", "override", 30, expires_at=NOW + 60 * _DAY))
        store.adjust(_adjustment("t", "topup", 7))
        assert store.balances([_TEAM], NOW)[0].grants == Grants(30, 7)
        assert isinstance(store.reserve(hold("a", _TEAM, 38, 100)), Refused)
        assert isinstance(store.reserve(hold("a", _TEAM, 37, 100)), Held)
        assert isinstance(store.reserve(hold("b", _NEXT, 31, 100, NOW + 10 * _DAY)), Refused)
        assert isinstance(store.reserve(hold("b", account(key="other"), 100, 100)), Held)

    def test_overrides_must_not_overlap(self, store: Store) -> None:
        store.adjust(_adjustment("o", "override", 30))
        with pytest.raises(AdjustmentError):
            store.adjust(_adjustment("p", "override", 40))
        store.adjust(_adjustment("p", "override", 40, now=NOW + _DAY, expires_at=NOW + 2 * _DAY))
        assert store.balances([_TEAM], NOW + _DAY)[0].grants == Grants(40, 0)

    def test_a_refused_adjustment_leaves_the_store_at_work(self, store: Store) -> None:
        store.adjust(_adjustment("o", "override", 30))
        for number in range(8):  # clients prepare a statement once it has come a few times
            assert isinstance(store.reserve(hold(f"{number}", _NEXT, 1, 100)), Held)
            store.balances([_TEAM], NOW)
            with pytest.raises(AdjustmentError):
                store.adjust(_adjustment(f"p{number}", "override", 40))
        assert store.balances([_TEAM], NOW)[0].grants == Grants(30, 0)

    def test_a_period_that_ended_under_an_override_says_so_from_then_on(self, store: Store) -> None:
        place, end = account(period=_NOVEMBER), _NOVEMBER.resets_at
        assert end is not None
        store.adjust(Adjustment("stop", "override", place, 5, "Ann", "runaway job", NOW, end))
        (current,), (over,) = store.balances([place], NOW), store.balances([place], end)
        assert (current.grants.replaced, over.grants.replaced) == (False, True)
        december = account(period=Period("month:2026-12-01:UTC", end, end + timedelta(days=31)))
        store.adjust(Adjustment("more", "topup", december, 5, "Ann", "more", end))
        store.adjust(Adjustment("low", "override", december, 5, "Ann", "a test", end, end + timedelta(days=1)))
        store.adjust(Adjustment("over", "revoke", december, 0, "Ann", "mended", end + timedelta(hours=1)))
        late = store.balances([place, december], end + timedelta(days=32))
        assert [item.grants.replaced for item in late] == [True, False]

    def test_revoking_ends_what_is_in_force(self, store: Store) -> None:
        store.adjust(_adjustment("o", "override", 30))
        store.adjust(_adjustment("t", "topup", 7))
        store.adjust(_adjustment("n", "topup", 9, _NEXT, expires_at=None))
        store.adjust(_adjustment("w", "revoke", 0, expires_at=None))
        assert [balance.grants for balance in store.balances([_TEAM, _NEXT], NOW)] == [Grants(), Grants(None, 9)]
        store.adjust(_adjustment("p", "override", 40))

    def test_setting_corrects_what_is_spent_and_leaves_what_is_held(self, store: Store) -> None:
        store.charge(settlement("a", _TEAM, 80))
        store.reserve(hold("b", _TEAM, 15, 100))
        answer = store.adjust(_adjustment("s", "set", 20, expires_at=None))
        assert (answer.balance.used, answer.balance.held) == (20, 15)
        store.adjust(_adjustment("r", "set", 0, expires_at=None))
        assert isinstance(store.reserve(hold("c", _TEAM, 85, 100)), Held)
        entries = store.entries(EntryQuery()).items
        assert [(entry.kind, entry.amount) for entry in entries] == [("charge", 80), ("set", -60), ("set", -20)]
        assert sum(entry.amount for entry in entries if entry.counts) == 0

    def test_a_correction_adds_to_what_is_spent_or_takes_from_it(self, store: Store) -> None:
        store.charge(settlement("a", _TEAM, 80))
        store.reserve(hold("b", _TEAM, 15, 100))
        about = {"day": "2026-11-23", "model": "gpt-5"}
        for id, amount, used in (("more", 3, 83), ("less", -23, 60), ("nothing", -60, 0)):
            for repeated in (False, True):
                answer = store.adjust(_adjustment(id, "correct", amount, expires_at=None, about=about))
                assert (answer.balance.used, answer.balance.held, answer.repeated) == (used, 15, repeated)
        entries = store.entries(EntryQuery()).items
        assert [(entry.kind, entry.amount) for entry in entries[1:]] == [("correct", each) for each in (3, -23, -60)]
        assert entries[1].facts == {**about, "author": "ann", "reason": "launch week"}
        assert sum(entry.amount for entry in entries if entry.counts) == 0

    def test_a_correction_leaves_nothing_negative(self, store: Store) -> None:
        store.charge(settlement("a", _TEAM, 80))
        store.reserve(hold("b", _TEAM, 15, 100))
        with pytest.raises(AdjustmentError, match=r"a correction of `.*` must be at least"):
            store.adjust(_adjustment("c", "correct", -81, expires_at=None))
        assert store.balances([_TEAM], NOW)[0][1:3] == (80, 15)
        assert len(store.entries(EntryQuery()).items) == 1
        store.adjust(_adjustment("c", "correct", -80, expires_at=None))
        assert store.balances([_TEAM], NOW)[0].used == 0

    def test_a_correction_of_an_earlier_period_changes_that_one(self, store: Store) -> None:
        store.charge(settlement("a", _TEAM, 80))
        in_december = NOW + 10 * _DAY
        store.adjust(_adjustment("c", "correct", 5, expires_at=None, now=in_december))
        assert [balance.used for balance in store.balances([_TEAM, _NEXT], in_december)] == [85, 0]

    def test_repeating_an_adjustment_changes_nothing(self, store: Store) -> None:
        first = store.adjust(_adjustment("t", "topup", 50))
        store.charge(settlement("a", _TEAM, 80))
        again = store.adjust(_adjustment("t", "topup", 50))
        assert (again.balance, again.repeated) == (first.balance, True)
        assert store.balances([_TEAM], NOW)[0].grants == Grants(None, 50)
        assert len(store.entries(EntryQuery()).items) == 2

    def test_the_history_says_who_and_why(self, store: Store) -> None:
        store.adjust(_adjustment("t", "topup", 50))
        store.adjust(_adjustment("w", "revoke", 0, expires_at=None, reason="over"))
        first, second = store.entries(EntryQuery(account=_TEAM)).items
        assert (first.kind, first.call, first.amount, first.counts, first.at) == ("topup", "t", 50, False, NOW)
        assert first.facts == {"author": "ann", "reason": "launch week", "expires_at": "2026-11-25T12:00:00+00:00"}
        assert second.facts == {"author": "ann", "reason": "over"}
        assert store.entries(EntryQuery(call="w")).items == (second,)

    def test_a_release_is_recorded_and_changes_nothing(self, store: Store) -> None:
        store.adjust(_adjustment("t", "topup", 50))
        for _ in range(2):
            store.adjust(_adjustment("r", "release", 30, expires_at=None, call="job-7"))
        (balance,) = store.balances([_TEAM], NOW)
        assert (balance.used, balance.held, balance.grants) == (0, 0, Grants(None, 50))
        *_, entry = store.entries(EntryQuery()).items
        assert (entry.kind, entry.amount, entry.counts, entry.facts["call"]) == ("release", 30, False, "job-7")


_CLAIM = AlertClaim("teams/monthly", "research", "month:2026-11-01:UTC", "0.8", {"text": "80 % are spent", "n": [1]})


class ApprovalLaws:
    """Approvals are on record, hold for one period and threshold, and change neither limits nor balances."""

    def test_the_last_answer_holds_until_it_expires(self, store: Store) -> None:
        place = account(period=_NOVEMBER)
        _answer(store, "asked", "ask", place)
        assert _approved(store, place, NOW) == ()
        _answer(store, "one", "approve", place, 90)
        assert _approved(store, place, NOW) == ((_THRESHOLD, 90),)
        _answer(store, "two", "deny", place)
        assert _approved(store, place, NOW) == ((_THRESHOLD, None),)
        _answer(store, "three", "approve", place, 95, NOW + _MINUTE)
        assert _approved(store, place, NOW) == ((_THRESHOLD, 95),)
        assert _approved(store, place, NOW + _MINUTE) == ()
        assert _approved(store, account(), NOW) == ()
        found = [(entry.kind, entry.call, entry.amount, entry.facts["threshold"]) for entry in _asked(store)]
        assert found == [
            ("ask", "asked", 0, _THRESHOLD), ("approve", "one", 90, _THRESHOLD), ("deny", "two", 0, _THRESHOLD),
            ("approve", "three", 95, _THRESHOLD),
        ]  # fmt: skip
        assert not any(entry.counts for entry in _asked(store))

    def test_an_answer_that_is_repeated_counts_once(self, store: Store) -> None:
        place = account(period=_NOVEMBER)
        _answer(store, "one", "approve", place, 90)
        _answer(store, "two", "deny", place)
        _answer(store, "one", "approve", place, 90)
        assert _approved(store, place, NOW) == ((_THRESHOLD, None),)
        assert len(_asked(store)) == 2

    def test_approvals_change_no_limit(self, store: Store) -> None:
        place = account(period=_NOVEMBER)
        _answer(store, "one", "approve", place, 90)
        assert isinstance(store.reserve(hold("a", place, 11, 10)), Refused)
        assert isinstance(store.reserve(hold("b", place, 10, 10)), Held)
        assert (store.balances([place], NOW)[0].grants.override, store.balances([place], NOW)[0].grants.topup) == (
            None, 0,
        )  # fmt: skip

    def test_an_approval_never_outlives_a_window_from_first_use(self, store: Store) -> None:
        place = from_first_use(3600)
        with pytest.raises(AdjustmentError, match="an approval must have an expiry time"):
            _answer(store, "one", "approve", place, 90)
        _answer(store, "two", "approve", place, 90, NOW + timedelta(minutes=1))
        assert _approved(store, place, NOW) == ((_THRESHOLD, 90),)
        assert _approved(store, place, NOW + timedelta(minutes=1)) == ()

    def test_another_threshold_and_what_else_is_granted_stay(self, store: Store) -> None:
        place = account(period=_NOVEMBER)
        store.adjust(Adjustment("top", "topup", place, 5, "Ann", "more", NOW))
        _answer(store, "one", "approve", place, 90)
        store.adjust(Adjustment("other", "deny", place, 0, "Ann", "no", NOW, threshold="0.5"))
        assert _approved(store, place, NOW) == ((_THRESHOLD, 90), ("0.5", None))
        assert store.balances([place], NOW)[0].grants.topup == 5
        store.adjust(Adjustment("end", "revoke", place, 0, "Ann", "over", NOW))
        assert store.balances([place], NOW)[0].grants.topup == 0
        assert _approved(store, place, NOW) == ((_THRESHOLD, 90), ("0.5", None))


_THRESHOLD = "burn_rate:6/1h"


def _answer(
    store: Store, id: str, kind: AdjustmentKind, place: Account, amount: int = 0, expires: datetime | None = None
) -> None:
    store.adjust(Adjustment(id, kind, place, amount, "Ann", "because", NOW, expires, threshold=_THRESHOLD))


def _approved(store: Store, place: Account, now: datetime) -> tuple[tuple[str, int | None], ...]:
    return tuple((item.threshold, item.up_to) for item in store.balances([place], now)[0].grants.approvals)


def _asked(store: Store) -> list[Entry]:
    return _pages(store.entries, EntryQuery())


class AlertLaws:
    """An alert is raised once and delivered at least once."""

    def test_one_claimer_for_each_budget_key_period_and_threshold(self, store: Store) -> None:
        others = [
            AlertClaim("teams/daily", "research", _CLAIM.period, "0.8"),
            AlertClaim(_CLAIM.budget, "ops", _CLAIM.period, "0.8"),
            AlertClaim(_CLAIM.budget, "research", "month:2026-12-01:UTC", "0.8"),
            AlertClaim(_CLAIM.budget, "research", _CLAIM.period, "1"),
        ]
        for claim in (_CLAIM, *others):
            assert store.claim_alert(claim, NOW, LEASE)
        for claim in (_CLAIM, *others):
            assert not store.claim_alert(claim, NOW, LEASE)

    def test_a_claimer_that_dies_leaves_the_alert_to_another(self, store: Store) -> None:
        store.claim_alert(_CLAIM, NOW, LEASE)
        assert store.pending_alerts(NOW + LEASE - timedelta(microseconds=1), LEASE) == ()
        (pending,) = store.pending_alerts(NOW + LEASE, LEASE)
        assert (pending.claim, pending.claimed_at, pending.attempts, pending.problem) == (_CLAIM, NOW, 1, "")
        assert store.pending_alerts(NOW + LEASE, LEASE) == (), "it was taken"
        (again,) = store.pending_alerts(NOW + 2 * LEASE, LEASE)
        assert again.attempts == 2

    def test_a_delivered_alert_is_never_pending_and_never_claimed_again(self, store: Store) -> None:
        store.claim_alert(_CLAIM, NOW, LEASE)
        store.alert_delivered(_CLAIM, NOW)
        assert store.pending_alerts(NOW + 9 * LEASE, LEASE) == ()
        assert not store.claim_alert(_CLAIM, NOW + 9 * LEASE, LEASE)
        store.alert_failed(_CLAIM, NOW, "too late to fail")
        assert store.pending_alerts(NOW + 9 * LEASE, LEASE) == ()

    def test_a_failed_delivery_is_tried_again_when_it_says(self, store: Store) -> None:
        store.claim_alert(_CLAIM, NOW, LEASE)
        store.alert_failed(_CLAIM, NOW + timedelta(seconds=5), "the webhook answered 503")
        assert store.pending_alerts(NOW + timedelta(seconds=4), LEASE) == ()
        (pending,) = store.pending_alerts(NOW + timedelta(seconds=5), LEASE)
        assert pending.problem == "the webhook answered 503"

    def test_pending_alerts_are_taken_the_oldest_first_up_to_a_number(self, store: Store) -> None:
        claims = [AlertClaim("b", str(number), "lifetime", "1") for number in range(5)]
        for number, claim in enumerate(claims):
            store.claim_alert(claim, NOW + timedelta(seconds=number), LEASE)
        late = NOW + 2 * LEASE
        assert [alert.claim.key for alert in store.pending_alerts(late, LEASE, 2)] == ["0", "1"]
        assert [alert.claim.key for alert in store.pending_alerts(late, LEASE, 9)] == ["2", "3", "4"]

    def test_alerts_that_nobody_claimed_are_left_alone(self, store: Store) -> None:
        store.alert_delivered(_CLAIM, NOW)
        store.alert_failed(_CLAIM, NOW, "never there")
        assert store.pending_alerts(NOW, LEASE) == ()
        assert store.claim_alert(_CLAIM, NOW, LEASE)
