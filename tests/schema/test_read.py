"""Reading documents: each mistake is told once, at its place, in the words of the author."""

from __future__ import annotations

from decimal import Decimal

import pytest

from costlens_policy.documents import CatalogueDocument, PolicyDocument, SuiteDocument
from costlens_policy.schema import read_document
from costlens_policy.source.compose import compose
from costlens_policy.source.read import source_of
from tests.schema.documents import problems, read


def test_a_right_document_is_typed() -> None:
    document, diagnostics = read("routes: [{id: chat, model: gpt-5}]")
    assert isinstance(document, PolicyDocument)
    assert diagnostics == ()
    assert document.routes[0].model == "gpt-5"


def test_prices_keep_every_digit() -> None:
    document, _ = read(
        "models: {small: {prices: [{usd_per_million_tokens: {input: 0.10000000000000000001}}]}}", "Catalogue"
    )
    assert isinstance(document, CatalogueDocument)
    prices = document.models["small"].prices
    assert prices is not None
    assert prices[0].usd_per_million_tokens["input"] == Decimal("0.10000000000000000001")


def test_dates_and_moments_are_texts_of_a_kind() -> None:
    text = (
        "policy_set: set.yaml\nnow: 2026-11-01T12:00:00+02:00\ncases: [{name: a, now: +12m, expect: {effect: allow}}]"
    )
    document, diagnostics = read(text, "Suite")
    assert diagnostics == ()
    assert isinstance(document, SuiteDocument)
    assert document.now is not None
    assert document.now.utcoffset() is not None


@pytest.mark.parametrize(
    ("text", "code", "place"),
    [
        ("rotes: []", "CL103", "rotes"),
        ("routes: [{id: a, modle: gpt-5}]", "CL103", "modle"),
        ("routes: [{model: gpt-5}]", "CL104", "model"),
        ("routes: {}", "CL105", "routes"),
        ("routes: [{id: 5, model: gpt-5}]", "CL105", "5"),
        ("on_error: never", "CL106", "never"),
        ("routes: [{id: A, model: gpt-5}]", "CL107", "A"),
        ("variables: {A: 'true'}", "CL107", "A"),
        ("rewrites: [{id: a, apply: []}]", "CL108", "[]"),
        ("routes: [{id: a}]", "CL109", "id"),
        ("routes: [{id: a, model: b, models: [c]}]", "CL109", "models"),
        ("routes:", "CL110", "routes"),
        ("access: [{id: a, effect: deny, reason: b}]", "CL111", "access"),
    ],
)
def test_one_mistake_gives_one_problem(text: str, code: str, place: str) -> None:
    ((found, _, where),) = problems(text)
    assert (found, where) == (code, place)


def test_several_mistakes_are_all_told_in_order() -> None:
    text = "on_error: never\nroutes:\n  - {id: A, model: gpt 5}\n  - {id: b}\nbudgets: 5"
    assert [code for code, _, _ in problems(text)] == ["CL106", "CL107", "CL107", "CL109", "CL105"]


def test_a_key_of_another_section_names_that_section() -> None:
    _, diagnostics = read("when: request.stream")
    assert "`route`" in diagnostics[0].help
    thresholds = "[{at_usd: 1, alert: b, all_except: [c]}]"
    text = f"budgets: [{{id: a, hard_limit_usd: 1, window: {{calendar: day}}, thresholds: {thresholds}}}]"
    assert "`remove tools`" in read(text)[1][0].help


@pytest.mark.parametrize(
    ("window", "message"),
    [
        ("{}", "`window` has none of its keys"),
        ("{rolling: 5 days}", "`rolling` cannot be `5 days`"),
        ("{calendar: month, zome: UTC}", "unknown key `zome` in `window`"),
        ("{starts_at: 2026-01-01T00:00:00Z}", "`window` has no `ends_at`"),
        ("{lifetime: false}", "`false` is not a value of `lifetime`"),
        ("month", "`window` must be a mapping, got text"),
        ("{rolling: 24h, zone: UTC}", "unknown key `zone` in `window`"),
        (
            "{starts_at: 2026-01-01, ends_at: 2026-02-01T00:00:00Z}",
            "a timestamp needs a time and a zone, such as `2026-11-01T12:00:00Z`",
        ),
    ],
)
def test_of_a_union_the_branch_that_was_meant_is_told(window: str, message: str) -> None:
    ((_, found, _),) = problems(f"budgets: [{{id: a, hard_limit_usd: 5, window: {window}}}]")
    assert found == message


def test_a_limit_is_a_number_or_an_expression() -> None:
    ((code, message, _),) = problems("budgets: [{id: a, hard_limit_usd: true, window: {calendar: day}}]")
    assert (code, message) == ("CL105", "`hard_limit_usd` must be a number or an expression, got a boolean")


@pytest.mark.parametrize(
    ("text", "advice"),
    [
        ("on_error: skp", "did you mean `skip`?"),
        ("routes: [{id: a, model: b, fallbacks: c}]", "`fallbacks: [c]`"),
        ("routes: [{id: a, choose: {minimize: '1', limits: {min_quality: 80}}}]", "80 % is `0.8`"),
        ("routes: [{id: a, choose: {minimize: '1', limits: {min_quality: 80%}}}]", "`min_quality: 0.8`"),
        ("routes: [{id: a, choose: {minimize: '1', limits: {max_cost_usd: $5}}}]", "`max_cost_usd: 5`"),
        ("rewrites: [{id: a, apply: [{trim_history: {max_prompt_tokens: 8k}}]}]", "`max_prompt_tokens: 8000`"),
        ("rewrites: [{id: a, apply: [{prefix: Hello}]}]", "`prefix: {text: Hello}`"),
        ("rewrites: {id: a}", "put `- ` before each item"),
        ("routes: [{id: isLong, model: b}]", "write `is-long`"),
        (
            "budgets: [{id: a, hard_limit_usd: 1, window: {rolling: 3600}}]",
            "allowed: numbers with the units `ms`, `s`, `m`, `h`, `d` and `w`, such as `30m` or `1h30m`",
        ),
        (
            "budgets: [{id: a, hard_limit_usd: 1, window: {calendar: day, rolling: 1h}}]",
            "`calendar` and `rolling` are alternatives; keep one of them",
        ),
    ],
)
def test_help_shows_what_to_write(text: str, advice: str) -> None:
    _, diagnostics = read(text)
    assert advice in diagnostics[0].help


def test_a_version_read_as_a_number_is_to_be_quoted() -> None:
    text = "apiVersion: costlens-policy/v1\nkind: Policy\nmetadata: {name: a, version: 1.10}"
    (located,) = compose(source_of(text)).documents
    _, (problem,) = read_document(located)
    assert problem.help == 'YAML reads 1.10 as a number; quote it: `version: "1.10"`'


@pytest.mark.parametrize(
    ("quantile", "codes"), [("0.5", []), ("0.999", []), ("0.4999", ["CL108"]), ("0.9991", ["CL108"])]
)
def test_a_bound_is_compared_as_it_is_written(quantile: str, codes: list[str]) -> None:
    """The double next to 0.999 is below it."""
    hold = f"{{quantile: {quantile}, cases: 999}}"
    found = problems(f"budgets: [{{id: a, hard_limit_usd: 5, hold: {hold}, window: {{calendar: day}}}}]")
    assert [code for code, _, _ in found] == codes
