"""What two catalogues say differently."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from costlens_policy.catalogue import Catalogue, Model, Period, Rates
from costlens_policy.catalogue.comparison import FactChange, ModelChange, PriceChange, compare
from costlens_policy.catalogue.rates import Tariff

MAY, JUNE = date(2026, 5, 1), date(2026, 6, 1)


def rates(input: str, output: str = "10", **more: str) -> Rates:
    given = {"input": input, "output": output, **more}
    return Rates({kind: Decimal(price) for kind, price in given.items()})


def catalogue(*periods: Period, **facts: object) -> Catalogue:
    return Catalogue.of([Model("m", periods=periods, **facts)])  # type: ignore[arg-type]  # facts of a model


def changed(old: Catalogue, new: Catalogue) -> ModelChange:
    (change,) = compare(old, new)
    assert change.what == "changed"
    return change


def test_a_price_that_others_follow_is_told_alone() -> None:
    change = changed(catalogue(Period(None, rates("1"))), catalogue(Period(None, rates("2"))))
    assert change.prices == (PriceChange("input", None, "", 0, Decimal(1), Decimal(2)),)
    assert change.prices[0].ratio == 1
    cached = changed(catalogue(Period(None, rates("1"))), catalogue(Period(None, rates("1", cache_read="0.1"))))
    assert [price.kind for price in cached.prices] == ["cache_read"]


def test_from_a_day_on() -> None:
    old = catalogue(Period(None, rates("1")))
    new = catalogue(Period(None, rates("1")), Period(MAY, rates("0.5")), Period(JUNE, rates("0.5", "9")))
    assert changed(old, new).prices == (
        PriceChange("input", MAY, "", 0, Decimal(1), Decimal("0.5")),
        PriceChange("output", JUNE, "", 0, Decimal(10), Decimal(9)),
    )


def test_a_change_that_ends() -> None:
    old = catalogue(Period(None, rates("1")))
    new = catalogue(Period(None, rates("1")), Period(MAY, rates("0.5")), Period(JUNE, rates("1")))
    assert changed(old, new).prices == (
        PriceChange("input", MAY, "", 0, Decimal(1), Decimal("0.5")),
        PriceChange("input", JUNE, "", 0, Decimal(1), Decimal(1)),
    )


def test_a_price_of_long_prompts_that_comes_and_goes() -> None:
    old = catalogue(Period(None, rates("1")))
    long = ((1000, rates("2")),)
    new = catalogue(Period(None, rates("1"), long), Period(MAY, rates("1")), Period(JUNE, rates("1"), long))
    assert [(price.since, price.above_input_tokens, price.new) for price in changed(old, new).prices] == [
        (None, 1000, Decimal(2)),
        (MAY, 1000, Decimal(1)),
        (JUNE, 1000, Decimal(2)),
    ]


def test_tiers_and_long_prompts() -> None:
    old = catalogue(Period(None, rates("1")))
    long = Period(None, rates("1"), ((1000, rates("2")),), {"flex": Tariff(rates("0.5", "5"), ((1000, rates("2")),))})
    assert changed(old, catalogue(long)).prices == (
        PriceChange("input", None, "", 1000, Decimal(1), Decimal(2)),
        PriceChange("input", None, "flex", 0, Decimal(1), Decimal("0.5")),
        PriceChange("output", None, "flex", 0, Decimal(10), Decimal(5)),
        PriceChange("input", None, "flex", 1000, Decimal(1), Decimal(2)),
    )


def test_requests_facts_and_models() -> None:
    old = Catalogue.of([Model("a", context_window=100, quality={"chat": 0.5}), Model("gone")])
    price = Period(None, Rates({"input": Decimal(1), "output": Decimal(2)}, Decimal("0.01")))
    new = Catalogue.of(
        [Model("a", context_window=200, capabilities=frozenset({"tools"})), Model("new", periods=(price,))]
    )
    known, gone, added = compare(old, new)
    assert known.facts == (
        FactChange("capabilities", None, "tools"),
        FactChange("context_window", "100", "200"),
        FactChange("quality.chat", "0.5", None),
    )
    assert (gone.name, gone.what) == ("gone", "removed")
    assert (added.name, added.what) == ("new", "added")
    assert {price.kind: price.new for price in added.prices} == {
        "input": 1, "output": 2, "request": Decimal("0.01")
    }  # fmt: skip


_RATES = st.builds(
    lambda input, output, cached: rates(str(input), str(output), cache_read=str(cached)),
    *[st.decimals(0, 100, places=2)] * 3,
)
_PERIODS = st.builds(
    lambda first, later: (Period(None, first), *later),
    _RATES,
    st.lists(
        st.builds(Period, st.sampled_from([MAY, JUNE]), _RATES), max_size=2, unique_by=lambda item: item.effective
    ),
).map(lambda periods: tuple(sorted(periods, key=lambda item: item.effective or date.min)))


@given(_PERIODS, _PERIODS)
def test_nothing_is_told_if_and_only_if_nothing_differs(old: tuple[Period, ...], new: tuple[Period, ...]) -> None:
    assert compare(catalogue(*old), catalogue(*old)) == ()
    first, second = catalogue(*old), catalogue(*new)
    same = all(
        first.models["m"].period_on(day).rates == second.models["m"].period_on(day).rates  # type: ignore[union-attr]
        for day in (date(2026, 1, 1), MAY, JUNE)
    )
    assert (compare(first, second) == ()) == same
    back = compare(second, first)
    for change, reverse in zip(compare(first, second), back, strict=True):
        assert [(item.kind, item.since, item.new, item.old) for item in reverse.prices] == [
            (item.kind, item.since, item.old, item.new) for item in change.prices
        ]
