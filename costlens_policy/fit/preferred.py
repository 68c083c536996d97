"""Pairwise preferences as measured quality: what they show of each model, and how it is written into a catalogue.

Comparisons have no score of every model on each case, so that nothing is fitted to them but strengths: the share of
wins against the other models of a task. Rules may lean on it as on any measured quality.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from costlens_policy.diagnostics.suggestion import listed
from costlens_policy.fit.strengths import Strength
from costlens_policy.intervals import Estimate
from costlens_policy.replay.tables import Summary, SummaryTable

__all__ = ["estimates_of", "summary_of_strengths"]


def estimates_of(strengths: Sequence[Strength]) -> dict[tuple[str, str], Estimate]:
    """Return the quality of models by task and model, where comparisons determine it and have a task."""
    return {
        (item.task, item.model): Estimate(item.share, item.low, item.high, item.comparisons)
        for item in strengths
        if item.task is not None and item.share is not None and item.low is not None and item.high is not None
    }


def summary_of_strengths(strengths: Sequence[Strength], notes: Sequence[str] = ()) -> Summary:
    """Return what comparisons show of each model on each task, the strongest first."""
    order = sorted(strengths, key=lambda item: (item.task or "", -(item.share or 0), item.model))
    return Summary(
        "Strengths of models in pairwise comparisons",
        "\n".join(_verdict(strengths)),
        [
            SummaryTable(
                "Share of wins against the other models of the task, with 95% intervals",
                ("task", "model", "share of wins", "comparisons"),
                [(item.task or "(no task)", item.model, _share(item), f"{item.comparisons:,}") for item in order],
                frozenset({2, 3}),
            )
        ],
        notes,
        ["a tie is half a win for each; every other model of the task weighs the same (Bradley-Terry)"],
        lambda: _data(order, notes),
    )


def _verdict(strengths: Sequence[Strength]) -> Iterator[str]:
    tasks = list(dict.fromkeys(item.task for item in strengths))
    for task in tasks:
        known = [item for item in strengths if item.task == task and item.share is not None]
        name = "requests without a task" if task is None else f"`{task}`"
        if not known:
            yield f"{name}: no model is comparable with another; each needs a win and a loss"
            continue
        best = max(known, key=lambda item: item.share or 0)
        near = [item.model for item in known if item is not best and (item.high or 0) >= (best.low or 0)]
        beside = f", within the noise of {listed(near)}" if near else ""
        yield f"{name}: `{best.model}` has the largest share of wins, {_share(best)}{beside}"
    yield "no policy is fitted to comparisons of several models; compare two with --models, or route by this quality"


def _share(item: Strength) -> str:
    if item.share is None or item.low is None or item.high is None:
        return "not determined"
    return f"{item.share:.3f} ({item.low:.3f} to {item.high:.3f})"


def _data(strengths: Sequence[Strength], notes: Sequence[str]) -> Mapping[str, Any]:
    rows = [
        {
            "task": item.task, "model": item.model, "comparisons": item.comparisons, "share": item.share,
            "low": item.low, "high": item.high,
        }
        for item in strengths
    ]  # fmt: skip
    return {"strengths": rows, "notes": list(notes)}
