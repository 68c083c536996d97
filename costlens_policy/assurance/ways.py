"""Where requests that meet a goal may go: one request for each route that one of them takes, the default among them."""

from __future__ import annotations

from collections.abc import Iterator

from costlens_policy.assurance.domain import Assignment, Every, Found, Goal
from costlens_policy.assurance.others import Others
from costlens_policy.assurance.subject import Subject

__all__ = ["ways_of"]


def ways_of(subject: Subject, goal: Goal) -> Iterator[Assignment]:
    """Yield requests that meet a goal and that access does not deny: the first found for each route."""
    earlier, denies = Others(subject), [deny.otherwise for deny in subject.denies]
    for route in subject.rules["routes"]:
        before = [other.otherwise for other in earlier.beside(route)]
        found = subject.domain.find(Every([goal, route.goal, *before, *denies]))
        if isinstance(found, Found):
            yield found.values
        if not route.passes_on:
            earlier.add(route)
    found = subject.domain.find(
        Every([goal, *(route.otherwise for route in subject.rules["routes"] if not route.passes_on), *denies])
    )
    if isinstance(found, Found):
        yield found.values
