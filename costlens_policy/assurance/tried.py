"""What routes do with various requests that they match: which of their candidates is excluded each time."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Final

from costlens_policy.assurance.domain import ABSENT, Assignment, Every, Found, Goal, Holds
from costlens_policy.assurance.others import Others
from costlens_policy.assurance.subject import Rule, Subject
from costlens_policy.assurance.witness import Witness
from costlens_policy.compiler.rules import ByExpression, BySplit, RouteStep, drawn_by, routes_in
from costlens_policy.engine.context import Refusal
from costlens_policy.engine.decide import candidates_on
from costlens_policy.engine.facts import Exclusion
from costlens_policy.errors import CostlensPolicyError
from costlens_policy.frozen import frozen

__all__ = ["Tried", "tried_routes"]

_MOST_TRIED: Final = 60
_MOST_DRAWN: Final = 40
_LISTS: Final = ("tools", "modalities", "messages")


@frozen
class Tried:
    """A route, a request that it matches, as it was decided, and the candidates that every one tried excludes.

    ``goal`` is that the condition of the route is true. ``share`` is which target of its split was tried alone, if so.
    """

    route: Rule
    goal: Goal
    witness: Witness
    never: tuple[Exclusion, ...]
    all_refused: bool
    share: int | None = None


def tried_routes(subject: Subject) -> tuple[Tried, ...]:
    """Try the routes, and the default, that name their models, and of which nothing is reported yet."""
    others = Others(subject, subject.denies)
    found: list[Tried] = []
    for route in (*subject.rules["routes"], subject.default):
        step = route.step
        assert isinstance(step, RouteStep)
        named = not any(isinstance(inner.target, ByExpression) for inner in routes_in(step))
        if named and not subject.is_diagnosed(route):
            goal = Every([_true(route.goal), subject.allowed])
            first = others.find(goal)
            is_split = isinstance(step.target, BySplit)
            if isinstance(first, Found) and (is_split or not _is_served(subject, step, first.values)):
                matched = Every([goal, *(other.otherwise for other in others.beside(goal))])
                tried = _tried(subject, route, first.values, matched)
                found += [tried] if tried is not None else _refused_shares(subject, route, first.values, matched)
        if not route.passes_on:
            others.add(route)
    return tuple(found)


def _true(goal: Goal) -> Goal:
    """Return the goal that a condition is true; where it fails, a request is refused whatever the candidates are."""
    return Holds(goal.tree) if isinstance(goal, Holds) else goal


def _is_served(subject: Subject, route: RouteStep, values: Assignment) -> bool:
    """Say whether no candidate is excluded from a request, asking neither access nor other routes, which takes long."""
    if subject.plan.stages.allows_by_model:
        return False
    try:
        kept, excluded = candidates_on(subject.context(subject.situation(values)), route)
    except (CostlensPolicyError, Refusal):
        return False
    return bool(kept) and not excluded


def _tried(subject: Subject, route: Rule, first: Assignment, matched: Goal) -> Tried | None:
    """Return what is excluded each time; None as soon as that is nothing."""
    found: Tried | None = None
    budgets = {rule.id for rule in subject.limits}
    for values in islice(_variants(subject, first, matched), _MOST_TRIED):
        witness = subject.situated(values)
        if witness is None or witness.decision.rule != route.id or (found is not None and _asks_nothing(witness)):
            continue
        decision = witness.decision
        # What a budget refuses before anything is spent is reported of the budget.
        excluded = {item.model for item in decision.excluded if item.by not in budgets}
        before = decision.excluded if found is None else found.never
        never = tuple(item for item in before if item.model in excluded)
        if not never:
            return None
        refused = decision.model is None and (found is None or found.all_refused)
        found = Tried(route, _true(route.goal), witness if found is None else found.witness, never, refused)
    return found


def _refused_shares(subject: Subject, route: Rule, first: Assignment, matched: Goal) -> list[Tried]:
    """Return the shares of a split of which every one refuses each request tried, with a caller who draws it."""
    assert isinstance(route.step, RouteStep)
    target = route.step.target
    if not isinstance(target, BySplit) or subject.plan.stages.allows_by_model:
        return []
    variants = list(islice(_variants(subject, first, matched), _MOST_TRIED))
    found: list[Tried] = []
    for at, share in enumerate(target.shares):
        if target.bounds[at] > (target.bounds[at - 1] if at else 0) and not any(
            _serves(subject, share, values) for values in variants
        ):
            for caller in range(_MOST_DRAWN):
                witness = subject.situated({**first, **_callers(subject, route.step, caller)})
                if witness is not None and witness.decision.rule == route.id and witness.decision.model is None:
                    found.append(Tried(route, _true(route.goal), witness, (), True, at))
                    break
    return found


def _callers(subject: Subject, route: RouteStep, number: int) -> Assignment:
    """Return who draws from a split: another one for each number, as far as values are not declared."""
    declared = {name: subject.plan.attributes[name].values for name in drawn_by(route)}
    return {
        ("request", name): values[number % len(values)] if values else f"caller-{number}"
        for name, values in declared.items()
    }


def _serves(subject: Subject, share: RouteStep, values: Assignment) -> bool:
    """Say whether a share has a candidate for a request, or it asks for nothing that one could lack."""
    situation = subject.situation(values)
    if any(situation.request.get(name) == [] for name in _LISTS):
        return False
    try:
        return bool(candidates_on(subject.context(situation), share)[0])
    except (CostlensPolicyError, Refusal):
        return False


def _asks_nothing(witness: Witness) -> bool:
    """Say whether a request has an empty list where a condition may ask whether there is one: nobody sends that."""
    return any(witness.request.get(name) == [] for name in _LISTS)


def _variants(subject: Subject, values: Assignment, matched: Goal) -> Iterator[Assignment]:
    """Yield requests that the route matches: the first, and each with another value at one place."""
    yield values
    for read in values:
        if any(len(other) > len(read) and other[: len(read)] == read for other in values):
            continue  # what is inside of it is what the condition reads
        for value in subject.domain.values(read):
            other = {**values, read: value}
            if value is not values[read] and subject.domain.met(matched, other):
                yield other
    for name in ("prompt_tokens", "max_output_tokens"):
        read = ("request", name)
        if read not in values or values[read] is ABSENT:
            smaller = {**values, read: 1}
            if subject.domain.met(matched, smaller):
                yield smaller
