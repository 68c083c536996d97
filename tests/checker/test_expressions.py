"""Expressions of documents: all are found, typed against what their place knows, and reported at their place."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

from costlens_policy.checker.attributes import (
    ESTIMATE,
    MODEL_FACTS,
    ROOT_TYPES,
    STANDARD_ATTRIBUTES,
    model_record,
    model_values,
    request_record,
    unknown_facts,
)
from costlens_policy.checker.reads import expressions_of, marks_of
from costlens_policy.documents.document import IsExpression, Section
from costlens_policy.documents.policy_set import Admission
from costlens_policy.expressions import (
    BOOL,
    DEFAULT_LIMITS,
    DOUBLE,
    INT,
    STRING,
    Environment,
    Field,
    Record,
    Type,
    analyze,
)
from costlens_policy.expressions.functions.costs import Sizes
from tests.checker.repository import bundle, codes, diagnostics, write

EVERYWHERE = """
on_error: deny
variables: {long: request.?prompt_tokens.orValue(0) > 100}
access:
  - {id: a, when: variables.long, effect: deny, reason: too long}
routes:
  - {id: b, when: 'budgets["j"].left > 0.0', model_from: '"small"'}
  - {id: c, when: has(request.user), split: {key: request.user, targets: [{model: small, weight: 1}, {model: large, weight: 1}]}}
  - {id: d, when: has(request.task), choose: {among: model.external, minimize: estimate.cost_usd}}
  - {id: e, when: has(request.team), choose: {models: [small], maximize: "1"}}
rewrites:
  - {id: f, when: model.external, apply: [{template: {text: "{{ prompt }} {{ who }}", values: {who: '"you"'}}}]}
budgets:
  - id: j
    when: '!variables.long'
    scope: request.?team.orValue("")
    hard_limit_usd: 'has(request.user) ? 5.0 : 1.0'
    window: {calendar: day}
    thresholds:
      - {at_ratio: 0.5, downgrade: {exclude: model.fine_tuned, models: [small]}}
      - {at_ratio: 0.7, rewrite: [{template: {text: "{{ prompt }} {{ who }}", values: {who: model.name}}}]}
"""  # noqa: E501 - one rule a line, so that the places below can be seen


def test_every_expression_is_found_and_typed(tmp_path: Path) -> None:
    checked = bundle(write(tmp_path, EVERYWHERE))
    (policy,) = checked.linked.policies
    typed = checked.typed_of(policy)
    assert set(typed) == {
        ("variables", "long"),
        ("access", 0, "when"),
        ("routes", 0, "when"),
        ("routes", 0, "model_from"),
        ("routes", 1, "when"),
        ("routes", 1, "split", "key"),
        ("routes", 2, "when"),
        ("routes", 2, "choose", "among"),
        ("routes", 2, "choose", "minimize"),
        ("routes", 3, "when"),
        ("routes", 3, "choose", "maximize"),
        ("rewrites", 0, "when"),
        ("rewrites", 0, "apply", 0, "template", "values", "who"),
        ("budgets", 0, "when"),
        ("budgets", 0, "scope"),
        ("budgets", 0, "hard_limit_usd"),
        ("budgets", 0, "thresholds", 0, "downgrade", "exclude"),
        ("budgets", 0, "thresholds", 1, "rewrite", 0, "template", "values", "who"),
    }
    assert typed["access", 0, "when"].type == BOOL
    assert typed["routes", 2, "choose", "minimize"].type == DOUBLE
    assert typed["routes", 3, "choose", "maximize"].type == INT
    assert typed["budgets", 0, "scope"].type == STRING
    assert ("variables", "long") in typed["budgets", 0, "when"].references


def test_numbers_are_no_expressions(tmp_path: Path) -> None:
    (policy,) = bundle(
        write(tmp_path, "budgets: [{id: a, hard_limit_usd: 5, window: {calendar: day}}]")
    ).linked.policies
    assert list(expressions_of(policy.document)) == []


def test_the_mark_of_a_field_says_what_it_may_read(tmp_path: Path) -> None:
    (policy,) = bundle(write(tmp_path, EVERYWHERE)).linked.policies
    rules = {field.path: field.rule for field in expressions_of(policy.document)}
    assert all(isinstance(rule, IsExpression) for rule in rules.values())
    assert "model" not in rules["routes", 0, "when"].roots
    assert "model" in rules["access", 0, "when"].roots
    assert rules["budgets", 0, "hard_limit_usd"].result == "number"


def test_a_place_inside_a_folded_text_is_found(tmp_path: Path) -> None:
    policy = """
    routes:
      - id: a
        when: >-
          has(request.task)
            && request.tsk == "chat"
        model: small
    """
    (problem,) = diagnostics(write(tmp_path, policy))
    assert problem.code == "CL302"
    assert problem.span is not None
    lines = (tmp_path / "policy.yaml").read_text().splitlines()
    assert lines[problem.span.start.line - 1][problem.span.start.column - 1 :].startswith("tsk")


def test_a_limit_must_be_a_number(tmp_path: Path) -> None:
    limit = "request.?tags.orValue([])"
    policy = f"budgets: [{{id: a, hard_limit_usd: '{limit}', window: {{calendar: day}}}}]"
    assert codes(write(tmp_path, policy)) == ["CL309"]


def test_a_variable_that_cannot_be_typed_is_told_once(tmp_path: Path) -> None:
    policy = """
    variables:
      a: request.modle
      b: variables.a + 1
    routes:
      - {id: r, when: variables.b > 3 && variables.a == "x", model: small}
    """
    assert codes(write(tmp_path, policy)) == ["CL302"]


def test_attributes_of_the_set_are_known(tmp_path: Path) -> None:
    extra = """
    attributes:
      seats: {type: int, required: true}
      tier: {type: string, default: free}
      groups: {type: list(string)}
    """
    policy = """
    routes:
      - {id: a, when: 'request.seats > 3 && request.tier != "free"', model: small}
      - {id: b, when: '"x" in request.groups', model: small}
    """
    assert codes(write(tmp_path, policy, extra)) == ["CL314"]


def test_what_all_models_have_need_not_be_guarded(tmp_path: Path) -> None:
    policy = """
    rewrites:
      - {id: a, when: 'model.provider == "acme"', apply: [{prefix: {text: "A "}}]}
      - {id: b, when: model.context_window > 5, apply: [{suffix: {text: " B"}}]}
    """
    (problem,) = diagnostics(write(tmp_path, policy))
    assert "`model.context_window` may be missing" in problem.message


def test_unknown_models_lack_everything(tmp_path: Path) -> None:
    catalogue = bundle(write(tmp_path)).linked.catalogue
    assert "provider" not in unknown_facts(catalogue, Admission())
    assert unknown_facts(catalogue, Admission(unknown_models=True)) == MODEL_FACTS


def test_the_values_of_a_model_are_those_that_are_declared(tmp_path: Path) -> None:
    declared = model_record().fields
    for model in bundle(write(tmp_path)).linked.catalogue:
        values = model_values(model, model.periods[0], date(2026, 11, 1))
        assert set(values) <= set(declared)
        assert {name for name, field in declared.items() if not field.optional} <= set(values)


def _marked_examples() -> Iterator[tuple[str, IsExpression, str]]:
    """Yield the examples that an editor shows for expressions, with the mark of their key."""
    sections: list[type[Section]] = [Section]
    while sections:
        section = sections.pop()
        sections += section.__subclasses__()
        schema = section.model_json_schema()
        properties = schema.get("$defs", {}).get(section.__name__, schema).get("properties", {})
        for name, mark in marks_of(section).items():
            if mark is not None:
                for example in _examples(properties[section.model_fields[name].alias or name]):
                    yield f"{section.__name__}.{name}", mark, example


def _examples(schema: dict[str, Any]) -> Iterator[str]:
    for part in (schema, *schema.get("anyOf", ())):
        for example in part.get("examples", ()):
            texts = example.values() if isinstance(example, dict) else [example]
            yield from (text for text in texts if isinstance(text, str))


def test_examples_of_expressions_are_without_fault() -> None:
    seen = 0
    for name, mark, example in _marked_examples():
        variables = {root: ROOT_TYPES[root] for root in mark.roots}
        request = request_record(STANDARD_ATTRIBUTES, Sizes(DEFAULT_LIMITS))
        signals = Record("signals", {"task": Field(STRING, optional=True)})
        records = {record.name: record for record in (request, model_record(), ESTIMATE, signals)}
        if "request" in mark.roots:
            variables["signals"] = Type("signals")
        analyzed = analyze(example, Environment(variables, records))
        problems = [item for item in analyzed.problems if not (item.code == "CL314" and "model" in mark.roots)]
        assert problems == [], (name, example)
        seen += 1
    assert seen > 15


def test_every_standard_attribute_is_described() -> None:
    assert all(item.description for item in STANDARD_ATTRIBUTES.values())
