"""Sample logs of lm-evaluation-harness: `lm_eval --output_path … --log_samples`.

A folder for each model has `samples_TASK_DATE.jsonl` beside `results_DATE.json`, which names the model. A line is one
document under one filter, with the values of its `metrics`. The prompt of a document is written as the chat template of
each model has it, so that documents are told apart by their number and hash.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from costlens_policy.fit.outcomes.cases import OutcomesError
from costlens_policy.fit.outcomes.formats.format import Format, Opened, json_lines
from costlens_policy.fit.outcomes.joining import Joining
from costlens_policy.replay.traffic.sources import RawRow

__all__ = ["LM_EVAL", "LM_EVAL_RESULTS"]

_SAMPLES: Final = re.compile(r"samples_(?P<task>.+)_(?P<date>[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9.\-]+)\.jsonl(\.gz|\.zst)?")
_LINE: Final = frozenset({"doc_id", "doc", "target", "arguments", "filtered_resps"})


def _rows(file: Opened, joining: Joining) -> Iterator[RawRow]:
    named = _SAMPLES.fullmatch(Path(file.name).name)
    task = named["task"] if named else None
    beside = {"task": task, "date": named["date"] if named else None, "model": _model(file.name, named, joining)}
    chosen = joining.settings.only.get("filter")
    any_filter = chosen is not None  # rows of others are left out as all rows without a value are
    for raw in json_lines(file.name):
        if raw.problem:
            yield raw
            continue
        fields = raw.fields
        applied = fields.get("filter", chosen)
        chosen = applied if chosen is None else chosen
        if applied != chosen and not any_filter:
            joining.rows += 1
            what = f"rows of another filter than `{chosen}`, the first; `--only filter=NAME` chooses one"
            joining.dropped.add(what, (raw.file, raw.number))
            continue
        id = f"{fields.get('doc_id')}:{str(fields.get('doc_hash', ''))[:8]}"
        made = {**beside, "case": id, "prompt": _prompt(fields.get("arguments"))}
        yield RawRow(raw.file, raw.number, {**fields, **made, "score": _score(fields, file.name, joining)})


def _score(fields: Mapping[str, Any], file: str, joining: Joining) -> Any:
    """Return the value of the first metric, which is the one that the task declares first."""
    known = fields.get("metrics")
    metrics = [name for name in known if isinstance(name, str)] if isinstance(known, list) else []
    if not metrics:
        return None
    if len(metrics) > 1 and "score" not in joining.settings.columns:
        others = ", ".join(f"`score={name}`" for name in metrics[1:])
        joining.remarks.add(
            f"rows with several metrics, of which the first, `{metrics[0]}`, was read, and not {others}", None
        )
    return fields.get(metrics[0])


def _prompt(arguments: Any) -> Any:
    """Return the text that a model was given: the first argument of the first call."""
    if isinstance(arguments, Mapping):
        arguments = next(iter(arguments.values()), None)
        return arguments.get("arg_0") if isinstance(arguments, Mapping) else None
    while isinstance(arguments, list) and arguments:
        arguments = arguments[0]
    return arguments or None


def _model(name: str, named: re.Match[str] | None, joining: Joining) -> str | None:
    """Return the model of a file: from the results of its run, or from the folder, whose name has `__` for `/`."""
    if {"model", "request.model"} & {*joining.settings.constants, *joining.settings.columns}:
        return None
    folder = Path(name).resolve().parent
    if named is not None:
        with suppress(OSError, ValueError, KeyError, TypeError):
            results = json.loads((folder / f"results_{named['date']}.json").read_text(encoding="utf-8"))
            return str(results["model_name"])
    if "__" in folder.name:
        joining.remarks.add("models named by their folder, since `results_*.json` is missing", name)
        return folder.name.replace("__", "/")
    raise OutcomesError(
        f"`{name}` does not name its model; keep `results_*.json` of the same run beside it, or set `--set model=NAME`"
    )


LM_EVAL = Format(
    "lm-eval",
    "`samples_*.jsonl` of lm-evaluation-harness, with `results_*.json` beside them",
    lambda file: file.first.keys() >= _LINE,
    _rows,
    {"id": "case", "task": "task", "prompt": "prompt", "model": "model", "score": "score", "time": "date"},
    prompts_vary=True,
)
LM_EVAL_RESULTS = Format(
    "lm-eval-results",
    "`results_*.json`, which has no scores by request, and names the model of the samples beside it",
    lambda file: isinstance(file.document, Mapping) and file.document.keys() >= {"results", "configs", "n-shot"},
    lambda file, joining: iter(()),
    {},
)
