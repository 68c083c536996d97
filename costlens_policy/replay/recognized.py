"""How often a learned signal that tells the task of a request tells a wrong one, as its file states it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from costlens_policy.compiler.plan import Plan
from costlens_policy.frozen import frozen
from costlens_policy.signals.given import Learned

__all__ = ["Recognition", "recognition_of"]


@frozen
class Recognition:
    """What prompts are that the model of a signal had not seen.

    ``true`` has, by the task that it told, the share of each true task. ``right`` is the share that it told right, from
    ``low`` to ``high``.
    """

    signal: str
    true: Mapping[str, Mapping[str, float]]
    right: float
    low: float
    high: float

    def __str__(self) -> str:
        wrong = f"{1 - self.right:.1%} of prompts ({100 * (1 - self.high):.1f} to {100 * (1 - self.low):.1f})"
        return f"`signals.{self.signal}`, which is wrong on {wrong}"


def recognition_of(plan: Plan) -> Recognition | None:
    """Return how the learned signal errs by which tasks are told where requests name none; None without one."""
    if plan.defaults.task is None:
        return None
    kinds = {name: plan.signals[name].kind for name in plan.reads_signals}
    learned = {name: kind for name, kind in kinds.items() if isinstance(kind, Learned) and kind.range is None}
    if len(learned) != 1:
        return None
    from costlens_policy.signals.learned import read_model  # only for those who have such a signal

    ((name, kind),) = learned.items()
    training = read_model(kind.content).training
    held_out = training.facts.get("held_out") or {}
    if not {"accuracy", "interval"} <= held_out.keys():
        return None
    true = _shares(training.facts.get("told") or _evenly(training.cases, held_out["accuracy"]))
    return Recognition(name, true, held_out["accuracy"], *held_out["interval"])


def _shares(counts: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, float]]:
    return {
        told: {task: count / sum(found.values()) for task, count in found.items()}
        for told, found in counts.items()
        if sum(found.values())
    }


def _evenly(cases: Mapping[str, int], right: float) -> dict[str, dict[str, float]]:
    """Return what to expect of a model whose file does not tell its mistakes: they are spread as its cases are."""
    found = {}
    for told in cases:
        others = {task: count for task, count in cases.items() if task != told}
        found[told] = {told: right} | {
            task: (1 - right) * count / sum(others.values()) for task, count in others.items()
        }
    return found
