"""Imports, overrides, inheritance and names become one catalogue."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal

from costlens_policy.catalogue import LONG_AGO, Evidence, Model, Usage
from costlens_policy.catalogue.resolve import Resolved
from costlens_policy.checker.attributes import model_values
from tests.catalogue.reading import resolved

PRICES = "prices: [{usd_per_million_tokens: {input: 1, output: 2}}]"


def model(result: Resolved, name: str) -> Model:
    assert result.diagnostics == ()
    found = result.catalogue.find(name)
    assert found is not None, name
    return found


def cost(found: Model, usage: Usage, day: date = date(2026, 11, 24)) -> Decimal:
    period = found.period_on(day)
    assert period is not None
    return period.rates_for(usage.prompt_tokens).cost(usage)


def test_an_imported_model_goes_by_both_names() -> None:
    result = resolved("imports: [{source: genai-prices, models: [openai/gpt-5*]}]")
    nano = model(result, "gpt-5-nano")
    assert nano.name == "gpt-5-nano"
    assert nano is model(result, "openai/gpt-5-nano")
    assert nano.aliases == ("openai/gpt-5-nano",)
    assert nano.external
    assert nano.price_source.startswith("genai-prices")
    assert cost(nano, Usage(input=1_000_000, output=1_000_000)) == Decimal("0.45")


def test_a_short_name_of_two_imports_means_none_of_them() -> None:
    result = resolved("imports: [{source: genai-prices, models: [openai/gpt-4o, github-copilot/gpt-4o]}]")
    assert result.catalogue.find("gpt-4o") is None
    assert result.catalogue.suggest("gpt-4o") == "github-copilot/gpt-4o"
    assert model(result, "openai/gpt-4o").name == "openai/gpt-4o"


def test_a_resold_model_never_takes_the_makers_name() -> None:
    result = resolved("imports: [{source: genai-prices, models: [openrouter/anthropic/claude-sonnet-4.5]}]")
    assert [item.name for item in result.catalogue] == ["openrouter/anthropic/claude-sonnet-4.5"]
    assert result.catalogue.find("anthropic/claude-sonnet-4.5") is None


def test_facts_of_an_import_hold_for_all_its_models_and_later_ones_win() -> None:
    result = resolved(
        """
imports:
  - {source: genai-prices, models: [openai/gpt-5*], facts: {family: gpt-5, external: true, quality: {chat: 0.8}}}
  - {source: genai-prices, models: [openai/gpt-5-nano], facts: {family: nano, quality: {code: 0.4}}}
"""
    )
    assert model(result, "gpt-5-mini").family == "gpt-5"
    nano = model(result, "gpt-5-nano")
    assert (nano.family, nano.quality) == ("nano", {"chat": 0.8, "code": 0.4})


def test_measured_quality_may_stand_in_a_document_of_its_own_and_the_later_one_wins_task_by_task() -> None:
    data = "sha256:" + "0a" * 32
    full = f"low: 0.733, high: 0.807, cases: 479, measured: 2026-11-30, source: evals/code.csv, data: '{data}'"
    measured = f"models: {{a: {{quality: {{code: {{value: 0.772, {full}}}, sql: {{value: 0.5}}}}}}}}"
    models = f"models: {{a: {{provider: in-house, quality: {{chat: 0.8, code: 0.5}}, {PRICES}}}}}"
    result = resolved(models, measured)
    assert result.diagnostics == ()
    found = model(result, "a")
    assert found.quality == {"chat": 0.8, "code": 0.772, "sql": 0.5}
    evidence = Evidence(0.733, 0.807, 0.95, 479, date(2026, 11, 30), "evals/code.csv", data)
    assert found.evidence == {"code": evidence}, "a value alone is no evidence"
    view = model_values(found, None, date(2026, 12, 1))
    assert (view["quality_low"], view["quality_cases"]) == ({"code": 0.733}, {"code": 479})
    assert view["quality_measured"] == {"code": datetime(2026, 11, 30, tzinfo=UTC)}
    again = model(resolved(measured, models), "a")
    assert (again.quality["code"], again.evidence) == (0.5, {}), "a number that is typed later has no evidence"


def test_a_later_document_overrides_what_it_gives() -> None:
    result = resolved(
        "imports: [{source: genai-prices, models: [openai/gpt-5-nano]}]",
        f"models: {{gpt-5-nano: {{max_output_tokens: 1000, aliases: [small], labels: {{a: x}}, {PRICES}}}}}",
        "models: {openai/gpt-5-nano: {external: false, labels: {b: u}}}",
    )
    nano = model(result, "small")
    assert nano.name == "gpt-5-nano"
    assert (nano.max_output_tokens, nano.external, nano.labels) == (1000, False, {"a": "x", "b": "u"})
    assert nano.context_window == 400_000
    assert nano.price_source == "2.yaml"
    assert cost(nano, Usage(input=1_000_000)) == 1
    assert nano.aliases == ("openai/gpt-5-nano", "small")


def test_a_fine_tuned_model_has_its_bases_facts_but_not_its_prices() -> None:
    result = resolved(
        f"""
imports:
  - {{source: genai-prices, models: [openai/gpt-5-nano], facts: {{capabilities: [tools], quality: {{chat: 0.5}}}}}}
models:
  ours: {{fine_tuned: {{base: gpt-5-nano, tasks: [triage]}}, quality: {{triage: 0.9}}, {PRICES}}}
  grandchild: {{fine_tuned: {{base: ours}}, external: false, price_as: ours}}
"""
    )
    ours = model(result, "ours")
    assert (ours.base, ours.trained_for, ours.context_window) == ("gpt-5-nano", ("triage",), 400_000)
    assert (ours.capabilities, ours.quality) == (frozenset({"tools"}), {"triage": 0.9})
    assert ours.base_measured == {"chat": "gpt-5-nano"}
    assert cost(ours, Usage(output=1_000_000)) == 2
    grandchild = model(result, "grandchild")
    assert (grandchild.context_window, grandchild.external, grandchild.quality) == (400_000, False, {})
    assert grandchild.base_measured == {"chat": "gpt-5-nano", "triage": "ours"}
    assert grandchild.periods == ours.periods
    assert grandchild.price_source == "as ours: 1.yaml"


def test_a_fine_tuned_model_has_no_measured_quality_of_its_base() -> None:
    measured = "{chat: {value: 0.8, low: 0.7, high: 0.9, cases: 400, measured: 2026-05-01}, code: 0.5}"
    bodies = (
        f"""
models:
  base: {{quality: {measured}, labels: {{a: b}}, {PRICES}}}
  one: {{fine_tuned: {{base: base}}, {PRICES}}}
  two: {{fine_tuned: {{base: base}}, quality: {{code: 0.6}}, labels: {{c: d}}, {PRICES}}}
""",
        "models: {base: {quality: {sql: 0.4}}}",
    )
    result = resolved(*bodies)
    one, two = model(result, "one"), model(result, "two")
    assert (one.quality, one.evidence, one.labels) == ({}, {}, {"a": "b"})
    assert one.base_measured == dict.fromkeys(("chat", "code", "sql"), "base")
    assert (two.quality, two.evidence, two.labels) == ({"code": 0.6}, {}, {"c": "d"}), "labels are inherited as a whole"
    assert two.base_measured == dict.fromkeys(("chat", "sql"), "base")


def test_price_as_follows_names_of_every_kind() -> None:
    result = resolved(
        """
imports: [{source: genai-prices, models: [openai/gpt-4o, github-copilot/gpt-4o]}]
models:
  z: {price_as: w}
  w: {price_as: cheap}
  openai/gpt-4o: {aliases: [cheap]}
"""
    )
    assert model(result, "z").periods == model(result, "openai/gpt-4o").periods
    assert model(result, "z").price_source.startswith("as w: as openai/gpt-4o: genai-prices")


def test_the_last_word_on_prices_counts_however_it_is_given() -> None:
    result = resolved(
        f"models: {{a: {{{PRICES}}}, b: {{prices: [{{usd_per_million_tokens: {{input: 7, output: 7}}}}]}}}}",
        "models: {a: {price_as: b}, b: {prices: []}}",
        f"models: {{b: {{{PRICES}}}}}",
    )
    assert cost(model(result, "a"), Usage(input=1_000_000)) == 1


def test_own_models_with_a_provider_go_by_both_names_where_that_is_clear() -> None:
    result = resolved(
        f"""
models:
  llama: {{provider: in-house, {PRICES}}}
  in-house/qwen: {{provider: in-house, {PRICES}}}
  mistral: {{provider: "In House, Ltd.", {PRICES}}}
"""
    )
    assert model(result, "in-house/llama").name == "llama"
    assert model(result, "in-house/qwen").aliases == ()
    assert model(result, "mistral").aliases == ()


def test_periods_and_long_context_are_taken_over() -> None:
    result = resolved(
        """
models:
  m:
    prices:
      - usd_per_million_tokens: {input: 1, output: 2, cache_read: 0.1}
        usd_per_request: 0.01
        long_context:
          - {above_input_tokens: 100, usd_per_million_tokens: {input: 10}}
          - {above_input_tokens: 200, usd_per_million_tokens: {output: 20}}
      - effective: 2026-06-01
        usd_per_million_tokens: {input: 3, output: 4}
"""
    )
    found = model(result, "m")
    usage = Usage(input=0, cache_read=150, output=100)
    assert cost(found, usage, date(2026, 1, 1)) == Decimal("0.01") + Decimal("0.000015") + Decimal("0.0002")
    usage = Usage(input=201, output=100)
    assert cost(found, usage, date(2026, 1, 1)) == Decimal("0.01") + Decimal("0.00201") + Decimal("0.002")
    assert cost(found, usage, date(2026, 6, 1)) == Decimal("0.001003")


def test_every_fact_arrives() -> None:
    result = resolved(
        f"""
models:
  m:
    provider: p
    family: f
    context_window: 100
    max_output_tokens: 50
    capabilities: [vision, tools]
    latency_ms: {{p50: 100.5, p95: 300}}
    quality: {{chat: 0.75}}
    regions: [eu, us]
    external: false
    deprecated: 2026-01-01
    retired: 2026-02-01
    labels: {{team: a}}
    {PRICES}
"""
    )
    found = model(result, "m")
    assert (found.provider, found.family, found.context_window, found.max_output_tokens) == ("p", "f", 100, 50)
    assert found.capabilities == frozenset({"tools", "vision"})
    assert (found.latency_p50_ms, found.latency_p95_ms, found.quality) == (100.5, 300.0, {"chat": 0.75})
    assert (found.regions, found.external, found.labels) == (("eu", "us"), False, {"team": "a"})
    assert (found.deprecated, found.retired) == (date(2026, 1, 1), date(2026, 2, 1))


def test_a_deprecated_import_is_deprecated_since_long_ago() -> None:
    result = resolved("imports: [{source: genai-prices, models: [avian/Meta-Llama-3.1-8B-Instruct]}]")
    assert model(result, "Meta-Llama-3.1-8B-Instruct").deprecated == LONG_AGO


def test_the_catalogue_lists_models_by_name() -> None:
    result = resolved(f"models: {{b: {{{PRICES}}}, a: {{{PRICES}, aliases: [z]}}}}")
    assert [item.name for item in result.catalogue] == ["a", "b"] == list(result.catalogue.models)
    assert len(result.catalogue) == 2
    assert result.catalogue.find("nothing") is None
    assert result.catalogue.suggest("nothing") is None


def test_nothing_is_a_catalogue_too() -> None:
    result = resolved("")
    assert (len(result.catalogue), result.diagnostics) == (0, ())
