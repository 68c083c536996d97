"""Test runs of DeepEval: the JSON that it keeps of a run (`.deepeval/.latest_test_run.json`).

A test case has the scores of its metrics. The model that was tested stands among the hyperparameters, where they were
logged; the models of metrics are judges.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from costlens_policy.fit.outcomes.formats.format import Format, Opened, failed, only_score
from costlens_policy.fit.outcomes.joining import Joining
from costlens_policy.replay.traffic.sources import RawRow

__all__ = ["DEEPEVAL"]


def _run(document: Any) -> Mapping[str, Any]:
    """Return the run: the document, or what older versions keep under `testRunData`."""
    inner = document.get("testRunData", document) if isinstance(document, Mapping) else None
    return inner if isinstance(inner, Mapping) and isinstance(inner.get("testCases"), list) else {}


def _rows(file: Opened, joining: Joining) -> Iterator[RawRow]:
    run = _run(file.document)
    hyperparameters = run.get("hyperparameters") or {}
    model = next((value for name, value in hyperparameters.items() if name.lower() in ("model", "llm")), None)
    for number, case in enumerate(run["testCases"], 1):
        metrics = {
            str(item.get("name")): item.get("score")
            for item in case.get("metricsData") or ()
            if isinstance(item, Mapping) and not item.get("error")
        }
        if not metrics:
            failed(joining, file.name, number)
            continue
        score = only_score(metrics, file.name, "metrics", joining)
        seconds = case.get("completionTime")
        latency = seconds * 1000 if isinstance(seconds, int | float) else None
        made = {"metrics": metrics, "score": score, "model": model, "latency_ms": latency}
        yield RawRow(file.name, number, {**case, **made})


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
