"""CL469: a threshold from which on nothing is left to serve, or thresholds of several budgets together."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from itertools import combinations, islice, product
from typing import Final, TypeAlias

from costlens_policy.assurance.domain import Every, Goal
from costlens_policy.assurance.domain.needs import exclude_each_other
from costlens_policy.assurance.findings.impossible_downgrades import is_impossible
from costlens_policy.assurance.subject import Rule, Subject, shown
from costlens_policy.assurance.ways import ways_of
from costlens_policy.assurance.witness import Situation, Witness
from costlens_policy.catalogue import Model
from costlens_policy.checker.checks.subject import Finding, Place, holds_for
from costlens_policy.compiler.rules import BudgetStep, ThresholdStep
from costlens_policy.diagnostics.model import Diagnostic, Related, Severity
from costlens_policy.documents import PolicyDocument
from costlens_policy.engine.decision import Balance
from costlens_policy.frozen import frozen

__all__ = ["find_dead_end_downgrades"]

_FOUND: Final = Finding("CL469")
_DeadEnd: TypeAlias = tuple[Witness, Witness]
"""A request that is served before anything is spent, and refused once so much is."""
_MOST_PAIRS: Final = 100
"""Of budgets that no request is known to meet at once: one is searched for each."""


@frozen
class _Reached:
    """A threshold of a budget that excludes models, and where its downgrade is written."""

    rule: Rule
    threshold: ThresholdStep
    place: Place

    @property
    def said(self) -> str:
        ratio = self.threshold.at_ratio
        return f"{self.threshold.name if ratio is None else f'{ratio:.0%}'} of `{self.rule.id}`"


def find_dead_end_downgrades(subject: Subject) -> Iterator[Diagnostic]:
    """Report downgrades that leave a route no model: they refuse calls long before the limit does.

    It is an error where a downgrade adds models and still refuses all that the budget counts, and a note where routes
    keep their terms and others go on. Downgrades that exclude what they add, or every model there is, are CL436.
    """
    last: list[_Reached] = []
    served: list[Witness] = []
    for rule in subject.limits:
        excluding = _excluding(rule)
        ways = _served(subject, rule.goal, rule) if excluding else []
        yield from _alone(subject, excluding, ways)
        last += excluding[-1:]
        served += ways
    if len(last) > 1:
        yield from _together(subject, last, served)


def _excluding(rule: Rule) -> list[_Reached]:
    """Return the thresholds that exclude models, in the order in which they are reached."""
    step, document = rule.step, rule.place.document.document
    at_budget = rule.place.path[-1]
    assert isinstance(step, BudgetStep)
    assert isinstance(document, PolicyDocument)
    assert isinstance(at_budget, int)
    written = document.budgets[at_budget]
    places = {threshold.name: at for at, threshold in enumerate(written.thresholds)}
    return [
        _Reached(rule, item, rule.place.at("thresholds", places[item.name], "downgrade"))
        for item in step.levels
        if item.excludes and (item.at_ratio or item.at_amount)
    ]


def _alone(subject: Subject, excluding: Sequence[_Reached], served: Sequence[Witness]) -> Iterator[Diagnostic]:
    """Report the thresholds of one budget, each for the routes that an earlier one does not leave without a model."""
    reported: set[str] = set()
    for reached in excluding:
        dead = [end for way in served if (end := _dead_end(subject, way, [reached])) is not None]
        new = [end for end in dead if end[0].decision.rule not in reported]
        if new and not is_impossible(subject, reached.place, reached.threshold.models):
            reported.update(end[0].decision.rule for end in dead)
            yield _report([reached], new, all_of_it=len(dead) == len(served))


def _together(subject: Subject, last: Sequence[_Reached], served: Sequence[Witness]) -> Iterator[Diagnostic]:
    """Report budgets whose downgrades leave a route no model together, although those of each of them leave one."""
    served = [*served, *_served_by_both(subject, last, served)]
    reported: set[str] = set()
    for way in served:
        if way.decision.rule in reported:
            continue
        counting = _counting(way)
        few = _fewest(subject, way, [item for item in last if item.rule.id in counting])
        if len(few) < 2:
            continue
        ways = [other for other in served if _counting(other) >= {item.rule.id for item in few}]
        dead = [end for other in ways if (end := _dead_end(subject, other, few)) is not None]
        new = [end for end in dead if end[0].decision.rule not in reported]
        reported.update(end[0].decision.rule for end in dead)
        if new:
            yield _report(few, new, all_of_it=len(dead) == len(ways))


def _served_by_both(subject: Subject, last: Sequence[_Reached], served: Sequence[Witness]) -> Iterator[Witness]:
    """Yield requests that two budgets count which exclude different models, where none is known yet."""
    known: defaultdict[str, set[int]] = defaultdict(set)
    for at, way in enumerate(served):
        for budget in _counting(way):
            known[budget].add(at)
    needs = subject.domain.needs
    pairs = (
        (one, other)
        for rules, others in _differing(subject, last)
        for one, other in product(rules, others)
        if known[one.id].isdisjoint(known[other.id])
        and not exclude_each_other(needs.of(one.goal), needs.of(other.goal))
    )
    for one, other in islice(pairs, _MOST_PAIRS):
        yield from _served(subject, Every([one.goal, other.goal]), one, other)


def _differing(subject: Subject, last: Sequence[_Reached]) -> Iterator[tuple[list[Rule], list[Rule]]]:
    """Yield budgets with others, where each of the two kinds excludes models that the other does not."""
    kinds: defaultdict[tuple[object, ...], list[Rule]] = defaultdict(list)
    for item in last:
        kinds[item.rule.layer, *(_words(other.threshold) for other in _excluding(item.rule))].append(item.rule)
    groups = [(_excludable(subject, rules[0]), rules) for rules in kinds.values()]
    for (models, rules), (more, others) in combinations(groups, 2):
        if not (models <= more or more <= models):
            yield rules, others


def _words(threshold: ThresholdStep) -> tuple[object, ...]:
    return threshold.models, None if threshold.exclude is None else threshold.exclude.source


def _excludable(subject: Subject, rule: Rule) -> frozenset[str]:
    """Return the models that a budget may exclude by any of its thresholds."""
    models = subject.bundle.linked.catalogue
    found = (model.name for item in _excluding(rule) for model in models if _may_exclude(subject, item, model))
    return frozenset(found)


def _may_exclude(subject: Subject, reached: _Reached, model: Model) -> bool:
    if reached.threshold.exclude is None:
        return model.name not in reached.threshold.models
    exclude = subject.documents.typed(reached.place.at("exclude"))
    return exclude is None or holds_for(subject.documents, exclude, model) is not False


def _fewest(subject: Subject, way: Witness, reached: Sequence[_Reached]) -> list[_Reached]:
    """Return thresholds that refuse a request together, none of which can be missing; none if they do not."""
    if len(reached) < 2 or _dead_end(subject, way, reached) is None:
        return []
    few = list(reached)
    for item in reached:
        without = [other for other in few if other is not item]
        if without and _dead_end(subject, way, without) is not None:
            few = without
    return few


def _report(reached: Sequence[_Reached], dead: Sequence[_DeadEnd], all_of_it: bool) -> Diagnostic:
    adding = {name for item in reached for name in item.threshold.models}
    unable = [end for end in dead if _cannot_serve(end, adding)]
    before, later = (unable or dead)[0]
    *others, last = reached
    found = _FOUND.warning(
        f"from {' and '.join(item.said for item in reached)} on, `{before.decision.rule}` serves nothing "
        f"such as `{shown(later.request)}`",
        last.place.key_span,
        "; ".join(f"`{item.model}`: {item.reason}" for item in later.decision.excluded[:2]),
        "add a model that can serve these requests to the route, or let one remain",
        [Related(item.place.key_span, "excludes the others") for item in others],
        witnesses=[before.shown, later.shown],
    )
    if all_of_it and adding:
        return replace(found, severity=Severity.ERROR, stops=False)
    return found if all_of_it or unable else replace(found, severity=Severity.NOTE)


def _cannot_serve(end: _DeadEnd, adding: Collection[str]) -> bool:
    """Say whether a model that a downgrade adds is not kept out by a rule, but cannot serve the request."""
    return any(item.model in adding and not item.by for item in end[1].decision.excluded)


def _served(subject: Subject, goal: Goal, *rules: Rule) -> list[Witness]:
    """Return a request for each route on which all these budgets count what is served, with nothing spent."""
    found = (subject.situated(values) for values in ways_of(subject, goal))
    return [
        witness
        for witness in found
        if witness is not None
        and witness.decision.model is not None
        and _counting(witness) >= {rule.id for rule in rules}
    ]


def _counting(way: Witness) -> set[str]:
    return {seen.budget for seen in way.decision.balances}


def _dead_end(subject: Subject, before: Witness, reached: Sequence[_Reached]) -> _DeadEnd | None:
    """Return the same request once so much is spent that the thresholds are reached, if it is refused for that."""
    seen = {item.budget: item for item in before.decision.balances}
    spent = {
        (item.rule.id, seen[item.rule.id].key): Balance(used=item.threshold.starts_at(seen[item.rule.id].limit))
        for item in reached
    }
    later = subject.decided(Situation(before.request, spent, before.now))
    if later is None or later.decision.model is not None:
        return None
    names = {budget for budget, _ in spent}
    barred = any(item.by in names and item.threshold is not None for item in later.decision.excluded)
    return (before, later) if barred else None
