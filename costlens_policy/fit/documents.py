"""The documents of a fit: a policy, the measured quality, a policy set over both, and a suite that holds them.

They are read like everything else in the repository. So the policy has one route for each model, with the evidence of
each task beside it, and the quality of a model in a task stands on one line, which a diff shows when it moves.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_EVEN, Decimal
from textwrap import wrap
from typing import Final

import numpy as np

from costlens_policy.catalogue import Catalogue, Model
from costlens_policy.catalogue.writing import Value, comment, document_text, flow, quoted, yaml_lines
from costlens_policy.documents.policy import FIT_DATA
from costlens_policy.expressions.limits import DEFAULT_LIMITS
from costlens_policy.fit.choosing import FEWEST, means_of
from costlens_policy.fit.fitting import Fitted
from costlens_policy.fit.measurements import Measurements
from costlens_policy.fit.told import MIN_CONFIDENCE, Told
from costlens_policy.fit.words import headline
from costlens_policy.frozen import frozen
from costlens_policy.intervals import Estimate, measured
from costlens_policy.signals.learned import LearnedModel, written
from costlens_policy.source.formatting import format_text

__all__ = [
    "MADE_BY",
    "MAX_LOSS_LABEL",
    "Origin",
    "documents_of",
    "is_as_written",
    "qualities_of",
    "quality_of",
    "sealed",
    "signal_documents",
]

MAX_LOSS_LABEL: Final = "costlens-policy/fit-max-loss"
"""Label of a policy with the loss, in score, that it was fitted to; ``fit --check`` reads it."""

MADE_BY: Final = "Made by `"
"""How the comment begins that heads each document, before the command that made it."""
_SEAL: Final = "# As written by `fit`: sha256:"
"""How the second line begins, with a digest of what follows it: an edited document is not replaced."""
_DIGIT: Final = Decimal("0.0001")
_OUTPUT_LIMIT: Final = 1024
_WIDTH: Final = 100
_LONGEST_NAME: Final = 200
"""Characters of a case's name."""
_MOST_TASKS: Final = DEFAULT_LIMITS.elements
_LONGEST: Final = DEFAULT_LIMITS.source - 1_000
"""Characters of the tasks in one condition, and some for the lines that it is folded into."""
_TASK: Final = 'request.?task.orValue("")'
_TOLD: Final = 'signals.?task.orValue("")'
_TASK_OR_SIGNAL: Final = ('has(request.task) && request.task != ""', f"? request.task : {_TOLD}")
_UNLIKE_PLAIN: Final = re.compile(r": |:$| #")
"""What ends a plain scalar of YAML."""


@frozen
class Origin:
    """Where a fit comes from: files, the digest of their outcomes, the day of the measurement, and the command."""

    sources: tuple[str, ...]
    digest: str
    measured: date
    command: str
    catalogues: tuple[str, ...] = ()
    """Documents with the prices, relative to those that are written; none means that these have prices of their own."""


def documents_of(fitted: Fitted, catalogue: Catalogue, origin: Origin) -> dict[str, str]:
    """Return the text of each document, by the name of its file; of a signal only where the data supports it."""
    fitted = _without_idle_signal(fitted)
    qualities = qualities_of(fitted.inside)
    by_task = fitted.inside if fitted.told is None or fitted.told.by_task is None else fitted.told.by_task
    quality = ("quality.yaml",) if set(by_task.tasks) != {None} else ()
    own = () if origin.catalogues else ("models.yaml",)
    found = {
        "policy-set.yaml": _policy_set(fitted, (*origin.catalogues, *own, *quality), origin),
        "routing.yaml": _policy(fitted, qualities, origin),
        "routing_test.yaml": _suite(fitted, origin),
    }
    if quality:
        found["quality.yaml"] = _quality(by_task, origin)
    if own:
        found["models.yaml"] = _models(fitted, catalogue, origin)
    if fitted.told is None:
        return {name: sealed(format_text(text, name)) for name, text in found.items()}
    texts = {name: sealed(format_text(text, name)) for name, text in found.items()}
    return texts | signal_documents(fitted.told.signal.model, origin)


def _without_idle_signal(fitted: Fitted) -> Fitted:
    """Return a fit without its signal, and by tasks in place of its bands, where the policy is to go without it."""
    if fitted.told is None or not fitted.against_signal:
        return fitted
    by_task = fitted.told.by_task
    if by_task is None:
        return replace(fitted, told=None)
    return replace(fitted, inside=by_task, means=means_of(by_task), told=None)


def signal_documents(model: LearnedModel, origin: Origin) -> dict[str, str]:
    """Return the document that declares a learned signal, and the file of its model, by the names of their files."""
    name, text = f"{model.tells}.json", written(model)
    document = format_text(_signals(model, name, text, origin), "signals.yaml")
    return {"signals.yaml": sealed(document), name: text}


def sealed(text: str) -> str:
    """Return a document with a digest of what stands below its first line."""
    first, _, rest = text.partition("\n")
    return f"{first}\n{_SEAL}{hashlib.sha256(rest.encode()).hexdigest()}\n{rest}"


def is_as_written(text: str) -> bool:
    """Whether a document is as ``sealed`` gave it."""
    first, _, below = text.partition("\n")
    _, _, rest = below.partition("\n")
    return sealed(f"{first}\n{rest}") == text


def qualities_of(measurements: Measurements) -> dict[tuple[str | None, str], Estimate]:
    """Return the measured quality by task and model; equal prompts are one case, with their mean."""
    found = {}
    for place, task in enumerate(measurements.tasks):
        some = measurements.of_task(place)
        if not some.any():
            continue
        groups = np.unique(measurements.group_of[some], return_inverse=True)[1]
        sizes = np.bincount(groups)
        for model, scores in zip(measurements.models, measurements.scores[some].T, strict=True):
            found[task, model] = measured([float(score) for score in np.bincount(groups, scores) / sizes])
    return found


_Qualities = Mapping[tuple[str | None, str], Estimate]


def _policy_set(fitted: Fitted, catalogues: Sequence[str], origin: Origin) -> str:
    default = _ranked(fitted, range(len(fitted.inside.tasks)))
    head: dict[str, Value] = {
        "apiVersion": "costlens-policy/v1",
        "kind": "PolicySet",
        "metadata": {
            "name": "fitted",
            "version": _version(origin),
            "description": "Models by task, as fitted to recorded outcomes.",
        },
        "policies": ["routing.yaml"],
        "catalogues": list(catalogues),
        **({} if fitted.told is None else {"signals": ["signals.yaml"]}),
        "defaults": {
            "access": "allow",
            "route": {"model": default[0], "fallbacks": default[1:2]},
            "max_output_tokens": _OUTPUT_LIMIT,
        },
    }
    told = [f"  task: {_TOLD}"] if fitted.told is not None and not fitted.told.edges else []
    return "\n".join([*_made_by(origin), *yaml_lines(head), *told]) + "\n"


def _policy(fitted: Fitted, qualities: _Qualities, origin: Origin) -> str:
    labels: dict[str, Value] = {FIT_DATA: f"sha256:{origin.digest}"}
    if fitted.target.max_loss is not None:
        labels[MAX_LOSS_LABEL] = f"{fitted.target.max_loss:g}"
    head: dict[str, Value] = {
        "apiVersion": "costlens-policy/v1",
        "kind": "Policy",
        "metadata": {
            "name": "fitted-routing",
            "version": _version(origin),
            "description": headline(fitted),
            "labels": labels,
        },
        "on_error": "skip",
    }
    lines = [*_made_by(origin), *yaml_lines(head), *_variables(fitted.told), ""]
    lines += [comment(line) for text in _explained(fitted) for line in wrap(text, _WIDTH + 16)]
    lines.append("routes:")
    for id, model, tasks in _routes(fitted):
        lines += _route(fitted, qualities, id, model, tasks)
    return "\n".join(lines) + "\n"


def _variables(told: Told | None) -> Iterator[str]:
    yield "variables:"
    if told is None:
        yield f"  task: {_TASK}"
    else:
        yield "  task: >-"
        yield from (f"    {line}" for line in (_bands(told) if told.edges else _TASK_OR_SIGNAL))


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


def _routes(fitted: Fitted) -> Iterator[tuple[str, int, list[int]]]:
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
    yield from yaml_lines({"model": names[model], "fallbacks": _fallbacks(fitted, model, tasks)}, 4)


def _fallbacks(fitted: Fitted, model: int, tasks: Iterable[int]) -> list[str]:
    """Return whom calls of some tasks turn to where their model fails: the best of the others."""
    return [name for name in _ranked(fitted, tasks) if name != fitted.inside.models[model]][:1]


_HEADINGS: Final = ("task", "score", "95% interval", "cases", "cost", "points below", "the best of the task")


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


def _ranked(fitted: Fitted, tasks: Iterable[int]) -> list[str]:
    """Return the names of the models by their mean score over the cases of some tasks, the best first."""
    measurements = fitted.inside
    scores = measurements.scores[np.isin(measurements.task_of, list(tasks))].mean(axis=0)
    order = sorted(range(len(scores)), key=lambda place: (-round(float(scores[place]), 12), place))
    return [measurements.models[place] for place in order]


def _quality(measurements: Measurements, origin: Origin) -> str:
    qualities = qualities_of(measurements)
    entries: dict[str, dict[str, Value]] = {model: {} for model in measurements.models}
    for place, model in enumerate(measurements.models):
        for task, name in enumerate(measurements.tasks):
            if (name, model) in qualities and name is not None:
                entries[model][name] = _entry(qualities[name, model], origin, _digest(measurements, task, place))
    return _catalogue(f"Quality by task, measured on {len(measurements):,} cases with 95% intervals.", entries, origin)


def quality_of(estimates: Mapping[tuple[str, str], Estimate], description: str, origin: Origin) -> str:
    """Return a catalogue document with nothing but the quality of models, by task and model."""
    entries: dict[str, dict[str, Value]] = {}
    for (task, model), found in sorted(estimates.items()):
        entries.setdefault(model, {})[task] = _entry(found, origin, origin.digest)
    return sealed(format_text(_catalogue(description, entries, origin), "quality.yaml"))


def _catalogue(description: str, entries: Mapping[str, Mapping[str, Value]], origin: Origin) -> str:
    """Return a catalogue of quality: each task of a model on one line, which a diff shows when it moves."""
    head: dict[str, Value] = {
        "apiVersion": "costlens-policy/v1",
        "kind": "Catalogue",
        "metadata": {"name": "measured-quality", "version": _version(origin), "description": description},
    }
    lines = [*_made_by(origin), *yaml_lines(head), "models:"]
    for model, tasks in entries.items():
        lines += [f"  {flow(model)}:", "    quality:"]
        lines += [f"      {flow(task)}: {flow(entry)}" for task, entry in tasks.items()]
    return "\n".join(lines) + "\n"


def _entry(found: Estimate, origin: Origin, digest: str) -> dict[str, Value]:
    value = Decimal(found.value).quantize(_DIGIT, ROUND_HALF_EVEN)
    return {
        "value": value,
        "low": min(value, Decimal(found.low).quantize(_DIGIT, ROUND_FLOOR)),
        "high": max(value, Decimal(found.high).quantize(_DIGIT, ROUND_CEILING)),
        "cases": found.cases,
        "measured": origin.measured,
        "source": ", ".join(origin.sources)[:500],
        "data": f"sha256:{digest}",
    }


def _digest(measurements: Measurements, task: int, model: int) -> str:
    """Return a digest of the scores of one model in one task: it stays the same while these do."""
    rows = np.flatnonzero(measurements.of_task(task))
    lines = sorted(f"{measurements.cases[row].id} {float(measurements.scores[row, model])!r}" for row in rows)
    return hashlib.sha256("\n".join(lines).encode("utf-8", "replace")).hexdigest()


def _models(fitted: Fitted, catalogue: Catalogue, origin: Origin) -> str:
    head: dict[str, Value] = {
        "name": "fitted-models",
        "version": _version(origin),
        "description": "The models that were measured, with the prices that the fit has used.",
    }
    return "\n".join([*_made_by(origin), document_text(head, _found(fitted.inside.models, catalogue))])


def _found(names: Iterable[str], catalogue: Catalogue) -> Iterator[Model]:
    for name in names:
        model = catalogue.find(name)
        if model is None:
            yield Model(name)
            continue
        yield replace(model, name=name, aliases=(), base=None, trained_for=(), quality={}, evidence={})


def _bands(told: Told) -> Iterator[str]:
    """Yield the lines of the expression that names the band of a request's difficulty."""
    yield '!has(signals.difficulty) ? ""'
    for edge, name in zip(told.edges, told.names, strict=False):
        yield f': signals.difficulty < {edge:.3f} ? "{name}"'
    yield f': "{told.names[-1]}"'


def _signals(model: LearnedModel, name: str, text: str, origin: Origin) -> str:
    signal: dict[str, Value] = {
        "learned": {"model": name, "digest": f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"}
    }
    description = "How much better the best model is likely to answer than the cheapest."
    if model.tells == "task":
        signal["min_confidence"] = Decimal(str(MIN_CONFIDENCE))
        description = "The task of a request that names none, recognized by its text."
    head: dict[str, Value] = {
        "apiVersion": "costlens-policy/v1",
        "kind": "Signals",
        "metadata": {
            "name": "fitted-signals",
            "version": _version(origin),
            "description": description,
        },
        "signals": {model.tells: signal},
    }
    return "\n".join([*_made_by(origin), *yaml_lines(head)]) + "\n"


def _suite(fitted: Fitted, origin: Origin) -> str:
    names, tasks = fitted.inside.models, fitted.inside.tasks
    head: dict[str, Value] = {
        "apiVersion": "costlens-policy/v1",
        "kind": "Suite",
        "metadata": {
            "name": "fitted-routing",
            "version": _version(origin),
            "description": "Each task goes where the measured quality sends it.",
        },
        "policy_set": "policy-set.yaml",
    }
    lines = [*_made_by(origin), *yaml_lines(head), f"now: {origin.measured.isoformat()}T12:00:00Z"]
    lines += ["covers: [fitted-routing]", "coverage: 100", "", "cases:"]
    for id, model, served in _routes(fitted):
        expected: dict[str, Value] = {"model": names[model], "rule": f"fitted-routing/{id}"}
        expected["fallbacks"] = _fallbacks(fitted, model, served)
        for task in served:
            for name, request in _requests(fitted, task):
                lines += _case(name, request, expected)
    other, ranked = _unlike(tasks), _ranked(fitted, range(len(tasks)))
    expected = {"model": ranked[0], "rule": "default", "fallbacks": ranked[1:2]}
    expected["params"] = {"max_output_tokens": _OUTPUT_LIMIT}
    lines += _case(f"a request of {other}", f"{{task: {other}}}", expected)
    return "\n".join(lines) + "\n"


def _requests(fitted: Fitted, place: int) -> Iterator[tuple[str, str]]:
    """Yield requests of a task or band, each with its name."""
    task, told = fitted.inside.tasks[place], fitted.told
    if told is not None and told.edges:
        yield f"a request of difficulty {task}", f"{{signals: {{difficulty: {told.value_in(place)}}}}}"
        return
    if task is None:
        yield "a request without a task", "{}"
        return
    yield f"a request of {task}", f"{{task: {flow(task)}}}"
    if told is not None and task in told.signal.model.labels:
        yield f"a request of {task}, recognized by the signal", f"{{signals: {{task: {flow(task)}}}}}"


def _case(name: str, request: str, expected: Mapping[str, Value]) -> Iterator[str]:
    yield f"  - name: {flow(_short(name))}"
    yield f"    request: {request}"
    yield f"    expect: {flow(expected)}"


def _short(name: str) -> str:
    """Return the name of a case; of a long one its beginning, and a digest that tells it from others."""
    if len(name) <= _LONGEST_NAME:
        return name
    digest = hashlib.sha256(name.encode("utf-8", "replace")).hexdigest()[:8]
    return f"{name[: _LONGEST_NAME - 20]}… {digest}"


def _unlike(tasks: Sequence[str | None]) -> str:
    """Return the name of a task that was not measured."""
    name = "another-task"
    while name in tasks:
        name = f"yet-{name}"
    return name


def _made_by(origin: Origin) -> Iterator[str]:
    yield comment(f"{MADE_BY}{origin.command}`; review it like code.")


def _version(origin: Origin) -> str:
    return f"{origin.measured:%Y.%m.%d}"


def _shown(task: str | None) -> str:
    """Return a task as a comment shows it: on one line, whatever its name has."""
    return "(no task)" if task is None else comment(task)[2:]


def _id(model: str) -> str:
    """Return the name of a model as the id of a route."""
    return "to-" + (re.sub(r"[^a-z0-9]+", "-", model.lower()).strip("-") or "model")
