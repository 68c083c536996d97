"""Test runs of DeepEval: the JSON that it keeps of a run (`.deepeval/.latest_test_run.json`).

A test case has the scores of its metrics. The model that was tested stands among the hyperparameters, where they were
logged; the models of metrics are judges.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from costlens_policy.fit.outcomes.formats.format import (
    Format,
    Opened,
    failed,
    milliseconds,
    object_at,
    objects,
    only_score,
    rows_of,
)
from costlens_policy.fit.outcomes.joining import Joining
from costlens_policy.replay.traffic.sources import RawRow

__all__ = ["DEEPEVAL"]


def _run(document: Any) -> Mapping[str, Any]:
    """Return the run: the document, or what older versions keep under `testRunData`."""
    inner = document.get("testRunData", document) if isinstance(document, Mapping) else None
    return inner if isinstance(inner, Mapping) and isinstance(inner.get("testCases"), list) else {}


def _rows(file: Opened, joining: Joining) -> Iterator[RawRow]:
    run = _run(file.document)
    hyperparameters = object_at(run, "hyperparameters")
    model = next((value for name, value in hyperparameters.items() if name.lower() in ("model", "llm")), None)
    for raw in rows_of(run["testCases"], file.name):
        measured = [item for item in objects(raw.fields.get("metricsData")) if not item.get("error")]
        metrics = {str(item.get("name")): item.get("score") for item in measured}
        if raw.problem:
            yield raw
        elif not metrics:
            failed(joining, raw.file, raw.number)
        else:
            score = only_score(metrics, raw.file, "metrics", joining)
            latency = milliseconds(raw.fields.get("completionTime"))
            made = {"metrics": metrics, "score": score, "model": model, "latency_ms": latency}
            yield RawRow(raw.file, raw.number, {**raw.fields, **made})


DEEPEVAL = Format(
    "deepeval",
    "test runs of DeepEval, as it keeps them",
    lambda file: bool(_run(file.document)),
    _rows,
    {
        "task": "metadata.task|metadata.category", "prompt": "input", "model": "model", "score": "score",
        "prompt_tokens": "inputTokenCount", "output_tokens": "outputTokenCount", "cost": "tokenCost",
        "latency_ms": "latency_ms",
    },
)  # fmt: skip
