"""CL483: a rule that turns on a difference of quality within the noise."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Final

from costlens_policy.catalogue import Model
from costlens_policy.checker.checks.quality import Leaning, leanings, some_of
from costlens_policy.checker.checks.subject import Finding, Subject
from costlens_policy.diagnostics.model import Diagnostic
from costlens_policy.intervals import Estimate, widened

__all__ = ["check_noisy_quality"]

_FOUND: Final = Finding("CL483")
_ROUNDED: Final = 1e-12
"""What doubles make of no difference at all."""


def check_noisy_quality(subject: Subject) -> Iterator[Diagnostic]:
    """Warn of rules that exclude or prefer a model by a difference that the intervals do not show.

    The distances from two values to the ends of their intervals that face each other are added as squares: that of two
    independent measurements (Schenker and Gentleman, "On judging the significance of differences by examining the
    overlap between confidence intervals", The American Statistician 55, 2001). Intervals are compared at 95%.
    """
    for leaning in leanings(subject):
        if leaning.low:
            yield from _of_lower_ends(leaning)
            continue
        found = list(_EXAMINED.get(leaning.key, _compared)(leaning))
        if found:
            yield _FOUND.warning(
                f"`{leaning.key}` turns on differences within the noise: {some_of(found)}",
                leaning.place.span,
                "the intervals do not tell",
                "measure more cases, or allow a difference that they can show",
            )


def _of_lower_ends(leaning: Leaning) -> Iterator[Diagnostic]:
    """Warn of lower ends of intervals that are compared with each other, and are not of the same level."""
    found = []
    for task in leaning.tasks:
        levels = {
            model.name: known.level
            for model in leaning.models
            if (known := model.evidence.get(task)) is not None and known.low is not None
        }
        if len(set(levels.values())) > 1:
            ends = sorted(levels.items(), key=lambda item: item[1])
            (one, least), (other, most) = ends[0], ends[-1]
            found.append(f"for `{task}`, `{one}` has a level of {least:.3g} and `{other}` one of {most:.3g}")
    if found:
        yield _FOUND.warning(
            f"`{leaning.key}` compares lower ends of intervals of different levels: {some_of(found)}",
            leaning.place.span,
            "a narrower interval is no better evidence",
            "give the intervals of all models at one `level`, such as 0.95",
        )


def _within(leaning: Leaning) -> Iterator[str]:
    """Yield which models a limit excludes although they may be within it."""
    assert leaning.choice is not None
    assert leaning.choice.within is not None
    allowed = float(leaning.choice.within.quality)
    for task in leaning.tasks:
        ranked = _ranked(leaning, task)
        for model in ranked[1:]:
            if _may_differ_by(allowed, ranked[0], model, task):
                yield f"for `{task}`, `{model.name}` ({_shown(model, task)}) is excluded by {_best(ranked[0], task)}"


def _min_quality(leaning: Leaning) -> Iterator[str]:
    """Yield which models keep to a limit, or do not, although they may be on its other side."""
    assert leaning.choice is not None
    least = float(leaning.choice.limits.min_quality or 0)
    for model, task in leaning.measured:
        yield from _beside(model, task, least)


def _maximize(leaning: Leaning) -> Iterator[str]:
    """Yield which models come second although they may be as good as the first."""
    for task in leaning.tasks:
        ranked = _ranked(leaning, task)
        if len(ranked) > 1 and _may_differ_by(0, ranked[0], ranked[1], task):
            second = ranked[1]
            yield f"for `{task}`, {_best(ranked[0], task)} comes before `{second.name}` ({_shown(second, task)})"


def _compared(leaning: Leaning) -> Iterator[str]:
    """Yield which models a condition accepts, or does not, although they may be on the other side of its limit."""
    for limit in leaning.limits:
        for model, task in leaning.measured:
            if limit.task in (None, task):
                yield from _beside(model, task, limit.value)


def _no_difference(leaning: Leaning) -> Iterator[str]:
    """A price of quality changes with it by degrees, and no small difference excludes a model."""
    yield from ()


_EXAMINED: Final = {
    "within": _within, "min_quality": _min_quality, "maximize": _maximize, "minimize": _no_difference,
}  # fmt: skip


def _beside(model: Model, task: str, limit: float) -> Iterator[str]:
    known = _interval(model, task)
    if known is not None and known.low < limit <= known.high:
        yield f"for `{task}`, `{model.name}` has {_shown(model, task)}"


def _ranked(leaning: Leaning, task: str) -> list[Model]:
    known = [model for model in leaning.models if task in model.quality]
    return sorted(known, key=lambda model: -model.quality[task])


def _may_differ_by(allowed: float, better: Model, worse: Model, task: str) -> bool:
    """Whether a model that is further behind than this may be nearer, for all that the intervals tell."""
    one, other = _interval(better, task), _interval(worse, task)
    if one is None or other is None:
        return False
    noise = math.hypot(one.value - one.low, other.high - other.value)
    return _ROUNDED < one.value - other.value - allowed <= noise


def _interval(model: Model, task: str) -> Estimate | None:
    """Return a quality with its interval at the usual level, None where it has none."""
    known = model.evidence.get(task)
    if known is None or known.low is None or known.high is None:
        return None
    return widened(Estimate(model.quality[task], known.low, known.high, known.cases or 0), known.level)


def _best(model: Model, task: str) -> str:
    return f"`{model.name}` ({_shown(model, task)})"


def _shown(model: Model, task: str) -> str:
    known = model.evidence[task]
    return f"{model.quality[task]:g}, {known.low:g} to {known.high:g}"
