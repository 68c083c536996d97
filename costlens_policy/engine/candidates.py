"""Step 4, candidates: tried in order, each once, until one can serve and every budget has room for it."""

from __future__ import annotations

from costlens_policy.compiler.rules import RouteStep
from costlens_policy.engine.access import Access, refused_model
from costlens_policy.engine.context import Context
from costlens_policy.engine.facts import Exclusion
from costlens_policy.engine.ladder import Ladder
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
) -> list[Candidate]:
    """Return the winner and its fallbacks, at most ``max_fallbacks`` of them. Who is excluded is added to ``excluded``.

    An active downgrade puts its models at the end of the queue. Each name is tried once, so there is no loop.
    """
    models, request, needs = context.models, context.request, prepare.needs
    stages = context.plan.stages
    rules, within = stages.access_by_model, picked.within
    ladder = Ladder(context) if stages.budgets else None
    wanted = 1 + context.plan.defaults.max_fallbacks
    kept: list[Candidate] = []
    queue = _Queue(context, route, picked, excluded)
    for place, name in enumerate(queue.names):  # downgrades may add to it while it is walked
        offer = models.get(name) or context.offer(name)
        if offer.refusal:
            excluded.append(Exclusion(name, offer.refusal))
            continue
        if rules and (refused := refused_model(context, access, offer)):
            excluded.append(refused)
            continue
        if place >= within and (outside := queue.terms.outside(offer, added=name in queue.added)):
            excluded.append(queue.exclusion(name, outside))
            continue
        candidate = prepare.of(offer)
        exclusion = None
        if reason := obstacle(request, needs, candidate):
            exclusion = Exclusion(name, reason)
        elif place >= within and (beyond := queue.terms.beyond(candidate, added=name in queue.added)):
            exclusion = queue.exclusion(name, beyond)
        elif ladder is not None:
            candidate, exclusion = _up(ladder, candidate, prepare, queue)
        if exclusion is not None:
            excluded.append(exclusion)
            continue
        if place >= within:
            candidate.added_by = queue.added.get(name, "")
        kept.append(candidate)
        if len(kept) == wanted:
            break
    return kept


class _Queue:
    """The names that are tried, in order. ``added`` are those that budgets put at its end, each with the budget."""

    __slots__ = ("_context", "_excluded", "_picked", "_route", "_terms", "added", "names")

    def __init__(self, context: Context, route: RouteStep, picked: Picked, excluded: list[Exclusion]) -> None:
        self.names = list(picked.names)
        self.added: dict[str, str] = {}
        self._context = context
        self._route = route
        self._picked = picked
        self._excluded = excluded
        self._terms: Terms | None = None

    @property
    def terms(self) -> Terms:
        """The terms of the route, which few decisions ask for."""
        if self._terms is None:
            self._terms = Terms(self._context, self._route, self._picked.names)
        return self._terms

    def add(self, name: str, budget: str) -> None:
        """Put a model of a downgrade at the end, unless it is there, or the route's choice has ruled it out."""
        ruled_out = self._route.binds_downgrades and any(item.model == name for item in self._excluded)
        if name not in self.names and not ruled_out:
            self.names.append(name)
            self.added[name] = budget

    def exclusion(self, name: str, reason: str) -> Exclusion:
        """Return why a model does not meet the terms, and which budget added it, if one did."""
        budget = self.added.get(name)
        if budget is None:
            return Exclusion(name, reason, self._route.id)
        return Exclusion(name, f"a threshold of budget `{budget}` adds it, but {reason}", self._route.id)


def _up(
    ladder: Ladder, candidate: Candidate, prepare: Preparations, queue: _Queue
) -> tuple[Candidate, Exclusion | None]:
    """Ask the budgets about a candidate, and say why it is excluded, if it is. What downgrades add joins the queue."""
    climb = ladder.climb(candidate.offer, candidate)
    reason = ""
    if climb.rungs:
        for active in climb.rungs:
            for model in active.rung.models:
                queue.add(model, active.budget.id)
        if climb.barred is None and climb.rewrites:  # what is held is the call as the rungs leave it
            candidate = prepare.under(candidate, climb.rungs)
            reason = obstacle(prepare.request, prepare.needs, candidate)
            climb = climb.after(ladder.climb(candidate.offer, candidate))
    candidate.climb = climb
    return candidate, climb.exclusion or (Exclusion(candidate.name, reason) if reason else None)
