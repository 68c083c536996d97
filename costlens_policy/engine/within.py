"""The limit of a choice that is relative: how far a model may stay behind the best of those that can serve."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from functools import lru_cache
from typing import Final

from costlens_policy.catalogue import Model
from costlens_policy.compiler.priced_models import PricedModel, PriceTable, Shortlist
from costlens_policy.compiler.rules import ChoiceLimits
from costlens_policy.engine.facts import Exclusion
from costlens_policy.frozen import frozen

__all__ = ["Contest", "Field", "contest_on", "not_its_own", "quality_of", "too_far_behind", "too_low"]

_CONTESTS_KEPT: Final = 256
_NAMES: Final = {"quality": "its quality for the task", "quality_low": "the lower bound of its quality for the task"}


def quality_of(priced: PricedModel, limits: ChoiceLimits, task: str) -> float | None:
    """Return what counts as the quality of a model in a task, None where it is not known."""
    known = priced.view[limits.quality]
    assert isinstance(known, dict)
    return known.get(task)


def not_its_own(model: Model, task: str) -> str:
    """Return that only a model that this one was trained from was measured in a task, or an empty text."""
    base = model.base_measured.get(task)
    return "" if base is None else f" (that of `{base}`, its base, was measured, not its own)"


def too_low(priced: PricedModel, limits: ChoiceLimits, task: str) -> str:
    """Return that a model does not reach the lowest quality, or an empty text."""
    quality = quality_of(priced, limits, task)
    if limits.min_quality is None or (quality is not None and quality >= limits.min_quality):
        return ""
    known = f"not known{not_its_own(priced.model, task)}" if quality is None else _written(quality)
    return f"{_NAMES[limits.quality]} is {known}, the choice asks for {_written(limits.min_quality)}"


def too_far_behind(priced: PricedModel, best: float | None, limits: ChoiceLimits, task: str) -> str:
    """Return that a model stays too far behind the best, or an empty text. Nobody knows how far the unknown does.

    ``best`` is None where nobody can serve: then nobody stays behind.
    """
    assert limits.within is not None
    quality = quality_of(priced, limits, task)
    if quality is None:
        whose = not_its_own(priced.model, task)
        return f"{_NAMES[limits.quality]} is not known{whose}, and the choice compares it with the best"
    if best is None or not _exceeds(best, quality, limits.within):
        return ""
    return (
        f"{_NAMES[limits.quality]} is {_written(quality)}, the best has {_written(best)}, and the choice allows "
        f"{_written(limits.within)} less"
    )


def _written(number: float) -> str:
    """Return a number with all its digits: fewer might say that what is too low is not."""
    return repr(number).removesuffix(".0")


@lru_cache(4096)
def _exceeds(best: float, quality: float, allowed: float) -> bool:
    """Return whether a loss exceeds what is allowed, in the numbers that were written: 0.83 is within 0.03 of 0.86."""
    return Fraction(repr(best)) - Fraction(repr(quality)) > Fraction(repr(allowed))


@frozen(eq=False)
class Field:
    """Who is left of a contest once it is known who is the best that can serve: their prices, and the others."""

    best: float | None
    prices: PriceTable
    excluded: tuple[Exclusion, ...]


class Contest:
    """The models that qualify for a choice, by their quality in one task."""

    __slots__ = ("_fields", "_limits", "_models", "_rule", "_task", "order")

    def __init__(self, models: Sequence[PricedModel], limits: ChoiceLimits, task: str, rule: str) -> None:
        """``order`` has those of which the quality is known, best first. Each of ``models`` has a price."""
        self._models = models
        self._limits = limits
        self._task = task
        self._rule = rule
        self._fields: dict[int, Field] = {}
        known = [(quality, item) for item in models if (quality := quality_of(item, limits, task)) is not None]
        known.sort(key=lambda pair: -pair[0])
        self.order = tuple(item for _, item in known)

    def field(self, place: int) -> Field:
        """Return who is left if the model at this place of ``order`` is the best that can serve; beyond it, nobody."""
        found = self._fields.get(place)
        if found is None:
            found = self._fields[place] = self._made(place)
        return found

    def _made(self, place: int) -> Field:
        best = None if place == len(self.order) else quality_of(self.order[place], self._limits, self._task)
        left, excluded = [], []
        for priced in self._models:
            reason = too_far_behind(priced, best, self._limits, self._task)
            if reason:
                excluded.append(Exclusion(priced.model.name, reason, self._rule))
            else:
                left.append(priced)
        return Field(best, PriceTable(left, None), tuple(excluded))


def contest_on(shortlist: Shortlist, limits: ChoiceLimits, task: str, rule: str) -> Contest:
    """Return the contest of a shortlist of a rule in a task; made once, and kept for a while."""
    contest = shortlist.contests.get(task)
    if contest is None:
        if len(shortlist.contests) >= _CONTESTS_KEPT:
            shortlist.contests.clear()
        measured = any(quality_of(item, limits, task) is not None for item in shortlist.qualified)
        contest = None if measured else shortlist.contests.get("")  # one for all tasks that nobody measured
        contest = contest or Contest(shortlist.qualified, limits, task, rule)
        shortlist.contests[task if measured else ""] = shortlist.contests[task] = contest
    assert isinstance(contest, Contest)
    return contest
