"""Step 4, candidates: tried in order, each once, until one can serve and every budget has room for it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from costlens_policy.compiler.rules import RouteStep
from costlens_policy.compiler.snapshot import ModelOnDay
from costlens_policy.engine.access import Access, refused_model
from costlens_policy.engine.budgets import ActiveThreshold, BudgetStage
from costlens_policy.engine.context import Context
from costlens_policy.engine.facts import Exclusion
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
    stages = context.plan.stages
    asks_by_model = bool(stages.access_by_model)
    budgets = BudgetStage(context) if stages.budgets else None
    kept: list[Candidate] = []
    names, within = picked
    queue, guests = list(names), None
    for place, name in enumerate(queue):  # downgrades may add to it while it is walked
        offer, guest = context.models.get(name) or context.offer(name), None
        if place >= within:
            guest = guests = guests or _Guests(context, route, names)
        barred = None
        if asks_by_model or offer.refusal or guest is not None:
            barred = _barred(context, access, offer, guest)
        if barred is None:
            candidate, barred = _tried(prepare, offer, guest, budgets)
            if candidate.verdict.thresholds:
                guests = guests or _Guests(context, route, names)
                guests.join(queue, candidate.verdict.thresholds, excluded)
            if barred is None:
                kept.append(candidate)
                if len(kept) == wanted:
                    break
                continue
        excluded.append(barred)
    return kept


def _barred(context: Context, access: Access, offer: ModelOnDay, guest: _Guests | None) -> Exclusion | None:
    """Say why a model may not serve whatever the call is, if so."""
    if offer.refusal:
        return Exclusion(offer.model.name, offer.refusal)
    return refused_model(context, access, offer) or (None if guest is None else guest.outside(offer))


def _tried(
    prepare: Preparations, offer: ModelOnDay, guest: _Guests | None, budgets: BudgetStage | None
) -> tuple[Candidate, Exclusion | None]:
    """Return the call on a model, and say why it cannot be made, if so."""
    candidate = prepare.of(offer)
    if reason := obstacle(prepare.request, prepare.needs, candidate):
        return candidate, Exclusion(candidate.name, reason)
    if guest is not None and (beyond := guest.beyond(candidate)):
        return candidate, beyond
    return (candidate, None) if budgets is None else _up(budgets, candidate, prepare)


class _Guests:
    """Candidates that the route did not pick: what downgrades add, each with its budget, and fallbacks of a choice."""

    __slots__ = ("_route", "added", "terms")

    def __init__(self, context: Context, route: RouteStep, picked: Sequence[str]) -> None:
        self.added: dict[str, str] = {}
        self.terms = Terms(context, route, picked)
        self._route = route

    def join(self, queue: list[str], active: Iterable[ActiveThreshold], excluded: Iterable[Exclusion]) -> None:
        """Put the models of downgrades at the end, but those that are there or that the choice has ruled out."""
        for item in active:
            for name in item.threshold.models:
                if name not in queue and not self._ruled_out(name, excluded):
                    queue.append(name)
                    self.added[name] = item.budget.id

    def outside(self, offer: ModelOnDay) -> Exclusion | None:
        """Return why a model does not meet the terms, whatever the call is."""
        name = offer.model.name
        reason = self.terms.outside(offer, added=name in self.added)
        return self.exclusion(name, reason) if reason else None

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


def _up(budgets: BudgetStage, candidate: Candidate, prepare: Preparations) -> tuple[Candidate, Exclusion | None]:
    """Ask the budgets about a candidate, and say why it is excluded, if it is."""
    verdict = budgets.judge(candidate.offer, candidate)
    reason = ""
    if verdict.thresholds and verdict.barred is None and verdict.rewrites:
        source = candidate.added_by
        candidate = prepare.under(candidate, verdict.thresholds)  # what is held is the call as the thresholds leave it
        candidate.added_by = source
        reason = obstacle(prepare.request, prepare.needs, candidate)
        verdict = verdict.after(budgets.judge(candidate.offer, candidate))
    candidate.verdict = verdict
    return candidate, verdict.exclusion or (Exclusion(candidate.name, reason) if reason else None)
