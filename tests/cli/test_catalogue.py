"""The ``catalogue`` commands through the program."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

LITELLM = {
    "sample_spec": {"input_cost_per_token": 0},
    "small": {
        "litellm_provider": "acme", "mode": "chat", "input_cost_per_token": 1e-07, "output_cost_per_token": 4e-07,
        "max_input_tokens": 1000, "max_output_tokens": 100,
    },
    "image": {"litellm_provider": "acme", "mode": "image_generation", "output_cost_per_image": 0.02},
}  # fmt: skip


def test_list(run, starter: Path):
    result = run("catalogue", "list", starter)
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert lines[0].split()[:2] == ["model", "provider"]
    assert any(line.split()[:5] == ["gpt-5-nano", "openai", "400,000", "0.05", "0.4"] for line in lines)
    assert any(line.startswith("house-summarizer") for line in lines)
    assert all(line == line.rstrip() for line in lines)


@pytest.mark.parametrize("path", [".", "policy-set.yaml", "catalogue.yaml"])
def test_list_in_json(run, starter: Path, path):
    result = run("catalogue", "list", starter / path, "--format", "json")
    assert result.exit_code == 0, result.output
    models = {item["name"]: item for item in json.loads(result.stdout)}
    assert models["gpt-5-nano"]["input_usd_per_million_tokens"] == "0.05"
    assert models["house-summarizer"]["external"] is False


def test_prices_of_a_day(run, tmp_path: Path):
    path = tmp_path / "catalogue.yaml"
    path.write_text(
        "apiVersion: costlens-policy/v1\nkind: Catalogue\nmetadata: {name: a, version: '1'}\nmodels:\n"
        "  m:\n    deprecated: 2026-06-01\n    prices:\n"
        "      - {usd_per_million_tokens: {input: 1, output: 2}}\n"
        "      - {effective: 2026-03-01, usd_per_million_tokens: {input: 3, output: 4}}\n"
    )

    def listed(day: str) -> tuple[str, str]:
        result = run("catalogue", "list", path, "--on", day, "--format", "json")
        assert result.exit_code == 0, result.output
        (model,) = json.loads(result.stdout)
        return model["input_usd_per_million_tokens"], model["state"]

    assert listed("2026-01-01") == ("1", "")
    assert listed("2026-03-01") == ("3", "")
    assert listed("2026-06-01") == ("3", "deprecated")


def test_a_day_that_is_none(run, starter: Path):
    result = run("catalogue", "list", starter, "--on", "yesterday")
    assert result.exit_code == 2
    assert "`yesterday` is not a day; write it as 2026-11-02" in result.stderr


def test_offered(run):
    result = run("catalogue", "list", "--offered", "openai/gpt-5-n*")
    assert result.exit_code == 0
    assert "openai/gpt-5-nano" in result.stdout


def test_nothing_offered(run):
    result = run("catalogue", "list", "--offered", "openai/gtp-5-n*")
    assert result.exit_code == 3
    assert "did you mean `openai/gpt-5-nano`?" in result.stderr


@pytest.mark.parametrize("name", ["gpt-5-nano", "openai/gpt-5-nano"])
def test_show(run, starter: Path, name):
    result = run("catalogue", "show", name, starter)
    assert result.exit_code == 0, result.output
    assert "gpt-5-nano:" in result.stdout
    assert "input: 0.05" in result.stdout
    shown = json.loads(run("catalogue", "show", name, starter, "--format", "json").stdout)
    assert shown["prices"][0]["usd_per_million_tokens"]["input"] == "0.05"


def test_show_what_is_not_there(run, starter: Path):
    result = run("catalogue", "show", "gpt-5-nan", starter)
    assert result.exit_code == 2
    assert "no model `gpt-5-nan` in this catalogue" in result.stderr
    assert "did you mean `gpt-5-nano`?" in result.stderr


def test_lock_decides_the_same(run, starter: Path):
    """A policy set on the locked catalogue has the digest of the one on the imported prices."""
    line = ["eval", starter, "--request", starter / "request.yaml", "--format", "json"]
    before = json.loads(run(*line).stdout)
    result = run("catalogue", "lock", starter, "--write", starter / "catalogue.yaml")
    assert result.exit_code == 0, result.output
    assert "imports" not in (starter / "catalogue.yaml").read_text()
    assert run("check", starter).exit_code == 0
    after = json.loads(run(*line).stdout)
    assert after["catalogue_digest"] == before["catalogue_digest"]


def test_import_genai_prices(run, tmp_path: Path):
    target = tmp_path / "prices.yaml"
    result = run("catalogue", "import", "genai-prices", "openai/gpt-5-n*", "--on", "2026-11-01", "--write", target)
    assert result.exit_code == 0, result.output
    assert result.stderr == f"wrote `{target}`\n"
    assert run("check", target).exit_code == 0
    assert "gpt-5-nano" in run("catalogue", "list", target).stdout


def test_import_of_what_is_not_there(run):
    result = run("catalogue", "import", "genai-prices", "openai/gtp-5-n*")
    assert result.exit_code == 2
    assert "matches no model" in result.stderr


def test_import_litellm(run, tmp_path: Path):
    source, target = tmp_path / "prices.json", tmp_path / "prices.yaml"
    source.write_text(json.dumps(LITELLM))
    result = run("catalogue", "import", "litellm", source, "--write", target)
    assert result.exit_code == 0, result.output
    assert run("check", target).exit_code == 0
    (model,) = json.loads(run("catalogue", "list", target, "--format", "json").stdout)
    assert (model["name"], model["input_usd_per_million_tokens"]) == ("small", "0.1")
    piped = run("catalogue", "import", "litellm", "-", "small", input=json.dumps(LITELLM))
    assert "  small:" in piped.stdout


@pytest.mark.parametrize(
    ("text", "code", "message"),
    [
        ("{", 6, "no JSON"),
        ("[]", 6, "no JSON object"),
        (None, 6, "there is no file"),
        ("[" * 100_000, 6, "nested too deeply"),
    ],
)
def test_import_of_what_cannot_be_read(run, tmp_path: Path, text, code, message):
    path = tmp_path / "prices.json"
    if text is not None:
        path.write_text(text)
    result = run("catalogue", "import", "litellm", path)
    assert result.exit_code == code, result.output
    assert message in result.stderr


def test_an_invalid_catalogue(run, starter: Path):
    path = starter / "catalogue.yaml"
    path.write_text(path.read_text().replace("gpt-5-nano", "gpt-5-nnano"))
    for target in (starter, path):
        result = run("catalogue", "list", target)
        assert result.exit_code == 1
        assert "CL501" in result.stderr


def test_no_policies(run, tmp_path: Path):
    assert run("catalogue", "list", tmp_path).exit_code == 3
