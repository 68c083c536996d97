"""``fit`` from files to documents, and what it refuses."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

from tests.fit.drawn import CHANCES, outcomes

Run = Callable[..., Result]


@pytest.fixture
def answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a table with a column for each model, in the current directory beside a catalogue."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "models.yaml").write_text(
        'apiVersion: costlens-policy/v1\nkind: Catalogue\nmetadata: {name: models, version: "1"}\nmodels:\n'
        + "".join(
            f"  {name}:\n    prices:\n      - usd_per_million_tokens: {{input: {price}, output: {price}}}\n"
            for name, price in (("large", 10), ("small", 1), ("tiny", 0.1))
        )
    )
    _write(tmp_path / "answers.csv", seed=0)
    return tmp_path / "answers.csv"


def _write(path: Path, seed: int, cases: int = 200) -> None:
    drawn = outcomes(CHANCES, cases, seed)
    with path.open("w", newline="") as stream:
        rows = csv.writer(stream)
        rows.writerow(["id", "task", "prompt", *drawn.models])
        for at, case in enumerate(drawn.cases):
            rows.writerow([case.id, case.task, case.prompt, *(drawn.scores[name][at] for name in drawn.models)])


WIDE = [f"--column=score.{name}={name}" for name in ("large", "small", "tiny")]


def test_a_table_becomes_a_policy_that_is_checked_and_tested(run: Run, answers: Path) -> None:
    done = run("fit", "answers.csv", *WIDE, "--prices", "models.yaml", "--max-loss", "0.02", "--write", "fitted")
    assert done.exit_code == 0, done.output
    assert "saves" in done.stdout
    assert "score by cost" in done.stdout
    assert "600 rows gave 1,800 scores of 600 cases" in done.stdout
    assert run("check", "--strict", "fitted").exit_code == 0
    assert run("test", "fitted").exit_code == 0
    assert run("fmt", "--check", "fitted").exit_code == 0
    decided = run("eval", "fitted", "--request", "-", "--format", "json", input='{"task": "code"}')
    assert json.loads(decided.stdout)["model"] == "large"


def test_equal_input_gives_equal_files_and_a_seed_other_ones(run: Run, answers: Path) -> None:
    for folder, seed in (("first", 0), ("second", 0), ("third", 1)):
        arguments = ("--prices", "models.yaml", "--on", "2026-11-30", "--seed", str(seed), "--write", folder)
        assert run("fit", "answers.csv", *WIDE, *arguments).exit_code == 0
    for path in sorted(Path("first").iterdir()):
        assert path.read_bytes() == (Path("second") / path.name).read_bytes()
    assert Path("first/quality.yaml").read_bytes() != Path("third/quality.yaml").read_bytes()


def test_the_cases_to_report_on_may_be_a_file(run: Run, answers: Path) -> None:
    _write(answers.parent / "other.csv", seed=1, cases=50)
    lines = answers.read_text().splitlines()
    with (answers.parent / "other.csv").open("a") as stream:
        stream.write("\n".join(f"again-{line}" for line in lines[1:4]) + "\n")
    done = run("fit", "answers.csv", *WIDE, "--prices", "models.yaml", "--holdout", "other.csv", "--format", "json")
    assert done.exit_code == 0, done.output
    data = json.loads(done.stdout)
    assert data["cases"] == {"fitted_to": 600, "kept_aside": 150}
    assert any(it.startswith("kept aside: dropped: cases of the fitting data, too: 3") for it in data["notes"])


def test_a_holdout_without_prompts_is_known_by_its_ids(run: Run, answers: Path) -> None:
    _without_prompts(answers, "same.csv", lambda id: id)
    _without_prompts(answers, "other.csv", lambda id: f"new-{id}")
    arguments = ("fit", "answers.csv", *WIDE, "--prices", "models.yaml", "--format", "json", "--holdout")
    refused = run(*arguments, "same.csv")
    assert refused.exit_code == 6, refused.output
    assert "every case is a case of the fitting data, too" in refused.stderr
    notes = json.loads(run(*arguments, "other.csv").stdout)["notes"]
    assert any("kept aside: cases kept apart from those of the fitting data by their ids alone" in it for it in notes)
    assert any("kept aside: cases with neither prompt nor input tokens, whose" in it for it in notes)


def _without_prompts(answers: Path, name: str, renamed: Callable[[str], str]) -> None:
    with answers.open(newline="") as source, (answers.parent / name).open("w", newline="") as target:
        rows = csv.DictReader(source)
        written = csv.DictWriter(target, [column for column in rows.fieldnames or () if column != "prompt"])
        written.writeheader()
        for row in rows:
            written.writerow({**{key: row[key] for key in written.fieldnames}, "id": renamed(row["id"])})


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["--max-spend", "5"], 2, "`--max-spend` and `--calls` go together"),
        (["--holdout", "1.5"], 2, "a share must be more than 0 and less than 1, got `1.5`"),
        (["--holdout", "none.csv"], 6, "none.csv"),
        (["--models", "larg", "--models", "small"], 6, "no outcomes of `larg`"),
        (["--models", "large"], 6, "a choice needs outcomes of at least two models, got `large`"),
        (["--scale", "5..1"], 6, "a scale must be its worst and its best score"),
        (["--set", "tsk=chat"], 6, "unknown field `tsk`"),
    ],
)  # fmt: skip
def test_what_is_asked_wrongly_is_named(run: Run, answers: Path, arguments: list[str], code: int, says: str) -> None:
    done = run("fit", "answers.csv", *WIDE, "--prices", "models.yaml", *arguments)
    assert done.exit_code == code, done.output
    assert says in done.stderr


def test_a_model_without_a_price_is_named(run: Run, answers: Path) -> None:
    done = run("fit", "answers.csv", *WIDE)
    assert done.exit_code == 6
    assert "no price for `large`" in done.stderr
    assert "--prices" in done.stderr


def test_what_a_person_wrote_is_not_replaced(run: Run, answers: Path) -> None:
    (answers.parent / "fitted").mkdir()
    (answers.parent / "fitted" / "routing.yaml").write_text("# mine\n")
    done = run("fit", "answers.csv", *WIDE, "--prices", "models.yaml", "--write", "fitted")
    assert done.exit_code == 6
    assert "was not written by `fit` and is not replaced" in done.stderr
    assert (answers.parent / "fitted" / "routing.yaml").read_text() == "# mine\n"
    assert not (answers.parent / "fitted" / "quality.yaml").exists()


def test_what_a_person_edited_is_replaced_only_by_force(run: Run, answers: Path) -> None:
    arguments = ("fit", "answers.csv", *WIDE, "--prices", "models.yaml", "--on", "2026-11-30", "--write", "fitted")
    assert run(*arguments).exit_code == 0
    assert run(*arguments).exit_code == 0
    policy = answers.parent / "fitted" / "routing.yaml"
    written = policy.read_text()
    policy.write_text(written.replace("model: large", "model: small"))
    refused = run(*arguments)
    assert refused.exit_code == 6
    assert "routing.yaml` was edited after `fit` wrote it and is not replaced" in refused.stderr
    assert run(*arguments, "--force").exit_code == 0
    assert policy.read_text() == written
    assert run("fmt", "fitted").exit_code == 0
    assert run(*arguments).exit_code == 0


def test_catalogues_of_the_repository_are_named_and_not_copied(run: Run, answers: Path) -> None:
    (answers.parent / ".git").mkdir(exist_ok=True)
    done = run("fit", "answers.csv", *WIDE, "--prices", "models.yaml", "--write", "policies/fitted")
    assert done.exit_code == 0, done.output
    assert '["../../models.yaml", quality.yaml]' in Path("policies/fitted/policy-set.yaml").read_text()
    assert run("test", "policies/fitted").exit_code == 0


def test_a_fit_is_checked_against_newer_outcomes(run: Run, answers: Path) -> None:
    assert run("fit", "answers.csv", *WIDE, "--prices", "models.yaml", "--write", "fitted").exit_code == 0
    own = run("fit", "answers.csv", *WIDE, "--check", "fitted")
    assert "these are the outcomes that the policies were fitted to" in own.stdout
    _write(answers.parent / "newer.csv", seed=1)
    holds = run("fit", "newer.csv", *WIDE, "--check", "fitted")
    assert holds.exit_code == 0, holds.output
    assert "`fitted` still holds on 600 new cases" in holds.stdout
    text = (answers.parent / "newer.csv").read_text()
    (answers.parent / "worse.csv").write_text(text.replace("1.0,1.0,", "1.0,0.0,"))
    fails = run("fit", "worse.csv", *WIDE, "--check", "fitted", "--format", "json")
    assert fails.exit_code == 7
    data = json.loads(fails.stdout)
    assert not data["holds"]
    assert any("`small`, which serves `chat`, fell" in text for text in data["failures"])


def test_a_log_with_ratings_is_checked_for_quality(run: Run, answers: Path) -> None:
    assert run("fit", "answers.csv", *WIDE, "--prices", "models.yaml", "--write", "fitted").exit_code == 0
    with answers.open(newline="") as stream:
        rows = [(row["id"], row["task"], row["small"]) for row in csv.DictReader(stream) if row["task"] == "chat"]
    log = ["id,task,model,score", *(f"{id},{task},small,{score}" for id, task, score in rows)]
    Path("log.csv").write_text("\n".join(log))
    done = run("fit", "log.csv", "--check", "fitted")
    assert done.exit_code == 0, done.output
    assert done.stdout.startswith(
        "the quality behind `fitted` still holds on 200 new cases; what it saves is not compared"
    )


@pytest.mark.parametrize(
    "option", [("--seed", "1"), ("--holdout", "0.3"), ("--strong-share", "0.2"), ("--signal", "task"), ("--force",)]
)
def test_a_check_takes_no_option_of_a_choice(run: Run, answers: Path, option: tuple[str, ...]) -> None:
    refused = run("fit", "answers.csv", *WIDE, "--check", "models.yaml", *option)
    assert refused.exit_code == 2
    assert f"`{option[0]}`" in refused.stderr


def _days(folder: str) -> set[str]:
    return set(re.findall(r"measured: ([0-9-]+)", Path(folder, "quality.yaml").read_text()))


def test_scores_are_dated_by_their_time_and_never_by_a_day_to_come(run: Run, answers: Path) -> None:
    arguments = ("fit", "answers.csv", *WIDE, "--prices", "models.yaml", "--write", "fitted")
    assert run(*arguments, "--on", "2020-01-01", "--set", "time=2026-01-02").exit_code == 0
    assert _days("fitted") == {"2026-01-02"}
    assert run(*arguments, "--on", "2099-01-01").exit_code == 0
    (day,) = _days("fitted")
    assert day < "2099"
    assert run("check", "--strict", "fitted").exit_code == 0
    refused = run(*arguments, "--set", "time=2099-01-01")
    assert refused.exit_code == 6
    assert "scores must not be of the future, got the day `2099-01-01`" in refused.stderr


def test_a_mapping_of_replay_names_the_columns_of_models(run: Run, answers: Path) -> None:
    (answers.parent / "mapping.yaml").write_text("outcomes: {large: large, small: small, tiny: tiny}\n")
    done = run("fit", "answers.csv", "--mapping", "mapping.yaml", "--prices", "models.yaml")
    assert done.exit_code == 0, done.output
    assert "600 rows gave 1,800 scores of 600 cases" in done.stdout
    failed = run("fit", "answers.csv", "--mapping", "routellm-mmul", "--prices", "models.yaml")
    assert "did you mean `routellm-mmlu`?" in failed.stderr


def _with_words(path: Path) -> None:
    """Give each prompt words that tell its task."""
    words = {"code": "write a python function", "extraction": "list each name in", "chat": "hello friend how was"}
    with path.open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    with path.open("w", newline="") as stream:
        table = csv.DictWriter(stream, list(rows[0]))
        table.writeheader()
        table.writerows({**row, "prompt": f"{words.get(row['task'], row['task'])} {row['id']}"} for row in rows)


def test_a_signal_tells_the_task_of_requests_that_name_none(run: Run, answers: Path) -> None:
    _with_words(answers)
    arguments = ("--prices", "models.yaml", "--max-loss", "0.02", "--signal", "task", "--write", "fitted")
    done = run("fit", "answers.csv", *WIDE, *arguments)
    assert done.exit_code == 0, done.output
    assert "with tasks recognized by the signal it saves" in done.stdout
    assert "the policy, each task recognized by the signal" in done.stdout
    assert run("check", "--strict", "fitted").exit_code == 0
    assert run("test", "fitted").exit_code == 0
    assert run("fmt", "--check", "fitted").exit_code == 0
    for request in (
        '{"prompt": "write a python function please"}',
        '{"task": "", "prompt": "write a python function please"}',
        '{"task": "code", "prompt": "hello friend"}',
    ):
        decided = run("eval", "fitted", "--request", "-", "--format", "json", input=request)
        assert json.loads(decided.stdout)["model"] == "large"
    call = {"time": "2026-06-01", "model": "large", "output_tokens": 9, "request": {"prompt": "list each name in it"}}
    Path("calls.jsonl").write_text(json.dumps(call) + "\n")
    expected = run("replay", "fitted", "--traffic", "calls.jsonl", "--format", "json").stdout
    (part,) = json.loads(expected)["expected_quality"]["parts"]  # of the task that the signal tells
    assert part["task"] == "extraction"
    assert part["quality"] > 0
    assert part["recognized"]
    changed = run("diff", "fitted", "fitted", "--traffic", "calls.jsonl", "--format", "json").stdout
    assert any("is recognized by `signals.task`, which is wrong on" in text for text in json.loads(changed)["notes"])
    again = run("fit", "answers.csv", *WIDE, *arguments, "--format", "json")
    assert again.exit_code == 0, again.output  # what a fit wrote is replaced
    assert json.loads(again.stdout)["signal"]["held_out"]["accuracy"] > 0.9
    assert run("fit", "answers.csv", *WIDE, "--prices", "models.yaml", "--check", "fitted").exit_code == 0


def _without_models_that_do_as_well(path: Path) -> None:
    with path.open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    with path.open("w", newline="") as stream:
        table = csv.DictWriter(stream, list(rows[0]))
        table.writeheader()
        table.writerows({**row, "large": at % 20 != 0, "small": at % 3 == 0, "tiny": 0} for at, row in enumerate(rows))


def test_a_difficulty_that_saves_nothing_leaves_the_tasks_that_are_named(run: Run, answers: Path) -> None:
    """Prompts that all read alike tell no difficulty, but their tasks do."""
    with answers.open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    with answers.open("w", newline="") as stream:
        table = csv.DictWriter(stream, list(rows[0]))
        table.writeheader()
        table.writerows({**row, "prompt": f"prompt {at * 7919 % 1009}"} for at, row in enumerate(rows))
    arguments = ("fit", "answers.csv", *WIDE, "--prices", "models.yaml", "--max-loss", "0.02")
    by_task = json.loads(run(*arguments, "--format", "json").stdout)
    done = run(*arguments, "--signal", "difficulty", "--write", "fitted", "--format", "json")
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert found["finding"] == by_task["finding"]
    assert found["finding"].startswith("saves ")
    (note,) = (note for note in found["notes"] if "without the signal of difficulty" in note)
    assert "a signal of difficulty from this data does not support a saving" in note
    _is_a_policy_without_a_signal(run)


@pytest.mark.parametrize("signal", ["task", "difficulty"])
def test_a_signal_that_decides_nothing_is_not_written(run: Run, answers: Path, signal: str) -> None:
    _with_words(answers)
    arguments = ("--prices", "models.yaml", "--signal", signal, "--write", "fitted")
    before = run("fit", "answers.csv", *WIDE, *arguments, "--max-loss", "0.05")
    assert "of an earlier fit" not in before.stderr
    _without_models_that_do_as_well(answers)
    done = run("fit", "answers.csv", *WIDE, *arguments)
    for name in ("signals.yaml", f"{signal}.json"):
        assert f"`fitted/{name}` is of an earlier fit, and no part of the policy set any more" in done.stderr
        Path("fitted", name).unlink()
    assert done.exit_code == 0, done.output
    assert "does not support a saving" in done.stdout
    assert "the policy is without the signal: one model serves every task" in done.stdout
    _is_a_policy_without_a_signal(run)


def test_a_signal_that_saves_nothing_is_not_written(run: Run, answers: Path) -> None:
    """The tasks are worth telling apart, but the prompts do not tell them."""
    with answers.open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    with answers.open("w", newline="") as stream:
        table = csv.DictWriter(stream, list(rows[0]))
        table.writeheader()
        table.writerows({**row, "prompt": f"please help {at * 119 % 600}"} for at, row in enumerate(rows))
    arguments = ("--prices", "models.yaml", "--max-loss", "0.02", "--signal", "task", "--write", "fitted")
    done = run("fit", "answers.csv", *WIDE, *arguments)
    assert done.exit_code == 0, done.output
    assert done.stdout.startswith("saves")
    assert "the policy is without the signal: " in done.stdout
    assert done.stdout.count("this data does not support a signal of the task") == 1
    _is_a_policy_without_a_signal(run)


def _is_a_policy_without_a_signal(run: Run) -> None:
    assert not {"signals.yaml", "task.json", "difficulty.json"} & {path.name for path in Path("fitted").iterdir()}
    assert "signals" not in Path("fitted/policy-set.yaml").read_text() + Path("fitted/routing.yaml").read_text()
    assert run("check", "--strict", "fitted").exit_code == 0
    assert run("test", "fitted").exit_code == 0


def test_a_signal_needs_prompts(run: Run, answers: Path) -> None:
    lines = [line.split(",") for line in answers.read_text().splitlines()]
    answers.write_text("\n".join(",".join([*line[:2], *line[3:]]) for line in lines))
    done = run("fit", "answers.csv", *WIDE, "--prices", "models.yaml", "--signal", "task")
    assert done.exit_code == 6
    assert "two tasks with 10 distinct prompts each are needed, got none" in done.stderr


def test_the_page_has_the_curve_and_loads_nothing(run: Run, answers: Path) -> None:
    done = run("fit", "answers.csv", *WIDE, "--prices", "models.yaml", "--html", "fit.html")
    assert done.exit_code == 0, done.output
    page = Path("fit.html").read_text(encoding="utf-8")
    assert "<h1>What recorded outcomes support</h1>" in page
    assert "<svg" in page
    assert "a coin with the same shares: score 0." in page
    assert "http" not in page.replace("http-equiv", "").replace("http://www.w3.org", "")
    refused = run("fit", "answers.csv", *WIDE, "--check", "models.yaml", "--html", "fit.html")
    assert refused.exit_code == 2
    assert "`--check` writes nothing" in refused.stderr


def test_a_signal_of_difficulty_takes_the_place_of_tasks(run: Run, answers: Path) -> None:
    _with_words(answers)
    arguments = ("--prices", "models.yaml", "--models", "large", "--models", "small", "--max-loss", "0.05")
    done = run("fit", "answers.csv", *WIDE, *arguments, "--signal", "difficulty", "--write", "fitted")
    assert done.exit_code == 0, done.output
    assert "the signal of difficulty explains" in done.stdout
    assert "saves" in done.stdout
    assert run("check", "--strict", "fitted").exit_code == 0
    assert run("test", "fitted").exit_code == 0
    assert run("fmt", "--check", "fitted").exit_code == 0
    for prompt, model in (("write a python function please", "large"), ("hello friend how was it", "small")):
        decided = run("eval", "fitted", "--request", "-", "--format", "json", input=json.dumps({"prompt": prompt}))
        assert json.loads(decided.stdout)["model"] == model
    assert run("fit", "answers.csv", *WIDE, *arguments, "--check", "fitted").exit_code == 0


def test_where_the_cheapest_is_the_best_no_difficulty_decides(run: Run, answers: Path) -> None:
    answers.write_text(answers.read_text().replace("tiny", "t").replace("large", "tiny").replace("t\n", "large\n"))
    columns = [f"--column=score.{name}={name}" for name in ("tiny", "small")]
    done = run("fit", "answers.csv", *columns, "--prices", "models.yaml", "--signal", "difficulty")
    assert done.exit_code == 6
    assert "`tiny` is the best and the cheapest" in done.stderr


@pytest.mark.parametrize("number", [("--max-loss", "nan"), ("--strong-share", "nan"), ("--max-spend", "inf")])
def test_numbers_are_finite(run: Run, answers: Path, number: tuple[str, str]) -> None:
    done = run("fit", "answers.csv", *WIDE, "--prices", "models.yaml", *number)
    assert done.exit_code == 2
    assert f"invalid value for `{number[0]}`: `{number[1]}` is not a finite number" in done.stderr
