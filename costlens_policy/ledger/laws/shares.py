"""Laws of shares: what is set aside, drawn, put back and given back."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import pytest

from costlens_policy.ledger import (
    Account,
    Adjustment,
    AmountError,
    Held,
    Hold,
    LineState,
    Period,
    Refused,
    Share,
    Store,
)
from costlens_policy.ledger.laws.build import LEASE, NOW, account, hold, hold_lines, settlement_lines

__all__ = ["ShareLaws"]

RUN = account("agents/run", "fix")
OTHER = account("agents/share", "fix/rank")
SEARCH = account("agents/share", "fix/search")
INNER = account("agents/inner", "fix/search/2")
IDLE = timedelta(seconds=300)
END = "end of fix/search"
_DAYS = [Account("agents/run", "fix", "usd", Period(f"day:2026-11-{number}:UTC")) for number in (24, 25)]


def sharing(
    call: str,
    amount: int,
    of: Account = RUN,
    *,
    owner: Account = SEARCH,
    share: int | None = 40,
    limit: int | None = 100,
    ends: tuple[str, ...] = (),
    **more: object,
) -> Hold:
    """Return the hold of a call on an account and on another one that is a share of it."""
    asked = hold_lines(call, (of, amount, limit), (owner, amount, share), **more)  # type: ignore[arg-type]
    return replace(asked, unless=ends, shares=(Share(owner, of, IDLE, ends),))


def held(store: Store, asked: Hold) -> tuple[LineState, ...]:
    answer = store.reserve(asked)
    assert isinstance(answer, Held), answer
    return answer.lines


def standing(store: Store, of: Account = RUN, owner: Account = SEARCH, now: object = NOW) -> tuple[int | None, ...]:
    """Return what an account has used, holds and has set aside, and what is left of the other one's share."""
    whole, part = store.balances([of, owner], now)  # type: ignore[arg-type]
    return whole.used, whole.held, whole.set_aside, part.share


class ShareLaws:
    """What is set aside for an account can be held by its calls and by no others, until it is charged or given back."""

    def test_the_first_call_sets_aside_what_its_account_may_spend(self, store: Store) -> None:
        lines = held(store, sharing("a", 10))
        assert (lines[0].own, lines[0].drawn, lines[0].aside, lines[0].held_after) == (0, 0, 30, 40)
        assert (lines[1].own, lines[1].drawn, lines[1].aside, lines[1].held_after) == (0, 0, 0, 10)
        assert standing(store) == (0, 40, 30, 30)

    def test_others_can_never_take_what_is_set_aside(self, store: Store) -> None:
        held(store, sharing("a", 10))
        refused = store.reserve(hold("b", RUN, 61, 100))
        assert isinstance(refused, Refused)
        assert (refused.lines[0].held, refused.lines[0].own) == (40, 0)
        held(store, hold("c", RUN, 60, 100))
        lines = held(store, sharing("d", 30))
        assert (lines[0].held, lines[0].own, lines[0].drawn, lines[0].held_after) == (100, 30, 30, 100)
        assert standing(store) == (0, 100, 0, 0)

    def test_a_share_that_does_not_fit_refuses_its_first_call(self, store: Store) -> None:
        held(store, hold("b", RUN, 61, 100))
        refused = store.reserve(sharing("a", 10))
        assert isinstance(refused, Refused)
        (line,) = refused.without_room
        assert (line.account, line.amount, line.aside, line.held) == (RUN, 10, 30, 61)
        assert standing(store) == (0, 61, 0, None)
        store.release("b", NOW)
        held(store, sharing("a", 10))

    def test_a_call_beyond_its_own_limit_sets_nothing_aside(self, store: Store) -> None:
        assert isinstance(store.reserve(sharing("a", 41)), Refused)
        assert standing(store) == (0, 0, 0, None)

    def test_what_was_drawn_and_not_used_returns(self, store: Store) -> None:
        held(store, sharing("a", 10))
        held(store, sharing("b", 20))
        settled = store.settle(settlement_lines("b", (RUN, 5), (SEARCH, 5)))
        assert [(line.used, line.held) for line in settled.lines] == [(5, 35), (5, 10)]
        assert standing(store) == (5, 35, 25, 25)
        store.release("a", NOW)
        assert standing(store) == (5, 35, 35, 35)
        assert isinstance(store.reserve(hold("c", RUN, 61, 100)), Refused)

    def test_what_a_call_costs_beyond_its_hold_is_the_share_s_loss(self, store: Store) -> None:
        held(store, sharing("a", 10))
        store.settle(settlement_lines("a", (RUN, 25), (SEARCH, 25)))
        assert standing(store) == (25, 15, 15, 15)
        held(store, sharing("b", 10))
        store.settle(settlement_lines("b", (RUN, 30), (SEARCH, 30)))
        assert standing(store) == (55, 0, 0, 0)

    def test_what_a_share_lacks_must_have_room(self, store: Store) -> None:
        held(store, sharing("a", 10, share=20))
        held(store, hold("b", RUN, 70, 100))
        refused = store.reserve(sharing("c", 21, share=50))
        assert isinstance(refused, Refused)
        assert [line.account for line in refused.without_room] == [RUN]
        lines = held(store, sharing("d", 20, share=50))
        assert (lines[0].own, lines[0].drawn, lines[0].held_after) == (10, 10, 100)
        store.settle(settlement_lines("d", (RUN, 4), (SEARCH, 4)))
        assert standing(store) == (4, 86, 6, 6)

    def test_a_share_is_not_in_its_own_way_above_the_limit(self, store: Store) -> None:
        """Others have spent more than they held: what is set aside can be used up to the limit."""
        held(store, hold("b", RUN, 60, 100))
        held(store, sharing("a", 10))
        store.settle(settlement_lines("b", (RUN, 65)))
        assert standing(store) == (65, 40, 30, 30)
        assert isinstance(store.reserve(sharing("c", 26)), Refused)
        held(store, sharing("d", 25))

    def test_it_ends_with_its_lease_which_each_call_begins_anew(self, store: Store) -> None:
        held(store, sharing("a", 10))
        later = NOW + timedelta(seconds=200)
        assert standing(store, now=later) == (0, 30, 30, 30), "the call has expired, and its share has not"
        held(store, sharing("b", 10, now=later))
        later += timedelta(seconds=200)
        assert standing(store, now=later) == (0, 20, 20, 20)
        later += timedelta(seconds=200)
        assert standing(store, now=later) == (0, 0, 0, None)
        held(store, hold("c", RUN, 100, 100, later))

    def test_a_settlement_and_a_longer_lease_of_a_call_begin_it_anew(self, store: Store) -> None:
        held(store, sharing("a", 10, lease=timedelta(seconds=250)))
        later = NOW + timedelta(seconds=200)
        assert store.extend("a", timedelta(seconds=250), later).state == "held"
        later += timedelta(seconds=200)
        assert standing(store, now=later) == (0, 40, 30, 30)
        store.settle(settlement_lines("a", (RUN, 3), (SEARCH, 3), now=later))
        later += timedelta(seconds=200)
        assert standing(store, now=later) == (3, 37, 37, 37)

    def test_calls_in_flight_outlast_their_share(self, store: Store) -> None:
        held(store, sharing("a", 10, lease=timedelta(seconds=1000)))
        later = NOW + timedelta(seconds=400)
        assert standing(store, now=later) == (0, 10, 0, None)
        store.settle(settlement_lines("a", (RUN, 3), (SEARCH, 3), now=later))
        assert standing(store, now=later) == (3, 0, 0, None)

    def test_what_is_left_is_free_once_a_call_that_ends_it_is_voided(self, store: Store) -> None:
        held(store, sharing("a", 10, ends=("end of fix", END)))
        held(store, sharing("other", 10, owner=OTHER, ends=("end of fix", "end of fix/rank")))
        for _ in range(2):
            store.void(END, NOW)
            assert standing(store) == (0, 50, 30, None)
        assert store.reserve(sharing("b", 10, ends=("end of fix", END))) == Refused("b", (), END)
        store.settle(settlement_lines("a", (RUN, 4), (SEARCH, 4)))
        assert standing(store) == (4, 40, 30, None)
        store.void("end of fix", NOW)
        assert standing(store, owner=OTHER) == (4, 10, 0, None)

    def test_a_share_that_ended_begins_anew_with_what_is_left(self, store: Store) -> None:
        held(store, sharing("a", 10))
        store.settle(settlement_lines("a", (RUN, 10), (SEARCH, 10)))
        later = NOW + timedelta(hours=1)
        lines = held(store, sharing("b", 5, now=later))
        assert (lines[0].own, lines[0].aside) == (0, 25)
        assert standing(store, now=later) == (10, 30, 25, 25)

    def test_a_repeated_call_gives_the_first_answer_and_draws_nothing(self, store: Store) -> None:
        for call in "ab":
            first = store.reserve(sharing(call, 10))
            assert isinstance(first, Held)
            for _ in range(2):
                assert store.reserve(sharing(call, 10)) == first._replace(repeated=True)
        assert standing(store) == (0, 40, 20, 20)
        store.settle(settlement_lines("a", (RUN, 1), (SEARCH, 1)))
        store.settle(settlement_lines("a", (RUN, 1), (SEARCH, 1)))
        assert standing(store) == (1, 39, 29, 29)
        again = store.reserve(sharing("a", 10))
        assert isinstance(again, Held)
        assert (again.state, again.lines[0].aside) == ("settled", 30)

    def test_shares_within_shares(self, store: Store) -> None:
        """What is set aside for the inner one is part of the outer one's, on the outermost account."""
        asked = hold_lines("a", (RUN, 10, 100), (SEARCH, 10, 40), (INNER, 10, 15))
        shares = Share(INNER, SEARCH, IDLE), Share(SEARCH, RUN, IDLE)
        held(store, replace(asked, shares=shares))
        assert standing(store) == (0, 40, 30, 30)
        assert standing(store, SEARCH, INNER) == (0, 15, 5, 5)
        assert isinstance(store.reserve(sharing("b", 26)), Refused), "5 of the outer one's 40 are the inner one's"
        held(store, sharing("c", 25))
        asked = replace(asked, call="d", lines=tuple(replace(line, amount=5) for line in asked.lines), shares=shares)
        held(store, asked)
        assert standing(store) == (0, 40, 0, 0)
        store.settle(settlement_lines("d", (RUN, 1), (SEARCH, 1), (INNER, 1)))
        assert standing(store) == (1, 39, 4, 4)
        assert standing(store, SEARCH, INNER) == (1, 39, 4, 4)

    def test_an_outer_share_that_begins_later_covers_what_the_inner_one_has(self, store: Store) -> None:
        asked = hold_lines("a", (SEARCH, 5, 40), (INNER, 5, 15))
        held(store, replace(asked, shares=(Share(INNER, SEARCH, IDLE),)))
        held(store, sharing("b", 10))
        assert standing(store) == (0, 35, 25, 25), "all but the call that the outermost account does not know"

    def test_two_shares_of_one_account_are_both_drawn_on(self, store: Store) -> None:
        user = account("agents/user", "ann")
        asked = hold_lines("a", (RUN, 10, 100), (SEARCH, 10, 40), (user, 10, 30))
        shares = Share(SEARCH, RUN, IDLE), Share(user, RUN, IDLE)
        lines = held(store, replace(asked, shares=shares))
        assert (lines[0].aside, lines[0].held_after) == (50, 60)
        lines = held(store, replace(asked, call="b", shares=shares))
        assert (lines[0].own, lines[0].drawn, lines[0].held_after) == (50, 20, 50)
        store.settle(settlement_lines("b", (RUN, 4), (SEARCH, 4), (user, 4)))
        assert standing(store) == (4, 52, 42, 26)
        assert standing(store, owner=user) == (4, 52, 42, 16)

    def test_a_share_moves_to_the_account_of_a_new_period(self, store: Store) -> None:
        held(store, sharing("a", 10, _DAYS[0]))
        store.settle(settlement_lines("a", (_DAYS[0], 5), (SEARCH, 5)))
        assert standing(store, _DAYS[0]) == (5, 35, 35, 35)
        held(store, sharing("b", 10, _DAYS[1]))
        assert standing(store, _DAYS[0]) == (5, 0, 0, 25)
        assert standing(store, _DAYS[1]) == (0, 35, 25, 25)

    def test_what_people_granted_is_set_aside_as_well(self, store: Store) -> None:
        store.adjust(Adjustment("t", "topup", SEARCH, 20, "ann", "more", NOW))
        lines = held(store, sharing("a", 10))
        assert (lines[1].limit, lines[0].aside) == (60, 50)

    def test_an_account_without_a_limit_has_no_share(self, store: Store) -> None:
        held(store, sharing("a", 10, share=None))
        assert standing(store) == (0, 10, 0, None)
        held(store, sharing("b", 10, limit=None))
        assert standing(store) == (0, 40, 20, 20)

    def test_a_late_charge_leaves_the_share_as_it_is(self, store: Store) -> None:
        held(store, sharing("a", 10))
        later = NOW + 2 * LEASE
        assert standing(store, now=later) == (0, 30, 30, 30)
        assert store.settle(settlement_lines("a", (RUN, 7), (SEARCH, 7), now=later)).late
        assert standing(store, now=later) == (7, 30, 30, 30)

    def test_threads_find_what_is_set_aside_and_others_do_not(self, store: Store) -> None:
        """Whatever the others hold meanwhile, a share has room up to its limit, and all together never above theirs."""
        owners = [account("agents/share", f"fix/{number}") for number in range(3)]
        for owner in owners:
            held(store, sharing(f"first {owner.key}", 0, owner=owner, share=30))

        def work_of(owner: Account) -> int:
            spent = 0
            for number in range(12):
                call = f"{owner.key} {number}"
                answer = store.reserve(sharing(call, 5, owner=owner, share=30))
                assert isinstance(answer, Held) is (spent <= 25), (owner.key, number, spent)
                if isinstance(answer, Held):
                    charged = number % 6
                    store.settle(settlement_lines(call, (RUN, charged), (owner, charged)))
                    spent += charged
            return spent

        def work_of_others(worker: int) -> int:
            spent = 0
            for number in range(12):
                call = f"others {worker} {number}"
                answer = store.reserve(hold(call, RUN, 5, 100))
                assert all(line.used + line.held_after <= 100 for line in answer.lines if isinstance(answer, Held))
                if isinstance(answer, Held):
                    store.settle(settlement_lines(call, (RUN, number % 6)))
                    spent += number % 6
            return spent

        with ThreadPoolExecutor(6) as pool:
            children, others = pool.map(work_of, owners), pool.map(work_of_others, range(3))
            spent = [*children, *others]
        whole, *parts = store.balances([RUN, *owners], NOW)
        assert whole.used == sum(spent) <= 100
        assert [part.used for part in parts] == spent[:3]
        assert whole.held == whole.set_aside == sum(30 - part.used for part in parts)
        assert sum(spent[3:]) <= 10, "90 of 100 were set aside"

    def test_a_share_needs_two_lines_of_one_unit_and_no_circle(self) -> None:
        tokens = account("agents/tokens", "fix", "tokens")
        for shares in (
            (Share(INNER, RUN, IDLE),),
            (Share(tokens, RUN, IDLE),),
            (Share(SEARCH, SEARCH, IDLE),),
            (Share(SEARCH, RUN, IDLE), Share(RUN, SEARCH, IDLE)),
            (Share(SEARCH, RUN, IDLE), Share(SEARCH, OTHER, IDLE)),
            (Share(SEARCH, RUN, timedelta(0)),),
            (Share(SEARCH, RUN, IDLE, (END,)),),
        ):
            asked = hold_lines("a", (RUN, 1, 1), (SEARCH, 1, 1), (OTHER, 1, 1), (tokens, 1, 1))
            with pytest.raises(AmountError):
                replace(asked, shares=shares)
