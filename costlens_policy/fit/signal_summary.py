"""How well a learned signal recognizes tasks, worded: beside a fit, and for a signal that is learned by itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from costlens_policy.fit.learning import HeldOut, Trained
from costlens_policy.fit.told import MIN_CONFIDENCE
from costlens_policy.replay.tables import Summary, SummaryTable

__all__ = ["signal_data", "summary_of_signal", "task_table"]


def summary_of_signal(signal: Trained, notes: Sequence[str] = ()) -> Summary:
    """Return what a signal of the task is worth; ``notes`` are about the prompts that it was learned from."""
    found = signal.held_out
    notes = [*notes, *signal.labeled.notes]
    return Summary(
        "A signal learned from prompts and their tasks",
        _verdict(signal),
        [task_table(f"Tasks of {len(found.right):,} prompts that it has not seen", found), _sure(found)],
        notes,
        [
            "each prompt is judged by a model that was learned from other prompts, in five folds; equal prompts count "
            "once, so what resembles one of another fold is easier than new traffic"
        ],
        lambda: {"finding": _verdict(signal).splitlines()[0], **signal_data(signal, _absent(found)), "notes": notes},
    )


def _verdict(signal: Trained) -> str:
    found = signal.held_out
    low, high = found.accuracy.low, found.accuracy.high
    lines = [
        f"recognizes {found.accuracy.value:.1%} of {len(found.right):,} prompts that it has not seen ({low:.1%} to "
        f"{high:.1%}), by always taking the most frequent task {found.most_frequent:.1%}",
        f"it is not sure enough of {_absent(found):.1%}, and its confidence is off by {found.error:.1%}",
    ]
    lines += [found.verdict] if found.verdict else []
    return "\n".join([*lines, "the files have no scores, so no models were chosen"])


def _absent(found: HeldOut) -> float:
    return float((found.confidences < MIN_CONFIDENCE).mean())


def task_table(title: str, found: HeldOut) -> SummaryTable:
    """Return how often each task is recognized, and what it is mistaken for."""
    return SummaryTable(
        title,
        ("task", "cases", "recognized", "right where it was", "most often mistaken for"),
        [
            (name, f"{cases:,}", f"{recall:.1%}", f"{precision:.1%}", found.mistaken_for(name))
            for name, (cases, recall, precision) in found.by_class.items()
        ],
        frozenset({1, 2, 3}),
    )


def _sure(found: HeldOut) -> SummaryTable:
    return SummaryTable(
        "What a `min_confidence` leaves",
        ("min_confidence", "prompts with a task", "right of these"),
        [(f"{item.min_confidence:g}", f"{item.share:.1%}", f"{item.accuracy:.1%}") for item in found.sure],
        frozenset({0, 1, 2}),
    )


def signal_data(signal: Trained, absent: float) -> Mapping[str, Any]:
    """Return the figures of a signal; ``absent`` is the share of prompts on which it is not sure enough."""
    found = signal.held_out
    return {
        "recognizes": signal.model.tells, "verdict": found.verdict, "absent": absent, **found.facts(),
        "tasks": {
            name: {"cases": cases, "recall": recall, "precision": precision}
            for name, (cases, recall, precision) in found.by_class.items()
        },
        "sure": [
            {"min_confidence": item.min_confidence, "share": item.share, "accuracy": item.accuracy}
            for item in found.sure
        ],
    }  # fmt: skip
