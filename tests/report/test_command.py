"""``costlens-policy report``: options, exit codes, and what people are told."""

from __future__ import annotations

import json

import pytest

from tests.report.conftest import call


@pytest.fixture
def log(write_log):
    return write_log([call(number) for number in range(20)])


def test_json_and_a_page(run, log, tmp_path):
    result = run(
        "report", "--traffic", log, "--baseline", "gpt-5-mini", "--format", "json", "--html", tmp_path / "r.html"
    )
    assert result.exit_code == 0
    data = json.loads(result.stdout)
    assert data["totals"]["cost_usd"] == "0.0405"
    assert data["baseline"] == "openai/gpt-5-mini"
    assert "r.html" in result.stderr
    assert (tmp_path / "r.html").read_text(encoding="utf-8").startswith("<!DOCTYPE html>")


def test_text(run, log):
    result = run("report", "--traffic", log, "--by", "team", "--time", "hour", "--zone", "Europe/Berlin")
    assert result.exit_code == 0
    assert "by team" in result.stdout
    assert "assumptions:" in result.stdout
    assert "2026-11-02 01:00" in result.stdout


def test_quality_of_a_catalogue_is_shown_beside_the_cost(run, write_log, tmp_path):
    head = 'apiVersion: costlens-policy/v1\nkind: Catalogue\nmetadata: {name: c, version: "1"}\n'
    quality = "{chat: {value: 0.8, low: 0.75, high: 0.85}}"
    models = f"models: {{openai/gpt-5-mini: {{quality: {quality}}}}}"
    prices = tmp_path / "measured.yaml"
    prices.write_text(f"{head}imports: [{{source: genai-prices, models: ['openai/gpt-5*']}}]\n{models}\n")
    rows = [call(at, model="gpt-5-mini", task="chat" if at < 3 else "code") for at in range(4)]
    options = ("--traffic", write_log(rows), "--prices", prices, "--by", "team")
    result = run("report", *options, "--format", "json")
    expected = json.loads(result.stdout)["expected_quality"]
    assert (expected["requests"], expected["measured"], expected["quality"]) == (4, 3, 0.8)
    assert [(part["task"], part["requests"], part["low"]) for part in expected["parts"]] == [
        ("chat", 3, 0.75), ("code", 1, None)
    ]  # fmt: skip
    text = run("report", *options).stdout
    assert "expected quality: 80.00% (75.00% to 85.00%), measured for 3 of 4" in text
    assert "not measured" in text


def test_recorded_outcomes_are_shown_with_intervals(run, write_log, tmp_path):
    (tmp_path / "mapping.yaml").write_text(
        "based_on: plain\noutcomes: {gpt-5: strong, gpt-5-mini: weak, gpt-5-mni: weak}\n"
    )
    rows = [call(at, model="gpt-5" if at < 6 else "gpt-5-mini", strong=1, weak=int(at % 2)) for at in range(10)]
    rows += [call(10, model="gpt-5-mini", strong=1)]
    arguments = ["report", "--traffic", write_log(rows), "--mapping", str(tmp_path / "mapping.yaml")]
    data = json.loads(run(*arguments, "--format", "json").stdout)
    found = data["recorded_quality"]
    assert (found["calls"], found["right"], found["quality"]) == (10, 8, 0.8)
    assert found["low"] < 0.8 < found["high"]
    assert {name: (way["calls"], way["right"]) for name, way in found["models"].items()} == {
        "openai/gpt-5": (6, 6), "openai/gpt-5-mini": (4, 2),
    }  # fmt: skip
    assert "the outcomes of 1 call are of other models than the one that was called" in data["notes"]
    assert any("no model `gpt-5-mni`" in note for note in data["notes"])
    assert "quality by recorded outcomes: 80.0% (49.0 to 94.3), for 10 of 11 calls" in run(*arguments).stdout


def test_bad_rows_decide_the_exit_code(run, write_log, tmp_path):
    log = write_log([call(1), call(2, output_tokens=-1)])
    rejects = tmp_path / "rejects.csv"
    strict = run("report", "--traffic", log, "--rejects", rejects)
    assert strict.exit_code == 7
    assert "left out: 1 rows that cannot be read" in strict.stdout
    assert "must be non-negative" in rejects.read_text(encoding="utf-8")
    assert run("report", "--traffic", log, "--max-rejects", "50%").exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        ((), 2, "either a ledger with `--ledger` or logs"),
        (("--ledger", "sqlite:///none.db"), 6, "no ledger `"),
        (("--ledger", "memory:"), 2, "belongs to its own process"),
        (("--traffic", "none.csv"), 6, "no traffic in `none.csv`"),
        (("--traffic", "LOG", "--baseline", "gpt-55"), 2, "no price for the baseline `gpt-55`"),
        (("--traffic", "LOG", "--zone", "Mars"), 2, "unknown time zone `Mars`"),
        (("--traffic", "LOG", "--by", " , "), 2, "needs a label"),
        (("--traffic", "LOG", "--key", "x"), 2, "a log has none"),
        (("--traffic", "LOG", "--column", "team"), 2, "is not FIELD=COLUMN"),
        (("--traffic", "LOG", "--max-rejects", "few"), 2, "not a number of rows"),
        (("--traffic", "LOG", "--since", "2027-01-01T00:00:00Z"), 3, "20 outside the requested time range"),
        (
            ("--traffic", "LOG", "--since", "2027-01-01T00:00:00Z", "--until", "2026-01-01T00:00:00Z"), 2,
            "must be after `--since`",
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_done_is_said(run, log, monkeypatch, tmp_path, arguments, code, says):
    monkeypatch.chdir(tmp_path)
    result = run("report", *(log if word == "LOG" else word for word in arguments))
    assert result.exit_code == code
    assert says in result.stderr
    assert "Traceback" not in result.stderr


def test_a_missing_library_is_named_with_its_extra(run, log, monkeypatch, tmp_path):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == "vl_convert" else name)
    result = run("report", "--traffic", log, "--html", tmp_path / "r.html")
    assert result.exit_code == 6
    assert "costlens-policy[report]" in result.stderr
    assert run("report", "--traffic", log).exit_code == 0


def test_standard_input(run, log):
    with open(log, encoding="utf-8") as stream:
        result = run("report", "--traffic", "-", "--format", "csv", input=stream.read())
    assert result.exit_code == 0
    assert result.stdout.splitlines()[1].startswith("total,,20,0,0,0.0405,")


def test_what_is_read_row_by_row_is_said_with_the_reason(run, write_log):
    log = write_log([call(number, p="hello") for number in range(20)])
    with open(log, encoding="utf-8") as stream:
        piped = run("report", "--traffic", "-", input=stream.read())
    assert "read row by row, not in columns: standard input can be read only once" in piped.stderr
    assert "row by row" not in run("report", "--traffic", log).stderr
    advice = run("advise", "--traffic", log, "--by", "team", "--column", "request.prompt=p")
    assert "read row by row, not in columns: the mapping `plain` reads more than columns" in advice.stderr
