"""The policy of a fit: one route for each model, with the evidence of each task beside it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from textwrap import wrap
from typing import Final

import numpy as np

from costlens_policy.catalogue.writing import Value, comment, quoted, yaml_lines
from costlens_policy.documents.policy import FIT_DATA
from costlens_policy.expressions.limits import DEFAULT_LIMITS
from costlens_policy.fit.choosing import FEWEST
from costlens_policy.fit.documents.origin import Origin, made_by, version_of
from costlens_policy.fit.fitting import Fitted
from costlens_policy.fit.told import Told
from costlens_policy.fit.words import headline
from costlens_policy.intervals import Estimate

__all__ = ["MAX_LOSS_LABEL", "OUTPUT_LIMIT", "TOLD", "fallbacks_of", "policy_document", "ranked", "routes_of"]

MAX_LOSS_LABEL: Final = "costlens-policy/fit-max-loss"
"""Label of a policy with the loss, in score, that it was fitted to; ``fit --check`` reads it."""
_WIDTH: Final = 100
_MOST_TASKS: Final = DEFAULT_LIMITS.elements
_LONGEST: Final = DEFAULT_LIMITS.source - 1_000
"""Characters of the tasks in one condition, and some for the lines that it is folded into."""
_TASK: Final = 'request.?task.orValue("")'
TOLD: Final = 'signals.?task.orValue("")'
"""The task that a signal tells, as an expression."""
_TASK_OR_SIGNAL: Final = ('has(request.task) && request.task != ""', f"? request.task : {TOLD}")
_UNLIKE_PLAIN: Final = re.compile(r": |:$| #")
"""What ends a plain scalar of YAML."""
OUTPUT_LIMIT: Final = 1024
_HEADINGS: Final = ("task", "score", "95% interval", "cases", "cost", "points below", "the best of the task")
_Qualities = Mapping[tuple[str | None, str], Estimate]


def policy_document(fitted: Fitted, qualities: _Qualities, origin: Origin) -> str:
    labels: dict[str, Value] = {FIT_DATA: f"sha256:{origin.digest}"}
    if fitted.target.max_loss is not None:
        labels[MAX_LOSS_LABEL] = f"{fitted.target.max_loss:g}"
    head: dict[str, Value] = {
        "apiVersion": "costlens-policy/v1",
        "kind": "Policy",
        "metadata": {
            "name": "fitted-routing",
            "version": version_of(origin),
            "description": headline(fitted),
            "labels": labels,
        },
        "on_error": "skip",
    }
    lines = [*made_by(origin), *yaml_lines(head), *_variables(fitted.told), ""]
    lines += [comment(line) for text in _explained(fitted) for line in wrap(text, _WIDTH + 16)]
    lines.append("routes:")
    for id, model, tasks in routes_of(fitted):
        lines += _route(fitted, qualities, id, model, tasks)
    return "\n".join(lines) + "\n"


def _variables(told: Told | None) -> Iterator[str]:
    yield "variables:"
    if told is None:
        yield f"  task: {_TASK}"
    else:
        yield "  task: >-"
        yield from (f"    {line}" for line in (_bands(told) if told.edges else _TASK_OR_SIGNAL))


def _bands(told: Told) -> Iterator[str]:
    """Yield the lines of the expression that names the band of a request's difficulty."""
    yield '!has(signals.difficulty) ? ""'
    for edge, name in zip(told.edges, told.names, strict=False):
        yield f': signals.difficulty < {edge:.3f} ? "{name}"'
    yield f': "{told.names[-1]}"'


def _explained(fitted: Fitted) -> Iterator[str]:
    measurements, choice = fitted.inside, fitted.choice
    best = measurements.models[fitted.means.best]
    if choice.worth is None:
        yield f"`{best}` has the best mean score, and nothing cheaper is shown to be as good."
    else:
        yield (
            f"Each task goes to the model with the lowest cost less what its score is worth, at ${choice.worth:g} for "
            f"a right answer. Cost is relative to `{best}`, the best single model."
        )
    few = [
        _shown(task)
        for place, task in enumerate(measurements.tasks)
        if fitted.means.cases[place] and not fitted.means.enough[place]
    ]
    if few:
        yield f"The default route serves tasks with fewer than {FEWEST} different cases: {', '.join(few)}."


def _groups(fitted: Fitted) -> Iterator[tuple[int, list[int]]]:
    """Yield each model, the cheapest first, with the tasks that it serves."""
    measurements, choice = fitted.inside, fitted.choice
    judged = [int(task) for task in np.flatnonzero(fitted.means.enough)]
    mean = measurements.costs.mean(axis=0)
    for model in sorted({int(choice.models[task]) for task in judged}, key=lambda place: (mean[place], place)):
        yield model, [task for task in judged if choice.models[task] == model]


def routes_of(fitted: Fitted) -> Iterator[tuple[str, int, list[int]]]:
    """Yield the id of each route, its model and its tasks: as many as one condition may list."""
    used: Counter[str] = Counter()
    for model, tasks in _groups(fitted):
        for some in _listable(fitted, tasks):
            id = _id(fitted.inside.models[model])
            used[id] += 1
            while used[id] > 1 and used[f"{id}-{used[id]}"]:
                used[id] += 1
            yield id if used[id] == 1 else f"{id}-{used[id]}", model, some


def _listable(fitted: Fitted, tasks: Sequence[int]) -> Iterator[list[int]]:
    """Divide tasks so that a list of each part is no longer than an expression may be."""
    some: list[int] = []
    length = 0
    for task in tasks:
        more = len(_literal(fitted.inside.tasks[task])) + 4
        if some and (len(some) == _MOST_TASKS or length + more > _LONGEST):
            yield some
            some, length = [], 0
        some.append(task)
        length += more
    if some:
        yield some


def _route(fitted: Fitted, qualities: _Qualities, id: str, model: int, tasks: Sequence[int]) -> Iterator[str]:
    names = fitted.inside.models
    rows = [_evidence(fitted, qualities, model, task) for task in tasks]
    yield f"  - id: {id}"
    yield from _columns([_HEADINGS, *rows], 4)
    yield from (f"    {line}" for line in _condition([fitted.inside.tasks[task] for task in tasks]))
    yield from yaml_lines({"model": names[model], "fallbacks": fallbacks_of(fitted, model, tasks)}, 4)


def fallbacks_of(fitted: Fitted, model: int, tasks: Iterable[int]) -> list[str]:
    """Return whom calls of some tasks turn to where their model fails: the best of the others."""
    return [name for name in ranked(fitted, tasks) if name != fitted.inside.models[model]][:1]


def _evidence(fitted: Fitted, qualities: _Qualities, model: int, task: int) -> tuple[str, ...]:
    names, name = fitted.inside.models, fitted.inside.tasks[task]
    found, best = qualities[name, names[model]], int(fitted.means.scores[task].argmax())
    below = qualities[name, names[best]].value - found.value
    whole = float(fitted.means.costs[task, fitted.means.best])
    cost = f"{fitted.means.costs[task, model] / whole:.0%}" if whole else "-"
    return (
        _shown(name), f"{found.value:.3f}", f"{found.low:.3f} to {found.high:.3f}", f"{found.cases:,}", cost,
        f"{100 * max(below, 0):.1f}", names[best],
    )  # fmt: skip


def _columns(rows: Sequence[Sequence[str]], indent: int) -> Iterator[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    last = len(widths) - 1
    for row in rows:
        cells = [
            f"{cell:<{width}}" if place in (0, last) else f"{cell:>{width}}"
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        yield f"{' ' * indent}# {'  '.join(cells)}".rstrip()


def _condition(tasks: Sequence[str | None]) -> Iterator[str]:
    """Yield the lines of a condition on the task, which may be any text, folded at the tasks where it is long."""
    literals = [_literal(task) for task in tasks]
    if len(literals) == 1:
        head, items = "variables.task == ", [literals[0]]
    else:
        head, items = "variables.task in [", [*(f"{literal}, " for literal in literals[:-1]), f"{literals[-1]}]"]
    lines = [head]
    for item in items:
        if len(lines[-1]) + len(item) > _WIDTH:
            lines.append("")
        lines[-1] += item
    if len(lines) == 1 and not _UNLIKE_PLAIN.search(lines[0]):
        yield f"when: {lines[0]}"
        return
    yield "when: >-"
    yield from (f"  {line.rstrip()}" for line in lines)


def _literal(task: str | None) -> str:
    return quoted(task or "")


def ranked(fitted: Fitted, tasks: Iterable[int]) -> list[str]:
    """Return the names of the models by their mean score over the cases of some tasks, the best first."""
    measurements = fitted.inside
    scores = measurements.scores[np.isin(measurements.task_of, list(tasks))].mean(axis=0)
    order = sorted(range(len(scores)), key=lambda place: (-round(float(scores[place]), 12), place))
    return [measurements.models[place] for place in order]


def _shown(task: str | None) -> str:
    """Return a task as a comment shows it: on one line, whatever its name has."""
    return "(no task)" if task is None else comment(task)[2:]


def _id(model: str) -> str:
    """Return the name of a model as the id of a route."""
    return "to-" + (re.sub(r"[^a-z0-9]+", "-", model.lower()).strip("-") or "model")
