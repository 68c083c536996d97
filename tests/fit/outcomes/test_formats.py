"""Files of evaluation tools. Those of promptfoo, lm-eval and Inspect were written by the tools, and made small."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from costlens_policy.catalogue import Catalogue
from costlens_policy.fit.outcomes import Outcomes, OutcomesError, OutcomeSettings, read_outcomes
from costlens_policy.fit.outcomes.formats import FORMATS
from tests.fit.outcomes.conftest import FILES, Read


def _read(name: str, catalogue: Catalogue | None = None, **settings: Any) -> Outcomes:
    return read_outcomes([str(FILES / name)], OutcomeSettings(**settings), catalogue)


def _scores(found: Outcomes) -> dict[str | None, dict[str, float | None]]:
    return {
        case.prompt: {model: found.scores[model][at] for model in found.models} for at, case in enumerate(found.cases)
    }


def _changed(tmp_path: Path, name: str, change: Callable[[Any], None]) -> str:
    document = json.loads((FILES / name).read_text())
    change(document)
    path = tmp_path / name
    path.write_text(json.dumps(document))
    return str(path)


def test_every_format_has_a_file_here() -> None:
    known = {source.format for path in FILES.iterdir() for source in read_outcomes([str(path)]).sources}
    assert known == {item.name for item in FORMATS} - {"table"}


@pytest.mark.parametrize("name", ["promptfoo.json", "promptfoo.jsonl"])
def test_promptfoo(name: str, catalogue: Catalogue) -> None:
    found = _read(name, catalogue, columns={"task": "testCase.metadata.topic"})
    assert _scores(found) == {
        "Answer capital of France in one word": {"gpt-5-mini": 1.0},
        "Answer capital of Peru in one word": {"gpt-5-mini": 0.0},
    }
    assert [case.task for case in found.cases] == ["geo", None]
    assert found.costs == {"gpt-5-mini": (Decimal("0.00021"),) * 2}
    assert found.output_tokens == {"gpt-5-mini": (25, 25)}
    assert found.cases[0].input_tokens == 14
    assert [str(note).split(" (first")[0] for note in found.notes.dropped] == [
        "calls that failed, without an answer to score: 4"  # and their score of 0 is no evidence
    ]
    assert "runs that repeat a case, whose mean counts: 2" in map(str, found.notes.remarks)
    assert found.measured == (date(2026, 11, 30) if name.endswith("json") else None)


def test_promptfoo_by_another_score(tmp_path: Path) -> None:
    assert _read("promptfoo.json", columns={"score": "success"}).scores == {"openai/gpt-5-mini": (1.0, 0.0)}

    named = _read("promptfoo.json", models={"openai:chat:gpt-5-mini": "mine"})
    assert named.models == ("mine",)

    def cache(document: Any) -> None:
        for result in document["results"]["results"]:
            result.get("response", {})["cached"] = True

    found = read_outcomes([_changed(tmp_path, "promptfoo.json", cache)])
    assert not found.costs
    assert not found.latency_ms
    assert any(note.what.startswith("answers from a cache") for note in found.notes.remarks)


def test_promptfoo_with_two_prompts_is_noted(tmp_path: Path) -> None:
    def ask_twice(document: Any) -> None:
        results = document["results"]["results"]
        results += [
            {**item, "prompt": {"raw": "Think. " + item["prompt"]["raw"], "label": "think"}} for item in results
        ]

    found = read_outcomes([_changed(tmp_path, "promptfoo.json", ask_twice)])
    assert any(str(note).startswith("prompt templates whose results count alike") for note in found.notes.remarks)
    one = read_outcomes(
        [_changed(tmp_path, "promptfoo.json", ask_twice)], OutcomeSettings(only={"prompt.label": "think"})
    )
    assert 2 * len(one.cases) == len(found.cases)


def test_promptfoo_as_csv() -> None:
    found = _read("promptfoo.csv")
    assert found.models == ("echo",)
    assert sorted(found.scores["echo"]) == [0.0, 0.0, 0.5, 1.0]
    assert found.notes.dropped[0].count == 8


def test_lm_eval() -> None:
    found = _read("lm-eval", few=0)
    model = "meta-llama/Llama-3.1-8B-Instruct"
    assert found.models == (model,)
    assert [(case.task, case.prompt) for case in found.cases[:1]] == [
        ("local_gen", "Question: Capital of France?\nAnswer:")
    ]
    assert found.scores[model] == (0.0, 0.0, 1.0, 1.0)
    assert [note.what.split(",")[0] for note in found.notes.dropped] == ["rows of another filter than `strict-match`"]
    assert found.notes.remarks[0].what == (
        "rows with several metrics, of which the first, `acc`, was read, and not `score=acc_norm`"
    )
    assert found.measured == date(2026, 11, 30)
    chosen = _read("lm-eval", only={"filter": "flexible-extract"})
    assert chosen.tasks == ("local_gen",)


def test_lm_eval_without_the_results_of_the_run(tmp_path: Path) -> None:
    folder = next((FILES / "lm-eval").iterdir())
    samples = next(folder.glob("samples_local_qa*"))
    named = tmp_path / folder.name
    named.mkdir()
    (named / samples.name).write_text(samples.read_text())
    found = read_outcomes([str(named)])
    assert found.models == ("meta-llama/Llama-3.1-8B-Instruct",)
    assert any(note.what.startswith("models named by their folder") for note in found.notes.remarks)
    (tmp_path / samples.name).write_text(samples.read_text())
    with pytest.raises(OutcomesError, match="does not name its model; keep `results_"):
        read_outcomes([str(tmp_path / samples.name)])
    found = read_outcomes([str(tmp_path / samples.name)], OutcomeSettings(constants={"model": "mine"}))
    assert found.models == ("mine",)


def test_lm_eval_prompts_may_be_written_for_each_model(tmp_path: Path) -> None:
    folder = next((FILES / "lm-eval").iterdir())
    for model, before in (("a__b", ""), ("c__d", "<|user|>")):
        (tmp_path / model).mkdir()
        text = next(folder.glob("samples_local_qa*")).read_text().replace('"arg_0": "', f'"arg_0": "{before}')
        (tmp_path / model / "samples_local_qa_2026-11-30T17-29-31.410913.jsonl").write_text(text)
    assert read_outcomes([str(tmp_path)]).scores == {"a/b": (1.0, 1.0), "c/d": (1.0, 1.0)}


@pytest.mark.parametrize("name", ["inspect.json", "inspect.eval"])
def test_inspect(name: str) -> None:
    found = _read(name)
    assert _scores(found) == {
        "Capital of France?": {"mockllm/model": 1.0}, "Capital of Peru?": {"mockllm/model": 0.0}
    }  # fmt: skip
    assert found.tasks == ("capitals",)
    assert (found.cases[0].input_tokens, found.output_tokens["mockllm/model"]) == (12, (5, 5))
    assert found.measured == date(2026, 11, 30)
    what = "samples with several scores, of which that of the headline, `match`, was read"
    assert what in [note.what for note in found.notes.remarks]
    other = _read(name, columns={"score": "scores.includes.value", "task": "metadata.topic"})
    assert other.scores == {"mockllm/model": (1.0, 1.0)}
    assert other.tasks == (None, "geo")


def test_inspect_without_a_headline_asks_which_score(tmp_path: Path) -> None:
    path = _changed(tmp_path, "inspect.json", lambda log: log["results"].pop("headline"))
    with pytest.raises(OutcomesError, match=r"several scores .* `score=scores.match` or `score=scores.includes`"):
        read_outcomes([path])


def test_inspect_logs_that_are_no_evidence(tmp_path: Path) -> None:
    path = _changed(tmp_path, "inspect.json", lambda log: log.update(invalidated=True))
    with pytest.raises(OutcomesError, match="marked as invalidated"):
        read_outcomes([path])

    def fail(log: Any) -> None:
        log["status"] = "error"
        log["samples"][0].pop("scores")

    found = read_outcomes([_changed(tmp_path, "inspect.json", fail)])
    assert found.notes.dropped[0].count == 1
    assert found.notes.remarks[0].what == "logs of a run that did not succeed, whose samples count"


def test_an_archive_that_is_no_log(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.eval", "w") as archive:
        archive.writestr("notes.txt", "hello")
    with pytest.raises(OutcomesError, match="is a ZIP archive and no log of Inspect"):
        read_outcomes([str(tmp_path / "a.eval")])


def test_openai_evals(catalogue: Catalogue) -> None:
    found = _read("openai-evals.jsonl", catalogue)
    assert _scores(found) == {"Capital of France?": {"gpt-5-mini": 1.0}, "Capital of Peru?": {"gpt-5-mini": 0.0}}
    assert found.tasks == ("capitals",)
    assert found.notes.dropped[0].what == "calls that failed, without an answer to score"
    assert found.measured == date(2026, 11, 30)


def test_openai_items(catalogue: Catalogue) -> None:
    found = _read("openai-items.json", catalogue)
    assert _scores(found) == {"Capital of France?": {"gpt-5-mini": 1.0}}
    assert found.tasks == ("geography",)
    assert found.output_tokens == {"gpt-5-mini": (12,)}
    assert found.notes.dropped[0].count == 1


def test_deepeval(tmp_path: Path) -> None:
    found = _read("deepeval.json")
    assert _scores(found) == {"Capital of France?": {"gpt-5-mini": 0.9}, "Capital of Peru?": {"gpt-5-mini": 0.2}}
    assert found.costs == {"gpt-5-mini": (Decimal("0.00012"), None)}
    assert found.latency_ms == {"gpt-5-mini": (800.0, None)}
    path = _changed(tmp_path, "deepeval.json", lambda run: run.pop("hyperparameters"))
    with pytest.raises(OutcomesError, match="rows that name no model: 2"):
        read_outcomes([path])
    found = read_outcomes([path], OutcomeSettings(constants={"model": "mine"}))
    assert found.models == ("mine",)


def test_braintrust() -> None:
    found = _read("braintrust.jsonl")
    assert _scores(found) == {"Capital of France?": {"gpt-5-mini": 1.0}, "Capital of Peru?": {"gpt-5-mini": 0.4}}
    assert found.costs == {"gpt-5-mini": (Decimal("0.00002"), None)}
    assert found.measured == date(2026, 11, 29)


def test_preferences() -> None:
    found = _read("preferences.jsonl")
    assert found.paired
    assert found.scores == {
        "large": (1.0, 0.5, None, None), "middle": (None, None, 1.0, 0.0), "small": (0.0, 0.5, 0.0, 1.0)
    }  # fmt: skip
    assert found.cases[0].prompt == "Write a poem"
    assert found.cases[0].group == found.cases[1].group
    assert [(note.what, note.count) for note in found.notes.dropped] == [
        ("comparisons of a model with itself", 1), ("comparisons without a winner", 1)
    ]  # fmt: skip


def test_preferences_by_flags(read: Read) -> None:
    text = 'id,model_a,model_b,prompt,winner_model_a,winner_model_b,winner_tie\n1,x,y,"[""Hi"",""there""]",0,1,0\n'
    found = read(("a.csv", text))
    assert found.scores == {"x": (0.0,), "y": (1.0,)}
    assert found.cases[0].prompt == "Hi\nthere"


def test_preferences_as_parquet_and_with_semicolons(tmp_path: Path) -> None:
    rows = [json.loads(line) for line in (FILES / "preferences.jsonl").read_text().splitlines()]
    frame = pl.DataFrame(rows).select("question_id", "model_a", "model_b", "winner", "judge", "turn")
    frame.write_parquet(tmp_path / "a.parquet")
    frame.write_csv(tmp_path / "a.csv", separator=";")
    expected = _read("preferences.jsonl").scores
    assert read_outcomes([str(tmp_path / "a.parquet")]).scores == expected
    assert read_outcomes([str(tmp_path / "a.csv")]).scores == expected


def test_preferences_are_not_mixed_with_scores() -> None:
    with pytest.raises(OutcomesError, match="win shares and scores are not comparable"):
        read_outcomes([str(FILES / "preferences.jsonl"), str(FILES / "braintrust.jsonl")])


def test_several_scores_without_a_choice(read: Read) -> None:
    row = {"is_root": True, "input": "Hi", "scores": {"a": 1, "b": 0}, "metadata": {"model": "m"}}
    with pytest.raises(OutcomesError, match=r"choose one with `score=scores.a` or `score=scores.b`"):
        read(("a.jsonl", json.dumps(row)))
    assert read(("a.jsonl", json.dumps(row)), columns={"score": "scores.b"}).scores == {"m": (0.0,)}


@pytest.mark.parametrize("name", ["promptfoo.json", "inspect.json", "deepeval.json"])
def test_documents_that_are_cut(tmp_path: Path, name: str) -> None:
    text = (FILES / name).read_text()
    (tmp_path / name).write_text(text[: len(text) // 2])
    with pytest.raises(OutcomesError, match="not readable as JSON"):
        read_outcomes([str(tmp_path / name)])


@pytest.mark.parametrize("name", ["promptfoo.jsonl", "openai-evals.jsonl", "braintrust.jsonl", "preferences.jsonl"])
def test_lines_that_are_cut(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text((FILES / name).read_text()[:-30])
    found = read_outcomes([str(tmp_path / name)])
    assert any("rows that cannot be read (not readable as JSON" in note.what for note in found.notes.dropped)
