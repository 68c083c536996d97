"""CL435: a route none of whose candidates can serve what it matches."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any, Final

from costlens_policy.assurance.domain import ABSENT, Assignment, Every, Found
from costlens_policy.assurance.others import Others
from costlens_policy.assurance.subject import Rule, Subject, shown
from costlens_policy.checker.checks.subject import Finding
from costlens_policy.compiler.rules import ByExpression, RouteStep, routes_in
from costlens_policy.diagnostics.model import Diagnostic
from costlens_policy.engine.decision import Decision

__all__ = ["find_unservable_routes"]

_FOUND: Final = Finding("CL435")
_MOST_TRIED: Final = 60


def find_unservable_routes(subject: Subject) -> Iterator[Diagnostic]:
    """Report routes that refuse every request of the domain which they match, with one that shows it."""
    earlier, denies = Others(subject), Others(subject, subject.denies)
    for route in subject.rules["routes"]:
        others = (*earlier.beside(route), *denies.beside(route))
        matched = Every([route.goal, *(other.otherwise for other in others)])
        named = isinstance(route.step, RouteStep) and not any(
            isinstance(step.target, ByExpression) for step in routes_in(route.step)
        )
        asked = route.when is not None and named and not subject.is_diagnosed(route)
        refused = _refused(subject, route, subject.domain.find(matched), matched) if asked else None
        if refused is not None:
            request, decision = refused
            why = "; ".join(f"`{item.model}`: {item.reason}" for item in decision.excluded[:2])
            yield _FOUND.mistake(
                f"no candidate of `{route.id}` can serve what it matches, such as `{shown(request)}`",
                route.span,
                why or "no candidate is left",
                "add a candidate or a fallback that can, or narrow the condition",
            )
        if not route.passes_on:
            earlier.add(route)


def _refused(subject: Subject, route: Rule, found: object, matched: Every) -> tuple[dict[str, Any], Decision] | None:
    """Return a request that the route refuses, if it refuses all that are tried."""
    if not isinstance(found, Found):
        return None
    first: tuple[dict[str, Any], Decision] | None = None
    for values in islice(_variants(subject, found.values, matched), _MOST_TRIED):
        request = subject.request(values)
        decision = subject.decide(request, values)
        if decision is None or decision.rule != route.id:
            continue
        if decision.model is not None or not decision.excluded or any(item.by for item in decision.excluded):
            return None
        first = first or (request, decision)
    return first


def _variants(subject: Subject, values: Assignment, matched: Every) -> Iterator[Assignment]:
    """Yield requests that the route matches: the first, and each with another value at one place."""
    yield values
    for read in values:
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
