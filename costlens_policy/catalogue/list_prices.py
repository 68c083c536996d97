"""Prices in the form of ``genai-prices``, turned into periods."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from costlens_policy.catalogue.rates import Period, Rates, complete
from costlens_policy.money import ZERO, multiply

if TYPE_CHECKING:
    from genai_prices.types import ConditionalPrice, ModelPrice

__all__ = ["periods_of"]

_Tariff: TypeAlias = dict[str, dict[int, Decimal]]
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
_REQUESTS: Final = "requests_kcount"
_THOUSANDTH: Final = Decimal("0.001")


def periods_of(prices: ModelPrice | list[ConditionalPrice]) -> tuple[tuple[Period, ...], tuple[str, ...]]:
    """Return the periods, none where the model is not priced by tokens, and remarks for its ``price_source``."""
    conditions = list(_conditions(prices))
    starts = sorted({start for _, start, _ in conditions if start is not None})
    remarks = _remarks([tariff for _, _, tariff in conditions])
    days: list[date | None] = [None, *starts]
    in_force = [_possible(conditions, day or date.min) for day in days]
    if not all({"input", "output"} <= tariff.keys() for tariffs in in_force for tariff in tariffs):
        return (), ("no price for both input and output tokens", *remarks)
    if any(len(tariffs) > 1 for tariffs in in_force):
        remarks = ("the highest of its prices by the time of day", *remarks)
    return _merged([_period(day, tariffs) for day, tariffs in zip(days, in_force, strict=True)]), remarks


def _conditions(prices: ModelPrice | list[ConditionalPrice]) -> Iterable[tuple[bool, date | None, _Tariff]]:
    """Return (holds the whole day, from which day on, prices) in the order of the list."""
    if not isinstance(prices, list):
        yield True, None, _tariff(prices)
        return
    for condition in prices:
        start = getattr(condition.constraint, "start_date", None)
        whole_day = condition.constraint is None or start is not None
        yield whole_day, start, _tariff(condition.prices)


def _possible(conditions: Sequence[tuple[bool, date | None, _Tariff]], day: date) -> list[_Tariff]:
    """Return the prices that may hold at some time of a day: the last active condition wins, else the first."""
    found: list[_Tariff] = []
    for whole_day, start, tariff in reversed(conditions):
        if not whole_day:
            found.append(tariff)
        elif start is None or start <= day:
            return [*found, tariff]
    return [*found, conditions[0][2]] if conditions else [{}]


def _tariff(prices: ModelPrice) -> _Tariff:
    found: _Tariff = {}
    for key, value in vars(prices).items():
        if value is not None:
            found[_BUCKET_OF.get(key, key)] = _steps(value)
    return found


def _steps(value: Any) -> dict[int, Decimal]:
    if isinstance(value, Decimal):
        return {0: value}
    return {0: value.base} | {tier.start: tier.price for tier in value.tiers}


def _period(day: date | None, tariffs: list[_Tariff]) -> Period:
    starts = sorted({start for tariff in tariffs for steps in tariff.values() for start in steps} - {0})
    tiers = tuple((start, _rates(tariffs, start)) for start in starts)
    return Period(day, _rates(tariffs, 0), tiers)


def _rates(tariffs: list[_Tariff], prompt: int) -> Rates:
    """Return the rates of a prompt just longer than this; of several possible prices, the highest of each kind."""
    given = [
        {bucket: _step(tariff[bucket], prompt) for bucket in tariff if bucket in _BUCKET_OF.values()}
        for tariff in tariffs
    ]
    completed = [complete(prices) for prices in given]
    highest = {bucket: max(prices[bucket] for prices in completed) for bucket in completed[0]}
    per_thousand = max(_step(tariff.get(_REQUESTS, {0: ZERO}), prompt) for tariff in tariffs)
    return Rates(highest, multiply(per_thousand, _THOUSANDTH))


def _step(steps: dict[int, Decimal], prompt: int) -> Decimal:
    return steps[max(start for start in steps if start <= prompt)]


def _merged(periods: list[Period]) -> tuple[Period, ...]:
    """Leave out periods that change nothing."""
    kept = periods[:1]
    for period in periods[1:]:
        if (period.rates, period.long_context) != (kept[-1].rates, kept[-1].long_context):
            kept.append(period)
    return tuple(kept)


def _remarks(tariffs: list[_Tariff]) -> tuple[str, ...]:
    known = {*_BUCKET_OF.values(), _REQUESTS}
    others = sorted({key for tariff in tariffs for key in tariff if key not in known})
    return (f"not counted: {', '.join(others)}",) if others else ()
