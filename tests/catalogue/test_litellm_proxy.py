"""Models of a LiteLLM proxy without a price: which are found, where, and which are not."""

from __future__ import annotations

from datetime import date

import pytest

from costlens_policy.catalogue.litellm_proxy import examine_proxy
from costlens_policy.catalogue.price_list import listed_model, meant_by
from costlens_policy.source.compose import compose
from costlens_policy.source.read import source_of
from tests.cli.conftest import run

__all__ = ["run"]

DAY = date(2026, 11, 1)
CONFIG = """\
model_list:
  - model_name: chat
    litellm_params: {model: openai/gpt-5-mini, api_key: os.environ/X}
  - model_name: chat
    litellm_params: {model: azure/our-deployment}
    model_info: {base_model: azure/gpt-5-mini}
  - model_name: own
    litellm_params: {model: ollama/llama3, input_cost_per_token: 0.000001}
  - model_name: fast
    litellm_params: {model: openai/gpt-5, service_tier: flex}
router_settings:
  model_group_alias: {gpt: chat, hidden: {model: chat, hidden: true}}
  fallbacks: [{chat: [own, gpt]}]
litellm_settings:
  default_fallbacks: [chat]
"""


def found(text):
    def find(name):
        meant = meant_by(name)
        return None if meant is None else listed_model(meant)

    composed = compose(source_of(text, "config.yaml"))
    assert not composed.diagnostics
    problems = examine_proxy(composed.documents[0], find, DAY)
    return [(item.code, item.severity.value, item.span.start.line, item.message) for item in problems]


def test_a_proxy_whose_models_all_have_prices_has_no_problem():
    assert found(CONFIG) == []


@pytest.mark.parametrize(
    ("before", "after", "problem"),
    [
        (", input_cost_per_token: 0.000001", "", ("CL409", "error", 8, "`ollama/llama3` has no price")),
        ("base_model: azure/gpt-5-mini", "id: x", ("CL409", "error", 5, "`azure/our-deployment` has no price")),
        ("model: openai/gpt-5-mini", 'model: "openai/*"', ("CL409", "warning", 3, "`openai/*` serves any model")),
        ("service_tier: flex", "service_tier: ultra", ("CL455", "warning", 10, "no price at the service tier `ultra`")),
        ("[own, gpt]", "[own, gtp]", ("CL208", "error", 13, "no deployment of `model_list` has the name `gtp`")),
        ("default_fallbacks: [chat]", "default_fallbacks: [caht]", ("CL208", "error", 15, "has the name `caht`")),
        ("gpt: chat,", "gpt: nobody,", ("CL208", "error", 12, "has the name `nobody`")),
        ("model: ollama/llama3, ", "", None),
        ("model: openai/gpt-5-mini", "rpm: 5", ("CL409", "error", 3, "a deployment must name its `model`")),
    ],
)  # fmt: skip
def test_each_gap_is_named_at_its_line(before, after, problem):
    assert before in CONFIG
    problems = found(CONFIG.replace(before, after, 1))
    if problem is None:
        assert [item[0] for item in problems] == ["CL409"]
        return
    (single,) = problems
    assert single[:3] == problem[:3]
    assert problem[3] in single[3]


def test_the_command(run, tmp_path):
    (tmp_path / "config.yaml").write_text(CONFIG)
    assert run("check", "--litellm", tmp_path / "config.yaml").exit_code == 0
    (tmp_path / "config.yaml").write_text(CONFIG.replace("flex", "ultra"))
    result = run("check", "--litellm", tmp_path / "config.yaml", "--format", "json")
    assert (result.exit_code, '"CL455"' in result.stdout) == (0, True)
    assert run("check", "--litellm", tmp_path / "config.yaml", "--strict").exit_code == 1
    assert run("check", "--litellm", tmp_path / "none.yaml").exit_code == 6


def test_prices_of_a_catalogue_take_the_place_of_the_list(run, tmp_path):
    (tmp_path / "config.yaml").write_text(CONFIG.replace(", input_cost_per_token: 0.000001", ""))
    (tmp_path / "catalogue.yaml").write_text(
        'apiVersion: costlens-policy/v1\nkind: Catalogue\nmetadata: {name: own, version: "1"}\nimports:\n'
        '  - {source: genai-prices, models: ["openai/gpt-5*", "azure/gpt-5-mini"]}\nmodels:\n'
        "  ollama/llama3: {provider: ollama, prices: [{usd_per_million_tokens: {input: 0, output: 0}}]}\n"
    )
    result = run("check", "--litellm", tmp_path / "config.yaml", tmp_path / "catalogue.yaml")
    assert (result.exit_code, result.stdout) == (0, ""), result.stdout
