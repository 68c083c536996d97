"""A fit: a choice for a target, made from some of the cases and reported on the others.

What chose a policy cannot judge it. The cases that are kept aside take no part in any choice, and all figures that are
reported, with their intervals, come from them; those of the curve tell what its other points would have done there.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, TypeAlias

import numpy as np

from costlens_policy.fit.bootstrap import Bootstrap, share_saved
from costlens_policy.fit.choosing import FEWEST, Choice, Means, holdout_of, means_of
from costlens_policy.fit.measurements import Floats, Measurements
from costlens_policy.fit.outcomes import OutcomesError
from costlens_policy.fit.target import Point, Target, cases_for, choose_for, in_points, knee_of, points_of
from costlens_policy.fit.told import Told
from costlens_policy.frozen import frozen
from costlens_policy.intervals import Estimate

__all__ = ["BY_SIGNAL", "COIN", "ORACLE", "POLICY", "Fitted", "Held", "Way", "fit", "parts_of"]

POLICY: Final = "the fitted policy"
COIN: Final = "a coin with the same shares"
ORACLE: Final = "the oracle"
_WORTH_A_WORD: Final = 0.005
"""The least saving that is spoken of."""
_MOST_TIMES: Final = 100
"""How many times the cases may be asked for."""
BY_SIGNAL: Final = "the policy, each task recognized by the signal"


@frozen
class Way:
    """One way to choose models, on the cases that were kept aside.

    ``score`` and ``cost`` are means for a case, ``gain`` in score and ``saving`` as a share of cost are beside the best
    single model.
    """

    name: str
    score: Estimate
    cost: Estimate
    gain: Estimate
    saving: Estimate


@frozen(eq=False)
class Held:
    """A point of the curve, and what it does on the cases that were kept aside."""

    point: Point
    way: Way


@frozen(eq=False)
class Fitted:
    """What came of a fit.

    ``choice`` is what is to be deployed: that of ``chosen``, or the best single model where the data does not support
    another. ``ways`` are the policy, the best single model, the cheapest, a coin with the shares of the policy, and the
    oracle, in this order, and last, where ``told`` has a signal of tasks, the policy by these. ``over_coin`` is the
    gain of the policy over that coin, in score.
    """

    inside: Measurements
    aside: Measurements
    means: Means
    target: Target
    seed: int
    curve: tuple[Held, ...]
    chosen: Held
    knee: Held | None
    ways: tuple[Way, ...]
    over_coin: Estimate
    reasons: tuple[str, ...]
    """Why the data does not support what was asked; empty where it does."""
    told: Told | None = None

    @property
    def supported(self) -> bool:
        """Whether the cases that were kept aside bear out the choice."""
        return not self.reasons

    @property
    def against_signal(self) -> str:
        """Why the data does not support a policy by the signal; empty where it does, and where there is none."""
        if self.told is None:
            return ""
        if self.choice.same_as(self.means.best_everywhere()):
            return "one model serves every task"
        if self.told.edges:
            return ""
        return self.told.signal.held_out.verdict or _against_told(self.target, self.ways[-1])

    @property
    def choice(self) -> Choice:
        if self.reasons and self.target == Target(max_loss=self.target.max_loss):
            return self.means.best_everywhere()
        return self.chosen.point.choice


def parts_of(measurements: Measurements, share: float, seed: int) -> tuple[Measurements, Measurements]:
    """Divide measurements into what is fitted to and what is kept aside, a share of each task in whole groups."""
    aside = holdout_of(measurements, share, seed)
    return measurements.part(~aside), measurements.part(aside)


def fit(inside: Measurements, aside: Measurements, target: Target, seed: int = 0, told: Told | None = None) -> Fitted:
    """Choose by the cases ``inside``, and report on those ``aside``, which have the same models and tasks.

    ``told`` are the tasks that a signal told of the latter: what they make of the policy is reported, too.
    Raises ``OutcomesError`` where there are too few cases for either, and where no choice meets the target.
    """
    if aside.groups < FEWEST:
        raise OutcomesError(_too_few(inside, aside))
    means, points = means_of(inside), points_of(inside, seed)
    chosen, knee = choose_for(target, points), knee_of(points)
    if chosen is None:
        raise OutcomesError(_unmet(target, points))
    choice = chosen.choice
    named = {
        **dict(_contestants(choice, means, aside)),
        **({} if told is None or told.edges else {BY_SIGNAL: _by_signal(choice, aside, told)}),
        **{str(at): _of(p.choice, aside) for at, p in enumerate(points)},
    }
    ways, over_coin = _judge(named, aside, seed)
    curve = tuple(Held(point, way) for point, way in zip(points, ways[-len(points) :], strict=True))
    held = next(item for item in curve if item.point is chosen)
    bend = next((item for item in curve if item.point is knee), None)
    reasons = tuple(_against(target, held, means, over_coin, points, len(inside)))
    if means.best == means.cheapest:
        reasons = (f"`{inside.models[means.best]}` is the best and the cheapest",)
    return Fitted(
        inside, aside, means, target, seed, curve, held, bend, ways[: -len(points)], over_coin, reasons, told
    )  # fmt: skip


_Columns: TypeAlias = tuple[Floats, Floats]
"""The score and the cost of each case."""


def _contestants(choice: Choice, means: Means, aside: Measurements) -> Iterator[tuple[str, _Columns]]:
    """Yield the ways to choose models, the policy first, then the best single model, and the coin as the fourth."""
    best, cheapest = means.best, means.cheapest
    yield POLICY, _of(choice, aside)
    yield f"always `{aside.models[best]}`, the best", _of(means.best_everywhere(), aside)
    yield f"always `{aside.models[cheapest]}`, the cheapest", (aside.scores[:, cheapest], aside.costs[:, cheapest])
    yield COIN, _coin(choice, aside)
    yield ORACLE, _oracle(aside)


def _of(choice: Choice, aside: Measurements) -> _Columns:
    rows, served = np.arange(len(aside)), choice.served(aside)
    return aside.scores[rows, served], aside.costs[rows, served]


def _by_signal(choice: Choice, aside: Measurements, told: Told) -> _Columns:
    rows = np.arange(len(aside))
    served = np.where(told.tasks < 0, choice.default, choice.models[told.tasks])
    return aside.scores[rows, served], aside.costs[rows, served]


def _coin(choice: Choice, aside: Measurements) -> _Columns:
    """Return what is to be expected when each case draws a model, as often as the choice takes it."""
    shares = np.bincount(choice.served(aside), minlength=len(aside.models)) / len(aside)
    return aside.scores @ shares, aside.costs @ shares


def _oracle(aside: Measurements) -> _Columns:
    """Return the best answer to each case, and what the cheapest model that gave it costs."""
    best = aside.scores.max(axis=1)
    return best, np.where(aside.scores >= best[:, None] - 1e-12, aside.costs, math.inf).min(axis=1)


def _judge(named: Mapping[str, _Columns], aside: Measurements, seed: int) -> tuple[tuple[Way, ...], Estimate]:
    """Return each way, and the gain of the first over the fourth, all on the same draws; the second is the best."""
    drawn = Bootstrap([column for columns in named.values() for column in columns], aside.group_of, seed)

    def way(name: str, at: int) -> Way:
        return Way(
            name,
            score=drawn.estimate(lambda means: means[..., at]),
            cost=drawn.estimate(lambda means: means[..., at + 1]),
            gain=drawn.estimate(lambda means: means[..., at] - means[..., 2]),
            saving=drawn.estimate(lambda means: share_saved(means[..., at + 1], means[..., 3])),
        )

    ways = tuple(way(name, 2 * place) for place, name in enumerate(named))
    return ways, drawn.estimate(lambda means: means[..., 0] - means[..., 6])


def _against(
    target: Target, chosen: Held, means: Means, over_coin: Estimate, points: Sequence[Point], cases: int
) -> list[str]:
    """Return why the data does not support what was asked; nothing where it does."""
    point, way = chosen.point, chosen.way
    if target.max_loss is None:
        return [] if _is_single(point) or over_coin.low > 0 else [_as_a_coin(over_coin)]
    if point.choice.same_as(means.best_everywhere()):
        return [_nothing_saved(target.max_loss, points, cases)]
    reasons = list(_against_way(target.max_loss, way))
    if not _is_single(point) and over_coin.low <= 0:
        reasons.append(_as_a_coin(over_coin))
    return reasons


def _against_told(target: Target, way: Way) -> str:
    """Return why the policy by the tasks that a signal told does not meet a loss, or an empty text."""
    return "" if target.max_loss is None else next(_against_way(target.max_loss, way), "")


def _against_way(max_loss: float, way: Way) -> Iterator[str]:
    if way.gain.high < -max_loss:
        yield f"on the cases kept aside it loses more: {_points(way.gain)}"
    if way.saving.low <= 0:
        yield "on the cases kept aside the interval of what it saves includes nothing"


def _unmet(target: Target, points: Sequence[Point]) -> str:
    """Return why no point meets a target, which is one of cost or share: no loss is met by the best single model."""
    cheapest = min(points, key=lambda point: point.cost)
    asked = "" if target.max_cost_usd is None else f" at ${1000 * target.max_cost_usd:.4g} for 1,000 calls"
    return f"no choice meets the target{asked}; the cheapest model costs ${1000 * cheapest.cost:.4g} for 1,000 calls"


def _is_single(point: Point) -> bool:
    """Whether one model serves everything, where a coin with the same shares is the same."""
    return bool((point.choice.models == point.choice.default).all()) or len(set(point.choice.models)) == 1


def _as_a_coin(over_coin: Estimate) -> str:
    return f"a coin with the same shares does as well: the difference is {_points(over_coin)}"


def _nothing_saved(max_loss: float, points: Sequence[Point], cases: int) -> str:
    """Return that no choice keeps within the loss, and how many cases would show whether the nearest one does."""
    text = f"by cross-validation no cheaper choice keeps within a loss of {in_points(max_loss)} with enough certainty"
    near = min(
        (point for point in points if point.saving >= _WORTH_A_WORD and point.gain > -max_loss),
        key=lambda point: point.cost,
        default=None,
    )
    needed = None if near is None else cases_for(near, max_loss, cases)
    if near is None or needed is None or needed > _MOST_TIMES * cases:
        return text
    step = 10 ** max(len(str(needed)) - 2, 0)
    return (
        f"{text}; about {-(-needed // step) * step:,} cases to fit to, in place of {cases:,}, would show whether one "
        f"that saves {near.saving:.0%} does"
    )


def _too_few(inside: Measurements, aside: Measurements) -> str:
    """Return that too few cases are kept aside, and how many would do."""
    got = aside.groups
    alike = "" if got == len(aside) else f" with different prompts of {len(aside):,}"
    text = f"a report needs {FEWEST} cases that are kept aside, got {got}{alike}"
    share = len(aside) / (len(aside) + len(inside)) if len(inside) else 0.0
    rounded = round(share, 2)
    if not 0 < rounded < 1:
        return f"{text}; add cases"
    enough = max(math.ceil(FEWEST / rounded), math.ceil(FEWEST / (1 - rounded)))
    larger = ", or keep half of them aside with --holdout 0.5" if inside.groups + got >= 2 * FEWEST + 2 else ""
    return f"{text}; in all {enough:,} cases with different prompts are enough for this share{larger}"


def _points(estimate: Estimate) -> str:
    return f"{100 * estimate.value:+.1f} points ({100 * estimate.low:+.1f} to {100 * estimate.high:+.1f})"
