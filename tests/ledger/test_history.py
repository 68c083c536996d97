"""Reading the ledger: every entry once, page by page, whatever is asked for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from costlens_policy.ledger import (
    AccountQuery,
    AmountError,
    EntryQuery,
    Page,
    Period,
    ReservationQuery,
    Store,
)
from costlens_policy.ledger.amounts import micros
from costlens_policy.ledger.postgresql import PostgreSQLStore
from costlens_policy.ledger.sqlite import SQLiteStore
from tests.conftest import ROOT
from tests.docs.walkthrough import blocks
from tests.ledger.build import LIFETIME, NOW, account, hold, hold_lines, settlement, settlement_lines

NOVEMBER = Period("month:2026-11-01:UTC", NOW.replace(day=1, hour=0), NOW.replace(month=12, day=1, hour=0))
TEAMS = [account(key=key, period=period) for key in ("ops", "research") for period in (LIFETIME, NOVEMBER)]
MINUTE = timedelta(minutes=1)


def pages(read: Callable[[Any], Page[Any]], query: Any) -> list[Any]:
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


@pytest.fixture
def spent(store: Store) -> Store:
    """Eight charges, two on each account, a minute apart; the fifth by a clock that is an hour ahead."""
    for number in range(8):
        at = NOW + number * MINUTE + (timedelta(hours=1) if number == 4 else timedelta(0))
        store.charge(settlement(f"call {number}", TEAMS[number % 4], number, at, number=number))
    return store


def amounts(store: Store, **query: Any) -> list[int]:
    return [entry.amount for entry in pages(store.entries, EntryQuery(**query))]


def test_entries_come_in_the_order_in_which_they_were_made(spent: Store) -> None:
    assert amounts(spent) == [0, 1, 2, 3, 4, 5, 6, 7]
    assert amounts(spent, newest_first=True) == [7, 6, 5, 4, 3, 2, 1, 0]


def test_entries_of_an_account_a_budget_a_key_a_call(spent: Store) -> None:
    assert amounts(spent, account=TEAMS[1]) == [1, 5]
    assert amounts(spent, account=TEAMS[1], newest_first=True) == [5, 1]
    assert amounts(spent, key="research") == [2, 3, 6, 7]
    assert amounts(spent, budget="teams/monthly", key="ops") == [0, 1, 4, 5]
    assert amounts(spent, budget="other") == []
    assert amounts(spent, account=account(key="nobody")) == []
    assert amounts(spent, call="call 3") == [3]
    assert amounts(spent, call="call 9") == []


def test_entries_of_a_span_of_time_also_where_clocks_differ(spent: Store) -> None:
    span = {"since": NOW + 2 * MINUTE, "until": NOW + 6 * MINUTE}
    assert amounts(spent, **span) == [2, 3, 5]
    assert amounts(spent, **span, newest_first=True) == [5, 3, 2]
    assert amounts(spent, since=NOW + 30 * MINUTE) == [4]
    assert amounts(spent, since=NOW + 300 * MINUTE) == []
    assert amounts(spent, key="ops", **span) == [5]


def test_entries_of_a_call_with_several_lines_stand_together(store: Store) -> None:
    teams = [account(key=str(number)) for number in range(4)]
    store.reserve(hold_lines("a", *((team, 9, None) for team in teams)))
    store.settle(settlement_lines("a", *((team, number) for number, team in enumerate(teams))))
    store.charge(settlement("b", teams[0], 7))
    entries = pages(store.entries, EntryQuery(call="a"))
    assert [(entry.account, entry.amount, entry.was_held) for entry in entries] == [
        (team, number, 9) for number, team in enumerate(teams)
    ]
    assert len({entry.id for entry in pages(store.entries, EntryQuery())}) == 5


def test_a_page_that_was_read_to_its_end_goes_on_where_new_entries_begin(spent: Store) -> None:
    last = pages(spent.entries, EntryQuery())[-1]
    assert spent.entries(EntryQuery(after=last.id)).items == ()
    spent.charge(settlement("new", TEAMS[0], 99))
    assert [entry.amount for entry in spent.entries(EntryQuery(after=last.id)).items] == [99]


def test_periods_read_back_as_they_were(store: Store) -> None:
    kinds = [LIFETIME, NOVEMBER, Period("rolling:90s", rolling=timedelta(seconds=90))]
    for number, period in enumerate(kinds):
        store.charge(settlement(f"{number}", account(period=period), 1))
    assert [entry.account.period for entry in store.entries(EntryQuery()).items] == kinds
    assert {balance.account.period for balance in store.accounts(AccountQuery(), NOW).items} == set(kinds)


def test_accounts_by_name(spent: Store) -> None:
    spent.reserve(hold("held", account("teams", "x", "tokens"), 5, None))
    spent.reserve(hold("refused", account("never", "x"), 5, 4))
    everything = pages(lambda query: spent.accounts(query, NOW), AccountQuery())
    names = [balance.account.name for balance in everything]
    assert names == sorted(names)
    assert len(names) == 5
    found = spent.accounts(AccountQuery(budget="teams/monthly", period=NOVEMBER.id), NOW).items
    assert [(balance.account.key, balance.used) for balance in found] == [("ops", 6), ("research", 10)]
    by_key = pages(lambda query: spent.accounts(query, NOW), AccountQuery(key="research"))
    assert [balance.account.period.id for balance in by_key] == ["lifetime", NOVEMBER.id]
    (held,) = spent.accounts(AccountQuery(budget="teams"), NOW).items
    assert (held.account.unit, held.held) == ("tokens", 5)
    assert spent.accounts(AccountQuery(unit="requests"), NOW).items == ()
    one = AccountQuery("teams/monthly", "lifetime", "usd", "ops")
    assert [balance.account for balance in spent.accounts(one, NOW).items] == [TEAMS[0]]


def test_reservations_by_the_end_of_their_lease(store: Store) -> None:
    for number, team in enumerate((*TEAMS, TEAMS[0])):
        store.reserve(hold(f"call {number}", team, number, None, lease=(5 - number) * MINUTE, number=number))
    store.settle(settlement("call 1", TEAMS[1], 1))
    store.release("call 2", NOW)
    listed = pages(lambda query: store.reservations(query, NOW), ReservationQuery())
    assert [item.call for item in listed] == ["call 4", "call 3", "call 0"]
    assert (listed[0].state, listed[0].reserved_at, listed[0].expires_at) == ("held", NOW, NOW + MINUTE)
    assert listed[0].facts == {"number": 4}
    assert [(line.account, line.amount) for line in listed[0].lines] == [(TEAMS[0], 4)]
    later = NOW + 2 * MINUTE
    query = ReservationQuery(expired=True)
    assert [(item.call, item.state) for item in pages(lambda query: store.reservations(query, later), query)] == [
        ("call 4", "expired"),
        ("call 3", "expired"),
    ]
    assert [item.call for item in store.reservations(ReservationQuery(key="ops"), later).items] == ["call 0"]
    assert [item.call for item in store.reservations(ReservationQuery(budget="none"), later).items] == []


def test_a_call_by_its_id_while_it_is_held_and_after(store: Store) -> None:
    team, other, late = TEAMS[0], TEAMS[2], account(budget="all")
    store.reserve(hold_lines("call", (team, 5, 10), (other, 6, None), lease=MINUTE, model="a"))
    store.reserve(hold("another", team, 1, None))
    held = store.reservation("call", NOW)
    assert held is not None
    assert [(line.account, line.amount) for line in held.lines] == [(team, 5), (other, 6)]
    assert [line.account.period for line in held.lines] == [team.period, other.period]
    assert (held.call, held.state, held.settled, held.facts) == ("call", "held", None, {"model": "a"})
    assert (held.reserved_at, held.expires_at) == (NOW, NOW + MINUTE)
    assert store.reservation("call", NOW + MINUTE) == replace(held, state="expired")
    assert store.reservation("nobody's", NOW) is None
    store.release("call", NOW)
    assert store.reservation("call", NOW) == replace(held, state="released")
    settled = store.settle(settlement_lines("call", (late, 7), (team, 4), now=NOW + MINUTE, tokens=9))
    again = store.reservation("call", NOW)
    expected = replace(
        held, state="settled", facts={"model": "a", "tokens": 9}, settled=settled._replace(repeated=True)
    )
    assert again == expected


def test_a_call_by_its_id_that_was_charged_without_a_hold(store: Store) -> None:
    settled = store.charge(settlement("call", TEAMS[1], 7, NOW, model="a"))
    found = store.reservation("call", NOW)
    assert found is not None
    assert (found.state, found.lines, found.facts) == ("settled", (), {"model": "a"})
    assert (found.reserved_at, found.expires_at, found.settled) == (NOW, NOW, settled._replace(repeated=True))


@pytest.mark.parametrize("ledger_url", ["sqlite", "postgresql"], indirect=True)
def test_old_history_may_be_deleted_as_the_documentation_says(ledger_url: str, spent: Store) -> None:
    (text,) = [block.text for block in blocks((ROOT / "docs" / "ledger.md").read_text()) if "DELETE FROM" in block.text]
    store, before = spent, micros(NOW + 3 * MINUTE)
    ledger = ledger_url.partition("ledger=")[2]
    for statement in text.replace("1735689600000000", str(before)).strip().splitlines():
        if isinstance(store, SQLiteStore):
            with store._file.writing() as db:
                db.execute(statement.replace("costlens.", ""))
        else:
            assert isinstance(store, PostgreSQLStore)
            store._database.execute(statement.replace("costlens.", f"{ledger}."))
    assert amounts(store) == [3, 4, 5, 6, 7]
    assert [balance.used for balance in store.balances(TEAMS, NOW)] == [4, 6, 8, 10]
    store.charge(settlement("next", TEAMS[0], 9))
    assert amounts(store, after=store.entries(EntryQuery(limit=5)).items[-1].id) == [9]


@pytest.mark.parametrize("after", ["x", "-1", "1.5", "٣", "1:2"])
def test_a_text_that_no_page_has_given_is_refused(store: Store, after: str) -> None:
    with pytest.raises(AmountError, match="is not the start of a page"):
        store.entries(EntryQuery(after=after))
