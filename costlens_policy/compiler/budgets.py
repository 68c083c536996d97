"""A budget and its thresholds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final, Literal

from costlens_policy.compiler.formula import Formula
from costlens_policy.compiler.rebuilt import rebuilt
from costlens_policy.money import multiply
from costlens_policy.rewrites import RewriteStep

if TYPE_CHECKING:
    from costlens_policy.documents.windows import Window
    from costlens_policy.periods import Schedule

__all__ = ["LONGEST_KEY", "BudgetStep", "ThresholdStep", "key_problem"]

LONGEST_KEY: Final = 512
"""Bytes of a scope key: with the name of the budget and its period, every store can keep it."""

_ONE: Final = Decimal(1)


def key_problem(key: str) -> str | None:
    """Return why no ledger could keep a scope key, None where every one can: then all of them keep it alike."""
    if key.isascii() and len(key) <= LONGEST_KEY and "\x00" not in key:
        return None
    if "\x00" in key:
        return "must not contain the character NUL"
    try:
        size = len(key.encode())
    except UnicodeEncodeError:
        return "must not contain half of a surrogate pair"
    return None if size <= LONGEST_KEY else f"must have at most {LONGEST_KEY} bytes, got {size:,}"


@dataclass(frozen=True, slots=True)
class ThresholdStep:
    """A point before the limit of a budget, at a ratio of the hard limit or, for a soft limit, at an amount.

    ``exclude`` absent with ``excludes`` true: all models that are not in ``models`` are excluded.
    """

    at_ratio: Decimal | None
    at_amount: Decimal | None
    alert: str | None
    steps: tuple[RewriteStep, ...]
    excludes: bool
    exclude: Formula | None
    models: tuple[str, ...]

    def starts_at(self, limit: Decimal) -> Decimal:
        """Return the amount from which the threshold is active."""
        if self.at_amount is not None:
            return self.at_amount
        assert self.at_ratio is not None
        return multiply(self.at_ratio, limit)


def _lowest(thresholds: tuple[ThresholdStep, ...]) -> tuple[ThresholdStep, ...]:
    amounts = [threshold for threshold in thresholds if threshold.at_amount is not None]
    ratios = [threshold for threshold in thresholds if threshold.at_amount is None]
    return tuple(min(group, key=lambda threshold: threshold.starts_at(_ONE)) for group in (amounts, ratios) if group)


@rebuilt
@dataclass(frozen=True, slots=True)
class BudgetStep:
    """A budget. ``limit`` is a constant, or a formula that gives a number in the budget's ``unit``."""

    id: str
    when: Formula | None
    scope: Formula | None
    unit: Literal["usd", "tokens", "requests"]
    limit: Decimal | Formula
    terms: Mapping[str, Any]
    """The time in which the limit holds, as the document gives it; ``window`` is its typed form."""
    thresholds: tuple[ThresholdStep, ...]
    shadow: bool
    reason: str
    per_call: bool = field(init=False)
    """Whether nothing adds up: the limit is on each call by itself."""
    has_terms: bool = field(init=False)
    """Whether there are times or requests for which the budget has no effect."""
    when_reads_model: bool = field(init=False)
    scope_reads_model: bool = field(init=False)
    span: tuple[datetime, datetime] | None = field(init=False)
    """First moment of a fixed span of time, and first moment after it."""
    lowest: tuple[ThresholdStep, ...] = field(init=False, repr=False, compare=False)
    """Of the thresholds at amounts, and of those at ratios, the one that is reached first."""
    first: Decimal | None = field(init=False, repr=False, compare=False)
    """``first_under`` the limit, for one that is constant."""
    _schedule: list[Schedule] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        terms = self.terms
        object.__setattr__(self, "_schedule", [])
        object.__setattr__(self, "per_call", "per_call" in terms)
        object.__setattr__(self, "span", (terms["starts_at"], terms["ends_at"]) if "starts_at" in terms else None)
        object.__setattr__(self, "has_terms", self.when is not None or self.span is not None)
        object.__setattr__(self, "when_reads_model", self.when is not None and self.when.reads("model"))
        object.__setattr__(self, "scope_reads_model", self.scope is not None and self.scope.reads("model"))
        object.__setattr__(self, "lowest", _lowest(self.thresholds))
        object.__setattr__(self, "first", None if isinstance(self.limit, Formula) else self.first_under(self.limit))

    def first_under(self, limit: Decimal) -> Decimal:
        """Return what is reached first under a limit: a threshold, or the limit itself."""
        first = limit
        for threshold in self.lowest:
            first = min(first, threshold.starts_at(limit))
        return first

    @property
    def window(self) -> Window:
        """The time in which the limit holds. Made when it is asked for: deciding needs no types of documents."""
        from costlens_policy.documents.windows import window_of

        return window_of(self.terms)

    @property
    def schedule(self) -> Schedule:
        """The periods of the window, made when they are first asked for."""
        if not self._schedule:
            from costlens_policy.periods import schedule_of

            self._schedule.append(schedule_of(self.window))
        return self._schedule[0]

    def in_force(self, now: datetime) -> bool:
        """Whether the budget has an effect at a time: one of a fixed span has none outside of it."""
        return self.span is None or self.span[0] <= now < self.span[1]
