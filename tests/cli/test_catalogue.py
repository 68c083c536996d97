"""The ``catalogue`` commands through the program."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.replay.conftest import call, folder_of

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
        ("{", 6, "is not valid JSON"),
        ("[]", 6, "must be a JSON object"),
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


CHOICE = """
routes:
  - {id: cheapest, choose: {models: [large, small], minimize: estimate.cost_usd}}
"""


@pytest.fixture
def prices(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the present folder: a policy that takes the cheapest model, two catalogues, and three requests."""
    monkeypatch.chdir(tmp_path)
    folder = folder_of(tmp_path / "policies", CHOICE)
    text = (folder / "catalogue.yaml").read_text()
    (tmp_path / "dearer.yaml").write_text(text.replace("{input: 1, output: 5}", "{input: 2, output: 10}"))
    (tmp_path / "dearest.yaml").write_text(text.replace("{input: 1, output: 5}", "{input: 20, output: 100}"))
    rows = [call(f"10:00:0{second}") for second in range(3)]
    (tmp_path / "traffic.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return tmp_path


def test_diff_of_catalogues(run, prices: Path):
    result = run("catalogue", "diff", "policies", "dearer.yaml")
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith("1 model changed, 0 models added, 0 models removed\n")
    for text in ("small", "input", "output", "+100.0%"):
        assert text in result.stdout
    same = run("catalogue", "diff", "dearer.yaml", "dearer.yaml")
    assert same.stdout == "0 models changed, 0 models added, 0 models removed\n"
    (model,) = json.loads(run("catalogue", "diff", "policies", "dearer.yaml", "--format", "json").stdout)["models"]
    assert (model["name"], model["what"], model["prices"][0]["old"], model["prices"][0]["new"]) == (
        "small", "changed", "1", "2"
    )  # fmt: skip


def test_what_a_change_of_prices_moves(run, prices: Path):
    traffic = ["--policy", "policies", "--traffic", "traffic.jsonl", "--cache", "off"]
    result = run("catalogue", "diff", "policies", "dearer.yaml", *traffic, "--format", "json")
    moved = json.loads(result.stdout)["traffic"]
    assert (moved["old_cost"], moved["new_cost"], moved["changed"]) == ("0.0045", "0.009", 0)
    assert list(moved["causes"]) == ["same model at another cost"]
    result = run("catalogue", "diff", "policies", "dearest.yaml", *traffic, "--format", "json")
    moved = json.loads(result.stdout)["traffic"]
    assert (moved["old_cost"], moved["new_cost"], moved["changed"]) == ("0.0045", "0.0225", 3)
    assert list(moved["causes"]) == ["another model"]
    markdown = run("catalogue", "diff", "policies", "dearest.yaml", *traffic, "--format", "markdown").stdout
    assert markdown.startswith("### Effect of this catalogue change\n\n- 1 model changed")


def test_gates_of_a_change_of_prices(run, prices: Path):
    asked = ["catalogue", "diff", "policies", "dearer.yaml"]
    traffic = ["--policy", "policies", "--traffic", "traffic.jsonl", "--cache", "off"]
    assert run(*asked, *traffic, "--max-increase", "100%").exit_code == 0
    failed = run(*asked, *traffic, "--max-increase", "99%")
    assert failed.exit_code == 7
    assert "the cost grows by 100.00%, more than 99%" in failed.stderr
    assert run(*asked, "--max-increase", "5%").exit_code == 2
    assert run(*asked, "--policy", "policies").exit_code == 2
    assert run(*asked, "--traffic", "traffic.jsonl").exit_code == 2
    assert run("catalogue", "diff", "policies", "nowhere.yaml").exit_code == 6


def test_a_catalogue_without_a_model_that_the_policy_names(run, prices: Path):
    text = (prices / "policies" / "catalogue.yaml").read_text()
    (prices / "renamed.yaml").write_text(text.replace("  large:", "  huge:"))
    traffic = ["--policy", "policies", "--traffic", "traffic.jsonl"]
    result = run("catalogue", "diff", "policies", "renamed.yaml", *traffic)
    assert result.exit_code == 1, result.output
    assert "`large`" in result.stderr
    assert "unknown model" in result.stderr
