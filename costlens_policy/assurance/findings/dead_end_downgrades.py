"""CL469: a threshold from which on nothing is left to serve."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Final, TypeAlias

from costlens_policy.assurance.findings.impossible_downgrades import is_impossible
from costlens_policy.assurance.subject import Rule, Subject, shown
from costlens_policy.assurance.ways import ways_of
from costlens_policy.assurance.witness import Situation, Witness
from costlens_policy.checker.checks.subject import Finding, Place
from costlens_policy.compiler.rules import BudgetStep, ThresholdStep
from costlens_policy.diagnostics.model import Diagnostic, Severity
from costlens_policy.engine.decision import Balance

__all__ = ["find_dead_end_downgrades"]

_FOUND: Final = Finding("CL469")
_DeadEnd: TypeAlias = tuple[Witness, Witness]
"""A request that is served before anything is spent, and refused once so much is."""


def find_dead_end_downgrades(subject: Subject) -> Iterator[Diagnostic]:
    """Report downgrades that leave a route no model: they refuse calls long before the limit does.

    It is an error where a downgrade adds models and still refuses all that the budget counts, and a note where routes
    keep their terms and others go on. Downgrades that exclude what they add, or every model there is, are CL436.
    """
    for rule in subject.limits:
        step = rule.step
        assert isinstance(step, BudgetStep)
        excluding = [item for item in step.thresholds if item.excludes and item.at_ratio]
        served = _served(subject, rule) if excluding else []
        reported: set[str] = set()
        for threshold in excluding:
            place = rule.place.at("thresholds", step.thresholds.index(threshold), "downgrade")
            dead = [end for way in served if (end := _dead_end(subject, rule, way, threshold)) is not None]
            new = [end for end in dead if end[0].decision.rule not in reported]
            if new and not is_impossible(subject, place, threshold.models):
                reported.update(end[0].decision.rule for end in dead)
                yield _report(rule, threshold, place, new, all_of_it=len(dead) == len(served))


def _report(
    rule: Rule, threshold: ThresholdStep, place: Place, dead: Sequence[_DeadEnd], all_of_it: bool
) -> Diagnostic:
    unable = [end for end in dead if _cannot_serve(end, threshold)]
    before, later = (unable or dead)[0]
    found = _FOUND.warning(
        f"from {threshold.at_ratio:.0%} of `{rule.id}` on, `{before.decision.rule}` serves nothing "
        f"such as `{shown(later.request)}`",
        place.key_span,
        "; ".join(f"`{item.model}`: {item.reason}" for item in later.decision.excluded[:2]),
        "add a model that can serve these requests to the route, or let one remain",
        witnesses=[before.shown, later.shown],
    )
    if all_of_it and threshold.models:
        return replace(found, severity=Severity.ERROR, stops=False)
    return found if all_of_it or unable else replace(found, severity=Severity.NOTE)


def _cannot_serve(end: _DeadEnd, threshold: ThresholdStep) -> bool:
    """Say whether a model of the downgrade is not kept out by a rule, but cannot serve the request."""
    return any(item.model in threshold.models and not item.by for item in end[1].decision.excluded)


def _served(subject: Subject, rule: Rule) -> list[Witness]:
    """Return a request for each route on which the budget counts what is served, with nothing spent."""
    found = (subject.situated(values) for values in ways_of(subject, rule.goal))
    return [
        witness
        for witness in found
        if witness is not None
        and witness.decision.model is not None
        and any(seen.budget == rule.id for seen in witness.decision.balances)
    ]


def _dead_end(subject: Subject, rule: Rule, before: Witness, threshold: ThresholdStep) -> _DeadEnd | None:
    """Return the same request once so much is spent that the threshold is reached, if it is refused for that."""
    seen = next(item for item in before.decision.balances if item.budget == rule.id)
    spent = Balance(used=threshold.starts_at(seen.limit))
    later = subject.decided(Situation(before.request, {(rule.id, seen.key): spent}, before.now))
    if later is None or later.decision.model is not None:
        return None
    barred = any(item.by == rule.id and item.threshold is not None for item in later.decision.excluded)
    return (before, later) if barred else None
