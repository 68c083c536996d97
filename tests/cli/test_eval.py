"""``eval`` through the program: decisions, explanations, and requests that are none."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from costlens_policy import load

NOW = "2026-11-02T09:00:00Z"


@pytest.fixture
def decide(run, starter: Path):
    """Return a function that decides a request given as text, from standard input."""

    def ask(text: str | bytes, *options: str):
        return run("eval", starter, "--request", "-", "--now", NOW, *options, input=text)

    return ask


def test_text(decide):
    result = decide("task: classification\nprompt: Is this spam?\n")
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert lines[0] == "allow  gpt-5-nano"
    text = result.stdout
    for part in (
        "routing/routine",
        "gpt-5-mini",
        "at most $0.",
        "starter 0.1.0",
        "+ Always respond concisely. Is this spam?",
    ):
        assert part in text
    assert "\x1b[" not in text


def test_models(decide, starter: Path):
    text = "task: classification\nprompt: Is this spam?\n"
    shown = decide(text, "--models").stdout.splitlines()
    assert shown[0] == "may serve  gpt-5-nano"
    assert {line.split()[0] for line in shown} == {"may", "excluded"}
    told = json.loads(decide(text, "--models", "--format", "json").stdout)
    assert told["may_serve"][0] == "gpt-5-nano"
    assert len(told["may_serve"]) + len(told["excluded"]) == len(shown) == len(load(starter).plan.catalogue)
    assert decide(text, "--models", "--explain").exit_code == 2


def test_denied(decide):
    text = "prompt: x\nprompt_tokens: 200000\n"
    result = decide(text)
    assert result.exit_code == 0
    assert result.stdout.startswith("deny\n")
    assert "access/too-long" in result.stdout
    assert "batch pipeline" in result.stdout
    assert decide(text, "--exit-code").exit_code == 10
    assert decide("prompt: x\n", "--exit-code").exit_code == 0


def test_explain_shows_every_rule_and_the_values_of_its_parts(decide):
    text = decide("task: classification\nprompt: Is this spam?\n", "--explain").stdout
    assert "access/too-long" in text
    assert "has(request.prompt_tokens)" in text
    assert "not matched" in text
    assert "not reached" in text
    assert 'variables.task in ["classification", "extraction"]' in text
    assert '= "classification"' in text


def test_json_is_what_the_library_says(decide, starter: Path):
    from datetime import datetime

    request = {"task": "classification", "prompt": "Is this spam?"}
    result = decide(json.dumps(request), "--format", "json")
    decision = load(starter).decide(request, now=datetime.fromisoformat(NOW))
    assert json.loads(result.stdout) == json.loads(json.dumps(decision.to_dict()))


def test_request_in_a_file(run, starter: Path):
    assert run("eval", starter, "--request", starter / "request.yaml").exit_code == 0


def test_the_policy_set_file_itself(run, starter: Path):
    assert run("eval", starter / "policy-set.yaml", "--request", starter / "request.yaml").exit_code == 0


REJECTED = {
    "empty": ("", "CL007"),
    "a list": ("[1, 2]", "a request must be an object of attributes, got a list"),
    "a text": ("hello", "a request must be an object of attributes, got a string"),
    "null": ("null", "CL"),
    "a number": ("42", "a request must be an object of attributes, got a number"),
    "unknown attribute": ("prompt: x\ntsak: y\n", "unknown attribute `tsak`"),
    "wrong type": ("prompt: 7\n", "`prompt` must be a string"),
    "not declared": ("prompt: x\ntier: gold\n", "`tier` must be one of"),
    "negative": ("prompt: x\nprompt_tokens: -1\n", "`prompt_tokens` must not be negative"),
    "too large": ("prompt: x\nprompt_tokens: 99999999999999999999\n", "prompt_tokens"),
    "not finite": ('{"prompt": "x", "cost_budget": 1e999}', "cost_budget"),
    "both": ("prompt: x\nmessages: []\n", "give `prompt` or `messages`, not both"),
    "twice": ("prompt: x\nprompt: y\n", "CL008"),
    "two documents": ("prompt: x\n---\nprompt: y\n", "must hold one request, got several"),
    "deep YAML": ("metadata:" + " [" * 10_000, "CL020"),
    "deep JSON": ('{"metadata":' * 10_000 + "1" + "}" * 10_000, "CL020"),
    "JSON cut off": ('{"prompt": "x", ', "CL005"),
    "not a number": ('{"prompt": "x", "cost_budget": NaN}', "cost_budget"),
}


@pytest.mark.parametrize("name", REJECTED)
def test_what_is_no_request(decide, name):
    text, message = REJECTED[name]
    result = decide(text)
    assert result.exit_code == 2, result.output
    assert result.stdout == ""
    assert message in result.stderr
    assert "error[CL" in result.stderr
    assert "internal" not in result.stderr


def test_places_in_a_request(decide):
    result = decide("prompt: x\ntsak: y\ntier: gold\n")
    assert "--> <stdin>:2:1" in result.stderr
    assert "2 | tsak: y" in result.stderr
    assert "did you mean `task`?" in result.stderr
    assert "--> <stdin>:3:7" in result.stderr


def test_invalid_utf8(decide):
    result = decide(b"prompt: \xff\n")
    assert result.exit_code == 2
    assert "CL003" in result.stderr


def test_json_that_yaml_cannot_express(decide):
    """Surrogate pairs, raw line separators and exponents are fine in JSON, whatever YAML thinks of them."""
    request = {"prompt": "\N{GRINNING FACE} \u2028", "cost_budget": 1.5e3}
    result = decide(json.dumps(request), "--format", "json")
    assert result.exit_code == 0, result.stderr
    assert json.loads(result.stdout)["request"]["prompt"] == request["prompt"]
    assert decide(json.dumps(request, ensure_ascii=False)).exit_code == 0


def test_missing_request_file(run, starter: Path):
    result = run("eval", starter, "--request", starter / "reqest.yaml")
    assert result.exit_code == 6
    assert "there is no file" in result.stderr
    assert "did you mean" in result.stderr


def test_a_50_megabyte_request(process, starter: Path, tmp_path: Path):
    path = tmp_path / "big.json"
    with path.open("wb") as stream:
        stream.truncate(50 * 1024 * 1024)
    done = process("eval", starter, "--request", path)
    assert done.returncode == 2
    assert b"CL002" in done.stderr


def test_invalid_policies(run, starter: Path):
    (starter / "policies" / "routing.yaml").write_text("kind: Policy\n")
    result = run("eval", starter, "--request", starter / "request.yaml")
    assert result.exit_code == 1
    assert result.stdout == ""
    assert "policies/routing.yaml" in result.stderr


def test_no_policy_set(run, tmp_path: Path, starter: Path):
    result = run("eval", starter / "schemas", "--request", starter / "request.yaml")
    assert result.exit_code == 3
    assert "no policy set in" in result.stderr


def test_missing_policies(run, starter: Path):
    result = run("eval", starter / "nope", "--request", starter / "request.yaml")
    assert result.exit_code == 6


def test_lines(run, starter: Path, tmp_path: Path):
    path = tmp_path / "requests.jsonl"
    lines = [
        '{"task": "classification", "prompt": "a"}',
        "",
        '{"prompt": "b", "prompt_tokens": 200000}',
        "[1]",
        '{"promt": "c"}',
        '{"prompt": ',
        '{"prompt": "d"}',
    ]
    path.write_bytes(b"\n".join(line.encode() for line in lines) + b"\n\xff\n")
    result = run("eval", starter, "--request", path, "--now", NOW)
    assert result.exit_code == 2
    answers = [json.loads(line) for line in result.stdout.splitlines()]
    assert [answer.get("effect") for answer in answers] == ["allow", "deny", None, None, None, "allow", None]
    assert [answer["line"] for answer in answers if "line" in answer] == [4, 5, 6, 8]
    assert "did you mean `prompt`?" in answers[3]["problems"][0]
    assert result.stderr == "2 allowed, 1 denied, 4 rejected\n"


def test_lines_with_exit_code(run, starter: Path, tmp_path: Path):
    path = tmp_path / "requests.jsonl"
    path.write_text('{"prompt": "b", "prompt_tokens": 200000}\n{"prompt": "a"}\n')
    assert run("eval", starter, "--request", path).exit_code == 0
    assert run("eval", starter, "--request", path, "--exit-code").exit_code == 10


def test_no_lines(run, starter: Path, tmp_path: Path):
    path = tmp_path / "requests.jsonl"
    path.write_text("\n\n")
    result = run("eval", starter, "--request", path)
    assert result.exit_code == 3
    assert "contains no request" in result.stderr


def test_colors(process, starter: Path):
    done = process("eval", starter, "--request", starter / "request.yaml", "--explain", env={"FORCE_COLOR": "1"})
    assert b"\x1b[32m" in done.stdout


BUDGET = """
budgets:
  - id: team-monthly
    scope: 'has(request.team) ? request.team : "none"'
    hard_limit_usd: 10
    window: {calendar: month}
"""


@pytest.fixture
def budgeted(starter: Path) -> Path:
    path = starter / "policies" / "routing.yaml"
    path.write_text(path.read_text() + BUDGET)
    return starter


@pytest.mark.parametrize("budget", ["routing/team-monthly", "team-monthly"])
def test_balances(run, budgeted: Path, tmp_path: Path, budget):
    balances = tmp_path / "balances.yaml"
    balances.write_text(f"- {{budget: {budget}, key: support, used: 10.00}}\n")
    line = ["eval", budgeted, "--request", budgeted / "request.yaml", "--now", NOW]
    assert run(*line).stdout.startswith("allow")
    result = run(*line, "--balances", balances)
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith("deny")
    assert "team-monthly" in result.stdout


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("budget: x\n", "balances must be a list"),
        ("- 1\n", "each balance must be an object"),
        ("- {used: 1}\n", "a balance needs `budget`"),
        ("- {budget: team-montly, used: 1}\n", "did you mean `team-monthly`?"),
        ("- {budget: team-monthly, used: -1}\n", "`used` must be a non-negative number"),
        ("- {budget: team-monthly, used: many}\n", "`used` must be a non-negative number"),
        ("- {budget: team-monthly, held: true}\n", "`held` must be a non-negative number"),
        ("- {budget: team-monthly, key: 7}\n", "`key` must be a string"),
        ("- {budget: team-monthly, usd: 7}\n", "unknown key `usd`"),
    ],
)
def test_bad_balances(run, budgeted: Path, tmp_path: Path, text, message):
    balances = tmp_path / "balances.yaml"
    balances.write_text(text)
    result = run("eval", budgeted, "--request", budgeted / "request.yaml", "--balances", balances)
    assert result.exit_code == 2
    assert message in result.stderr
    assert "balances.yaml:1" in result.stderr


def test_a_prompt_cannot_command_the_terminal(decide):
    result = decide(json.dumps({"task": "classification", "prompt": "a\x1b[2Jb", "user": "\x1b]0;x\x07"}), "--explain")
    assert result.exit_code == 0, result.output
    assert "\x1b" not in result.stdout
    assert "\N{SYMBOL FOR ESCAPE}[2J" in result.stdout


def test_long_prompts_are_cut_in_the_text_form(decide):
    request = {
        "task": "classification",
        "prompt": "word " * 1000 + "\n" + "\n".join(f"{n}@example.com" for n in range(100)),
    }
    text = decide(json.dumps(request)).stdout
    assert "characters …]" in text
    assert "lines more; `--format json` has all of them" in text
    assert len(decide(json.dumps(request), "--format", "json").stdout) > 5000


def test_lines_into_a_pipe_that_closes(starter: Path, tmp_path: Path):
    path = tmp_path / "requests.jsonl"
    path.write_text('{"prompt": "a"}\n' * 500)
    line = f"'{sys.executable}' -m costlens_policy eval '{starter}' --request '{path}'"
    done = subprocess.run(
        ["bash", "-c", f"{line} | head -n 1; echo code ${{PIPESTATUS[0]}}"], capture_output=True, timeout=60, check=True
    )
    assert done.stdout.endswith(b"code 6\n")
    assert done.stderr == b""


def test_texts_may_stay_out_of_the_json(decide):
    request = json.dumps({"task": "classification", "prompt": "the secret word"})
    told = json.loads(decide(request, "--format", "json", "--no-texts").stdout)
    assert "secret" not in json.dumps(told)
    assert told["prompt"].endswith(" characters]")
    assert told["request"]["task"] == "classification"
    assert decide(request, "--no-texts").exit_code == 2
