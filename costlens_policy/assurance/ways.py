"""Where requests that meet a goal may go: one request for each route that one of them takes, the default among them."""

from __future__ import annotations

from collections.abc import Iterator

from costlens_policy.assurance.domain import Assignment, Every, Found, Goal
from costlens_policy.assurance.others import Others
from costlens_policy.assurance.subject import Subject

__all__ = ["ways_of"]


def ways_of(subject: Subject, goal: Goal) -> Iterator[Assignment]:
    """Yield requests that meet a goal and that access does not deny: the first found for each route."""
    others = Others(subject, subject.denies)
    for route in (*subject.rules["routes"], subject.default):
        found = others.find(Every([goal, route.goal]))
        if isinstance(found, Found):
            yield found.values
        if not route.passes_on:
            others.add(route)
