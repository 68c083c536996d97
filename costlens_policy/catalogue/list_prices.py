"""Prices in the form of ``genai-prices``, turned into periods."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence, Set
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from costlens_policy.catalogue.rates import MINUTES_OF_A_DAY, Period, Rates, Tariff, dearest_of
from costlens_policy.catalogue.service_tiers import USUAL, tier_named
from costlens_policy.money import ZERO, multiply

if TYPE_CHECKING:
    from genai_prices.types import ModelInfo, ModelPrice, PriceVariant, TimeOfDateConstraint

__all__ = ["periods_of"]

_Raw: TypeAlias = dict[str, dict[int, Decimal]]
"""Price of each kind of token by the prompt length that it starts above; 0 is always there."""

_BUCKET_OF: Final = {
    "input_mtok": "input",
    "cache_read_mtok": "cache_read",
    "cache_write_mtok": "cache_write",
    "cache_write_1h_mtok": "cache_write_1h",
    "output_mtok": "output",
    "output_reasoning_mtok": "reasoning",
    "input_audio_mtok": "input_audio",
    "cache_audio_read_mtok": "cache_read_audio",
    "output_audio_mtok": "output_audio",
    "input_image_mtok": "input_image",
    "output_image_mtok": "output_image",
}
_BUCKETS: Final = frozenset(_BUCKET_OF.values())
_REQUESTS: Final = "requests_kcount"
_ANY_DAY: Final = date(1970, 1, 2)
_THOUSANDTH: Final = Decimal("0.001")


def periods_of(entry: ModelInfo) -> tuple[tuple[Period, ...], tuple[str, ...]]:
    """Return the periods, none where the model is not priced by tokens, and remarks for its ``price_source``."""
    prices = entry.prices if isinstance(entry.prices, list) else [_Always(prices=entry.prices)]
    conditions = [(condition.constraint, _raw(condition.prices)) for condition in prices] or [(None, {})]
    variants = list(_variants(entry.price_variants or ()))
    constraints = [constraint for constraint, _ in conditions] + [item.constraint for item in variants]
    starts = sorted({constraint.start_date for constraint in constraints if hasattr(constraint, "start_date")})
    days: list[date | None] = [None, *starts]
    in_force = {day: _day(conditions, day or date.min) for day in days}
    remarks = _remarks([raw for _, raw in conditions], entry.price_variants or ())
    if not all({"input", "output"} <= raw.keys() for hours in in_force.values() for _, raw in hours):
        return (), ("no price for both input and output tokens", *remarks)
    if any(len(hours) > 1 for hours in in_force.values()):
        remarks = ("by the time of day; estimates take the highest", *remarks)
    return _merged([_period(day, hours, variants) for day, hours in in_force.items()]), remarks


def _day(conditions: Sequence[tuple[Any, _Raw]], day: date) -> list[tuple[int, _Raw]]:
    """Return (from this minute of a day on, prices): the last active condition wins, else the first."""
    limits = [_minutes(constraint) for constraint, _ in conditions if hasattr(constraint, "start_time")]
    found: list[tuple[int, _Raw]] = []
    for minute in sorted({0, *(limit % MINUTES_OF_A_DAY for pair in limits for limit in pair)}):
        active = (raw for constraint, raw in reversed(conditions) if _is_active(constraint, day, minute))
        raw = next(active, conditions[0][1])
        if not found or found[-1][1] != raw:
            found.append((minute, raw))
    return found


def _is_active(constraint: Any, day: date, minute: int) -> bool:
    if hasattr(constraint, "start_time"):
        start, end = _minutes(constraint)
        return start <= minute < end if start <= end else minute >= start or minute < end
    return constraint is None or constraint.start_date <= day


def _minutes(constraint: TimeOfDateConstraint) -> tuple[int, int]:
    """Return an interval of the day in minutes of UTC; a time without a zone is in UTC."""
    start, end = (
        datetime.combine(_ANY_DAY, limit, limit.tzinfo or UTC).astimezone(UTC)
        for limit in (constraint.start_time, constraint.end_time)
    )
    return _minute(start), _minute(end)


def _minute(limit: datetime) -> int:
    return limit.hour * 60 + limit.minute + bool(limit.second)  # 23:59:59 ends with the day


@dataclass(frozen=True, slots=True)
class _Always:
    prices: ModelPrice
    constraint: None = None


@dataclass(frozen=True, slots=True)
class _Variant:
    """Prices of a service tier, which stand for those of the model where they are given."""

    tier: str
    raw: _Raw
    constraint: Any


def _variants(variants: Iterable[PriceVariant]) -> Iterator[_Variant]:
    for variant in variants:
        tier, raw = _tier(variant), _raw(variant.prices)
        if tier and raw and not hasattr(variant.constraint, "start_time"):
            yield _Variant(tier, raw, variant.constraint)


def _tier(variant: PriceVariant) -> str:
    """Return the service tier that a variant is for; empty where a catalogue cannot hold it, or it is the usual one."""
    ((key, value), *more) = variant.when.items()
    if more or key not in ("service_tier", "processing", "speed"):
        return USUAL
    return tier_named(value)


def _raw(prices: ModelPrice) -> _Raw:
    found: _Raw = {}
    for key, value in vars(prices).items():
        if value is not None:
            found[_BUCKET_OF.get(key, key)] = _steps(value)
    return found


def _steps(value: Any) -> dict[int, Decimal]:
    if isinstance(value, Decimal):
        return {0: value}
    return {0: value.base} | {tier.start: tier.price for tier in value.tiers}


def _period(day: date | None, hours: list[tuple[int, _Raw]], variants: Sequence[_Variant]) -> Period:
    active = [item for item in variants if _is_active(item.constraint, day or date.min, 0)]
    tiers: dict[str, _Raw] = {}
    for item in active:
        tiers[item.tier] = {**item.raw, **tiers.get(item.tier, {})}  # the first that matches wins, key by key
    starts = {start for _, raw in hours for start in _starts(raw)}
    tariffs = [(minute, _tariff(raw, starts)) for minute, raw in hours]
    usual = dearest_of([tariff for _, tariff in tariffs])
    named = {
        name: dearest_of([_tariff({**raw, **own}, starts) for _, raw in hours]) for name, own in sorted(tiers.items())
    }
    whole = Period(day, usual.rates, usual.long_context, named)
    if len(hours) == 1:
        return whole
    by_hour = ((minute, replace(whole, rates=own.rates, long_context=own.long_context)) for minute, own in tariffs)
    return replace(whole, hours=tuple(by_hour))


def _tariff(raw: _Raw, starts: Set[int]) -> Tariff:
    """Return the prices by length, beside its own from all these ``starts`` on."""
    return Tariff(_rates(raw, 0), tuple((start, _rates(raw, start)) for start in sorted(starts | _starts(raw))))


def _starts(raw: _Raw) -> set[int]:
    return {start for steps in raw.values() for start in steps} - {0}


def _rates(raw: _Raw, prompt: int) -> Rates:
    """Return the rates of a prompt just longer than this."""
    given = {bucket: _step(raw[bucket], prompt) for bucket in raw if bucket in _BUCKETS}
    return Rates(given, multiply(_step(raw.get(_REQUESTS, {0: ZERO}), prompt), _THOUSANDTH))


def _step(steps: dict[int, Decimal], prompt: int) -> Decimal:
    return steps[max(start for start in steps if start <= prompt)]


def _merged(periods: list[Period]) -> tuple[Period, ...]:
    """Leave out periods that change nothing."""
    kept = periods[:1]
    for period in periods[1:]:
        if replace(period, effective=None, hours=()) != replace(kept[-1], effective=None, hours=()) or [
            (minute, replace(hour, effective=None)) for minute, hour in period.hours
        ] != [(minute, replace(hour, effective=None)) for minute, hour in kept[-1].hours]:
            kept.append(period)
    return tuple(kept)


def _remarks(raws: list[_Raw], variants: Iterable[PriceVariant]) -> tuple[str, ...]:
    others = {key for raw in raws for key in raw if key not in _BUCKETS and key != _REQUESTS}
    for variant in variants:
        raw = _raw(variant.prices)
        if raw and (not _tier(variant) or hasattr(variant.constraint, "start_time")):
            others.add(" and ".join(f"{key}: {value}" for key, value in variant.when.items()))
    return (f"not counted: {', '.join(sorted(others))}",) if others else ()
