"""Coverage of random suites against plain oracles: a reading of the policy in Python, and the definition of MC/DC."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from costlens_policy.testing.coverage import Measure, OutcomeCounts, measure
from costlens_policy.testing.coverage.conditions import (
    Branch,
    Condition,
    Constant,
    Junction,
    Leaf,
    Negation,
    Shape,
    Truth,
)
from costlens_policy.testing.coverage.counting import conditions_in
from costlens_policy.testing.observation import observe
from costlens_policy.testing.policy_sets import PolicySets, SetUnderTest
from costlens_policy.testing.suites import SuiteProblems, find_suites
from tests.engine.longhand import longhand

NOW = datetime(2026, 11, 2, 12, tzinfo=UTC)
Request = Mapping[str, Any]
Operand = Callable[[Request], bool]

POLICY_SET = """\
apiVersion: costlens-policy/v1
kind: PolicySet
metadata: {name: oracle, version: "1"}
policies: [policy.yaml]
catalogues: [catalogue.yaml]
attributes:
  team: {type: string, default: ""}
  task: {type: string, default: ""}
  tier: {type: string, default: free}
  vip: {type: bool, default: false}
  size: {type: int, default: 0}
defaults: {access: allow, route: {model: small}, max_output_tokens: 10}
"""
POLICY = """\
apiVersion: costlens-policy/v1
kind: Policy
metadata: {name: p, version: "1"}
on_error: deny
access:
  - {id: deny, when: request.team == "x" && !(request.tier == "gold" || request.vip), effect: deny, reason: no}
routes:
  - {id: one, when: request.task == "a" && (request.tier == "gold" || request.size > 10), model: large}
  - id: two
    when: 'request.task == "b" ? request.tier == "gold" : request.vip && request.size > 10'
    model: large
  - {id: three, when: request.task == "c" || request.task == "a", model: small}
rewrites:
  - {id: rewrite, when: model.name == "large" && request.vip, apply: [{set_params: {temperature: 0}}]}
"""
CATALOGUE = """\
apiVersion: costlens-policy/v1
kind: Catalogue
metadata: {name: c, version: "1"}
models:
  small: {provider: acme, prices: [{usd_per_million_tokens: {input: 1, output: 1}}]}
  large: {provider: acme, prices: [{usd_per_million_tokens: {input: 2, output: 2}}]}
"""
SUITE = """\
apiVersion: costlens-policy/v1
kind: Suite
metadata: {name: s, version: "1"}
policy_set: policy-set.yaml
cases: [{name: a, expect: {effect: allow}}]
"""


def _gold(request: Request) -> bool:
    return bool(request["tier"] == "gold")


def _vip(request: Request) -> bool:
    return bool(request["vip"])


def _large(request: Request) -> bool:
    return bool(request["size"] > 10)


def _task(name: str) -> Operand:
    return lambda request: request["task"] == name


CONDITIONS: dict[str, tuple[Sequence[Operand], Callable[..., bool]]] = {
    "p/deny": ((lambda r: r["team"] == "x", _gold, _vip), lambda a, b, c: a and not (b or c)),
    "p/one": ((_task("a"), _gold, _large), lambda a, b, c: a and (b or c)),
    "p/two": ((_task("b"), _gold, _vip, _large), lambda a, b, c, d: b if a else c and d),
    "p/three": ((_task("c"), _task("a")), lambda a, b: a or b),
}
ROUTES = ("p/one", "p/two", "p/three")


def holds(rule: str, request: Request) -> bool:
    operands, combine = CONDITIONS[rule]
    return combine(*(operand(request) for operand in operands))


def asked(request: Request) -> Iterator[str]:
    """Yield the conditions that a decision asks, in the words of docs/semantics.md."""
    yield "p/deny"
    if not holds("p/deny", request):
        for route in ROUTES:
            yield route
            if holds(route, request):
                return


def expected(requests: Sequence[Request]) -> set[str]:
    """Return the items that the definition says are covered: an operand decides where its opposite would."""
    covered: set[str] = set()
    decided: dict[tuple[str, int], set[tuple[bool, bool]]] = defaultdict(set)
    for request in requests:
        for rule in asked(request):
            operands, combine = CONDITIONS[rule]
            values = [operand(request) for operand in operands]
            outcome = combine(*values)
            covered.add(f"{rule} {str(outcome).lower()}")
            if outcome:
                covered.add(rule)
            for index in range(len(values)):
                if combine(*values[:index], not values[index], *values[index + 1 :]) != outcome:
                    decided[rule, index].add((values[index], outcome))
    for (rule, index), found in decided.items():
        if any((not value, not outcome) in found for value, outcome in found):
            covered.add(f"{rule} operand {index + 1}")
    return covered


@pytest.fixture(scope="module")
def tested(tmp_path_factory: pytest.TempPathFactory) -> SetUnderTest:
    folder = tmp_path_factory.mktemp("oracle")
    for name, text in (("policy-set", POLICY_SET), ("policy", POLICY), ("catalogue", CATALOGUE), ("s_test", SUITE)):
        (folder / f"{name}.yaml").write_text(text)
    return _loaded(folder)


def _loaded(folder: Path) -> SetUnderTest:
    (suite,) = find_suites([folder]).suites
    found = PolicySets([folder], {}).of(suite, SuiteProblems(suite.located))
    assert found is not None
    return found


def counted(tested: SetUnderTest, requests: Sequence[Request]) -> OutcomeCounts:
    counts = OutcomeCounts(conditions_in(tested.engine.plan, tested.bundle))
    for request in requests:
        decision = tested.engine.decide({**request, "prompt": "x"}, now=NOW)
        counts.count(observe(decision, tested.known, {}))
    return counts


requests = st.fixed_dictionaries(
    {
        "team": st.sampled_from(["x", "y"]),
        "task": st.sampled_from(["a", "b", "c", "d"]),
        "tier": st.sampled_from(["free", "gold"]),
        "vip": st.booleans(),
        "size": st.sampled_from([0, 11]),
    }
)


@settings(max_examples=80, deadline=None)
@given(st.lists(requests, min_size=1, max_size=12))
def test_coverage_is_what_a_plain_reading_finds(tested: SetUnderTest, requests: list[Request]) -> None:
    (policy,) = measure(tested, counted(tested, requests), ()).policies
    found = {item.name.partition(" `")[0] for item in policy.items if item.covered and item.rule in CONDITIONS}
    assert found - {name for name in found if " candidate" in name} == expected(requests)


@settings(max_examples=30, deadline=None)
@given(st.lists(requests, min_size=1, max_size=12))
def test_shortcuts_of_the_engine_change_no_coverage(tested: SetUnderTest, requests: list[Request]) -> None:
    short = measure(tested, counted(tested, requests), ())
    with longhand():
        long = measure(tested, counted(tested, requests), ())
    assert [(item.name, item.count, item.why) for item in short.items] == [
        (item.name, item.count, item.why) for item in long.items
    ]


def test_coverage_does_not_depend_on_how_policies_are_written(tested: SetUnderTest, tmp_path: Path) -> None:
    """Conditions folded over lines, with other spaces and parentheses, in another style of YAML."""
    folded = """id: one
    when: >-
      request.task   ==   'a'
      && ((request.tier == "gold") || request.size > 10)
    model: large"""
    (flow,) = (line.strip().removeprefix("- ") for line in POLICY.splitlines() if "id: one" in line)
    text = POLICY.replace(flow, folded)
    text = text.replace('"b" ?', '"b"   ?')
    assert folded in text
    for name, content in (("policy-set", POLICY_SET), ("policy", text), ("catalogue", CATALOGUE), ("s_test", SUITE)):
        (tmp_path / f"{name}.yaml").write_text(content)
    common = {"team": "x", "vip": True, "size": 11}
    written = [{**common, "task": task, "tier": tier} for task, tier in product("ab", ["gold", ""])]
    one, other = (measure(each, counted(each, written), ()) for each in (tested, _loaded(tmp_path)))
    assert [(item.rule, item.covered, item.was_true, item.was_false) for item in one.items] == [
        (item.rule, item.covered, item.was_true, item.was_false) for item in other.items
    ]


def shapes(most: int) -> st.SearchStrategy[Shape]:
    """Shapes over operands that are numbered later, each once."""
    return st.recursive(
        st.sampled_from([Leaf(0), Leaf(0), Leaf(0), Constant(True), Constant(False)]),
        lambda inner: st.one_of(
            st.builds(Negation, inner),
            st.builds(Junction, st.booleans(), st.lists(inner, min_size=2, max_size=3).map(tuple)),
            st.builds(Branch, inner, inner, inner),
        ),
        max_leaves=most,
    )


def numbered(shape: Shape, used: Iterator[int]) -> Shape:
    match shape:
        case Leaf():
            return Leaf(next(used))
        case Constant():
            return shape
        case Negation(operand):
            return Negation(numbered(operand, used))
        case Junction(any_, operands):
            return Junction(any_, tuple(numbered(operand, used) for operand in operands))
        case Branch(condition, accepted, rejected):
            return Branch(*(numbered(part, used) for part in (condition, accepted, rejected)))


def plain(shape: Shape, values: Sequence[bool]) -> bool:
    match shape:
        case Leaf(index):
            return values[index]
        case Constant(value):
            return value
        case Negation(operand):
            return not plain(operand, values)
        case Junction(any_, operands):
            return (any if any_ else all)(plain(operand, values) for operand in operands)
        case Branch(condition, accepted, rejected):
            return plain(accepted if plain(condition, values) else rejected, values)


@settings(max_examples=300, deadline=None)
@given(shapes(7), st.data())
def test_an_operand_decides_where_its_opposite_would(shape: Shape, data: st.DataObject) -> None:
    numbers = iter(range(1000))
    shape = numbered(shape, numbers)
    size = next(numbers)
    values = data.draw(st.lists(st.booleans(), min_size=size, max_size=size))
    condition = Condition("p/r", "", 0, None, None, shape, ())  # type: ignore[arg-type]  # its text is not looked at
    truths = tuple(Truth.TRUE if value else Truth.FALSE for value in values)
    outcome = plain(shape, values)
    assert condition.outcome(truths) is (Truth.TRUE if outcome else Truth.FALSE)
    flipped = [
        index
        for index in range(size)
        if plain(shape, [*values[:index], not values[index], *values[index + 1 :]]) != outcome
    ]
    assert list(condition.deciding(truths)) == flipped


def test_measures_are_named_in_one_place() -> None:
    assert [str(item) for item in Measure] == [
        "rules", "conditions", "mcdc", "models", "shares", "overflows", "downgrades",
    ]  # fmt: skip
