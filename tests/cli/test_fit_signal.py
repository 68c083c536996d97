"""``fit --signal task`` on prompts that nobody has scored, and ``inspect`` of what it writes."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest
from click.testing import Result

Run = Callable[..., Result]

_ASKED = {
    "code": "refactor the python function number {}",
    "translation": "translate sentence {} into french",
    "support": "where is the refund of order {}",
}


@pytest.fixture
def prompts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a table of labelled prompts in the current directory."""
    monkeypatch.chdir(tmp_path)
    with (tmp_path / "prompts.csv").open("w", newline="") as stream:
        rows = csv.writer(stream)
        rows.writerow(["question", "kind"])
        rows.writerows((text.format(at), task) for task, text in _ASKED.items() for at in range(34))
        rows.writerow(["tell me a joke", "rare"])
    return tmp_path / "prompts.csv"


LEARN = ("fit", "--signal", "task", "prompts.csv", "--column", "prompt=question", "--column", "task=kind")


def test_a_signal_is_learned_by_itself(run: Run, prompts: Path) -> None:
    done = run(*LEARN, "--on", "2026-11-30", "--write", "signals")
    assert done.exit_code == 0, done.output
    assert "recognizes 100.0% of 102 prompts that it has not seen" in done.stdout
    assert "the files have no scores, so no models were chosen" in done.stdout
    assert "left out, with fewer than 10 prompts: `rare` (1)" in done.stdout
    assert sorted(path.name for path in Path("signals").iterdir()) == ["signals.yaml", "task.json"]
    assert "--column prompt=question --column task=kind" in Path("signals/signals.yaml").read_text()
    Path("signals/policy-set.yaml").write_text(
        'apiVersion: costlens-policy/v1\nkind: PolicySet\nmetadata: {name: app, version: "1"}\n'
        "signals: [signals.yaml]\npolicies: [routing.yaml]\ncatalogues: [models.yaml]\n"
        "defaults: {access: allow, route: {model: small}, max_output_tokens: 100}\n"
    )
    Path("signals/models.yaml").write_text(
        'apiVersion: costlens-policy/v1\nkind: Catalogue\nmetadata: {name: models, version: "1"}\n'
        "models:\n  large: {prices: [{usd_per_million_tokens: {input: 2, output: 10}}]}\n"
        "  small: {prices: [{usd_per_million_tokens: {input: 0.1, output: 0.5}}]}\n"
    )
    Path("signals/routing.yaml").write_text(
        'apiVersion: costlens-policy/v1\nkind: Policy\nmetadata: {name: routing, version: "1"}\n'
        'routes: [{id: code, when: \'signals.?task.orValue("") == "code"\', model: large}]\n'
    )
    decided = run("eval", "signals", "--request", "-", "--format", "json", input='{"prompt": "refactor the function"}')
    assert json.loads(decided.stdout)["model"] == "large", decided.output
    _is_shown(run)
    _is_not_replaced(run)


def _is_shown(run: Run) -> None:
    text = run("inspect", "signals/task.json").stdout
    assert "code (34 cases): `" in text
    assert "held out    accuracy 1.0, interval" in text
    shown = json.loads(run("inspect", "signals/task.json", "--format", "json").stdout)
    assert shown["digest"] in Path("signals/signals.yaml").read_text()
    assert "translate" in shown["labels"]["translation"]["weights"]
    assert shown["held_out"]["most_frequent"] == pytest.approx(1 / 3, abs=1e-3)
    edited = Path("signals/edited.json")
    edited.write_text(Path("signals/task.json").read_text().replace('"french"', '"german"'))
    refused = run("inspect", str(edited))
    assert refused.exit_code == 6
    assert "does not match the content" in refused.stderr


def _is_not_replaced(run: Run) -> None:
    Path("signals/signals.yaml").write_text("# mine\n")
    refused = run(*LEARN, "--write", "signals")
    assert refused.exit_code == 6
    assert "was not written by `fit`" in refused.stderr
    assert Path("signals/signals.yaml").read_text() == "# mine\n"


def test_figures_are_there_as_json(run: Run, prompts: Path) -> None:
    data = json.loads(run(*LEARN, "--format", "json").stdout)
    assert data["recognizes"] == "task"
    assert data["tasks"]["code"] == {"cases": 34, "recall": 1.0, "precision": 1.0}
    assert data["held_out"]["accuracy"] == 1.0


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--max-loss", "0.01"], "to learn the signal from prompts alone, leave `--max-loss` out"),
        (["--column", "score.gpt-5=ok"], "leave `--column` out"),
        (["--mapping", "routellm-mmlu"], "leave `--mapping` out"),
        (["--holdout", "prompts.csv"], "leave `--holdout` out"),
        (["--signal", "difficulty"], "has no scores"),
        (["--column", "task=knd"], "did you mean `kind`?"),
        (["--set", "task=chat", "--column", "task=nothing"], "label more prompts"),
        (["--column", "prompt=nothing"], "no row has a prompt"),
    ],
)  # fmt: skip
def test_what_needs_scores_or_labels_is_refused(run: Run, prompts: Path, arguments: list[str], says: str) -> None:
    done = run(*LEARN, *arguments)
    assert done.exit_code != 0, done.output
    assert says in done.stderr


def test_prompts_from_standard_input_are_refused(run: Run, prompts: Path) -> None:
    done = run("fit", "--signal", "task", "-", input='{"prompt": "a", "task": "b"}\n')
    assert done.exit_code == 6, done.output
    assert "prompts are read from files" in done.stderr


def test_a_signal_that_the_data_does_not_support_is_not_written(run: Run, prompts: Path) -> None:
    """Nor does it replace one of an earlier run."""
    rows = [f"{text.format(at)},{Random(at).choice('aab')}" for text in _ASKED.values() for at in range(40)]
    prompts.write_text("\n".join(["question,kind", *rows]) + "\n")
    done = run(*LEARN, "--write", "signals")
    assert done.exit_code == 6
    assert "by always taking the most frequent task" in done.stdout
    assert "nothing was written, since this data does not support a signal of the task" in done.stderr
    assert not Path("signals").exists()


def test_inspect_says_what_it_takes(run: Run, tmp_path: Path) -> None:
    other = tmp_path / "signals.yaml"
    other.write_text("kind: Signals\n")
    refused = run("inspect", str(other))
    assert refused.exit_code == 6
    assert "signals.yaml` is neither a bundle nor the model of a learned signal" in refused.stderr
