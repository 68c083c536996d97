"""Step 4, candidates: tried in order, each once, until one can serve and every budget has room for it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from costlens_policy.compiler.rules import RouteStep
from costlens_policy.engine.access import Access, refused_model
from costlens_policy.engine.context import Context
from costlens_policy.engine.facts import Exclusion
from costlens_policy.engine.ladder import ActiveRung, Ladder
from costlens_policy.engine.preparation import Candidate, Preparations
from costlens_policy.engine.serving import obstacle
from costlens_policy.engine.targets import Picked
from costlens_policy.engine.terms import Terms

__all__ = ["try_candidates"]


def try_candidates(
    context: Context,
    access: Access,
    route: RouteStep,
    picked: Picked,
    prepare: Preparations,
    excluded: list[Exclusion],
    wanted: int,
) -> list[Candidate]:
    """Return the first ``wanted`` models that may serve. Who is excluded before is added to ``excluded``.

    An active downgrade puts its models at the end of the queue. Each name is tried once, so there is no loop.
    """
    models, request, needs = context.models, context.request, prepare.needs
    stages = context.plan.stages
    rules = stages.access_by_model
    ladder = Ladder(context) if stages.budgets else None
    kept: list[Candidate] = []
    names, within = picked
    queue, guests = list(names), None
    for place, name in enumerate(queue):  # downgrades may add to it while it is walked
        offer = models.get(name) or context.offer(name)
        if offer.refusal:
            excluded.append(Exclusion(name, offer.refusal))
            continue
        if rules and (refused := refused_model(context, access, offer)):
            excluded.append(refused)
            continue
        if place >= within:
            guests = guests or _Guests(context, route, names)
            if outside := guests.terms.outside(offer, added=name in guests.added):
                excluded.append(guests.exclusion(name, outside))
                continue
        candidate = prepare.of(offer)
        exclusion = None
        if reason := obstacle(request, needs, candidate):
            exclusion = Exclusion(name, reason)
        elif guests is not None and place >= within and (exclusion := guests.beyond(candidate)):
            pass
        elif ladder is not None:
            candidate, exclusion = _up(ladder, candidate, prepare)
            if candidate.climb.rungs:
                guests = guests or _Guests(context, route, names)
                guests.join(queue, candidate.climb.rungs, excluded)
        if exclusion is not None:
            excluded.append(exclusion)
            continue
        kept.append(candidate)
        if len(kept) == wanted:
            break
    return kept


class _Guests:
    """Candidates that the route did not pick: what downgrades add, each with its budget, and fallbacks of a choice."""

    __slots__ = ("_route", "added", "terms")

    def __init__(self, context: Context, route: RouteStep, picked: Sequence[str]) -> None:
        self.added: dict[str, str] = {}
        self.terms = Terms(context, route, picked)
        self._route = route

    def join(self, queue: list[str], active: Iterable[ActiveRung], excluded: Iterable[Exclusion]) -> None:
        """Put the models of downgrades at the end, but those that are there or that the choice has ruled out."""
        for item in active:
            for name in item.rung.models:
                if name not in queue and not self._ruled_out(name, excluded):
                    queue.append(name)
                    self.added[name] = item.budget.id

    def beyond(self, candidate: Candidate) -> Exclusion | None:
        """Return why the call on a model does not meet the terms; note where the model came from if it does."""
        budget = self.added.get(candidate.name)
        reason = self.terms.beyond(candidate, added=budget is not None)
        candidate.added_by = budget or ""
        return self.exclusion(candidate.name, reason) if reason else None

    def exclusion(self, name: str, reason: str) -> Exclusion:
        """Return why a model does not meet the terms, and which budget added it, if one did."""
        budget = self.added.get(name)
        if budget is None:
            return Exclusion(name, reason, self._route.id)
        return Exclusion(name, f"a threshold of budget `{budget}` adds it, but {reason}", self._route.id)

    def _ruled_out(self, name: str, excluded: Iterable[Exclusion]) -> bool:
        return self._route.binds_downgrades and any(item.model == name for item in excluded)


def _up(ladder: Ladder, candidate: Candidate, prepare: Preparations) -> tuple[Candidate, Exclusion | None]:
    """Ask the budgets about a candidate, and say why it is excluded, if it is."""
    climb = ladder.climb(candidate.offer, candidate)
    reason = ""
    if climb.rungs and climb.barred is None and climb.rewrites:
        source = candidate.added_by
        candidate = prepare.under(candidate, climb.rungs)  # what is held is the call as the rungs leave it
        candidate.added_by = source
        reason = obstacle(prepare.request, prepare.needs, candidate)
        climb = climb.after(ladder.climb(candidate.offer, candidate))
    candidate.climb = climb
    return candidate, climb.exclusion or (Exclusion(candidate.name, reason) if reason else None)
