"""Real traffic: exact costs, the sign that caches flip, quality beside cost."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from pathlib import Path
from typing import Final

import pytest

from costlens_policy import load
from costlens_policy.replay import READY, ColumnMapping, Result, Settings, Traffic, read_traffic, replay
from costlens_policy.replay.difference import Difference, diff
from costlens_policy.replay.traffic.row import Row

EXAMPLES: Final = Path(__file__).resolve().parents[2] / "examples"
AGENTS: Final = READY["claude-code"].with_columns({"request.expected_output_tokens": "output_tokens"}, {})
AFTER_LONG_CONTEXT_PRICES: Final = datetime(2026, 6, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("model", "input_price", "output_price"),
    [("large", Fraction(3, 10**6), Fraction(15, 10**6)),
     ("middle", Fraction("0.123456789") / 10**6, Fraction("7.00000000001") / 10**6),
     ("tiny", Fraction("0.05") / 10**6, Fraction("0.4") / 10**6)],
)  # fmt: skip
def test_azure_trace_to_the_last_digit(shared_data, tmp_path, model, input_price, output_price):
    path = shared_data / "azure_llm_2023" / "AzureLLMInferenceTrace_code.csv"
    plan = load(_one_model(tmp_path, model)).plan
    traffic = read_traffic([str(path)], READY["azure-llm"], plan, Settings().start)
    result = replay(plan, traffic, Settings())
    with path.open(newline="") as file:
        rows = [(int(row["ContextTokens"]), int(row["GeneratedTokens"])) for row in csv.DictReader(file)]
    assert result.rows == len(rows) == 8_819
    assert not result.rejects
    expected = sum(prompt * input_price + output * output_price for prompt, output in rows)
    assert Fraction(result.cost) == expected
    written = sum(output for _, output in rows) * output_price
    assert tuple(map(Fraction, result.cost_range())) == (expected - written / 5, expected + written / 5)


def _one_model(folder: Path, model: str) -> Path:
    texts = {
        "policy-set.yaml": f"""
kind: PolicySet
policies: [policy.yaml]
catalogues: [catalogue.yaml]
defaults: {{access: allow, route: {{model: {model}}}, max_output_tokens: 1000}}
""",
        "policy.yaml": f"kind: Policy\non_error: skip\nroutes: [{{id: all, model: {model}}}]\n",
        "catalogue.yaml": """
kind: Catalogue
models:
  large: {provider: p, prices: [{usd_per_million_tokens: {input: 3, output: 15}}]}
  middle: {provider: p, prices: [{usd_per_million_tokens: {input: 0.123456789, output: 7.00000000001}}]}
  tiny: {provider: p, prices: [{usd_per_million_tokens: {input: 0.05, output: 0.4}}]}
""",
    }
    for name, text in texts.items():
        metadata = 'metadata: {name: azure, version: "1.0.0"}\n'
        (folder / name).write_text(f"apiVersion: costlens-policy/v1\n{metadata}{text}")
    return folder


def _short_turns(path: Path, mapping: ColumnMapping, settings: Settings) -> Difference:
    old, new = load(EXAMPLES / "replay/before").plan, load(EXAMPLES / "replay/after").plan
    return diff(old, new, read_traffic([str(path)], mapping, new, settings.start), settings)


def _settings(**given) -> Settings:
    return Settings(start=AFTER_LONG_CONTEXT_PRICES, **given)


def test_claude_code_sessions_have_three_accountings(shared_data):
    """Short turns to the cheaper model seem to save, cost more with caches of five minutes, and save with an hour."""
    path = shared_data / "claude_code_traces" / "dev_sessions.jsonl"
    ignored, five_minutes, an_hour = (
        _short_turns(path, AGENTS, settings)
        for settings in (_settings(cache=False), _settings(), _settings(cache_lifetime=timedelta(hours=1)))
    )
    assert ignored.rows == five_minutes.rows == an_hour.rows == 3_728
    assert round(float(ignored.increase), 3) == -0.205
    assert round(float(five_minutes.increase), 3) == 0.059
    assert round(float(an_hour.increase), 3) == -0.181
    assert five_minutes.causes["same model at another cost"].delta > 0, "the old model writes again what it had read"


def test_the_sample_shows_the_same_flip():
    sample = READY["plain"].with_columns({"request.expected_output_tokens": "output_tokens"}, {})
    path = EXAMPLES / "replay/traffic.jsonl"
    assert _short_turns(path, sample, Settings(cache=False)).delta < 0 < _short_turns(path, sample, Settings()).delta


def test_claude_code_cost_equals_an_independent_computation(shared_data):
    """The cache model written down a second time, in fractions."""
    path = shared_data / "claude_code_traces" / "dev_sessions.jsonl"
    plan = load(EXAMPLES / "replay/before").plan
    result = replay(plan, read_traffic([str(path)], AGENTS, plan, AFTER_LONG_CONTEXT_PRICES), _settings())
    rows = sorted(
        (Fraction(str(row["request_arrival_delta_s"])), number, row)
        for number, row in enumerate(map(json.loads, path.open()))
    )
    seen: dict[tuple[str, str], tuple[Fraction, int]] = {}
    cost = Fraction(0)
    for at, _, row in rows:
        key, prompt = (row["session_id"], row["model_id"]), row["input_tokens"]
        last, held = seen.get(key, (at - 300, 0))
        read = held if at - last < 300 and held <= prompt else 0
        if prompt >= 1024:
            cost += read * Fraction(1, 2) + (prompt - read) * Fraction(25, 4)
            seen[key] = (at, prompt)
        else:
            cost += prompt * 5
        cost += row["output_tokens"] * 25
    assert Fraction(result.cost) == cost / 10**6
    assert result.cost == result.recorded_cost, "who changes nothing saves nothing"


def _routed(shared_data: Path, name: str, file: str, keep: Callable[[Row], bool] = lambda _: True) -> Result:
    plan = load(EXAMPLES / "strong-or-weak").plan
    traffic = read_traffic([str(shared_data / "routellm" / file)], READY[name], plan, Settings().start)
    kept = Traffic(tuple(filter(keep, traffic.rows)), traffic.rejects, traffic.files, traffic.notes)
    return replay(plan, kept, Settings())


def test_gsm8k(shared_data):
    leaked = {
        json.loads(line)["eval_prompt"]
        for line in (shared_data / "routellm/gsm8k_contaminated_prompts.jsonl").read_text().splitlines()
    }
    result = _routed(
        shared_data, "routellm-gsm8k", "gsm8k_responses.csv", lambda row: row.attributes["prompt"] not in leaked
    )
    _sensible(result)
    assert result.rows == 1_307


def test_mmlu(shared_data):
    result = _routed(shared_data, "routellm-mmlu", "mmlu_dev_half.csv")
    _sensible(result)
    assert any("were left out" in note and "high_school_mathematics" in note for note in result.notes)


def _sensible(result: Result) -> None:
    ways = result.quality
    strong, weak = ways["only gpt-4-1106-preview"], ways["only mixtral-8x7b"]
    assert len({way.answered for way in ways.values()}) == 1
    assert weak.right < ways["policy"].right < strong.right < ways["oracle"].right
    assert weak.cost < ways["policy"].cost < strong.cost
    assert ways["oracle"].cost < strong.cost
    assert ways["policy"].cost == result.cost


def test_short_turns_save_where_the_lost_cache_is_counted(shared_data, tmp_path):
    """The rule that costs more everywhere saves if it switches only where that pays."""
    shutil.copytree(EXAMPLES / "replay", tmp_path / "replay")
    rule = tmp_path / "replay" / "after" / "short-turns.yaml"
    choice = (
        "choose: {models: [claude-opus-4-6, claude-opus-4-7, claude-sonnet-4-6], minimize: estimate.likely_cost_usd,"
        " among: 'has(model.warm_tokens) || model.name == \"claude-sonnet-4-6\"'}"
    )
    rule.write_text(rule.read_text().replace("model: claude-sonnet-4-6", choice))
    path, settings = shared_data / "claude_code_traces" / "dev_sessions.jsonl", _settings()
    costs = []
    for folder in (EXAMPLES / "replay/before", EXAMPLES / "replay/after", tmp_path / "replay/after"):
        plan = load(folder).plan
        costs.append(round(replay(plan, read_traffic([str(path)], AGENTS, plan, settings.start), settings).cost, 2))
    assert [f"{cost}" for cost in costs] == ["1010.45", "1070.14", "987.99"]
