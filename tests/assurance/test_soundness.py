"""Verdicts agree with trying all requests, and stay the same when rules are written in another way."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from costlens_policy.assurance import Every, Found, Nothing, Subject, Witness, examine
from costlens_policy.checker import CheckedBundle
from costlens_policy.diagnostics.model import Diagnostic
from costlens_policy.engine.decide import decide
from costlens_policy.engine.decision import Decision
from tests.assurance.conftest import checked
from tests.assurance.test_domain import VALUES, all_requests, conditions
from tests.soak import examples

NOW = datetime(2026, 1, 5, 12, tzinfo=UTC)
_MOST: int = 3000

slow = settings(max_examples=examples(20), deadline=None, suppress_health_check=list(HealthCheck))


def _brute_force(bundle: CheckedBundle, subject: Subject) -> Iterator[tuple[dict[str, Any], Decision]]:
    """Yield all requests of the small domain with what is decided; the attributes that no rule reads are left out."""
    read = {
        path[1]
        for typed in bundle.expressions.values()
        for item in typed.values()
        for path in item.references
        if path[1:]
    }
    names = frozenset(read) & VALUES.keys()
    for request in itertools.islice(all_requests(names), _MOST):
        yield request, decide(subject.plan, request, {}, NOW)


def _named(found: tuple[Diagnostic, ...], message: str) -> set[str]:
    """Return the rules of which a message is reported; the pattern has the rule as its group."""
    return {match[1] for item in found if (match := re.search(message, item.message))}


@slow
@given(
    st.lists(conditions(), max_size=2),
    st.lists(conditions(), min_size=2, max_size=4),
    st.sampled_from(["deny", "skip"]),
)
def test_no_verdict_disagrees_with_trying_all(
    tmp_path_factory: pytest.TempPathFactory, denies: list[str], routes: list[str], on_error: str
) -> None:
    bundle = checked(tmp_path_factory.mktemp("p"), denies=denies, routes=routes, on_error=on_error)
    subject = Subject(bundle, NOW)
    found = examine(bundle, NOW)
    tried = list(_brute_force(bundle, subject))
    reached = {decision.rule for _, decision in tried}
    denying = {rule for _, decision in tried for rule in re.findall("denied by `(.*?)`", " ".join(decision.reasons))}

    for route in (*subject.rules["routes"], subject.default):
        result = subject.witness(subject.reached(route))
        if isinstance(result, Witness):
            assert result.decision.rule == route.id
        elif isinstance(result, Nothing):
            assert route.id not in reached
    for rule in subject.denies:
        result = subject.witness(rule.goal)
        if isinstance(result, Witness):
            assert result.decision.effect == "deny"
        elif isinstance(result, Nothing):
            assert rule.id not in denying
    assert reached.isdisjoint(_named(found, r"the route `(.*?)` never matches"))
    assert reached.isdisjoint(_named(found, r"`(.*?)` matches only requests that access denies"))
    assert reached.isdisjoint(_named(found, r"condition of `(.*?)` never holds"))
    assert denying.isdisjoint(_named(found, r"condition of `(.*?)` never holds"))
    if set(_named(found, r"condition of `(p/deny-.*?)` always holds")):
        assert all(decision.effect == "deny" for _, decision in tried)


def _verdicts(bundle: CheckedBundle) -> set[tuple[str, str]]:
    """Return the codes of findings by the rules at which they stand, whatever the words of the conditions."""
    found = (*bundle.warnings, *examine(bundle, NOW))
    ids = {rule.id for rules in Subject(bundle, NOW).rules.values() for rule in rules}
    return {
        (item.code, rule) for item in found for rule in re.findall(r"`(p/[\w-]+)`", item.message)[:1] if rule in ids
    }


@slow
@given(st.lists(conditions(), min_size=2, max_size=3))
def test_variables_change_no_verdict(tmp_path_factory: pytest.TempPathFactory, routes: list[str]) -> None:
    """A condition that is split into a variable of the policy reads as it did."""
    folder = tmp_path_factory.mktemp("p")
    plain = Subject(checked(folder, routes=routes), NOW)
    split = checked(
        tmp_path_factory.mktemp("p"), routes=["variables.part0 || false", *routes[1:]], variables=routes[:1]
    )
    other = Subject(split, NOW)
    for one, two in zip(plain.rules["routes"], other.rules["routes"], strict=True):
        assert type(plain.find(plain.reached(one))) is type(other.find(other.reached(two)))


_RENAMED = {"tier": "plan_tier", "paid": "has_paid", "age": "years", "score": "points", "groups": "circles"}


@slow
@given(st.lists(conditions(), min_size=2, max_size=3), st.lists(conditions(), max_size=1))
def test_names_change_no_verdict(
    tmp_path_factory: pytest.TempPathFactory, routes: list[str], denies: list[str]
) -> None:
    from tests.assurance.conftest import ATTRIBUTES

    def renamed(text: str) -> str:
        for name, other in _RENAMED.items():
            text = re.sub(rf"(request\.\??){name}\b", rf"\g<1>{other}", text)
            text = re.sub(rf"(?m)^  {name}:", f"  {other}:", text)
        return text

    plain = checked(tmp_path_factory.mktemp("p"), routes=routes, denies=denies)
    other = checked(
        tmp_path_factory.mktemp("p"),
        routes=list(map(renamed, routes)),
        denies=list(map(renamed, denies)),
        attributes=renamed(ATTRIBUTES),
    )
    assert _verdicts(plain) == _verdicts(other)


@slow
@given(st.lists(conditions(), min_size=2, max_size=2), conditions())
def test_the_order_of_disjoint_rules_changes_no_verdict(
    tmp_path_factory: pytest.TempPathFactory, routes: list[str], last: str
) -> None:
    first, second = routes
    plain = Subject(checked(tmp_path_factory.mktemp("p"), routes=[first, second, last]), NOW)
    one, two, three = plain.rules["routes"]
    if not isinstance(plain.find(Every([one.goal, two.goal])), Nothing):
        return
    turned = Subject(checked(tmp_path_factory.mktemp("p"), routes=[second, first, last]), NOW)
    for before, after in ((one, 1), (two, 0), (three, 2)):
        mine = plain.find(plain.reached(before))
        its = turned.find(turned.reached(turned.rules["routes"][after]))
        assert isinstance(mine, Found) == isinstance(its, Found)
        assert isinstance(mine, Nothing) == isinstance(its, Nothing)
