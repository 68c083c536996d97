"""What two catalogues say differently of the same models."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import date
from decimal import Decimal
from typing import Any, Final, Literal, TypeAlias

from costlens_policy.catalogue.catalogue import LONG_AGO, Catalogue, Model
from costlens_policy.catalogue.rates import BUCKETS, Period, Rates, Tariff, complete
from costlens_policy.catalogue.writing import explicit_entry
from costlens_policy.frozen import frozen

__all__ = ["FactChange", "ModelChange", "PriceChange", "compare"]

_Place: TypeAlias = tuple[str, str, int]
"""A kind of token or ``request``, a service tier or a time of day, and above how many tokens of the prompt."""
_AT: Final = "from "
"""Stands before a time of day (UTC) in the place of a service tier."""


@frozen
class PriceChange:
    """A price of a model, in US dollars per million tokens, or for each request where ``kind`` is ``request``.

    ``since`` is the day from which it differs, None where it always does; ``service_tier`` is empty for the usual
    price, and ``from 16:30`` for the price from a time of day (UTC) on; ``above_input_tokens`` is 0 for short prompts.
    ``old`` or ``new`` is None where there is no price. They are equal where an earlier change ends.
    """

    kind: str
    since: date | None
    service_tier: str
    above_input_tokens: int
    old: Decimal | None
    new: Decimal | None

    @property
    def ratio(self) -> Decimal | None:
        """The change as a share of the old price; None where either is missing or the old one is zero."""
        return (self.new - self.old) / self.old if self.old and self.new is not None else None


@frozen
class FactChange:
    """Anything else that is known of a model, as text; None where a side does not know it."""

    fact: str
    old: str | None
    new: str | None


@frozen
class ModelChange:
    """One model of either catalogue. Of one that is added or removed, the prices are listed with one side None."""

    name: str
    what: Literal["added", "removed", "changed"]
    prices: tuple[PriceChange, ...]
    facts: tuple[FactChange, ...]


def compare(old: Catalogue, new: Catalogue) -> tuple[ModelChange, ...]:
    """Return what differs, by the names of the models."""
    names = sorted({*old.models, *new.models})
    changes = (_change(name, old.models.get(name), new.models.get(name)) for name in names)
    return tuple(change for change in changes if change is not None)


def _change(name: str, old: Model | None, new: Model | None) -> ModelChange | None:
    prices = tuple(_prices(old, new))
    if old is None or new is None:
        return ModelChange(name, "added" if old is None else "removed", prices, ())
    facts = tuple(_facts(old, new))
    return ModelChange(name, "changed", prices, facts) if prices or facts else None


def _facts(old: Model, new: Model) -> Iterator[FactChange]:
    before, after = dict(_flat(explicit_entry(old))), dict(_flat(explicit_entry(new)))
    for fact in sorted({*before, *after}):
        if before.get(fact) != after.get(fact):
            yield FactChange(fact, before.get(fact), after.get(fact))


def _flat(entry: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, str]]:
    for key, value in entry.items():
        if key == "prices":
            continue
        if isinstance(value, Mapping):
            yield from _flat(value, f"{above}{key}.")
        else:
            yield f"{above}{key}", ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def _prices(old: Model | None, new: Model | None) -> Iterator[PriceChange]:
    """Compare the prices on each day on which either side has new ones.

    What goes on as before is not repeated; the day from which a difference is gone is reported.
    """
    reported: dict[_Place, tuple[Decimal | None, Decimal | None]] = {}
    differing: dict[_Place, None] = {}
    for day in sorted({period.effective or LONG_AGO for model in (old, new) if model for period in model.periods}):
        before = old.period_on(day) if old else None
        after = new.period_on(day) if new else None
        for place in dict.fromkeys((*_places(before, after), *differing)):
            pair = _price(before, place), _price(after, place)
            differs = pair[0] != pair[1]
            if (differs and reported.get(place) != pair and not _follows(before, after, place)) or (
                not differs and place in differing
            ):
                yield PriceChange(place[0], None if day == LONG_AGO else day, place[1], place[2], *pair)
                differing[place] = None
            if not differs:
                differing.pop(place, None)
            reported[place] = pair


def _tariff(period: Period, tier: str) -> Tariff:
    """Return the prices of a service tier, or those that hold from a time of day on."""
    if tier.startswith(_AT):
        minute = int(tier.removeprefix(_AT)[:2]) * 60 + int(tier[-2:])
        hours = period.hours or ((0, period),)
        return next(prices for start, prices in reversed(hours) if start <= minute).tariff()
    return period.tariff(tier)


def _tiers(periods: Iterable[Period]) -> Iterator[str]:
    yield ""
    yield from sorted({tier for period in periods for tier in period.service_tiers})
    for minute in sorted({minute for period in periods for minute, _ in period.hours}):
        yield f"{_AT}{minute // 60:02}:{minute % 60:02}"


def _places(before: Period | None, after: Period | None) -> Iterator[_Place]:
    periods = [period for period in (before, after) if period is not None]
    for tier in _tiers(periods):
        steps = {above for period in periods for above, _ in _tariff(period, tier).long_context}
        for above in (0, *sorted(steps)):
            yield from ((kind, tier, above) for kind in (*BUCKETS, "request"))


def _rates(period: Period, place: _Place) -> Rates:
    _, tier, above = place
    return _tariff(period, tier).rates_for(above + 1)


def _price(period: Period | None, place: _Place) -> Decimal | None:
    if period is None:
        return None
    rates = _rates(period, place)
    return rates.usd_per_request if place[0] == "request" else rates.usd_per_million_tokens[place[0]]


def _follows(before: Period | None, after: Period | None, place: _Place) -> bool:
    """Return whether a price is, on both sides, the one that follows from those of other kinds of tokens."""
    kind = place[0]
    if kind == "request":
        return not any(_price(period, place) for period in (before, after))
    return all(kind not in _own(_rates(period, place)) for period in (before, after) if period is not None)


def _own(rates: Rates) -> set[str]:
    """Return the kinds of tokens whose price has to be given, since it does not follow from those before."""
    prices = rates.usd_per_million_tokens
    given = {kind: prices[kind] for kind in ("input", "output")}
    for kind in BUCKETS:
        if complete(given)[kind] != prices[kind]:
            given[kind] = prices[kind]
    return set(given)
