"""What evaluation tools write today is read: each runs a tiny evaluation, and its files are outcomes."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Final

import pytest

from costlens_policy.fit.outcomes import Outcomes, OutcomeSettings, read_outcomes
from tests.conftest import ROOT
from tests.integration.environments import installed

_OFFLINE: Final = {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1"}
_LM_TASK: Final = """\
task: capitals
dataset_path: json
dataset_kwargs: {{data_files: {{test: {data}}}}}
test_split: test
output_type: multiple_choice
doc_to_text: "Question: {{{{question}}}}\\nAnswer:"
doc_to_choice: "{{{{choices}}}}"
doc_to_target: "{{{{label}}}}"
metric_list: [{{metric: acc, aggregation: mean, higher_is_better: true}}]
"""
_PROMPTFOO: Final = {
    "prompts": ["Capital of {{country}}?"],
    "providers": ["echo"],
    "tests": [
        {
            "vars": {"country": country},
            "metadata": {"task": "geography"},
            "assert": [{"type": "contains", "value": text}],
        }
        for country, text in (("France", "France"), ("Peru", "Lima"))
    ],
}


def _run(command: list[str | Path], folder: Path, **environment: str) -> None:
    done = subprocess.run(
        command, cwd=folder, env={**os.environ, **environment}, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode in (0, 100), done.stdout + done.stderr  # 100: an assertion of promptfoo did not hold


def _by_prompt(found: Outcomes) -> dict[str | None, float | None]:
    (scores,) = found.scores.values()
    return {case.prompt: score for case, score in zip(found.cases, scores, strict=True)}


def test_inspect(tmp_path: Path) -> None:
    python = installed("outcomes", "inspect-ai", "lm-eval")
    _run([python, Path(__file__).with_name("inspect_capitals.py"), tmp_path], tmp_path)
    for form in ("json", "eval"):
        found = read_outcomes([str(tmp_path / form)])
        assert sum(filter(None, _by_prompt(found).values())) == 1.0
        assert (len(found.cases), found.tasks, found.models) == (2, ("capitals",), ("mockllm/model",))


def test_lm_eval(tmp_path: Path) -> None:
    python = installed("outcomes", "inspect-ai", "lm-eval")
    data = tmp_path / "data.jsonl"
    rows = [{"question": f"Capital of {name}?", "choices": ["Paris", "Lima"], "label": at} for at, name in
            enumerate(("France", "Peru"))]  # fmt: skip
    data.write_text("\n".join(map(json.dumps, rows)))
    (tmp_path / "capitals.yaml").write_text(_LM_TASK.format(data=data))
    options = ["--model", "dummy", "--tasks", "capitals", "--include_path", tmp_path, "--log_samples"]
    _run([python.with_name("lm_eval"), *options, "--output_path", tmp_path / "out"], tmp_path, **_OFFLINE)
    found = read_outcomes([str(tmp_path / "out")])
    assert [case.prompt for case in found.cases] == [
        f"Question: Capital of {name}?\nAnswer:" for name in ("France", "Peru")
    ]
    assert found.tasks == ("capitals",)


def test_promptfoo(tmp_path: Path) -> None:
    if shutil.which("npm") is None:
        pytest.skip("npm is not installed")
    folder = ROOT / "build" / "promptfoo"
    folder.mkdir(parents=True, exist_ok=True)
    program = folder / "node_modules" / ".bin" / "promptfoo"
    if not program.exists():
        _run(["npm", "install", "--no-audit", "--no-fund", "--prefix", folder, "promptfoo"], folder)
    (tmp_path / "promptfooconfig.json").write_text(json.dumps(_PROMPTFOO))
    outputs = [option for form in ("json", "jsonl", "csv") for option in ("-o", f"out.{form}")]
    _run(
        [program, "eval", "-c", "promptfooconfig.json", "--repeat", "2", "--no-cache", *outputs],
        tmp_path, PROMPTFOO_DISABLE_TELEMETRY="1", PROMPTFOO_DISABLE_UPDATE="1", PROMPTFOO_CONFIG_DIR=str(tmp_path),
    )  # fmt: skip
    for form in ("json", "jsonl"):
        found = read_outcomes([str(tmp_path / f"out.{form}")], OutcomeSettings(few=0))
        assert _by_prompt(found) == {"Capital of France?": 1.0, "Capital of Peru?": 0.0}
        assert (found.tasks, found.models) == (("geography",), ("echo",))
    assert sorted(filter(None, read_outcomes([str(tmp_path / "out.csv")]).scores["echo"])) == [1.0]
