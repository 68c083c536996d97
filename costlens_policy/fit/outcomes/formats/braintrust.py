"""Rows of a Braintrust experiment, exported as JSON or JSON lines: `scores` by the name of the scorer, from 0 to 1."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from costlens_policy.fit.outcomes.formats.format import (
    Format,
    Opened,
    json_lines,
    milliseconds,
    only_score,
    part,
    rows_of,
)
from costlens_policy.fit.outcomes.joining import Joining
from costlens_policy.replay.traffic.sources import RawRow

__all__ = ["BRAINTRUST"]

_BESIDE: Final = frozenset({"span_id", "root_span_id", "experiment_id", "is_root"})


def _is_row(row: Any) -> bool:
    return isinstance(row, Mapping) and isinstance(row.get("scores"), Mapping) and not _BESIDE.isdisjoint(row)


def _events(document: Any) -> Any:
    return document.get("events", document.get("objects")) if isinstance(document, Mapping) else document


def _fits(file: Opened) -> bool:
    events = _events(file.document)
    return _is_row(next(iter(events), None) if isinstance(events, list) else file.first)


def _rows(file: Opened, joining: Joining) -> Iterator[RawRow]:
    events = _events(file.document)
    for raw in rows_of(events, file.name) if isinstance(events, list) else json_lines(file.name):
        scores = raw.fields.get("scores")
        if raw.problem or not isinstance(scores, Mapping) or not scores:
            if raw.problem:
                yield raw
            continue  # a span inside a trace, which is not scored
        latency = milliseconds(part(raw.fields, "metrics", "duration"))
        score = only_score(scores, file.name, "scores", joining)
        yield RawRow(raw.file, raw.number, {**raw.fields, "score": score, "latency_ms": latency})


BRAINTRUST = Format(
    "braintrust",
    "rows of a Braintrust experiment, as JSON or JSON lines",
    _fits,
    _rows,
    {
        "task": "metadata.task|metadata.category", "prompt": "input", "model": "metadata.model", "score": "score",
        "prompt_tokens": "metrics.prompt_tokens", "output_tokens": "metrics.completion_tokens",
        "cost": "metrics.estimated_cost", "latency_ms": "latency_ms", "time": "created",
    },
)  # fmt: skip
