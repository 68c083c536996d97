"""Pairwise preferences in `fit`: strengths as measured quality, and a policy for two models."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random

import pytest

from costlens_policy.cli import main
from costlens_policy.fit.preferred import estimates_of, summary_of_strengths
from costlens_policy.fit.strengths import Strength

STRENGTHS = {"gpt-5": 8.0, "gpt-5-mini": 2.0, "gpt-5-nano": 1.0}


@pytest.fixture(scope="module")
def comparisons(tmp_path_factory: pytest.TempPathFactory) -> Path:
    random = Random(6)
    rows = []
    for at in range(400):
        first, second = random.sample(sorted(STRENGTHS), 2)
        chance = STRENGTHS[first] / (STRENGTHS[first] + STRENGTHS[second])
        winner = "model_a" if random.random() < chance else "model_b"
        row = {"question_id": at, "model_a": first, "model_b": second, "winner": winner, "prompt": f"Say {at}"}
        rows.append(json.dumps({**row, "task": "chat"}))
    path = tmp_path_factory.mktemp("comparisons") / "comparisons.jsonl"
    path.write_text("\n".join(rows) + "\n")
    return path


def test_strengths_become_measured_quality(
    comparisons: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["fit", str(comparisons), "--write", str(tmp_path), "--format", "json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [(item["task"], item["model"]) for item in found["strengths"]] == [("chat", name) for name in STRENGTHS]
    assert not any("without a score" in note for note in found["notes"])
    assert [path.name for path in tmp_path.iterdir()] == ["quality.yaml"]
    assert main(["check", str(tmp_path / "quality.yaml")]) == 0
    assert (tmp_path / "quality.yaml").read_text().count("      chat: {value: 0.") == 3
    share = (8 / 10 + 8 / 9) / 2
    assert found["strengths"][0]["low"] < share < found["strengths"][0]["high"]


def test_two_models_are_fitted_to(comparisons: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fit", str(comparisons), "--models", "gpt-5", "--models", "gpt-5-nano", "--format", "json"]) == 0
    assert "strengths" not in json.loads(capsys.readouterr().out)


def test_what_comparisons_do_not_determine_is_reported() -> None:
    found = [
        Strength("chat", "large", 9, 0.7, 0.5, 0.9), Strength("chat", "small", 9, 0.3, 0.1, 0.6),
        Strength("chat", "tiny", 2, None, None, None), Strength(None, "large", 1, None, None, None),
    ]  # fmt: skip
    verdict = summary_of_strengths(found).verdict.splitlines()
    assert verdict[0].endswith("the largest share of wins, 0.700 (0.500 to 0.900), within the noise of `small`")
    assert verdict[1].startswith("requests without a task: no model is comparable with another")
    assert list(estimates_of(found)) == [("chat", "large"), ("chat", "small")]
