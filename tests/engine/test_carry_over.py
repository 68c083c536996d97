"""What earlier periods carry over into the limit of a budget."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from costlens_policy.carry_over import CarryOver
from costlens_policy.engine.decision import Balance
from tests.engine.longhand import carried_in_lots

HUNDRED = Decimal(100)
ALL = CarryOver(Decimal(1), None, 1, None)


def of(*earlier: int, share: str = "1", most: int | None = None, periods: int = 1) -> Decimal:
    terms = CarryOver(Decimal(share), None if most is None else Decimal(most), periods, None)
    return terms.amount(HUNDRED, tuple(map(Decimal, earlier)))


def test_the_last_period_alone() -> None:
    assert [of(), of(100), of(60), of(0), of(130), of(60, 0)] == [0, 0, 40, 100, 0, 40]
    assert of(60, share="0.5") == 20
    assert of(60, share="0.5", most=15) == 15


def test_several_periods() -> None:
    assert of(60, 70, periods=2) == 70, "40 of the last and 30 of the one before"
    assert of(120, 70, periods=2) == 10, "20 of those 30 were spent"
    assert of(140, 70, periods=2) == 0
    assert of(90, 140, 0, periods=3) == 70, "an own limit is spent first, then what is carried"
    assert of(60, 140, 70, periods=3) == 40, "what nobody carried was not paid by the next period"


def test_what_was_carried_and_spent_is_gone_whatever_the_share_and_the_cap() -> None:
    assert of(120, 60, periods=2, share="0.5") == 0, "20 of the 40 were carried, and spent"
    assert of(109, 0, 0, periods=3, share="0.1") == 11
    assert of(110, 60, periods=2, most=10) == 0, "10 of the 40 were carried, and spent"
    assert of(150, 0, 0, 0, 0, periods=12, most=50) == 0
    assert of(60, 150, 0, periods=12, most=50) == 40


@given(
    st.lists(st.integers(0, 250), max_size=8), st.integers(1, 6), st.integers(0, 120),
    st.sampled_from(["1", "0.5", "0.333333"]), st.sampled_from([None, 0, 30, 1000]),
)  # fmt: skip
def test_it_is_what_is_left_of_lots_that_are_spent_one_by_one(
    earlier: list[int], periods: int, limit: int, share: str, most: int | None
) -> None:
    terms = CarryOver(Decimal(share), None if most is None else Decimal(most), periods, None)
    used = tuple(map(Decimal, earlier))
    assert terms.amount(Decimal(limit), used) == carried_in_lots(terms, Decimal(limit), used)


def test_periods_of_which_nothing_is_known_do_not_count() -> None:
    starts = [datetime(2026, month, 1, tzinfo=UTC) for month in (4, 3, 2, 1)]
    used = [Decimal(amount) for amount in (0, 7, 0, 0)]
    assert ALL.counted(used, starts) == (0, 7), "nothing in April, but the budget was there in March"
    assert ALL.counted([Decimal(0)] * 4, starts) == ()
    since = CarryOver(Decimal(1), None, 4, datetime(2026, 2, 1, tzinfo=UTC))
    assert since.counted(used, starts) == (0, 7, 0)
    assert since.counted([Decimal(0)] * 4, starts) == (0, 0, 0)


def test_people_who_replace_a_limit_replace_what_is_carried() -> None:
    plain = Balance(earlier=(Decimal(60),), topup=Decimal(5))
    assert (plain.carried(HUNDRED, ALL), plain.limit_in_force(HUNDRED, ALL)) == (40, 145)
    replaced = Balance(earlier=(Decimal(60),), override=Decimal(70), topup=Decimal(5))
    assert (replaced.carried(HUNDRED, ALL), replaced.limit_in_force(HUNDRED, ALL)) == (0, 75)
    with pytest.raises(ValueError, match="finite and not negative"):
        Balance(earlier=(Decimal(-1),))
