"""The search agrees with trying very many requests, both in what it finds and where it finds nothing."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from costlens_policy.assurance.domain import Domain, Every, Found, Holds, Not, Nothing, Undecided
from costlens_policy.assurance.subject import Subject
from costlens_policy.compiler import compile_plan
from costlens_policy.engine.request import admit_request
from costlens_policy.expressions.runtime import CelError
from tests.assurance.conftest import checked
from tests.soak import examples

NOW = datetime(2026, 1, 5, 12, 30, tzinfo=UTC)

ATOMS = (
    'request.tier == "pro"',
    'request.tier in ["pro", "team"]',
    'request.tier != "free"',
    "has(request.paid)",
    "has(request.paid) && request.paid",
    "request.?paid.orValue(false)",
    "has(request.age)",
    "request.?age.orValue(0) >= 18",
    "request.?age.orValue(0) < 18",
    "has(request.age) && request.age > 17 && request.age < 65",
    "request.?age.orValue(-1) == 30",
    "request.?age.orValue(0) * 2 + 1 > 36",
    "5 - request.?age.orValue(0) < -12",
    "(request.?age.orValue(0) - 7) * -3 == -33",
    "request.?score.orValue(0.0) > 0.5",
    "has(request.score) && request.score <= 0.5",
    '"admins" in request.?groups.orValue([])',
    'has(request.groups) && request.groups.exists(g, g == "ops")',
    'has(request.team) && request.team.startsWith("eu-")',
    'request.?team.orValue("") == "eu-west"',
    'request.?team.orValue("").endsWith("-west")',
    "size(request.?groups.orValue([])) > 1",
    '(request.tier == "pro" ? 10 : 20) > 15',
    'request.?metadata[?"plan"].orValue("") == "gold"',
    'has(request.metadata) && "plan" in request.metadata',
    'request.metadata.get("plan", "") in ["gold", 5]',
    "has(request.metadata) && has(request.metadata.plan) && request.metadata.plan == true",
    'has(request.metadata) && request.metadata.plan.startsWith("go")',
    "has(request.note) && request.note.contains('err')",
    "has(request.note) && request.note.contains('error')",
    "request.?note.orValue('').matches('^(disk|net)')",
    "request.?note.orValue('').endsWith('full')",
    "request.?note.orValue('').matches('error|full')",
)

VALUES: dict[str, tuple[Any, ...]] = {
    "tier": (None, "free", "pro", "team"),
    "paid": (None, True, False),
    "age": (None, -1, 0, 17, 18, 30, 64, 65, 90),
    "score": (None, 0.0, 0.5, 0.6),
    "groups": (None, [], ["admins"], ["ops"], ["admins", "ops"], ["x", "y"]),
    "team": (None, "eu-west", "eu-north", "us-west", "core", ""),
    "metadata": (None, {}, *({"plan": value} for value in ("gold", "lead", "good", 5, 5.0, True, False, None, [], {}))),
    "note": (
        None,
        "",
        "err",
        "error",
        "disk error",
        "net err",
        "network",
        "disk full",
        "a disk full",
        "full error",
        "x",
        "errfull",
        "disk is full",
        "err error full",
    ),
}


def conditions() -> st.SearchStrategy[str]:
    atom = st.sampled_from(ATOMS)
    return st.recursive(
        atom,
        lambda inner: st.one_of(
            st.builds("({} && {})".format, inner, inner),
            st.builds("({} || {})".format, inner, inner),
            st.builds("!({})".format, inner),
            st.builds("({} ? {} : {})".format, inner, inner, inner),
        ),
        max_leaves=4,
    )


def all_requests(names: frozenset[str]) -> list[dict[str, Any]]:
    read = [name for name in VALUES if name in names]
    return [
        {name: value for name, value in zip(read, values, strict=True) if value is not None}
        for values in itertools.product(*(VALUES[name] for name in read))
    ]


@settings(max_examples=examples(50), suppress_health_check=list(HealthCheck))
@given(st.lists(conditions(), min_size=2, max_size=3))
def test_the_search_agrees_with_trying_all(tmp_path_factory: pytest.TempPathFactory, texts: list[str]) -> None:
    bundle = checked(tmp_path_factory.mktemp("p"), routes=[f"{text} || false" for text in texts])
    plan = compile_plan(bundle)
    steps = plan.layers[0].routes
    domain = Domain(plan, NOW)
    goals = [Holds(domain.tree(step.when, 0)) for step in steps if step.when is not None]
    wanted = Every([goals[-1], *map(Not, goals[:-1])])
    result = domain.find(wanted)
    names = frozenset(path[1] for step in steps if step.when for path in step.when.typed.references if len(path) > 1)

    def meets(request: dict[str, Any]) -> bool:
        values = admit_request(plan, request)
        outcomes = []
        for step in steps:
            assert step.when is not None
            try:
                outcomes.append(step.when.evaluate(values, {}, {}, None, None, None) is True)
            except CelError:
                outcomes.append(False)
        return outcomes[-1] and not any(outcomes[:-1])

    if isinstance(result, Found):
        subject = Subject(bundle, NOW)
        assert meets(subject.request(result.values)), result
    elif isinstance(result, Nothing):
        assert not [request for request in itertools.islice(all_requests(names), 4000) if meets(request)]
    else:
        assert isinstance(result, Undecided)


@pytest.mark.parametrize(
    ("earlier", "last", "expected"),
    [
        (['request.tier == "free"', 'request.tier in ["pro", "team"]'], "true || has(request.age)", Nothing),
        (["has(request.team)", "!has(request.team)"], "has(request.age)", Nothing),
        (["request.?age.orValue(0) < 10", "request.?age.orValue(0) >= 10"], "has(request.paid)", Nothing),
        (["request.?age.orValue(0) < 10", "request.?age.orValue(0) > 10"], "has(request.age)", Found),
        (['request.?team.orValue("").matches("^a+$")'], 'request.?team.orValue("") == "aaa"', Nothing),
        (['request.?team.orValue("").matches("^a+$")'], 'request.?team.orValue("") == "aab"', Found),
        (["request.?prompt_tokens.orValue(0) >= 0"], "has(request.paid)", Nothing),
        (["now.getHours('Europe/Berlin') < 12", "now.getHours('Europe/Berlin') >= 12"], "has(request.age)", Nothing),
        (["now.getHours('Europe/Berlin') < 12", "now.getHours('Europe/Berlin') > 12"], "has(request.age)", Found),
        (["request.?age.orValue(1) * 2 > 7"], "request.?age.orValue(1) == 4", Nothing),
        (["request.?age.orValue(1) * 2 > 7"], "request.?age.orValue(1) >= 4", Found),
        (["request.?age.orValue(1) * 2 > 7"], "request.?age.orValue(1) >= 4 && request.?age.orValue(1) < 9", Nothing),
        (["request.?age.orValue(1) % 2 == 0"], "request.?age.orValue(1) / 2 > 70", Undecided),
        (['request.?team.orValue("").matches("^a+$")'], 'request.?team.orValue("").startsWith("aaa")', Found),
        (['request.?team.orValue("").matches("^a.")'], 'request.?team.orValue("").startsWith("aaa")', Undecided),
        (['request.?team.orValue("").matches("^(a|b)")'], 'request.?team.orValue("").startsWith("aaa")', Nothing),
        (['request.?team.orValue("").contains("err")'], 'request.?team.orValue("").contains("error")', Nothing),
        (['request.?team.orValue("").contains("error")'], 'request.?team.orValue("").contains("err")', Found),
        (['request.?team.orValue("").lowerAscii().contains("a")'], 'request.?team.orValue("") == "aa"', Undecided),
        (['request.metadata.get("k", "") == "a"'], 'request.?metadata.?k.orValue("") in ["a"]', Nothing),
        (['request.metadata.get("k", "") != "a"'], "has(request.metadata) && request.metadata.k > 1", Undecided),
        (['request.?team.orValue("").lowerAscii() == "core"'], 'request.?team.orValue("") == "CORE"', Nothing),
        (['request.?team.orValue("") == "core"'], 'request.?team.orValue("").lowerAscii() == "core"', Found),
    ],
)  # fmt: skip
def test_what_is_found(tmp_path: Path, earlier: list[str], last: str, expected: type[object]) -> None:
    plan = compile_plan(checked(tmp_path, routes=[*earlier, last]))
    domain = Domain(plan, NOW)
    goals = [Holds(domain.tree(step.when, 0)) for step in plan.layers[0].routes if step.when is not None]
    assert isinstance(domain.find(Every([goals[-1], *map(Not, goals[:-1])])), expected)


def test_given_values_are_kept(tmp_path: Path) -> None:
    plan = compile_plan(checked(tmp_path, routes=['request.tier == "free"', "has(request.age)"]))
    domain = Domain(plan, NOW)
    first, second = [Holds(domain.tree(step.when, 0)) for step in plan.layers[0].routes if step.when is not None]
    assert isinstance(domain.find(Every([second, Not(first)]), {("request", "tier"): "free"}), Nothing)
    found = domain.find(Every([second, Not(first)]), {("request", "tier"): "pro"})
    assert isinstance(found, Found)
    assert found.values[("request", "tier")] == "pro"


def test_a_budget_is_read_by_each_of_its_names(tmp_path: Path) -> None:
    budgets = "budgets:\n  - {id: b, hard_limit_usd: 5, window: {calendar: day, zone: UTC}}\n"
    routes = ['budgets["b"].used_ratio > 0.5', 'budgets["p/b"].used_ratio > 0.9', 'budgets["b"].used_ratio < -1.0']
    plan = compile_plan(checked(tmp_path, routes=routes, budgets=budgets))
    domain = Domain(plan, NOW)
    goals = [Holds(domain.tree(step.when, 0)) for step in plan.layers[0].routes if step.when is not None]
    assert isinstance(domain.find(goals[1]), Found)
    assert isinstance(domain.find(Every([goals[1], Not(goals[0])])), Nothing)
    assert isinstance(domain.find(goals[2]), Nothing)


def test_what_cannot_be_finished_is_undecided(tmp_path: Path) -> None:
    """Searches end by the number of atoms that they evaluate, not by the clock."""
    routes = [
        "!(" + " || ".join(f'request.?metadata[?"k{at}x{n}"].orValue("") == "a"' for n in range(40)) + ")"
        for at in range(6)
    ]
    plan = compile_plan(checked(tmp_path, routes=[*routes, "has(request.age) && request.?age.orValue(0) == 3"]))
    domain = Domain(plan, NOW)
    goals = [Holds(domain.tree(step.when, 0)) for step in plan.layers[0].routes if step.when is not None]
    result = domain.find(Every([goals[-1], *map(Not, goals[:-1])]))
    assert isinstance(result, Found | Undecided)
    assert domain.work < 200_000
