"""Sums are exact at both ends: a billion dollars, and one token of the cheapest cached price."""

from __future__ import annotations

import random

from costlens_policy.ledger import Adjustment, Held, Refused, Store
from tests.ledger.build import NOW, account, hold, rolling, settlement

BILLION = 10**9
DOLLAR = 10**15
CHEAPEST = 10**6
"""One token at a tenth of a cent per million."""

LIFELONG = account()
HOUR = rolling(3600)


def test_one_token_still_counts_beside_a_billion_dollars(store: Store) -> None:
    limit = BILLION * DOLLAR + 2 * CHEAPEST
    for each in (LIFELONG, HOUR):
        store.charge(settlement(f"first {each.budget}", each, BILLION * DOLLAR))
        for number in range(2):
            assert isinstance(store.reserve(hold(f"{number} {each.budget}", each, CHEAPEST, limit)), Held)
        assert isinstance(store.reserve(hold(f"over {each.budget}", each, 1, limit)), Refused)
        store.settle(settlement(f"0 {each.budget}", each, CHEAPEST))
        (balance,) = store.balances([each], NOW)
        assert (balance.used, balance.held) == (BILLION * DOLLAR + CHEAPEST, CHEAPEST)


def test_a_billion_one_token_charges_are_exact(store: Store) -> None:
    """All but a thousand of them are taken as made: the sum stands where they have left it."""
    made = BILLION - 1000
    store.adjust(Adjustment("made", "set", LIFELONG, made * CHEAPEST, "ann", "moved from elsewhere", NOW))
    for number in range(1000):
        store.charge(settlement(f"{number}", LIFELONG, CHEAPEST))
    assert store.balances([LIFELONG], NOW)[0].used == BILLION * CHEAPEST


def test_sums_carry_from_one_limb_to_the_other(store: Store) -> None:
    numbers = random.Random(4)
    total = 0
    for number in range(120):
        amount = numbers.choice([1, DOLLAR - 1, DOLLAR, DOLLAR + 1, numbers.randrange(3 * DOLLAR), 10**26 - 1])
        for each in (LIFELONG, HOUR):
            store.reserve(hold(f"{number} {each.budget}", each, amount, None))
            assert store.balances([each], NOW)[0].held == amount
            store.settle(settlement(f"{number} {each.budget}", each, amount))
        total += amount
        assert [(balance.used, balance.held) for balance in store.balances([LIFELONG, HOUR], NOW)] == [(total, 0)] * 2


def test_limits_are_compared_to_the_last_unit(store: Store) -> None:
    for number, base in enumerate((DOLLAR, 7 * DOLLAR - 1, BILLION * DOLLAR, 2**53, 10**27 - 1)):
        key = account(key=str(number))
        assert isinstance(store.reserve(hold(f"over {number}", key, base, base - 1)), Refused)
        assert isinstance(store.reserve(hold(f"even {number}", key, base, base)), Held)
        assert isinstance(store.reserve(hold(f"one {number}", key, 1, base)), Refused)
