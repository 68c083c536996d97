"""What a budget counts: dollars, requests, runs, tokens, or tokens by their kinds.

A unit is one text. That of tokens by kinds names the weights, as in ``tokens(input=1,cached_input=0.1,output=6)``;
equal counts have equal texts, however they are written. The text goes with each amount, and is part of the name of each
account of a ledger. So an amount can be shown and added to without the policy that it comes from, and a balance is
never read with other weights than those that it was counted with.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from decimal import ROUND_CEILING, Context, Decimal, InvalidOperation
from functools import lru_cache
from typing import Any, Final, Literal, TypeAlias

from costlens_policy.frozen import frozen
from costlens_policy.money import ZERO, format_usd, fraction_digits, from_units, plain, to_units

__all__ = [
    "MAX_WEIGHT", "MAX_WEIGHT_DIGITS", "PARENTS", "Base", "Kind", "Measure", "Unit", "UnitError", "base_of", "measure",
    "root_of", "show_amount", "unit_of_kinds",
]  # fmt: skip

Unit: TypeAlias = str
"""``usd``, ``requests``, ``runs``, ``tokens``, or ``tokens(…)`` with weights."""
Base: TypeAlias = Literal["usd", "tokens", "requests", "runs"]
"""What a unit is without its weights, as in ``hard_limit_tokens``."""

Kind: TypeAlias = Literal[
    "input", "cached_input", "cache_read", "cache_read_audio", "cache_write", "cache_write_1h", "input_audio",
    "input_image", "output", "reasoning", "output_audio", "output_image",
]  # fmt: skip
"""The kinds of tokens that have prices and, as ``cached_input``, all that is read from a cache."""

PARENTS: Final[Mapping[str, str | None]] = {
    "input": None,
    "cached_input": "input",
    "cache_read": "cached_input",
    "cache_read_audio": "cached_input",
    "cache_write": "input",
    "cache_write_1h": "cache_write",
    "input_audio": "input",
    "input_image": "input",
    "output": None,
    "reasoning": "output",
    "output_audio": "output",
    "output_image": "output",
}
"""By kind, the kind that it is part of, which comes before it. A kind without a weight has that of its parent."""

MAX_WEIGHT: Final = 1_000_000
MAX_WEIGHT_DIGITS: Final = 6
"""Digits after the point: the amount of the largest call stays below what every ledger can keep."""

_FEMTO_DIGITS: Final = 15
_ROUNDING: Final = Context(prec=120)


class UnitError(ValueError):
    """A text that is not a unit of this version."""


@frozen
class Measure:
    """How the amounts of a unit are counted and shown.

    ``digits`` are those after the point that amounts can have. ``per_token`` is what a token of each kind adds, in
    whole units of ``10 ** -digits``; empty for all else. ``noun`` follows an amount in texts for people.
    """

    base: Base
    digits: int
    noun: str
    per_token: Mapping[str, int]
    by_kind: bool
    """Whether tokens of different kinds count differently."""
    quantum: Decimal = field(init=False, repr=False, compare=False)
    """One of the last digit."""
    _heaviest: dict[tuple[str, ...], int] = field(default_factory=dict, init=False, repr=False, compare=False)

    def heaviest(self, kinds: tuple[str, ...]) -> int:
        """Return the most that a token of one of the kinds adds, in whole units."""
        found = self._heaviest.get(kinds)
        if found is None:
            found = self._heaviest[kinds] = max(map(self.per_token.__getitem__, kinds))
        return found

    def amount(self, units: int) -> Decimal:
        """Return the amount of whole units, exactly."""
        return from_units(units, self.digits) if self.digits else Decimal(units)

    def rounded_up(self, amount: Decimal) -> Decimal:
        """Return an amount in as many digits as amounts of the unit can have, never less than it was."""
        return amount.quantize(self.quantum, ROUND_CEILING, _ROUNDING)

    def __post_init__(self) -> None:
        object.__setattr__(self, "quantum", Decimal(1).scaleb(-self.digits))


_PLAIN: Final[Mapping[Unit, Measure]] = {
    "usd": Measure("usd", _FEMTO_DIGITS, "usd", {}, False),
    "tokens": Measure("tokens", 0, "tokens", dict.fromkeys(PARENTS, 1), False),
    "requests": Measure("requests", 0, "requests", {}, False),
    "runs": Measure("runs", 0, "runs", {}, False),
}


def root_of(kind: str) -> str:
    """Return ``input`` or ``output``, whichever a kind is part of."""
    parent = PARENTS[kind]
    return kind if parent is None else root_of(parent)


def base_of(unit: Unit) -> Base:
    """Return the unit without weights."""
    return measure(unit).base


def unit_of_kinds(count: Mapping[Kind, Decimal]) -> Unit:
    """Return the unit of tokens with weights. Counts that weigh every kind alike have the same unit.

    Raises ``UnitError`` for weights that are negative, above ``MAX_WEIGHT``, of more than ``MAX_WEIGHT_DIGITS`` digits
    after the point, or all zero.
    """
    weights = _complete(count)
    if not any(weights.values()):
        raise UnitError("`count` must give some kind of token a weight above 0")
    written = [(kind, weight) for kind, weight in weights.items() if weight != _of_parent(kind, weights)]
    if dict(written) == {"input": 1, "output": 1}:
        return "tokens"
    return f"tokens({','.join(f'{kind}={plain(weight)}' for kind, weight in written)})"


@lru_cache(maxsize=1024)
def measure(unit: Unit) -> Measure:
    """Return how the amounts of a unit are counted. Raises ``UnitError`` for an unknown unit."""
    known = _PLAIN.get(unit)
    if known is not None:
        return known
    if not (unit.startswith("tokens(") and unit.endswith(")")):
        raise UnitError(f"unknown unit `{unit}` of a budget")
    given = _parsed(unit)
    weights = _complete(given)
    digits = max(map(fraction_digits, given.values()))
    noun = "weighted tokens"
    if list(given.values()) == [1]:
        noun = f"{next(iter(given)).replace('_', ' ')} tokens"
    return Measure("tokens", digits, noun, {kind: to_units(item, digits) for kind, item in weights.items()}, True)


def show_amount(amount: Decimal, unit: Unit) -> str:
    """Return an amount of a budget: ``$12.50``, ``1,200 tokens``, ``3 requests``, ``7 output tokens``."""
    if unit == "usd":
        return format_usd(amount)
    text = f"{amount:,f}"
    return f"{text.rstrip('0').rstrip('.') if '.' in text else text} {measure(unit).noun}"


def _complete(given: Mapping[Any, Decimal]) -> dict[str, Decimal]:
    """Return the weight of every kind, those of parents first."""
    weights: dict[str, Decimal] = {}
    for kind in PARENTS:
        weight = given.get(kind)
        weights[kind] = _of_parent(kind, weights) if weight is None else _checked(kind, weight)
    return weights


def _of_parent(kind: str, weights: Mapping[str, Decimal]) -> Decimal:
    parent = PARENTS[kind]
    return ZERO if parent is None else weights[parent]


def _checked(kind: str, weight: Decimal) -> Decimal:
    if not (weight.is_finite() and 0 <= weight <= MAX_WEIGHT):
        raise UnitError(f"a weight of `count` must be from 0 to {MAX_WEIGHT:,}, got `{weight}` for `{kind}`")
    if fraction_digits(weight) > MAX_WEIGHT_DIGITS:
        most = f"at most {MAX_WEIGHT_DIGITS} decimal places"
        raise UnitError(f"a weight of `count` must have {most}, got `{weight}` for `{kind}`")
    return weight


def _parsed(unit: Unit) -> dict[str, Decimal]:
    given: dict[str, Decimal] = {}
    for part in unit.removeprefix("tokens(").removesuffix(")").split(","):
        kind, _, weight = part.partition("=")
        try:
            given[kind] = _checked(kind, Decimal(weight))
        except InvalidOperation:
            given.clear()
        if kind not in PARENTS or kind not in given:
            raise UnitError(f"unknown unit `{unit}` of a budget") from None
    return given
