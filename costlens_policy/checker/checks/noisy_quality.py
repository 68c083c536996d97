"""CL483: a choice that turns on a difference of quality within the noise."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Final

from costlens_policy.catalogue import Model
from costlens_policy.checker.checks.quality import Leaning, leanings, some_of
from costlens_policy.checker.checks.subject import Finding, Subject
from costlens_policy.diagnostics.model import Diagnostic

__all__ = ["check_noisy_quality"]

_FOUND: Final = Finding("CL483")


def check_noisy_quality(subject: Subject) -> Iterator[Diagnostic]:
    """Warn of choices that exclude or prefer a model by a difference that the intervals do not show.

    The distances from two values to the ends of their intervals that face each other are added as squares: that of two
    independent measurements (Schenker and Gentleman, "On judging the significance of differences by examining the
    overlap between confidence intervals", The American Statistician 55, 2001).
    """
    for leaning in leanings(subject):
        if leaning.choice.quality == "lower_bound" and leaning.key in ("within", "min_quality"):
            continue
        found = list(_EXAMINED[leaning.key](leaning)) if leaning.key in _EXAMINED else []
        if found:
            yield _FOUND.warning(
                f"`{leaning.key}` turns on differences within the noise: {some_of(found)}",
                leaning.place.span,
                "the intervals do not tell",
                "measure more cases, or allow a difference that they can show",
            )


def _within(leaning: Leaning) -> Iterator[str]:
    """Yield which models a limit excludes although they may be as good as the best."""
    assert leaning.choice.within is not None
    allowed = float(leaning.choice.within.quality)
    for task in leaning.tasks:
        ranked = _ranked(leaning, task)
        for model in ranked[1:]:
            if ranked[0].quality[task] - model.quality[task] > allowed and _may_equal(ranked[0], model, task):
                yield f"for `{task}`, `{model.name}` ({_shown(model, task)}) is excluded by {_best(ranked[0], task)}"


def _min_quality(leaning: Leaning) -> Iterator[str]:
    """Yield which models keep to a limit, or do not, although they may be on its other side."""
    least = float(leaning.choice.limits.min_quality or 0)
    for model, task in leaning.measured:
        known = model.evidence.get(task)
        if known is not None and known.low is not None and known.high is not None and known.low < least <= known.high:
            yield f"for `{task}`, `{model.name}` has {_shown(model, task)}"


def _maximize(leaning: Leaning) -> Iterator[str]:
    """Yield which models come second although they may be as good as the first."""
    for task in leaning.tasks:
        ranked = _ranked(leaning, task)
        if len(ranked) > 1 and _may_equal(ranked[0], ranked[1], task):
            second = ranked[1]
            yield f"for `{task}`, {_best(ranked[0], task)} comes before `{second.name}` ({_shown(second, task)})"


_EXAMINED: Final = {"within": _within, "min_quality": _min_quality, "maximize": _maximize}


def _ranked(leaning: Leaning, task: str) -> list[Model]:
    known = [model for model in leaning.models if task in model.quality]
    return sorted(known, key=lambda model: -model.quality[task])


def _may_equal(better: Model, worse: Model, task: str) -> bool:
    one, other = better.evidence.get(task), worse.evidence.get(task)
    if one is None or other is None or one.low is None or other.high is None:
        return False
    noise = math.hypot(better.quality[task] - one.low, other.high - worse.quality[task])
    return 0 < better.quality[task] - worse.quality[task] <= noise


def _best(model: Model, task: str) -> str:
    return f"`{model.name}` ({_shown(model, task)})"


def _shown(model: Model, task: str) -> str:
    known = model.evidence[task]
    return f"{model.quality[task]:g}, {known.low:g} to {known.high:g}"
