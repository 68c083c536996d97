"""What documents say of one model, collected while they are read one after the other: facts, and prices examined."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from decimal import Decimal
from typing import Any, Final

from costlens_policy.catalogue import problems
from costlens_policy.catalogue.catalogue import Model
from costlens_policy.catalogue.rates import MINUTES_OF_A_DAY, Period, Rates, Tariff, dearest_of
from costlens_policy.catalogue.service_tiers import AUTO, tier_named, tier_tariff
from costlens_policy.diagnostics.model import Diagnostic, Span
from costlens_policy.documents.catalogue import (
    CatalogueModel,
    HourPrices,
    Latency,
    LongContext,
    ModelFacts,
    PricePeriod,
    ServiceTierPrices,
)
from costlens_policy.frozen import frozen
from costlens_policy.money import MAX_FRACTION_DIGITS, ZERO, fraction_digits, plain
from costlens_policy.source.located import LocatedDocument, Path

__all__ = ["Draft", "ModelReference", "Place", "compare_prices", "examine_prices", "find_exchanged", "periods_from"]

_FACTS: Final = tuple(ModelFacts.model_fields)
_MERGED: Final = frozenset({"quality", "labels", "usd_per_tool_use"})
_OWN: Final = frozenset({"quality", "usd_per_tool_use"})
"""What training changes, so that it is never that of a base."""


@frozen
class Place:
    """A value of a document, or the spot where it would stand."""

    document: LocatedDocument
    path: Path = ()

    def at(self, *steps: str | int) -> Place:
        return Place(self.document, (*self.path, *steps))

    @property
    def file(self) -> str:
        return self.document.source.name

    @property
    def span(self) -> Span:
        """Where the value is written."""
        return self.document.root.span_of(self.path)

    @property
    def key_span(self) -> Span:
        """Where the key is written; of an item without a key, the item."""
        return self.document.root.key_span(self.path) or self.span


@frozen
class ModelReference:
    """The name of another model, and where it is written."""

    name: str
    place: Place


@dataclass(slots=True)
class Draft:
    """What the documents read so far say of one model.

    ``place`` is the key of its latest entry, or the pattern that imported it. ``places`` says where a document gives
    a fact for this model. ``prices_settled`` keeps the model from being called unpriced: it is meant
    to be, or there is a problem with its prices already.
    """

    name: str
    place: Place
    imported: bool = False
    facts: dict[str, Any] = field(default_factory=dict)
    places: dict[str, Place] = field(default_factory=dict)
    aliases: dict[str, Place] = field(default_factory=dict)
    base: ModelReference | None = None
    base_measured: dict[str, str] = field(default_factory=dict)
    trained_for: tuple[str, ...] = ()
    price_as: ModelReference | None = None
    periods: tuple[Period, ...] = ()
    price_source: str = ""
    prices_settled: bool = False

    def learn(self, facts: ModelFacts, place: Place) -> None:
        """Take over the facts that are given; of measured quality and labels, key by key."""
        for name in _FACTS:
            value = getattr(facts, name)
            if value is None:
                continue
            if name in _MERGED:
                value = {**self.facts.get(name, {}), **value}
            self.facts[name] = value
            self.places[name] = place.at(name)

    def override(self, entry: CatalogueModel, place: Place) -> None:
        """Take over an entry, prices aside: what it gives wins, the rest stays."""
        self.place = place
        self.learn(entry, place)
        self.aliases.update({alias: place.at("aliases", index) for index, alias in enumerate(entry.aliases)})
        if entry.other_versions is not None:
            self.facts["other_versions"] = entry.other_versions
        if entry.fine_tuned is not None:
            self.base = ModelReference(entry.fine_tuned.base, place.at("fine_tuned", "base"))
            self.trained_for = entry.fine_tuned.tasks

    def inherit(self, base: Draft) -> None:
        """Take over each fact that is not given here; prices and measured quality never."""
        own = self.facts.get("quality", {})
        measured = base.base_measured | dict.fromkeys(base.facts.get("quality", {}), base.name)
        self.base_measured = {task: name for task, name in measured.items() if task not in own}
        self.facts = {name: fact for name, fact in base.facts.items() if name not in _OWN} | self.facts

    @property
    def provider(self) -> str | None:
        return self.facts.get("provider")

    @property
    def other_versions(self) -> tuple[str, ...]:
        return tuple(self.facts.get("other_versions", ()))

    @property
    def latency(self) -> Latency | None:
        found = self.facts.get("latency_ms")
        assert found is None or isinstance(found, Latency)
        return found


_MAX_PRICE: Final = Decimal(10) ** 9
_MAX_DIGITS: Final = MAX_FRACTION_DIGITS - 6
_MOST_TIMES: Final = 100
_DEAREST: Final = Decimal(300)
"""More than any model has cost for a million input tokens."""
_LIKELY: Final = (Decimal("0.001"), Decimal(10_000))
"""Between these lies every price of tokens that any provider asks, in US dollars per million."""
_FAR: Final = 100
"""Providers' discounts and resellers' margins stay well within this factor; other units do not."""
_LIKELY_PER_REQUEST: Final = Decimal(100)


def periods_from(prices: Sequence[PricePeriod]) -> tuple[Period, ...]:
    """Return the periods of prices without errors.

    What a long-context step leaves out costs there as in the step before it.
    """
    return tuple(_period(price) for price in prices)


def _period(price: PricePeriod) -> Period:
    per_request = price.usd_per_request or ZERO
    given = _by_bucket(price.usd_per_million_tokens.items())
    longer = given
    tiers = []
    for above, prices in _given_steps(price.long_context).items():
        longer = longer | prices
        tiers.append((above, Rates(longer, per_request)))
    usual = Tariff(Rates(given, per_request), tuple(tiers))
    by_hour = list(_by_hour(usual, [(item, _varied(item, given, usual)) for item in price.hours]))
    dearest = dearest_of([tariff for _, tariff in by_hour])
    named = {name: _varied(tier, given, usual) for name, tier in price.service_tiers.items()}
    whole = Period(price.effective, dearest.rates, dearest.long_context, named)
    if len(by_hour) == 1:
        return whole
    hours = ((minute, replace(whole, rates=own.rates, long_context=own.long_context)) for minute, own in by_hour)
    return replace(whole, hours=tuple(hours))


def _varied(prices: ServiceTierPrices, given: dict[str, Decimal], usual: Tariff) -> Tariff:
    """Return prices that are given by what differs from the usual ones."""
    per_request = usual.rates.usd_per_request if prices.usd_per_request is None else prices.usd_per_request
    steps = {0: _by_bucket(prices.usd_per_million_tokens.items()), **_given_steps(prices.long_context)}
    return tier_tariff(given, usual, steps, per_request)


def _by_hour(usual: Tariff, hours: Sequence[tuple[HourPrices, Tariff]]) -> Iterator[tuple[int, Tariff]]:
    """Yield (from this minute of the day on, prices), the first at 0."""
    limits = [(_minute(item.start), _minute(item.end), tariff) for item, tariff in hours]
    before = None
    for minute in sorted({0, *(limit for start, end, _ in limits for limit in (start, end))}):
        tariff = next((tariff for start, end, tariff in reversed(limits) if _holds(minute, start, end)), usual)
        if tariff != before:
            yield minute, tariff
        before = tariff


def _holds(minute: int, start: int, end: int) -> bool:
    return (minute - start) % MINUTES_OF_A_DAY < ((end - start) % MINUTES_OF_A_DAY or MINUTES_OF_A_DAY)


def _minute(text: str) -> int:
    return int(text[:2]) * 60 + int(text[3:])


def _given_steps(steps: Sequence[LongContext]) -> dict[int, dict[str, Decimal]]:
    return {step.above_input_tokens: _by_bucket(step.usd_per_million_tokens.items()) for step in steps}


def _by_bucket(prices: Iterable[tuple[str, Decimal]]) -> dict[str, Decimal]:
    """Forget that the keys are literals."""
    return dict(prices)


def examine_prices(prices: Sequence[PricePeriod], place: Place) -> Iterator[Diagnostic]:
    """Find what is wrong with prices; ``place`` is the list of them."""
    before: date | None = None
    for index, price in enumerate(prices):
        here = place.at(index)
        if index and (price.effective is None or (before is not None and price.effective <= before)):
            yield problems.period_order(price.effective, before, here.at("effective").span)
        before = price.effective or before
        if missing := [bucket for bucket in ("input", "output") if bucket not in price.usd_per_million_tokens]:
            yield problems.incomplete_price(missing, here.at("usd_per_million_tokens").key_span)
        yield from _amounts(price, here)
        for name, tier in price.service_tiers.items():
            there = here.at("service_tiers", name)
            if tier_named(name) != name or name == AUTO:
                yield problems.tier_of_other_name(name, tier_named(name), there.key_span)
            yield from _amounts(tier, there)
        for number, hour in enumerate(price.hours):
            yield from _amounts(hour, here.at("hours", number))


def compare_prices(prices: Sequence[PricePeriod], listed: Model, place: Place) -> Iterator[Diagnostic]:
    """Find prices that are far from all that the price list has had for a model: another unit, or swapped."""
    known = [period.rates.usd_per_million_tokens for period in listed.periods]
    if not known:
        return
    for index, price in enumerate(prices):
        here = place.at(index, "usd_per_million_tokens")
        given = _by_bucket(price.usd_per_million_tokens.items())
        if _swapped(given, known[-1]):
            has = f"`{plain(known[-1]['input'])}` for input and `{plain(known[-1]['output'])}` for output tokens"
            message = f"the price list has {has} of `{listed.name}`"
            yield problems.unlikely_price(
                message, "swap the prices of `input` and `output`", here.at("input").span, "the price of output?"
            )
            continue
        for bucket, amount in given.items():
            low, high = min(rates[bucket] for rates in known), max(rates[bucket] for rates in known)
            if amount and (amount * _FAR < low or (high and amount > high * _FAR)):
                advice = _as_per_token(amount) if amount < low else "prices are US dollars per million tokens"
                message = _far(amount, known[-1][bucket], listed.name)
                yield problems.unlikely_price(message, advice, here.at(bucket).span)


def find_exchanged(prices: Sequence[PricePeriod], place: Place) -> Iterator[Diagnostic]:
    """Find prices that look exchanged: hardly any model charges less for output, or more for what is cached."""
    for index, price in enumerate(prices):
        rates, here = _by_bucket(price.usd_per_million_tokens.items()), place.at(index, "usd_per_million_tokens")
        if 0 < 2 * rates["output"] <= rates["input"]:
            message = "output tokens are cheaper than input tokens"
            advice = "swap the prices of `input` and `output`"
            yield problems.unlikely_price(message, advice, here.at("input").span, "the price of output?")
        if 0 < rates["input"] < rates.get("cache_read", Decimal(0)):
            message = "cached input tokens cost more than input tokens"
            advice = "caches make input cheaper; writing to one is `cache_write`"
            yield problems.unlikely_price(message, advice, here.at("cache_read").span)
        if 0 < rates.get("cache_write", Decimal(0)) < rates["input"]:
            message = "writing to a cache costs less than input tokens that are not cached"
            advice = "a cached token is read at `cache_read`"
            yield problems.unlikely_price(message, advice, here.at("cache_write").span)
        if rates["output"] > _MOST_TIMES * rates["input"] > 0:
            message = f"output tokens cost {plain(rates['output'] / rates['input'])} times what input tokens do"
            yield problems.unlikely_price(message, _as_per_token(rates["input"]), here.at("input").span)
        if rates["input"] > _DEAREST:
            message = f"`{plain(rates['input'])}` US dollars per million input tokens is more than any model costs"
            yield problems.unlikely_price(message, "give dollars, not cents", here.at("input").span)
        yield from _unlikely_steps(price, rates["input"], place.at(index, "long_context"))
        if rates["input"] == 0 < rates["output"]:
            message = "input tokens cost nothing, although output tokens do"
            yield problems.unlikely_price(message, "give the price of input", here.at("input").span, "is this known?")


def _unlikely_steps(price: PricePeriod, usual: Decimal, place: Place) -> Iterator[Diagnostic]:
    """Find long prompts that cost less than short ones do."""
    for index, step in enumerate(price.long_context):
        here = place.at(index)
        cost = dict(step.usd_per_million_tokens.items()).get("input")
        if cost is not None and cost < usual:
            message = "input tokens of long prompts cost less than usual"
            advice = "these are the prices of the whole call, not a discount"
            yield problems.unlikely_price(message, advice, here.at("usd_per_million_tokens", "input").span)


def _far(price: Decimal, listed: Decimal, model: str) -> str:
    below = price < listed
    ratio = listed / price if below else price / listed if listed else None
    times = "far" if ratio is None else f"{ratio:,.0f} times"
    where = f"{times} {'below' if below else 'above'} the price list's `{plain(listed)}` for `{model}`"
    return f"`{plain(price)}` US dollars per million tokens is {where}"


def _swapped(given: Mapping[str, Decimal], listed: Mapping[str, Decimal]) -> bool:
    """Return whether prices of input and output are each near the other's, which are far apart."""
    expected = listed["output"], listed["input"]
    if expected[0] < 2 * expected[1]:
        return False
    near = (abs(given[key] - price) * 5 <= price for key, price in zip(("input", "output"), expected, strict=True))
    return all(near)


def _amounts(price: PricePeriod | ServiceTierPrices, place: Place) -> Iterator[Diagnostic]:
    if price.usd_per_request is not None:
        yield from _amount(price.usd_per_request, _LIKELY_PER_REQUEST, place.at("usd_per_request"))
    yield from _tokens(price.usd_per_million_tokens.items(), place.at("usd_per_million_tokens"))
    yield from _steps(price.long_context, place.at("long_context"))


def _steps(steps: Sequence[LongContext], place: Place) -> Iterator[Diagnostic]:
    before = 0
    for index, step in enumerate(steps):
        here = place.at(index)
        if step.above_input_tokens <= before:
            span = here.at("above_input_tokens").span
            yield problems.long_context_order(step.above_input_tokens, before, span)
        before = step.above_input_tokens
        yield from _tokens(step.usd_per_million_tokens.items(), here.at("usd_per_million_tokens"))


def _tokens(prices: Iterable[tuple[str, Decimal]], place: Place) -> Iterator[Diagnostic]:
    low, high = _LIKELY
    for bucket, price in prices:
        here = place.at(bucket)
        faults = list(_amount(price, high, here))
        yield from faults
        if not faults and 0 < price < low:
            yield problems.unlikely_price(_unlikely(price), _as_per_token(price), here.span)


def _amount(price: Decimal, high: Decimal, place: Place) -> Iterator[Diagnostic]:
    if price > _MAX_PRICE or fraction_digits(price) > _MAX_DIGITS:
        yield problems.price_out_of_range(place.span, _MAX_PRICE)
    elif price > high:
        yield problems.unlikely_price(_unlikely(price), "prices are US dollars per million tokens", place.span)


def _unlikely(price: Decimal) -> str:
    return f"`{plain(price)}` US dollars per million tokens is an unlikely price"


def _as_per_token(price: Decimal) -> str:
    per_token, per_thousand = plain(price * 10**6), plain(price * 10**3)
    return f"if this is a price per token, write `{per_token}`; if it is one per thousand tokens, `{per_thousand}`"
