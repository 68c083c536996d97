"""Workloads from traffic whose answer is known, and which tasks are candidates."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st

from costlens_policy.advise.calls import RecordedSpan, Sample, shared_start, volume_of
from costlens_policy.cli.app import app

START = datetime(2026, 6, 1, tzinfo=UTC)
HOUR = 3_600_000_000
INSTRUCTIONS = "Put the ticket into one of forty queues, and answer with its name alone. " * 120
CATALOGUE = """\
apiVersion: costlens-policy/v1
kind: Catalogue
metadata: {name: made-up, version: "1"}
models:
  large:
    aliases: [big]
    quality: {triage: 0.9, drafting: 0.9, rare: 0.9}
    prices: [{usd_per_million_tokens: {input: 2, cache_read: 0.5, output: 8}}]
  middle:
    quality: {drafting: 0.95}
    prices: [{usd_per_million_tokens: {input: 0.5, cache_read: 0.1, output: 2}}]
  tiny:
    quality: {triage: 0.5, drafting: 0.5, rare: 0.5}
    prices: [{usd_per_million_tokens: {input: 0.1, cache_read: 0.02, output: 0.4}}]
  triage-model:
    fine_tuned: {base: tiny, tasks: [triage]}
    quality: {triage: 0.92}
    prices: [{usd_per_million_tokens: {input: 0.2, cache_read: 0.05, output: 0.8}}]
"""


def calls() -> Iterator[dict[str, Any]]:
    """Yield two hours: a call of triage each second, one of drafting every 10 s, few others, and one without a price.

    Of the prompts of triage, nine in ten start with the instructions.
    """
    for second in range(7200):
        at = (START + timedelta(seconds=second)).isoformat()
        text = f"{INSTRUCTIONS}Ticket {second}" if second % 20 else f"Other {second}"
        row = {"time": at, "model": "big", "task": "triage", "prompt_tokens": 2000, "output_tokens": 40}
        yield row | {"prompt": text, "cached_tokens": 1500 if second else 0}
        if second % 10 == 0:
            yield {"time": at, "model": "large", "task": "drafting", "prompt_tokens": 400, "output_tokens": 500}
        if second % 720 == 0:
            yield {"time": at, "model": "large", "task": "rare", "prompt_tokens": 400, "output_tokens": 500}
            yield {"time": at, "model": "unheard-of", "task": "odd", "prompt_tokens": 400, "output_tokens": 500}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "catalogue.yaml").write_text(CATALOGUE)
    (tmp_path / "calls.jsonl").write_text("".join(json.dumps(row) + "\n" for row in calls()))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def advise(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["advise", "--on", "2026-11-02", *arguments])


def ranked(*arguments: str) -> dict[str, Any]:
    result = advise("--traffic", "calls.jsonl", "--prices", "catalogue.yaml", "--format", "json", *arguments)
    assert result.exit_code == 0, result.output
    answer: dict[str, Any] = json.loads(result.stdout)
    return answer


def test_facts_of_the_calls(folder: Path) -> None:
    answer = ranked()
    tasks = {item["task"]: item for item in answer["tasks"]}
    inputs = tasks["triage"]["advice"]["inputs"]
    # A call each second, and 730.5 hours in a month; the record covers 7,199 s and, with 8,000 others, a bit more.
    assert abs(Decimal(inputs["queries.per_month"]["base"]) - 3600 * Decimal("730.5")) < 1000
    assert inputs["output_tokens"] == {"low": "32", "base": "40", "high": "48", "origin": "workload"}
    assert inputs["prompt.instructions"]["base"] == str(tasks["triage"]["shared_start_tokens"])
    assert 1900 < tasks["triage"]["shared_start_tokens"] <= 2000
    assert (tasks["triage"]["calls"], tasks["triage"]["current_model"]) == (7200, "large")
    read = Decimal(1500 * 7199) / (2000 * 7200)  # tokens read of the prompt's, however share and hits are told apart
    share = max(read, Decimal(tasks["triage"]["shared_start_tokens"]) / 2000)
    assert abs(share * Decimal(inputs["caching.hit_ratio"]["base"]) - read) < Decimal("0.0002")
    assert answer["left_out"] == [{"task": "odd", "calls": 10, "why": "`unheard-of` has no price in `catalogue.yaml`"}]
    assert "growth" in tasks["triage"]["unknown"]
    assert "shared prefix of the prompts" in tasks["drafting"]["unknown"]


def test_models_are_chosen_by_what_the_catalogue_knows(folder: Path) -> None:
    tasks = {item["task"]: item for item in ranked()["tasks"]}
    assert tasks["triage"]["advice"]["recommendation"]["facts"]["fine_tuned_accuracy"] == 0.92
    assert "small-model" not in tasks["triage"]["advice"]["strategies"], "`tiny` is worse, `middle` is not known"
    drafting = tasks["drafting"]["advice"]
    assert drafting["recommendation"]["facts"]["small_accuracy"] == 0.95, "`middle` is as good, and costs less"
    assert "fine_tuned_accuracy" not in drafting["recommendation"]["facts"], "nobody has measured what is not there"
    assert any("its base, `tiny`" in text for text in tasks["drafting"]["assumed"])


def test_ranking(folder: Path) -> None:
    answer = ranked()
    assert [(item["task"], item["candidate"]) for item in answer["tasks"]] == [
        ("triage", True),
        ("drafting", True),
        ("rare", False),
    ]
    savings = [Decimal(item["saving_usd"]) for item in answer["tasks"] if item["candidate"]]
    assert savings == sorted(savings, reverse=True)
    assert savings[-1] > 0
    assert [item["instead"] for item in answer["tasks"]][:2] == ["fine-tuned", "small-model"]
    text = advise("--traffic", "calls.jsonl", "--prices", "catalogue.yaml").stdout
    order = ("candidates, by savings", "better prompted", "why not", "not calculated", "not known", "assumptions")
    places = [text.index(part) for part in order]
    assert places == sorted(places)
    assert "rare: " in text[text.index("why not") :]
    assert all(line == line.rstrip() for line in text.splitlines())


def test_written_workloads_say_the_same(folder: Path) -> None:
    answer = ranked("--write", "out")
    for item in answer["tasks"]:
        path = Path("out") / f"{item['task']}.yaml"
        assert path.exists() == item["candidate"]
        if item["candidate"]:
            again = json.loads(advise(str(path), "--format", "json").stdout)
            assert again["strategies"] == item["advice"]["strategies"]
            assert again["recommendation"]["facts"] == item["advice"]["recommendation"]["facts"]
            assert again["recommendation"]["rule"] == item["advice"]["recommendation"]["rule"]
    second = advise("--traffic", "calls.jsonl", "--prices", "catalogue.yaml", "--write", "out")
    assert (second.exit_code, second.stdout) != (0, "")
    assert "already exists" in second.stderr


def test_named_models(folder: Path) -> None:
    found = ranked("--small", "tiny", "--fine-tuned", "middle")["tasks"]
    assert all({"small-model", "fine-tuned"} <= item["advice"]["strategies"].keys() for item in found)
    wrong = advise("--traffic", "calls.jsonl", "--prices", "catalogue.yaml", "--small", "tinny")
    assert wrong.exit_code == 2
    assert "no price for `tinny`; did you mean `tiny`?" in wrong.stderr


def test_a_named_model_that_cannot_hold_the_calls_is_left_out(folder: Path) -> None:
    (folder / "catalogue.yaml").write_text(CATALOGUE.replace("  middle:\n", "  middle:\n    context_window: 1000\n"))
    tasks = {item["task"]: item for item in ranked("--small", "middle")["tasks"]}
    assert "small-model" not in tasks["triage"]["advice"]["strategies"], "2,040 tokens"
    assert "`middle` is not considered, since an average call exceeds its context window" in tasks["triage"]["assumed"]
    assert "small-model" in tasks["drafting"]["advice"]["strategies"], "900 tokens"


def test_recorded_outcomes_are_the_accuracy(folder: Path) -> None:
    rows = [{"prompt_tokens": 100, "output_tokens": 5, "strong": "true", "weak": i % 4 > 0} for i in range(100)]
    (folder / "outcomes.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (folder / "map.yaml").write_text(
        "columns: {prompt_tokens: prompt_tokens, output_tokens: output_tokens}\nconstants: {model: large}\n"
        "outcomes: {large: strong, tiny: weak}\n"
    )
    arguments = ("--traffic", "outcomes.jsonl", "--mapping", "map.yaml", "--prices", "catalogue.yaml")
    (task,) = json.loads(advise(*arguments, "--small", "tiny", "--format", "json").stdout)["tasks"]
    facts = task["advice"]["recommendation"]["facts"]
    assert (facts["current_accuracy"], facts["accuracy_needed"], facts["small_accuracy"]) == (1.0, 1.0, 0.75)
    assert not task["candidate"], "the smaller model is not as good"


def test_caches_can_be_left_aside(folder: Path) -> None:
    (folder / "calls.jsonl").write_text(
        "".join(json.dumps({**row, "cached_tokens": None}) + "\n" for row in calls() if row["task"] == "triage")
    )
    (warm,) = ranked()["tasks"]
    assert Decimal(warm["advice"]["inputs"]["caching.hit_ratio"]["base"]) > Decimal("0.99"), "a call each second"
    (none,) = ranked("--cache", "off")["tasks"]
    assert "prompt-with-caching" not in none["advice"]["strategies"]
    (short,) = ranked("--cache-min-tokens", "2001")["tasks"]
    assert "prompt-with-caching" not in short["advice"]["strategies"]


def test_labels_that_mean_something_to_a_terminal_or_a_page(folder: Path) -> None:
    label = "a | b\n<img src=x>\x1b[31m" + "long " * 20
    row = {"time": "2026-06-01T00:00:00Z", "model": "large", "task": label, "prompt_tokens": 9, "output_tokens": 9}
    (folder / "odd.jsonl").write_text(json.dumps(row) + "\n")
    arguments = ("--traffic", "odd.jsonl", "--prices", "catalogue.yaml")
    page, text = advise(*arguments, "--format", "markdown").stdout, advise(*arguments).stdout
    assert "a \\| b &lt;img" in page
    assert "<img" not in page
    assert "\x1b" not in page + text
    assert "a | b <img" in text
    (task,) = json.loads(advise(*arguments, "--format", "json").stdout)["tasks"]
    assert task["task"] == label


def test_calls_out_of_all_bounds_are_not_calculated(folder: Path) -> None:
    row = {"time": "2026-06-01T00:00:00Z", "model": "large", "prompt_tokens": 10**9, "output_tokens": 9}
    (folder / "odd.jsonl").write_text(json.dumps(row) + "\n")
    result = advise("--traffic", "odd.jsonl", "--prices", "catalogue.yaml")
    assert result.exit_code == 0, result.output
    assert "prompt.tokens: input should be less than or equal to 100000000" in result.stdout


def test_without_labels_all_calls_are_one_task(folder: Path) -> None:
    answer = ranked("--by", "feature")
    (task,) = answer["tasks"]
    assert task["task"] is None
    assert task["advice"]["recommendation"]["facts"]["scope"] == "multi-domain"
    assert any("no row has a `feature`" in text for text in answer["notes"])
    mapped = advise("--traffic", "calls.jsonl", "--by", "feature", "--column", "request.feature=kind")
    assert mapped.exit_code != 0
    assert "has no column `kind` for `feature`" in mapped.stderr


def test_calls_without_times_or_models(folder: Path) -> None:
    rows = [{"prompt_tokens": 100, "output_tokens": 5, "task": "a"}] * 30
    (folder / "bare.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (folder / "map.yaml").write_text("columns: {prompt_tokens: prompt_tokens, output_tokens: output_tokens}\n")
    arguments = ("--traffic", "bare.jsonl", "--mapping", "map.yaml", "--prices", "catalogue.yaml")
    nobody = advise(*arguments)
    assert "no call records its model; set it with --set model=NAME" in nobody.stdout
    text = advise(*arguments, "--set", "model=large").stdout
    assert "volume: a" in text
    assert "the recorded calls cover one month" in text


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        ((), 2, "name either a workload or recorded calls"),
        (("x.yaml", "--traffic", "calls.jsonl"), 2, "name either a workload or recorded calls"),
        (("--traffic", "empty.jsonl"), 3, "no request in"),
        (("--traffic", "missing.jsonl"), 6, "missing.jsonl"),
        (("--traffic", "broken.jsonl"), 3, "no row could be read"),
        (("--traffic", "cut.jsonl"), 7, "1 rows were skipped"),
        (("--traffic", "renamed.jsonl"), 6, "did you mean `prompt_token`?"),
    ],
)
def test_bad_input(folder: Path, arguments: tuple[str, ...], code: int, words: str) -> None:
    row = {"time": "2026-06-01T00:00:00Z", "model": "large", "prompt_tokens": 5, "output_tokens": 5}
    (folder / "empty.jsonl").write_text("")
    (folder / "broken.jsonl").write_text("{\n")
    (folder / "cut.jsonl").write_text(json.dumps(row) + "\n" + '{"time": "2026-')
    (folder / "renamed.jsonl").write_text(json.dumps(row).replace("prompt_tokens", "prompt_token") + "\n")
    result = advise(*arguments)
    assert words in result.stderr, result.output
    assert result.exit_code == code, result.output
    assert "Traceback" not in result.output


def test_azure_trace(shared_data: Path) -> None:
    file = shared_data / "azure_llm_2023" / "AzureLLMInferenceTrace_code.csv"
    result = advise(
        "--traffic", str(file), "--mapping", "azure-llm", "--set", "model=gpt-4.1", "--fine-tuned", "gpt-4.1-mini",
        "--format", "json",
    )  # fmt: skip
    (task,) = json.loads(result.stdout)["tasks"]
    lines = [line.split(",") for line in file.read_text().splitlines()[1:]]
    times = sorted(datetime.fromisoformat(line[0][:26]) for line in lines)
    gap = (times[-1] - times[0]) / (len(times) - 1)
    months = (times[-1] - times[0] + gap) / timedelta(hours=730.5)
    inputs = task["advice"]["inputs"]
    assert abs(Decimal(inputs["queries.per_month"]["base"]) - Decimal(len(lines) / months)) <= 1
    assert inputs["output_tokens"]["base"] == str(round(sum(int(line[2]) for line in lines) / len(lines)))


def brute(prompts: list[str]) -> int:
    """Return the longest start that at least nine of ten prompts have, by trying every start of every prompt."""
    best = 0
    for prompt in prompts:
        for length in range(best + 1, len(prompt) + 1):
            if sum(other.startswith(prompt[:length]) for other in prompts) * 10 >= len(prompts) * 9:
                best = length
    return best


@given(st.lists(st.text("ab", max_size=6), min_size=10, max_size=30))
def test_shared_start(prompts: list[str]) -> None:
    assert shared_start(prompts) == brute(prompts)


def test_few_prompts_share_nothing() -> None:
    assert shared_start(["same"] * 9) == 0
    assert shared_start(["same"] * 10) == 4


def test_samples_are_small_and_even() -> None:
    sample = Sample()
    for item in range(20_000):
        sample.add(item)
    assert len(sample.kept) == len(set(sample.kept)) == 200
    in_quarters = [sum(item // 5000 == quarter for item in sample.kept) for quarter in range(4)]
    assert all(30 < count < 70 for count in in_quarters), in_quarters
    in_turns = sum(item % 20 == 0 for item in sample.kept)
    assert 2 < in_turns < 20, "every twentieth is a twentieth of the sample"


def test_volume_and_growth() -> None:
    hourly = [hour * HOUR for hour in range(24 * 56)]
    doubled = sorted([*hourly, *hourly[24 * 28 :]])
    steady = volume_of(hourly, RecordedSpan(hourly[0], hourly[-1], len(hourly)))
    assert steady is not None
    assert (steady.per_month.low, steady.per_month.base, steady.per_month.high) == (730, 730, 730)
    assert steady.growth is not None
    assert steady.growth.base == 0
    growing = volume_of(doubled, RecordedSpan(hourly[0], hourly[-1], len(hourly)))
    assert growing is not None
    assert growing.growth is not None
    # Twice as many after four weeks: 2 ** (730.5 / 672) - 1 in a month.
    assert (growing.growth.low, growing.growth.base) == (Decimal(0), Decimal(repr(round(2 ** (730.5 / 672) - 1, 3))))
    assert (growing.per_month.low, growing.per_month.high) == (730, 1461)
    assert volume_of([5, 5], RecordedSpan(5, 5, 2)) is None
