"""Results of promptfoo: `promptfoo eval -o results.json`, `.jsonl` or `.csv`.

The JSON has the version of its summary (2 or 3) beside `results`; JSON lines have one result each. A case is a test
with one prompt, whatever provider answered. The tool repeats a test (`--repeat`) under another number: the same test,
prompt and provider again is another run. Results of errors have a score of 0 that no assertion gave, and answers from
its cache cost nothing and took no time: neither counts.
"""

from __future__ import annotations

import csv
import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, Final

from costlens_policy.fit.outcomes.formats.format import Format, Opened, failed, json_lines, object_at, part, rows_of
from costlens_policy.fit.outcomes.joining import Joining
from costlens_policy.replay.traffic.sources import RawRow, open_text

__all__ = ["PROMPTFOO", "PROMPTFOO_CSV"]

_ERROR: Final = 2
"""The value of `failureReason` where a call failed; 1 is an assertion that did not hold."""
_RESULT: Final = frozenset({"promptIdx", "testIdx", "provider", "score", "success"})
_OUTPUT: Final = re.compile(r"\[(.+?)\] (.*)", re.DOTALL)
"""The header of a column of outputs: the provider and the prompt."""
_BESIDE: Final = ("Status", "Score")


def _fits(file: Opened) -> bool:
    document = file.document
    if isinstance(document, Mapping) and isinstance(document.get("results"), Mapping):
        document = document["results"]
    if isinstance(document, Mapping) and isinstance(document.get("results"), list):
        first = next(iter(document["results"]), None)
        return "stats" in document or (isinstance(first, Mapping) and _is_result(first))
    return _is_result(file.first)


def _is_result(row: Mapping[str, Any]) -> bool:
    return len(_RESULT.intersection(row)) >= len(_RESULT) - 2 and "vars" in row


def _results(file: Opened) -> Iterator[RawRow]:
    document = file.document
    inner = object_at(document, "results") or document
    if not isinstance(part(inner, "results"), list):
        yield from json_lines(file.name)
        return
    for raw in rows_of(inner["results"], file.name):
        yield replace(raw, fields={"timestamp": inner.get("timestamp"), **raw.fields})


def _rows(file: Opened, joining: Joining) -> Iterator[RawRow]:
    runs: Counter[tuple[str, str]] = Counter()
    templates: dict[str, set[str]] = {}
    for raw in _results(file):
        fields = raw.fields
        if raw.problem:
            yield raw
            continue
        if _has_failed(fields):
            failed(joining, raw.file, raw.number)
            continue
        provider = fields.get("provider")
        name = str(provider.get("id") if isinstance(provider, Mapping) else provider)
        id = _case(fields)
        runs[id, name] += 1
        templates.setdefault(name, set()).add(str(part(fields, "prompt", "label")))
        cached = part(fields, "response", "cached") is True
        beside: dict[str, Any] = {"model": name, "id": id, "run": str(runs[id, name])}
        if cached or not fields.get("cost"):  # 0 stands where no price is known
            beside["cost"] = None
        if cached:
            joining.remarks.add("answers from a cache, whose cost and latency do not count", (raw.file, raw.number))
            beside["latencyMs"] = None
        yield RawRow(raw.file, raw.number, {**fields, **beside})
    _note_templates(set().union(*templates.values()), file, joining, "prompt.label")


def _note_templates(templates: set[str], file: Opened, joining: Joining, column: str) -> None:
    """Note that each test was asked in several ways, which count alike."""
    if len(templates) > 1:
        what = f"prompt templates whose results count alike, each a case of its own; `--only {column}=…` reads one"
        joining.remarks.add(what, file.name, len(templates))


def _has_failed(fields: Mapping[str, Any]) -> bool:
    reason = fields.get("failureReason")
    if reason is not None:
        return bool(reason == _ERROR)
    return bool(fields.get("error")) and not fields.get("gradingResult")


def _case(fields: Mapping[str, Any]) -> str:
    """Return what tells a test with its prompt apart: its text, its variables and what is asserted."""
    prompt, test = fields.get("prompt"), object_at(fields, "testCase")
    text = prompt.get("raw") if isinstance(prompt, Mapping) else prompt
    return _digest([text, fields.get("vars"), test.get("assert"), test.get("description")])


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()[:16]


def _models(name: str) -> Iterator[str]:
    """Yield what may be the model in `openai:chat:gpt-5` or `bedrock:anthropic.claude-…-v1:0`: each rest."""
    provider, colon, rest = name.partition(":")
    while colon:
        yield f"{provider}/{rest}"
        yield rest
        _, colon, rest = rest.partition(":")


PROMPTFOO = Format(
    "promptfoo",
    "results of `promptfoo eval -o`, as JSON or JSON lines",
    _fits,
    _rows,
    {
        "id": "id", "run": "run", "model": "model", "score": "score", "prompt": "prompt.raw",
        "task": "testCase.metadata.task|testCase.metadata.category|metadata.task|metadata.category|vars.task",
        "prompt_tokens": "response.tokenUsage.prompt", "output_tokens": "response.tokenUsage.completion",
        "cost": "cost", "latency_ms": "latencyMs", "time": "timestamp",
    },
    names=_models,
)  # fmt: skip


def _csv_fits(file: Opened) -> bool:
    return any(
        _OUTPUT.fullmatch(name) and file.header[at + 1 : at + 3] == _BESIDE for at, name in enumerate(file.header)
    )


def _csv_rows(file: Opened, joining: Joining) -> Iterator[RawRow]:
    """Yield a row for each output of each line; what stands before the first output are the variables of the test."""
    columns = [_OUTPUT.fullmatch(name) for name in file.header]
    _note_templates({found[2] for found in columns if found}, file, joining, "template")
    outputs = [at for at, name in enumerate(file.header) if _OUTPUT.fullmatch(name) and at + 2 < len(file.header)]
    runs: Counter[tuple[str, str]] = Counter()
    with open_text(file.name) as (lines, _):
        reader = csv.reader(lines)
        next(reader, None)
        for number, cells in enumerate(reader, 2):
            if len(cells) < len(file.header):
                yield RawRow(file.name, number, {}, "", f"{len(cells)} columns where the header has {len(file.header)}")
                continue
            about = dict(zip(file.header[: outputs[0]], cells, strict=False))
            for at in outputs:
                if cells[at + 1] == "ERROR":
                    failed(joining, file.name, number)
                    continue
                found = _OUTPUT.fullmatch(file.header[at])
                assert found is not None
                model, prompt = found.groups()
                id = _digest([prompt, about])
                runs[id, model] += 1
                row = {"id": id, "run": str(runs[id, model]), "model": model, "score": cells[at + 2]}
                yield RawRow(file.name, number, {"vars": about, "template": prompt, **row})


PROMPTFOO_CSV = Format(
    "promptfoo-csv",
    "the same as CSV, which has variables in place of prompts",
    _csv_fits,
    _csv_rows,
    {
        "id": "id", "run": "run", "model": "model", "score": "score",
        "task": "vars.task|vars.category|vars.metadata.task",
    },
    names=_models,
)  # fmt: skip
