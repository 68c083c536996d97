"""What tokens cost: kinds of tokens, rates for them, and rates over time. All arithmetic is exact."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field
from datetime import UTC, date, datetime
from decimal import Decimal
from itertools import compress
from operator import mul
from typing import Final, NamedTuple

from costlens_policy.frozen import frozen
from costlens_policy.money import ZERO, fraction_digits, from_units, multiply, to_units

__all__ = [
    "BUCKETS", "MINUTES_OF_A_DAY", "TEXT_INPUT", "TEXT_OUTPUT", "Period", "Rates", "Tariff", "Usage", "complete",
    "dearest_of",
]  # fmt: skip

BUCKETS: Final[tuple[str, ...]] = (
    "input", "cache_read", "cache_write", "cache_write_1h", "output", "reasoning", "input_audio", "cache_read_audio",
    "output_audio", "input_image", "output_image",
)  # fmt: skip
"""Every kind of token."""
TEXT_INPUT: Final = ("input", "cache_read", "cache_write", "cache_write_1h")
"""What a token of a prompt of text may be charged as."""
TEXT_OUTPUT: Final = ("output", "reasoning", "output_image")
"""What a token of the answer to a text may be charged as: models that draw do so unasked."""

_KIND_OF: Final[dict[str, tuple[str, ...]]] = {
    "cache_read": ("input",),
    "cache_write": ("input",),
    "cache_write_1h": ("cache_write",),
    "reasoning": ("output",),
    "input_audio": ("input",),
    "cache_read_audio": ("cache_read", "input_audio"),
    "output_audio": ("output",),
    "input_image": ("input",),
    "output_image": ("output",),
}
MINUTES_OF_A_DAY: Final = 24 * 60
_MILLION_DIGITS: Final = 6
_FEMTO_DIGITS: Final = 15


def complete(given: Mapping[str, Decimal]) -> dict[str, Decimal]:
    """Return prices for every bucket: one that is left out costs as the narrowest given kind that it belongs to.

    Of two such kinds the more expensive counts, so that a gap in a price list never makes an estimate too low. Raises
    ``ValueError`` where ``input`` or ``output`` is missing, or a bucket is unknown.
    """
    missing = [bucket for bucket in ("input", "output") if bucket not in given]
    unknown = [bucket for bucket in given if bucket not in BUCKETS]
    if missing or unknown:
        raise ValueError(f"prices without {missing}, or of unknown kinds {unknown}")
    return {bucket: _price(bucket, given) for bucket in BUCKETS}


def _price(bucket: str, given: Mapping[str, Decimal]) -> Decimal:
    if bucket in given:
        return given[bucket]
    kinds = _KIND_OF[bucket]
    return max(_price(kind, given) for kind in [kind for kind in kinds if kind in given] or kinds)


class Usage(NamedTuple):
    """Tokens of one call in disjoint buckets, in the order of ``BUCKETS``: no token is counted in two of them.

    A named tuple, since one is made for every call, and a frozen class takes five times as long.
    """

    input: int = 0
    cache_read: int = 0
    cache_write: int = 0
    cache_write_1h: int = 0
    output: int = 0
    reasoning: int = 0
    input_audio: int = 0
    cache_read_audio: int = 0
    output_audio: int = 0
    input_image: int = 0
    output_image: int = 0

    @property
    def tokens(self) -> int:
        """All tokens together."""
        return sum(self)

    @property
    def answer_tokens(self) -> int:
        """The tokens of the answer, thinking among them."""
        return self.output + self.reasoning + self.output_audio + self.output_image

    @property
    def counted(self) -> dict[str, int]:
        """The tokens of each bucket that holds some."""
        return dict(compress(zip(BUCKETS, self, strict=True), self))

    @property
    def prompt_tokens(self) -> int:
        """The length of the whole prompt, cached part included; long-context prices go by it."""
        cached = self.cache_read + self.cache_write + self.cache_write_1h + self.cache_read_audio
        return self.input + cached + self.input_audio + self.input_image


@frozen
class Rates:
    """Prices at one time for one prompt length, in US dollars per million tokens by bucket.

    ``input`` and ``output`` must be given; the other buckets are filled in by ``complete``. Prices are turned into
    whole numbers of one small unit once, so that ``cost`` is integer arithmetic.
    """

    usd_per_million_tokens: Mapping[str, Decimal]
    usd_per_request: Decimal = ZERO
    _per_token: Mapping[str, int] = field(init=False, repr=False, compare=False)
    _in_order: tuple[int, ...] = field(init=False, repr=False, compare=False)
    """The same in the order of ``BUCKETS``, which is that of a ``Usage``."""
    _per_request: int = field(init=False, repr=False, compare=False)
    _dearest: dict[tuple[str, ...], str] = field(init=False, repr=False, compare=False)
    is_coarse: bool = field(init=False, repr=False, compare=False)
    """Whether every cost is whole in femto-dollars, so that there is nothing to round."""
    is_plain: bool = field(init=False, repr=False, compare=False)
    """Whether a call in text costs at most what ``input`` and ``output`` say, to the femto-dollar: no token costs more
    for being written to a cache, read from one, thought or drawn."""
    _unit: Decimal = field(init=False, repr=False, compare=False)
    _units_per_usd: int = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        prices = complete(self.usd_per_million_tokens)
        digits = max(map(fraction_digits, prices.values()))
        digits = max(digits, fraction_digits(self.usd_per_request) - _MILLION_DIGITS)
        per_token = {bucket: to_units(price, digits) for bucket, price in prices.items()}
        for name, value in (
            ("usd_per_million_tokens", prices),
            ("_per_token", per_token),
            ("_in_order", tuple(per_token.values())),
            ("_per_request", to_units(self.usd_per_request, digits + _MILLION_DIGITS)),
            ("_unit", from_units(1, digits + _MILLION_DIGITS)),
            ("_units_per_usd", 10 ** (digits + _MILLION_DIGITS)),
            ("_dearest", {}),
            ("is_coarse", digits + _MILLION_DIGITS <= _FEMTO_DIGITS),
        ):
            object.__setattr__(self, name, value)
        plain = self.dearest(TEXT_INPUT) == "input" and self.dearest(TEXT_OUTPUT) == "output"
        object.__setattr__(self, "is_plain", plain and self.is_coarse)

    def cost(self, usage: Usage) -> Decimal:
        """Return the exact cost of one call in US dollars."""
        units: int = self._per_request + sum(map(mul, usage, self._in_order))
        return multiply(units, self._unit)

    def cost_as(self, prompt: str, prompt_tokens: int, output: str, output_tokens: int) -> Decimal:
        """Return the exact cost of a call whose prompt is all of one kind of tokens, and its output of another."""
        per_token = self._per_token
        units = self._per_request + per_token[prompt] * prompt_tokens + per_token[output] * output_tokens
        return multiply(units, self._unit)

    def usd(self, units: int) -> Decimal:
        """Return the US dollars of so many of the units in which costs are computed."""
        return multiply(units, self._unit)

    @property
    def units_per_usd(self) -> int:
        """How many of the units in which costs are computed make a dollar."""
        return self._units_per_usd

    def in_units(self, units_per_usd: int) -> tuple[int, int, int]:
        """Return what a token of ``input``, one of ``output`` and the request itself cost, in units no larger."""
        factor = units_per_usd // self._units_per_usd
        per_token = self._per_token
        return per_token["input"] * factor, per_token["output"] * factor, self._per_request * factor

    def dearest(self, kinds: tuple[str, ...]) -> str:
        """Return the kind of tokens that costs most, the first of equal ones. Found once for the same kinds."""
        found = self._dearest.get(kinds)
        if found is None:
            found = self._dearest[kinds] = max(kinds, key=self._per_token.__getitem__)
        return found

    def cost_as_double(self, usage: Usage) -> float:
        """Return ``float(cost(usage))``, which is what expressions see, in half the time."""
        units: int = self._per_request + sum(map(mul, usage, self._in_order))
        return units / self._units_per_usd


@frozen
class Tariff:
    """Rates by the length of the prompt.

    ``long_context`` holds (above input tokens, rates), ascending; they re-price the whole call.
    """

    rates: Rates
    long_context: tuple[tuple[int, Rates], ...] = ()

    def rates_for(self, input_tokens: int) -> Rates:
        """Return the rates of a call by the length of its whole prompt, cached part included."""
        return _rates_for(self.rates, self.long_context, input_tokens)


@frozen
class Period:
    """Prices from a day on: the usual ones, in the form of a ``Tariff``, and those of service tiers by their names."""

    effective: date | None
    rates: Rates
    long_context: tuple[tuple[int, Rates], ...] = ()
    service_tiers: Mapping[str, Tariff] = field(default_factory=dict)
    hours: tuple[tuple[int, Period], ...] = ()
    """Where prices change by the time of day: (minute of the day in UTC from which on, prices), the first at 0. All
    other fields then hold the highest of the day, which is what a call is estimated and held at."""

    def at(self, timestamp: datetime) -> Period:
        """Return the prices at the time of day of a timestamp with a zone; the same where they do not depend on it."""
        if not self.hours:
            return self
        time = timestamp.astimezone(UTC)
        minute = time.hour * 60 + time.minute
        return next(period for start, period in reversed(self.hours) if start <= minute)

    def rates_for(self, input_tokens: int) -> Rates:
        """Return the usual rates of a call by the length of its whole prompt, cached part included."""
        return _rates_for(self.rates, self.long_context, input_tokens)

    def tariff(self, service_tier: str = "") -> Tariff:
        """Return the prices of a service tier, the usual ones where it has none of its own."""
        return self.service_tiers.get(service_tier) or Tariff(self.rates, self.long_context)


def dearest_of(tariffs: Sequence[Tariff]) -> Tariff:
    """Return prices that none of the tariffs exceeds: of each kind of token, at each length, the highest."""
    if len(tariffs) == 1:
        return tariffs[0]
    starts = sorted({above for tariff in tariffs for above, _ in tariff.long_context})
    return Tariff(_dearest(tariffs, 0), tuple((above, _dearest(tariffs, above)) for above in starts))


def _dearest(tariffs: Sequence[Tariff], above: int) -> Rates:
    rates = [tariff.rates_for(above + 1) for tariff in tariffs]
    prices = {bucket: max(item.usd_per_million_tokens[bucket] for item in rates) for bucket in BUCKETS}
    return Rates(prices, max(item.usd_per_request for item in rates))


def _rates_for(rates: Rates, long_context: tuple[tuple[int, Rates], ...], input_tokens: int) -> Rates:
    for above, longer in long_context:
        if input_tokens <= above:
            break
        rates = longer
    return rates
