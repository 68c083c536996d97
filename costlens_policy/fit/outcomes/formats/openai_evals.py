"""Evaluations of OpenAI: the records of the framework `evals` (`oaieval`), and output items of the Evals API.

A record begins with the `spec` of the run and has an event on each line: `sampling` with the prompt, `match` with
whether the answer was right, `metrics` with other scores, `error`. An output item has the results of all graders.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from costlens_policy.fit.outcomes.formats.format import (
    Format,
    Opened,
    failed,
    json_lines,
    objects,
    only_score,
    part,
    rows_of,
)
from costlens_policy.fit.outcomes.joining import Joining
from costlens_policy.replay.traffic.sources import RawRow

__all__ = ["OPENAI_EVALS", "OPENAI_ITEMS"]

_USUAL: Final = ("score", "accuracy")
"""Metrics that are the score of a sample where there are several."""
_ITEM: Final = "eval.run.output_item"


def _spec(first: Mapping[str, Any]) -> Mapping[str, Any]:
    spec = first.get("spec")
    return spec if isinstance(spec, Mapping) and ("completion_fns" in spec or "eval_name" in spec) else {}


def _rows(file: Opened, joining: Joining) -> Iterator[RawRow]:
    spec = _spec(file.first)
    tested = spec.get("completion_fns") or spec.get("model_name") or [None]
    about = {
        "model": tested[0] if isinstance(tested, list) else tested,
        "task": spec.get("base_eval") or spec.get("eval_name"),
        "created_at": spec.get("created_at"),
        "spec": spec,
    }
    samples: dict[str, dict[str, Any]] = {}
    for raw in json_lines(file.name):
        event, data, id = raw.fields.get("type"), raw.fields.get("data"), raw.fields.get("sample_id")
        if raw.problem:
            yield raw
        elif isinstance(data, Mapping) and id is not None:
            sample = samples.setdefault(str(id), {**about, "sample_id": id, "line": raw.number})
            sample.setdefault(str(event), data)
    for sample in samples.values():
        score = _score(sample, file.name, joining)
        if score is None and "error" in sample:
            failed(joining, file.name, sample["line"])
            continue
        made = {"prompt": part(sample, "sampling", "prompt"), "score": score}
        yield RawRow(file.name, sample["line"], {**sample, **made})


def _score(sample: Mapping[str, Any], file: str, joining: Joining) -> Any:
    if "match" in sample:
        return sample["match"].get("correct")
    metrics: Mapping[str, Any] = sample.get("metrics", {})
    numbers = {name: value for name, value in metrics.items() if isinstance(value, int | float)}
    usual = next((numbers[name] for name in _USUAL if name in numbers), None)
    return only_score(numbers, file, "metrics", joining) if usual is None else usual


OPENAI_EVALS = Format(
    "openai-evals",
    "records of the framework `evals`, as `oaieval --record_path` writes them",
    lambda file: bool(_spec(file.first)),
    _rows,
    {
        "id": "sample_id", "task": "task", "prompt": "prompt", "model": "model", "score": "score",
        "prompt_tokens": "sampling.usage.prompt_tokens", "output_tokens": "sampling.usage.completion_tokens",
        "time": "created_at",
    },
)  # fmt: skip


def _items(file: Opened) -> Iterator[RawRow]:
    document = file.document
    items = document.get("data") if isinstance(document, Mapping) and "data" in document else document
    if isinstance(items, list):
        yield from rows_of(items, file.name)
    else:
        yield from json_lines(file.name)


def _item_rows(file: Opened, joining: Joining) -> Iterator[RawRow]:
    for raw in _items(file):
        fields = raw.fields
        if fields.get("status") == "error":
            failed(joining, raw.file, raw.number)
            continue
        named = {str(item.get("name", "result")): _of_grader(item) for item in objects(fields.get("results"))}
        score = None if raw.problem else only_score(named, file.name, "scores", joining)
        yield RawRow(raw.file, raw.number, {**fields, "scores": named, "score": score}, raw.text, raw.problem)


def _of_grader(result: Mapping[str, Any]) -> Any:
    score = result.get("score")
    return result.get("passed") if score is None else score


def _items_fit(file: Opened) -> bool:
    document = file.document
    if isinstance(document, Mapping) and isinstance(document.get("data"), list):
        document = document["data"]
    first = next(iter(document), None) if isinstance(document, list) else file.first
    return isinstance(first, Mapping) and first.get("object") == _ITEM


OPENAI_ITEMS = Format(
    "openai-items",
    "output items of a run of OpenAI's Evals API, as a list or JSON lines",
    _items_fit,
    _item_rows,
    {
        "id": "datasource_item_id", "task": "datasource_item.task", "prompt": "sample.input", "model": "sample.model",
        "score": "score", "prompt_tokens": "sample.usage.prompt_tokens",
        "output_tokens": "sample.usage.completion_tokens",
    },
    prompts_vary=True,
)  # fmt: skip
