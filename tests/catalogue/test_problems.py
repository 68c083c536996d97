"""Every problem is found, at the right place, and without its consequences."""

from __future__ import annotations

import pytest

from costlens_policy.catalogue import problems
from costlens_policy.diagnostics.codes import CODES
from tests.catalogue.reading import pointed, resolved

RATES = "usd_per_million_tokens: {input: 1, output: 2}"
OK = f"prices: [{{{RATES}}}]"
IMPORT = "imports: [{source: genai-prices, models: [openai/gpt-4o, github-copilot/gpt-4o]}]\n"

CASES = [
    (
        "imports: [{source: genai-prices, models: [openai/gpt-5*, opnai/gpt-5*]}]",
        [("CL501", "opnai/gpt-5*", "did you mean `openai/gpt-5*`?")],
    ),
    (
        "imports: [{source: genai-prices, models: ['zzz']}]",
        [("CL501", "'zzz'", "name models as `provider/name`, with `*` for any text")],
    ),
    (f"models: {{model-a: {{{OK}}}, b: {{price_as: model_a}}}}", [("CL502", "model_a", "did you mean `model-a`?")]),
    (
        f"models: {{b: {{fine_tuned: {{base: nothing}}, {OK}}}}}",
        [("CL502", "nothing", "declare it under `models`, or import it")],
    ),
    (
        f"models: {{a: {{{OK}}}, b: {{{OK}, aliases: [c, a]}}}}",
        [("CL503", "a", "rename one of the two")],
    ),
    (
        f"models: {{a: {{{OK}, aliases: [c]}}, b: {{{OK}, aliases: [c]}}}}",
        [("CL503", "c", "rename one of the two")],
    ),
    (
        "imports: [{source: genai-prices, models: [openai/gpt-5-nano]}]\n"
        f"models: {{gpt-5-nano: {{{OK}}}, openai/gpt-5-nano: {{{OK}}}}}",
        [("CL503", "openai/gpt-5-nano", "rename one of the two")],
    ),
    (IMPORT + f"models: {{gpt-4o: {{{OK}}}}}", [("CL504", "gpt-4o", "write `github-copilot/gpt-4o`")]),
    (IMPORT + "models: {a: {price_as: gpt-4o}}", [("CL504", "gpt-4o", "write `github-copilot/gpt-4o`")]),
    (
        "models: {c: {price_as: a}, b: {price_as: c}, a: {price_as: b}, d: {price_as: a}}",
        [("CL505", "b", "break the cycle at one of these models")],
    ),
    (
        f"models: {{a: {{fine_tuned: {{base: a}}, {OK}}}}}",
        [("CL505", "a", "break the cycle at one of these models")],
    ),
    (
        "models: {a: {family: x}}",
        [("CL506", "a", "add `prices`, or `price_as`; an unpriced model serves only where the policy set admits it")],
    ),
    (
        "models: {a: {prices: [{usd_per_million_tokens: {input: 1}}]}, b: {price_as: a}}",
        [("CL507", "usd_per_million_tokens", "add `output`; write `0` if these tokens are free")],
    ),
    (
        "models: {a: {prices: ["
        "{effective: 2026-02-01, usd_per_million_tokens: {input: 1, output: 1}}, "
        "{effective: 2026-01-01, usd_per_million_tokens: {input: 1, output: 1}}]}}",
        [("CL508", "2026-01-01", "list the periods by day, each day once")],
    ),
    (
        "models: {a: {prices: ["
        "{usd_per_million_tokens: {input: 1, output: 1}}, {usd_per_million_tokens: {input: 1, output: 1}}]}}",
        [("CL508", "usd_per_million_tokens", "add the day from which these prices hold")],
    ),
    (
        "models: {a: {prices: [{usd_per_million_tokens: {input: 1, output: 1}, long_context: ["
        "{above_input_tokens: 200, usd_per_million_tokens: {input: 1}},"
        "{above_input_tokens: 100, usd_per_million_tokens: {input: 1}}]}]}}",
        [("CL509", "100", "list the steps from low to high, each once")],
    ),
    (
        "models: {a: {prices: [{usd_per_million_tokens: {input: 0.000002, output: 20000}}]}}",
        [
            (
                "CL510",
                "0.000002",
                "if this is a price per token, write `2`; if it is one per thousand tokens, `0.002`",
            ),
            ("CL510", "20000", "prices are US dollars per million tokens"),
        ],
    ),
    (
        "models: {a: {prices: [{usd_per_million_tokens: {input: 1.0000000000000000000000001, output: 1e+12}}]}}",
        [
            ("CL511", "1.0000000000000000000000001", "prices are US dollars per million tokens"),
            ("CL511", "1e+12", "prices are US dollars per million tokens"),
        ],
    ),
    (f"models: {{b: {{{OK}}}, a: {{{OK}, price_as: b}}}}", [("CL512", "price_as", "remove one of the two")]),
    (
        f"models: {{a: {{deprecated: 2026-02-01, retired: 2026-01-01, {OK}}}}}",
        [("CL513", "2026-01-01", "a model is deprecated first and retired later")],
    ),
    (
        f"models: {{a: {{context_window: 10, max_output_tokens: 20, {OK}}}, b: {{fine_tuned: {{base: a}}, {OK}}}}}",
        [("CL514", "20", "the context window holds prompt and output together")],
    ),
    (
        f"models: {{a: {{latency_ms: {{p50: 900, p95: 300}}, {OK}}}}}",
        [("CL515", "300", "half of the calls are faster than `p50`, and 95 of 100 are faster than `p95`")],
    ),
    (
        f"models: {{a: {{quality: {{}}, {OK}}}}}",
        [
            (
                "CL516",
                "quality",
                "give measured quality by task, such as `summarization: 0.86`, or remove the key",
            )
        ],
    ),
    (
        f"models: {{a: {{quality: {{code: {{value: 0.77, low: 0.8, high: 0.9}}}}, {OK}}}}}",
        [("CL519", "0.77", "`low` and `high` are the ends of the interval around `value`, all from 0 to 1")],
    ),
    (
        f"models: {{a: {{quality: {{code: {{value: 0.77, high: 0.9}}}}, {OK}}}}}",
        [("CL519", "high", "give both ends, or remove the key")],
    ),
    (
        f"models: {{a: {{quality: {{code: {{value: 0.77, level: 0.9}}}}, {OK}}}}}",
        [("CL519", "level", "give both ends, or remove the key")],
    ),
    (
        "imports: [{source: genai-prices, models: [openai/gpt-5-nano], "
        "facts: {quality: {code: {value: 0.77, low: 0.5, high: 0.7}}}}]",
        [("CL519", "0.77", "`low` and `high` are the ends of the interval around `value`, all from 0 to 1")],
    ),
    (
        f"models: {{a: {{prices: [{{{RATES}, service_tiers: {{batches: {{{RATES}}}}}}}]}}}}",
        [("CL518", "batches", "write `batch`")],
    ),
]


@pytest.mark.parametrize(("body", "expected"), CASES, ids=[f"{case[1][0][0]}-{i}" for i, case in enumerate(CASES)])
def test_problems_are_found(body: str, expected: list[tuple[str, str, str]]) -> None:
    found = resolved(body).diagnostics
    assert [(item.code, pointed(body, item), item.help) for item in found] == expected


@pytest.mark.parametrize(
    "body",
    [
        "models: {a: {prices: []}}",
        "imports: [{source: genai-prices, models: [openai/text-embedding-3-small]}]",
        f"models: {{a: {{quality: {{chat: {{value: 0.5, low: 0.5, high: 0.5, cases: 1}}}}, {OK}}}}}",
        f"models: {{a: {{quality: {{chat: 0}}, aliases: [a, b, b], capabilities: [], {OK}}}}}",
        "models: {free: {prices: [{usd_per_million_tokens: {input: 0, output: 0}}]}}",
    ],
)
def test_what_is_meant_is_no_problem(body: str) -> None:
    assert resolved(body).diagnostics == ()


def test_a_faulty_catalogue_still_lists_its_models() -> None:
    result = resolved("models: {a: {prices: [{usd_per_million_tokens: {input: 1}}]}, b: {price_as: c}}")
    assert list(result.catalogue.models) == ["a", "b"]
    assert not any(model.periods for model in result.catalogue)


def test_warnings_are_those_that_may_be_meant() -> None:
    found = {item.code: item.severity for body, _ in CASES for item in resolved(body).diagnostics}
    assert {code for code, severity in found.items() if severity == "warning"} == {"CL506", "CL510", "CL514", "CL516"}


def test_each_code_has_a_case() -> None:
    declared = {code for code in CODES if code.startswith("CL5")}
    assert {code for _, expected in CASES for code, _, _ in expected} | {"CL517"} == declared
    assert len(problems.__all__) == len(declared)


USUAL = "{input: 2, output: 8}"


@pytest.mark.parametrize(
    ("model", "prices", "said"),
    [
        ("gpt-4o: {provider: openai", "{input: 0.0025, output: 0.01}", ["1,000 times below", "1,000 times below"]),
        ("gpt-4o: {provider: openai", "{input: 2500, output: 9999}", ["1,000 times above", "1,000 times above"]),
        ("openai/gpt-4o: {family: x", "{input: 2.5, output: 0.01}", ["1,000 times below"]),
        ("gpt-4o-2024-08-06: {family: x", "{input: 0.0025, output: 10}", ["1,000 times below"]),
        ("claude-sonnet-4-20250514: {family: x", "{input: 0.003, output: 15}", ["1,000 times below"]),
        ("mine: {aliases: [gemini-2.5-pro], provider: google", "{input: 1.25, output: 0.01}", ["1,000 times below"]),
        ("gpt-4o: {provider: openai", "{input: 10, output: 2.5}", ["`2.5` for input and `10` for output"]),
        ("gpt-4o: {provider: openai", USUAL, []),
        ("gpt-4o: {provider: openai", "{input: 0, output: 0}", []),
        ("gpt-4o: {provider: house", "{input: 0.0025, output: 0.01}", []),
        ("house/gpt-4o: {family: x", "{input: 0.0025, output: 0.01}", []),
        ("house-model: {family: x", "{input: 0.0025, output: 0.01}", []),
    ],
)
def test_prices_far_from_the_list_are_reported(model: str, prices: str, said: list[str]) -> None:
    found = resolved(f"models:\n  {model}, prices: [{{usd_per_million_tokens: {prices}}}]}}\n").diagnostics
    assert {item.code for item in found} <= {"CL510"}
    assert len(found) == len(said)
    assert all(part in item.message for part, item in zip(said, found, strict=True))
