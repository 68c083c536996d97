"""What a signal is learned from: prompts with their task, or with how difficult they were for a model."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from costlens_policy.fit.outcomes import Case, Outcomes, OutcomesError, group_of
from costlens_policy.frozen import frozen
from costlens_policy.signals.learned.model import DIFFICULTY, Tells

__all__ = ["FEWEST", "Labeled", "difficulty_of", "labeled_difficulty", "labeled_tasks", "tasks_of"]

FEWEST: Final = 10
"""Distinct prompts that a label needs; one with fewer is left out."""
_FEWEST_PROMPTS: Final = 100
_SHOWN: Final = 3


@frozen
class Labeled:
    """Distinct prompts, each with its share of every class; one of a task has all of its class.

    ``groups`` are aligned with ``prompts``. ``notes`` state what was left out.
    """

    tells: Tells
    classes: tuple[str, ...]
    prompts: tuple[str, ...]
    groups: tuple[str, ...]
    shares: tuple[tuple[float, ...], ...]
    source: str
    notes: tuple[str, ...]

    @property
    def digest(self) -> str:
        """SHA-256, in hexadecimal, of prompts and shares, in whatever order they came."""
        lines = sorted(map(repr, zip(self.groups, self.shares, strict=True)))
        return hashlib.sha256("\n".join([repr(self.classes), *lines]).encode("utf-8", "replace")).hexdigest()

    @property
    def cases(self) -> dict[str, int]:
        """How many prompts each class has; for a difficulty, how many are nearer to it."""
        found = Counter(self.classes[max(range(len(row)), key=row.__getitem__)] for row in self.shares)
        return {name: found[name] for name in self.classes}


def labeled_tasks(pairs: Iterable[tuple[str | None, str | None]], source: str) -> Labeled:
    """Return prompts with their tasks.

    Equal prompts count once. Left out, and noted: rows without prompt or task, prompts that stand under two tasks, and
    tasks with fewer than ``FEWEST`` prompts. Raises ``OutcomesError`` where fewer than two tasks or 100 prompts remain.
    """
    found: dict[str, tuple[str, set[str]]] = {}
    lost = rows = 0
    for prompt, task in pairs:
        rows += 1
        if prompt is None or not prompt.strip() or not task:
            lost += 1
            continue
        found.setdefault(group_of(prompt), (prompt, set()))[1].add(task)
    clear = {group: (prompt, next(iter(tasks))) for group, (prompt, tasks) in found.items() if len(tasks) == 1}
    sizes = Counter(task for _, task in clear.values())
    classes = tuple(sorted(task for task, count in sizes.items() if count >= FEWEST))
    kept = {group: item for group, item in clear.items() if item[1] in classes}
    notes = [
        *_counted(lost, "rows have no prompt or no task"),
        *_counted(rows - lost - len(found), "rows repeat a prompt"),
        *_counted(len(found) - len(clear), "prompts stand under several tasks, and are left out"),
        *_small({task: count for task, count in sizes.items() if count < FEWEST}),
    ]
    if len(classes) < 2:
        few = ", ".join(f"`{task}` {count}" for task, count in sizes.most_common(5)) or "none"
        raise OutcomesError(f"two tasks with {FEWEST} distinct prompts each are needed, got {few}; label more prompts")
    _enough(len(kept))
    return Labeled(
        "task",
        classes,
        tuple(prompt for prompt, _ in kept.values()),
        tuple(kept),
        tuple(tuple(float(task == name) for name in classes) for _, task in kept.values()),
        source,
        tuple(notes),
    )


def tasks_of(outcomes: Outcomes) -> Labeled:
    """Return the prompts of outcomes with their tasks. Raises ``OutcomesError``."""
    return labeled_tasks(((case.prompt, case.task) for case in outcomes.cases), _source(outcomes))


def difficulty_of(outcomes: Outcomes, model: str | None = None, strong: str | None = None) -> Labeled:
    """Return the prompts of outcomes with their difficulty from 0 to 1.

    It is 1 - score of a model; with a ``strong`` one, by how much that scores more than the model, and 0 where it does
    not, which is what a route between the two asks for (Ong et al., *RouteLLM*, 2024, learn the same of preferences).
    Without any model it is 1 - mean score of all, the difficulty of an item in classical test theory (Crocker and
    Algina, 1986). Equal prompts count once, with their mean. Raises ``OutcomesError``.
    """
    for name in (model, strong):
        if name is not None and name not in outcomes.scores:
            measured = ", ".join(f"`{other}`" for other in outcomes.models)
            raise OutcomesError(f"no scores of model `{name}`; there are those of {measured}")
    if strong is not None and model is None:
        raise OutcomesError("a strong model needs one to be compared with")
    values = (_difficulty(outcomes, at, model, strong) for at in range(len(outcomes.cases)))
    return labeled_difficulty(zip(outcomes.cases, values, strict=True), _source(outcomes))


def labeled_difficulty(values: Iterable[tuple[Case, float | None]], source: str) -> Labeled:
    """Return the prompts of cases with their difficulty. Equal prompts count once, with their mean.

    Raises ``OutcomesError`` for fewer than 100 prompts, and where all are equally difficult.
    """
    found: dict[str, tuple[str, list[float]]] = {}
    lost = rows = 0
    for case, value in values:
        rows += 1
        if case.prompt is None or not case.prompt.strip() or value is None:
            lost += 1
            continue
        found.setdefault(case.group, (case.prompt, []))[1].append(value)
    _enough(len(found))
    hard = [sum(values) / len(values) for _, values in found.values()]
    if len(set(hard)) == 1:
        raise OutcomesError("all prompts are equally difficult; there is nothing to learn")
    return Labeled(
        "difficulty",
        DIFFICULTY,
        tuple(prompt for prompt, _ in found.values()),
        tuple(found),
        tuple((1.0 - value, value) for value in hard),
        source,
        (
            *_counted(lost, "cases have no prompt or no score"),
            *_counted(rows - lost - len(found), "cases repeat a prompt"),
        ),
    )


def _difficulty(outcomes: Outcomes, at: int, model: str | None, strong: str | None) -> float | None:
    if model is None:
        scores = [score for column in outcomes.scores.values() if (score := column[at]) is not None]
        return 1.0 - sum(scores) / len(scores) if scores else None
    score = outcomes.scores[model][at]
    if strong is None or score is None:
        return None if score is None else 1.0 - score
    best = outcomes.scores[strong][at]
    return None if best is None else max(0.0, best - score)


def _enough(count: int) -> None:
    if count < _FEWEST_PROMPTS:
        raise OutcomesError(f"{_FEWEST_PROMPTS} distinct prompts are needed, got {count}; label more prompts")


def _source(outcomes: Outcomes) -> str:
    return ", ".join(source.name for source in outcomes.sources)


def _counted(count: int, what: str) -> Iterator[str]:
    if count:
        yield f"{count:,} {what}"


def _small(tasks: Mapping[str, int]) -> Iterator[str]:
    """Note tasks that are left out: what they are about will be told as another task."""
    if tasks:
        names = ", ".join(f"`{task}` ({count})" for task, count in sorted(tasks.items())[:_SHOWN])
        more = f" and {len(tasks) - _SHOWN} more" if len(tasks) > _SHOWN else ""
        yield f"left out, with fewer than {FEWEST} prompts: {names}{more}; their prompts will be taken for other tasks"
