"""What came of a fit as a summary: its finding, the ways to choose models beside each other, and the curve."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from costlens_policy.fit.choosing import FEWEST
from costlens_policy.fit.drift import Drift
from costlens_policy.fit.fitting import Fitted, Held, Way
from costlens_policy.fit.moved import Quality
from costlens_policy.fit.signal_summary import signal_data, task_table
from costlens_policy.fit.target import SURE
from costlens_policy.fit.told import Told
from costlens_policy.fit.words import dollars, headline, percent, points
from costlens_policy.intervals import Estimate
from costlens_policy.replay.tables import Summary, SummaryTable

__all__ = ["curve_chart", "summary_of", "summary_of_drift"]


def summary_of(fitted: Fitted, notes: Sequence[str] = ()) -> Summary:
    """Return a fit as a summary; ``notes`` are about the outcomes that it was made from."""
    return Summary(
        "What recorded outcomes support",
        _verdict(fitted),
        [
            _ways(fitted),
            _tasks(fitted),
            *([] if fitted.told is None or fitted.told.edges else [_signal(fitted.told)]),
            _curve(fitted),
        ],
        [*notes, *fitted.inside.notes],
        list(_assumptions(fitted)),
        lambda: _data(fitted, notes),
    )


def _verdict(fitted: Fitted) -> str:
    lines = [headline(fitted)]
    lines += [f"also: {reason}" for reason in fitted.reasons[1:]]
    target = fitted.target.max_loss
    low = fitted.ways[0].gain.low
    if fitted.supported and target is not None and low < -target:
        lines.append(f"a loss of up to {-100 * low:.1f} points cannot be excluded by so few cases kept aside")
    if fitted.told is not None:
        lines += _told(fitted, fitted.told)
        if against := fitted.against_signal:
            lines.append(f"the policy is without the signal: {against}")
    if fitted.knee is not None:
        way = fitted.knee.way
        if way.saving.value > 0:
            lines.append(f"the curve bends where {percent(way.saving)} are saved at {points(way.gain)}")
        else:
            lines.append(
                f"the curve bends where nothing is saved, at {points(way.gain)} and {dollars(way.cost)} for 1,000 calls"
            )
    return "\n".join(lines)


def _ways(fitted: Fitted) -> SummaryTable:
    return SummaryTable(
        f"On {len(fitted.aside):,} cases that were kept aside, with 95% intervals",
        ("way to choose", "score", "beside the best", "cost of 1,000 calls", "saved"),
        [_way_cells(way) for way in fitted.ways],
        frozenset({1, 2, 3, 4}),
    )


def _way_cells(way: Way) -> tuple[str, ...]:
    return (way.name, _score(way.score), points(way.gain), dollars(way.cost), percent(way.saving))


def _score(estimate: Estimate) -> str:
    return f"{estimate.value:.3f} ({estimate.low:.3f} to {estimate.high:.3f})"


def _tasks(fitted: Fitted) -> SummaryTable:
    inside, means, choice = fitted.inside, fitted.means, fitted.choice
    rows = []
    for place, task in enumerate(inside.tasks):
        if not means.cases[place]:
            continue
        model, best = int(choice.models[place]), int(means.scores[place].argmax())
        few = "" if means.enough[place] else f" (fewer than {FEWEST} different: the default)"
        rows.append((
            "(no task)" if task is None else task, f"{means.cases[place]:,}{few}", inside.models[model],
            f"{means.scores[place, model]:.3f}", inside.models[best], f"{means.scores[place, best]:.3f}",
        ))  # fmt: skip
    return SummaryTable(
        f"Models by task, from {len(inside):,} cases",
        ("task", "cases", "model", "score", "best of the task", "its score"),
        rows,
        frozenset({1, 3, 5}),
    )


def _told(fitted: Fitted, told: Told) -> Iterator[str]:
    """Yield what the signal is good for, or that it is good for nothing."""
    way, found = fitted.ways[-1], told.signal.held_out
    if told.edges:
        yield f"the signal of difficulty explains {found.skill:.1%} of the variance on prompts it has not seen"
    else:
        yield f"with tasks recognized by the signal it saves {percent(way.saving)} at {points(way.gain)}"
    if found.verdict and found.verdict != fitted.against_signal:
        yield found.verdict


def _signal(told: Told) -> SummaryTable:
    found = told.signal.held_out
    low, high = found.accuracy.low, found.accuracy.high
    return task_table(
        f"Tasks that the signal recognizes in prompts it has not seen: {found.accuracy.value:.1%} right ({low:.1%} to "
        f"{high:.1%}), by always taking the most frequent {found.most_frequent:.1%}; it is not sure enough of "
        f"{told.absent:.1%}, and its confidence is off by {found.error:.1%}",
        found,
    )


def _curve(fitted: Fitted) -> SummaryTable:
    rows = []
    shown: set[tuple[int, ...]] = set()
    for item in fitted.curve:
        key = tuple(int(model) for model in item.point.choice.models)
        if key not in shown or item is fitted.chosen:
            shown.add(key)
            rows.append(_curve_cells(fitted, item))
    return SummaryTable(
        "The curve of cost against quality, on the cases that were kept aside",
        ("a right answer is worth", "saved", "beside the best", "out of fold", "strong share", ""),
        rows,
        frozenset({0, 1, 2, 3, 4}),
    )


def _curve_cells(fitted: Fitted, item: Held) -> tuple[str, ...]:
    point = item.point
    marks = [
        name
        for name, marked in (("chosen", fitted.chosen), ("knee", fitted.knee))
        if marked is item
    ]  # fmt: skip
    return (
        worth_text(point.choice.worth), percent(item.way.saving), points(item.way.gain),
        f"{point.saving:.1%} at {100 * point.gain:+.1f} ± {100 * point.error:.1f}", f"{point.strong:.0%}",
        ", ".join(marks),
    )  # fmt: skip


def worth_text(worth: float | None) -> str:
    """Return what a right answer is worth, as a reader takes it."""
    if worth is None:
        return "one model for all"
    return "any price" if worth == float("inf") else f"${worth:g}"


def _assumptions(fitted: Fitted) -> Iterator[str]:
    yield (
        f"chosen by repeated 5-fold cross-validation inside {len(fitted.inside):,} cases, so the loss is kept with "
        f"a probability of {SURE:.0%}; groups of equal prompts stay together (seed {fitted.seed})"
    )
    yield "intervals are for the mean over many calls; a new sample varies by itself, too, which `fit --check` counts"
    yield "the oracle knows every score in advance, noise of repeated runs included: no router can reach it"


_ACROSS: Final = 64
_DOWN: Final = 14


def curve_chart(fitted: Fitted) -> str:
    """Return the curve as text: quality upwards, cost to the right, both on the cases that were kept aside."""
    spots = [("·", item.way) for item in fitted.curve]
    spots += list(zip("cBoP", (fitted.ways[at] for at in (2, 1, 3, 0)), strict=True))
    if fitted.knee is not None and fitted.knee is not fitted.chosen:
        spots.insert(len(fitted.curve), ("K", fitted.knee.way))
    costs, scores = [way.cost.value for _, way in spots], [way.score.value for _, way in spots]
    low_cost, high_cost, low, high = min(costs), max(costs), min(scores), max(scores)
    grid = [[" "] * _ACROSS for _ in range(_DOWN)]
    for mark, way in spots:
        across = (way.cost.value - low_cost) / ((high_cost - low_cost) or 1)
        up = (way.score.value - low) / ((high - low) or 1)
        grid[round((1 - up) * (_DOWN - 1))][round(across * (_ACROSS - 1))] = mark
    margin = [f"{high:.3f}", *[""] * (_DOWN - 2), f"{low:.3f}"]
    lines = [f"{text:>6} │{''.join(row).rstrip()}" for text, row in zip(margin, grid, strict=True)]
    left, right = f"${1000 * low_cost:.4g}", f"${1000 * high_cost:.4g} for 1,000 calls"
    lines.append(f"{'':6} └{'─' * _ACROSS}")
    lines.append(f"{'':8}{left}{right:>{_ACROSS - len(left)}}")
    lines.append(f"{'':8}P the policy, K the knee, B the best single model, c the cheapest, o a coin with P's shares")
    return "score by cost\n" + "\n".join(lines) + "\n"


def _data(fitted: Fitted, notes: Sequence[str]) -> Mapping[str, Any]:
    inside, choice = fitted.inside, fitted.choice
    target = fitted.target
    return {
        "supported": fitted.supported,
        "finding": headline(fitted),
        "reasons": list(fitted.reasons),
        "target": {
            "max_loss": target.max_loss, "max_cost_usd": target.max_cost_usd, "strong_share": target.strong_share,
        },
        "seed": fitted.seed,
        "cases": {"fitted_to": len(inside), "kept_aside": len(fitted.aside)},
        "worth_usd": _finite(choice.worth),
        "default": inside.models[choice.default],
        "tasks": {
            task or "": {
                "model": inside.models[int(choice.models[place])],
                "cases": int(fitted.means.cases[place]),
                "scores": dict(zip(inside.models, map(float, fitted.means.scores[place]), strict=True)),
            }
            for place, task in enumerate(inside.tasks)
        },
        "ways": [{"name": way.name, **_way_data(way)} for way in fitted.ways],
        "over_coin": _estimate(fitted.over_coin),
        "signal": None if fitted.told is None else signal_data(fitted.told.signal, fitted.told.absent),
        "against_signal": fitted.against_signal,
        "curve": [_point_data(fitted, item) for item in fitted.curve],
        "notes": [*notes, *inside.notes],
    }  # fmt: skip


def _way_data(way: Way) -> dict[str, Any]:
    return {
        "score": _estimate(way.score), "cost_usd": _estimate(way.cost), "gain": _estimate(way.gain),
        "saving": _estimate(way.saving),
    }  # fmt: skip


def _point_data(fitted: Fitted, item: Held) -> dict[str, Any]:
    point = item.point
    return {
        "worth_usd": _finite(point.choice.worth), "one_model": point.choice.worth is None,
        "chosen": item is fitted.chosen, "knee": item is fitted.knee, **_way_data(item.way),
        "out_of_fold": {
            "score": point.score, "cost_usd": point.cost, "gain": point.gain, "error": point.error,
            "saving": point.saving, "strong_share": point.strong,
        },
    }  # fmt: skip


def _finite(worth: float | None) -> float | None:
    return None if worth is None or worth == float("inf") else worth


def _estimate(estimate: Estimate) -> dict[str, float | None]:
    """Return an estimate for JSON, which has null for a share of nothing."""
    return {
        name: value if math.isfinite(value) else None
        for name, value in (("value", estimate.value), ("low", estimate.low), ("high", estimate.high))
    }


def summary_of_drift(drift: Drift, policies: str, notes: Sequence[str] = ()) -> Summary:
    """Return what new outcomes say about deployed policies, which are named as on the command line."""
    moved = sum(item.moved for item in drift.qualities)
    lines = [
        _verdict_on(drift, policies),
        f"{moved} of {len(drift.qualities)} stated qualities have moved beyond chance"
        if drift.qualities
        else "no stated quality was compared",
        *(f"failed: {text}" for text in drift.failures),
        *(f"not shown: {text}" for text in drift.unshown),
    ]
    order = sorted(drift.qualities, key=lambda item: (not item.moved, not item.serves, item.task, item.model))
    return Summary(
        "Whether the fit still holds",
        "\n".join(lines),
        [
            SummaryTable(
                "Stated and new quality, with 95% intervals",
                ("task", "model", "stated", "new", "change", "new cases", ""),
                [_quality_cells(item) for item in order if item.serves or item.moved],
                frozenset({2, 3, 4, 5}),
            )
        ],
        [*drift.remarks, *notes],
        ["a quality counts as moved by Holm's procedure: at 4% over those of models that serve, at 1% over all others"],
        lambda: _drift_data(drift, notes),
    )


def _verdict_on(drift: Drift, policies: str) -> str:
    finding = "no longer holds" if drift.failures else "still holds" if drift.holds else "is not shown to hold"
    standing = drift.standing
    if standing is None:
        return (
            f"the quality behind `{policies}` {finding} on {drift.cases:,} new cases; what it saves is not compared: "
            f"{drift.unmeasured}"
        )
    return (
        f"`{policies}` {finding} on {drift.cases:,} new cases: saves {percent(standing.saving)} of always "
        f"`{standing.best}` at {points(standing.gain)}"
    )


def _quality_cells(item: Quality) -> tuple[str, ...]:
    words = [*(["serves"] if item.serves else []), *(["moved"] if item.moved else [])]
    return (
        item.task, item.model, _score(item.stated), _score(item.new), points(item.change), f"{item.new.cases:,}",
        ", ".join(words),
    )  # fmt: skip


def _drift_data(drift: Drift, notes: Sequence[str]) -> Mapping[str, Any]:
    return {
        "holds": drift.holds,
        "failures": list(drift.failures),
        "unshown": list(drift.unshown),
        "cases": drift.cases,
        "unmeasured": drift.unmeasured or None,
        "best": None if drift.standing is None else drift.standing.best,
        "gain": None if drift.standing is None else _estimate(drift.standing.gain),
        "saving": None if drift.standing is None else _estimate(drift.standing.saving),
        "qualities": [
            {
                "task": item.task, "model": item.model, "serves": item.serves, "moved": item.moved,
                "stated": _estimate(item.stated), "new": {**_estimate(item.new), "cases": item.new.cases},
                "change": _estimate(item.change),
            }
            for item in drift.qualities
        ],
        "remarks": list(drift.remarks),
        "notes": list(notes),
    }  # fmt: skip
