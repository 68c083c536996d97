"""The catalogues of a fit: measured quality with its evidence, and the models with the prices that the fit has used.

The quality of a model in a task stands on one line, which a diff shows when it moves.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_EVEN, Decimal
from typing import Final

import numpy as np

from costlens_policy.catalogue import Catalogue, Model
from costlens_policy.catalogue.writing import Value, document_text, flow, yaml_lines
from costlens_policy.fit.documents.origin import Origin, made_by, sealed, version_of
from costlens_policy.fit.fitting import Fitted
from costlens_policy.fit.measurements import Measurements
from costlens_policy.intervals import Estimate, measured
from costlens_policy.source.formatting import format_text

__all__ = ["models_document", "qualities_of", "quality_document", "quality_of"]

_DIGIT: Final = Decimal("0.0001")


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


def quality_of(estimates: Mapping[tuple[str, str], Estimate], description: str, origin: Origin) -> str:
    """Return a catalogue document with nothing but the quality of models, by task and model."""
    entries: dict[str, dict[str, Value]] = {}
    for (task, model), found in sorted(estimates.items()):
        entries.setdefault(model, {})[task] = _entry(found, origin, origin.digest)
    return sealed(format_text(_catalogue(description, entries, origin), "quality.yaml"))


def quality_document(measurements: Measurements, origin: Origin) -> str:
    qualities = qualities_of(measurements)
    entries: dict[str, dict[str, Value]] = {model: {} for model in measurements.models}
    for place, model in enumerate(measurements.models):
        for task, name in enumerate(measurements.tasks):
            if (name, model) in qualities and name is not None:
                entries[model][name] = _entry(qualities[name, model], origin, _digest(measurements, task, place))
    return _catalogue(f"Quality by task, measured on {len(measurements):,} cases with 95% intervals.", entries, origin)


def _catalogue(description: str, entries: Mapping[str, Mapping[str, Value]], origin: Origin) -> str:
    """Return a catalogue of quality: each task of a model on one line, which a diff shows when it moves."""
    head: dict[str, Value] = {
        "apiVersion": "costlens-policy/v1",
        "kind": "Catalogue",
        "metadata": {"name": "measured-quality", "version": version_of(origin), "description": description},
    }
    lines = [*made_by(origin), *yaml_lines(head), "models:"]
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


def models_document(fitted: Fitted, catalogue: Catalogue, origin: Origin) -> str:
    head: dict[str, Value] = {
        "name": "fitted-models",
        "version": version_of(origin),
        "description": "The models that were measured, with the prices that the fit has used.",
    }
    return "\n".join([*made_by(origin), document_text(head, _found(fitted.inside.models, catalogue))])


def _found(names: Iterable[str], catalogue: Catalogue) -> Iterator[Model]:
    for name in names:
        model = catalogue.find(name)
        if model is None:
            yield Model(name)
            continue
        yield replace(model, name=name, aliases=(), base=None, trained_for=(), quality={}, evidence={})
