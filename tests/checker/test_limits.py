"""The limits of a policy set: each has a default, a setting, and a code that says when it is reached."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from costlens_policy.checker.expressions import limits_of
from costlens_policy.compiler import compile_plan
from costlens_policy.documents.document import described_schema
from costlens_policy.documents.policy_set import ExpressionLimits
from costlens_policy.engine.decide import decide
from costlens_policy.errors import RequestError
from costlens_policy.expressions import DEFAULT_LIMITS
from costlens_policy.expressions.limits import DEFAULT_RUN_LIMITS, RunLimits
from tests.checker.repository import bundle, codes, diagnostics, found, write
from tests.conftest import ROOT

NOW = datetime(2026, 11, 1, tzinfo=UTC)


def route(when: str) -> str:
    return f"routes: [{{id: all, when: '{when}', model: large}}]"


def test_the_defaults_are_those_of_the_expressions() -> None:
    stated = ExpressionLimits()
    assert limits_of(stated) == DEFAULT_LIMITS
    assert RunLimits(stated.iterations, stated.value_size) == DEFAULT_RUN_LIMITS
    settings = len(ExpressionLimits.model_fields)
    assert settings == len(asdict(DEFAULT_LIMITS)) + len(asdict(DEFAULT_RUN_LIMITS)), "every limit has a setting"


def test_every_setting_is_described() -> None:
    page = (ROOT / "docs" / "expressions.md").read_text(encoding="utf-8")
    described = described_schema(ExpressionLimits)["properties"]
    for name, field in ExpressionLimits.model_fields.items():
        assert described[name]["description"]
        assert f"`{name}`" in page
        assert f"{field.default:,}" in page


TAGS = "has(request.tags) && request.tags"
FRONT_END = [
    ("expression_length: 30", route('has(request.task) && request.task == "x"'), "CL305"),
    ("expression_depth: 3", route("!(!(!(true)))"), "CL305"),
    ("literal_length: 3", route('"abcd" != "efg"'), "CL305"),
    ("literal_elements: 2", route("1 in [1, 2, 3]"), "CL305"),
    ("cost: 100", route(f'{TAGS}.exists(tag, tag != "a")'), "CL319"),
    ("assumed_list: 100000", route(f'{TAGS}.exists(tag, tag.startsWith("a"))'), "CL319"),
    ("assumed_map: 500000", route('has(request.metadata) && request.metadata.exists(key, key != "a")'), "CL319"),
    ("assumed_text: 10000000", route(f'{TAGS}.exists(tag, tag.contains("ab"))'), "CL319"),
]


@pytest.mark.parametrize(("limit", "policy", "code"), FRONT_END, ids=[limit for limit, _, _ in FRONT_END])
def test_a_limit_of_the_front_end(tmp_path: Path, limit: str, policy: str, code: str) -> None:
    assert code not in codes(write(tmp_path / "default", policy))
    assert codes(write(tmp_path / "set", policy, f"limits: {{{limit}}}\n")).count(code) == 1


def test_a_limit_can_be_raised(tmp_path: Path) -> None:
    policy = route(f"{TAGS}.all(a, request.tags.all(b, request.tags.exists(c, a + b != c)))")
    (dear,) = diagnostics(write(tmp_path / "default", policy))
    assert dear.code == "CL319"
    assert dear.span is not None
    assert codes(write(tmp_path / "raised", policy, "limits: {cost: 1000000000}\n")) == []


def test_iterations_are_counted_at_run_time(tmp_path: Path) -> None:
    policy = "on_error: deny\n" + route(f'{TAGS}.exists(tag, tag == "a" + "b") || {TAGS}.size() > 99')
    assert decided(write(tmp_path / "default", policy), {"tags": ["x"] * 50}).effect == "allow"
    few = write(tmp_path / "few", policy, "limits: {iterations: 20}\n")
    assert decided(few, {"tags": ["x"] * 20}).effect == "allow"
    stopped = decided(few, {"tags": ["x"] * 21})
    assert stopped.effect == "deny"
    assert "CL914" in str(stopped.to_dict())


def decided(folder: Path, request: dict[str, Any]) -> Any:
    return decide(compile_plan(bundle(folder)), {"prompt": "x", **request}, {}, NOW)


@pytest.mark.parametrize(
    "text", ["cost: 0", "iterations: -1", "expression_depth: 101", "assumed_text: 1.5", "costs: 1"]
)
def test_what_is_no_limit(tmp_path: Path, text: str) -> None:
    assert [code[:3] for code in codes(write(tmp_path, extra=f"limits: {{{text}}}\n"))] == ["CL1"]


MAX_SIZE = """
attributes:
  words: {type: list(string), max_size: 3}
  code: {type: string, max_size: 5}
  any: {type: "map(string, dyn)", max_size: 1}
"""


def test_a_declared_size_counts_in_the_worst_case(tmp_path: Path) -> None:
    guard = "has(request.words) && "
    policy = route(guard + "request.words.all(a, request.words.all(b, request.words.exists(c, a + b != c)))")
    assert codes(write(tmp_path, policy, MAX_SIZE)) == []
    assert codes(write(tmp_path / "many", policy, MAX_SIZE.replace("3", "300"))) == ["CL319"]


def test_the_size_of_a_variable_is_that_of_its_expression(tmp_path: Path) -> None:
    policy = """
    variables:
      letters: request.?prompt.orValue("").split("")
    routes:
      - {id: all, when: 'variables.letters.all(a, variables.letters.exists(b, a != b))', model: large}
    """
    (dear,) = diagnostics(write(tmp_path, policy))
    assert dear.code == "CL319"
    assert dear.label.startswith("visits 10,001 elements of `variables.letters`")


def test_a_request_with_more_is_refused(tmp_path: Path) -> None:
    folder = write(tmp_path, extra=MAX_SIZE)
    assert decided(folder, {"words": ["a"] * 3, "code": "abcde", "any": {"a": 1}}).effect == "allow"
    with pytest.raises(RequestError) as refused:
        decided(folder, {"words": ["a"] * 4, "code": "abcdef", "any": {"a": 1, "b": 2}})
    assert refused.value.problems == (
        "`words` may have 3 elements, and this has 4",
        "`code` may have 5 characters, and this has 6",
        "`any` may have 1 elements, and this has 2",
    )


def test_a_size_that_an_attribute_cannot_have(tmp_path: Path) -> None:
    extra = """
    attributes:
      count: {type: int, max_size: 3}
      code: {type: string, max_size: 3, default: abcd}
    """
    assert found(write(tmp_path, extra=extra)) == [
        ("CL212", "`max_size` applies to strings, lists and maps only, but `count` is of type int"),
        ("CL211", "the default must have a size of at most 3, its `max_size`"),
    ]
