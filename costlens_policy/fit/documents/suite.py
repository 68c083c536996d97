"""The suite of a fit: it holds every task where the measured quality sent it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from costlens_policy.catalogue.writing import Value, flow, yaml_lines
from costlens_policy.fit.documents.origin import Origin, made_by, version_of
from costlens_policy.fit.documents.routing import OUTPUT_LIMIT, fallbacks_of, ranked, routes_of
from costlens_policy.fit.fitting import Fitted

__all__ = ["suite_document"]

_LONGEST_NAME: Final = 200
"""Characters of a case's name."""


def suite_document(fitted: Fitted, origin: Origin) -> str:
    names, tasks = fitted.inside.models, fitted.inside.tasks
    head: dict[str, Value] = {
        "apiVersion": "costlens-policy/v1",
        "kind": "Suite",
        "metadata": {
            "name": "fitted-routing",
            "version": version_of(origin),
            "description": "Each task goes where the measured quality sends it.",
        },
        "policy_set": "policy-set.yaml",
    }
    lines = [*made_by(origin), *yaml_lines(head), f"now: {origin.measured.isoformat()}T12:00:00Z"]
    lines += ["covers: [fitted-routing]", "coverage: 100", "", "cases:"]
    for id, model, served in routes_of(fitted):
        expected: dict[str, Value] = {"model": names[model], "rule": f"fitted-routing/{id}"}
        expected["fallbacks"] = fallbacks_of(fitted, model, served)
        for task in served:
            for name, request in _requests(fitted, task):
                lines += _case(name, request, expected)
    other, best = _unlike(tasks), ranked(fitted, range(len(tasks)))
    expected = {"model": best[0], "rule": "default", "fallbacks": best[1:2]}
    expected["params"] = {"max_output_tokens": OUTPUT_LIMIT}
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
