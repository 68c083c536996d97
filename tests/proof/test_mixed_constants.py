"""Constants that Python takes for one, and CEL does not: ``true``, ``1`` and ``1.0``. The engine says what is so."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from costlens_policy import Engine
from costlens_policy.assurance.domain.written import Constants
from costlens_policy.checker import CheckedBundle, check
from costlens_policy.compiler import compile_plan
from costlens_policy.proof import Holds, compare, prove
from tests.assurance.conftest import checked
from tests.soak import examples

NOW: Final = datetime(2026, 11, 2, 12, tzinfo=UTC)
NOTE: Final = "  note: {type: string}\n"
PROBES: Final[tuple[Any, ...]] = (
    True,
    False,
    0,
    1,
    1.0,
    0.0,
    -0.0,
    1.5,
    2,
    -1,
    "",
    "a",
    "1",
    "true",
    None,
    [],
    [1],
    {},
)
READS: Final = ("request.metadata.k", 'request.metadata.get("k", "")', 'request.metadata.get("k", true)',
                'request.metadata.get("k", 1)', 'request.?metadata.?k.orValue(0)')  # fmt: skip
CONSTANTS: Final = st.sampled_from(["true", "false", "1", "1.0", "0", "0.0", "1.5", "-1.5", "-1", "2", '"a"', '"1"'])
TESTS: Final = st.one_of(
    st.builds("{} {} {}".format, st.sampled_from(READS), st.sampled_from(["==", "!="]), CONSTANTS),
    st.builds(
        lambda read, several: f"{read} in [{', '.join(several)}]",
        st.sampled_from(READS),
        st.lists(CONSTANTS, min_size=1, max_size=3),
    ),
)
CONDITIONS: Final = st.recursive(
    TESTS,
    lambda inner: st.one_of(
        st.builds("({} || {})".format, inner, inner),
        st.builds("({} && {})".format, inner, inner),
        st.builds("!({})".format, inner),
    ),
    max_leaves=3,
)


def refused(bundle: CheckedBundle) -> list[bool]:
    engine = Engine(compile_plan(bundle))
    requests = [{"metadata": {"k": value}} for value in PROBES] + [{"metadata": {}}, {}]
    return [not engine.decide(request, now=NOW).allowed for request in requests]


@given(CONDITIONS, CONDITIONS)
@settings(max_examples=examples(10), phases=[Phase.generate], deadline=None, suppress_health_check=list(HealthCheck))
def test_verdicts_about_versions_are_true_of_all_values(
    tmp_path_factory: pytest.TempPathFactory, condition: str, other: str
) -> None:
    old, new = (
        checked(tmp_path_factory.mktemp("version"), denies=[when], attributes=NOTE) for when in (condition, other)
    )
    found = {stage.name: stage for stage in compare(old, new, NOW).stages}["access"]
    before, after = refused(old), refused(new)
    if found.verdict in ("equal", "looser"):
        assert not any(now and not then for then, now in zip(before, after, strict=True)), (condition, other)
    if found.verdict in ("equal", "stricter"):
        assert not any(then and not now for then, now in zip(before, after, strict=True)), (condition, other)
    if found.verdict == "unknown":
        assert found.unknown


@given(CONDITIONS, CONDITIONS)
@settings(max_examples=examples(5), phases=[Phase.generate], deadline=None, suppress_health_check=list(HealthCheck))
def test_what_check_reports_is_true_of_all_values(
    tmp_path_factory: pytest.TempPathFactory, condition: str, other: str
) -> None:
    bundle = checked(tmp_path_factory.mktemp("set"), denies=[f"{condition} || {other}", other], attributes=NOTE)
    alone = checked(tmp_path_factory.mktemp("alone"), denies=[condition], attributes=NOTE)
    for item in bundle.warnings:
        if "never holds" in item.message and f"`{condition}`" in item.message:
            assert not any(refused(alone)), condition


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("request.metadata.k == true", "request.metadata.k == 1"),
        ("request.metadata.k == 1", "request.metadata.k == true"),
        ("request.metadata.k == false", "request.metadata.k == 0"),
        ("request.metadata.k in [true]", "request.metadata.k in [1.0]"),
    ],
)
def test_truth_values_are_no_numbers(tmp_path_factory: pytest.TempPathFactory, before: str, after: str) -> None:
    old, new = (checked(tmp_path_factory.mktemp("version"), denies=[when], attributes=NOTE) for when in (before, after))
    verdicts = {stage.name: stage.verdict for stage in compare(old, new, NOW).stages}
    assert verdicts["access"] == "neither"


def test_a_whole_number_equals_the_double(tmp_path_factory: pytest.TempPathFactory) -> None:
    old, new = (
        checked(tmp_path_factory.mktemp("version"), denies=[f"request.metadata.k == {one}"], attributes=NOTE)
        for one in ("1", "1.0")
    )
    assert {stage.verdict for stage in compare(old, new, NOW).stages} == {"equal"}


def _rewriting(folder: Path, value: object, data: object = 1, where: str = "rewrite") -> CheckedBundle:
    checked(folder, attributes=NOTE)
    head = 'apiVersion: costlens-policy/v1\nmetadata: {name: t, version: "1"}\nkind: '
    (folder / "t.yaml").write_text(f"{head}Data\ndata: {{v: {json.dumps(data)}}}\n")
    steps = f"[{{set_params: {{logprobs: {json.dumps(value)}}}}}]"
    text = f"{head}Policy\non_error: deny\n"
    text += (
        f"rewrites:\n  - {{id: w, apply: {steps}}}\n"
        if where == "rewrite"
        else f"budgets:\n  - id: b\n    hard_limit_usd: 5\n    window: {{calendar: day}}\n"
        f"    thresholds: [{{at_ratio: 0.5, rewrite: {steps}}}]\n"
    )
    text += "access:\n  - {id: d, when: 'type(request.metadata.k) == type(data.t.v)', effect: deny, reason: no}\n"
    (folder / "p.yaml").write_text(text)
    path = folder / "set.yaml"
    path.write_text(path.read_text().replace("policies:", "data: [t.yaml]\npolicies:"))
    return check(folder)


@pytest.mark.parametrize(("one", "other"), [(True, 1), (False, 0), ([True], [1]), ({"a": True}, {"a": 1.0}), (1, 1.0)])
@pytest.mark.parametrize("where", ["rewrite", "budget"])
def test_parameters_that_are_sent_are_told_apart(
    tmp_path_factory: pytest.TempPathFactory, one: object, other: object, where: str
) -> None:
    old, new = (_rewriting(tmp_path_factory.mktemp("version"), value, where=where) for value in (one, other))
    verdicts = {stage.name: stage.verdict for stage in compare(old, new, NOW).stages}
    assert verdicts.pop(f"{where}s") == "neither"
    assert set(verdicts.values()) == {"equal"}


def test_tables_are_told_apart_by_the_types_of_their_values(tmp_path_factory: pytest.TempPathFactory) -> None:
    old, new = (_rewriting(tmp_path_factory.mktemp("version"), 1, data) for data in (1, 1.0))
    compared = compare(old, new, NOW)
    assert "the data documents differ" in compared.notes
    assert compared.stages[0].verdict not in ("equal", "stricter", "looser")


def test_a_promise_is_not_proved_by_a_truth_value_that_comes_first(tmp_path: Path) -> None:
    routes = ["request.metadata.k == true", "request.metadata.k == 1"]
    checked(tmp_path, routes=routes, attributes=NOTE)
    path = tmp_path / "p.yaml"
    first, _, last = path.read_text().rpartition("model: small")
    path.write_text(f"{first}model: large{last}")
    (tmp_path / "inv.yaml").write_text(
        'apiVersion: costlens-policy/v1\nkind: Invariants\nmetadata: {name: i, version: "1"}\n'
        "policy_set: set.yaml\ninvariants:\n  - {id: n, title: no large model, never: 'model.name == \"large\"'}\n"
    )
    found = prove([tmp_path], now=NOW)
    assert not found.diagnostics
    proofs = found.proofs
    assert len(proofs) == 1
    assert not isinstance(proofs[0].verdict, Holds)


def test_check_does_not_take_a_number_for_a_truth_value(tmp_path: Path) -> None:
    read = 'request.metadata.get("k", "")'
    bundle = checked(tmp_path, denies=[f"{read} == true || {read} == 1"], attributes=NOTE)
    assert not [item for item in bundle.warnings if item.code == "CL434"]


def test_constants_that_are_equal_in_python_are_several() -> None:
    constants = Constants([True, 1, 1.0, "1", 1, 2.0])
    assert [*map(repr, constants)] == ["True", "1", "1.0", "'1'", "2.0"]
    assert 2 in constants
    assert False not in constants
    assert 1.0 in Constants([1])
    assert True not in Constants([1])
    assert 1 not in Constants([True])
