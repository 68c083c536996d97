"""Which models may serve a request, in order, and what keeps each other model of the catalogue from it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from costlens_policy.compiler.plan import Plan
from costlens_policy.compiler.rules import RouteStep
from costlens_policy.engine.access import Access, decide_access, refused_model
from costlens_policy.engine.candidates import try_candidates
from costlens_policy.engine.context import Balances, Context, Refusal
from costlens_policy.engine.decide import open_context
from costlens_policy.engine.facts import Exclusion
from costlens_policy.engine.preparation import Preparations
from costlens_policy.engine.routes import decide_route
from costlens_policy.engine.targets import candidates_of
from costlens_policy.engine.terms import Terms

__all__ = ["Models", "models_for"]


@dataclass(frozen=True, slots=True)
class Models:
    """``may_serve`` are in the order in which they are tried, as many as there are; ``excluded`` all others of the
    catalogue, each with the reason.
    """

    may_serve: tuple[str, ...]
    excluded: tuple[Exclusion, ...]


def models_for(plan: Plan, request: Mapping[str, Any], balances: Balances | None, now: datetime) -> Models:
    """Return where every model stands for a request. Takes and raises what ``decide`` does."""
    context = open_context(plan, request, balances, now)
    access = decide_access(context)
    if not access.allowed:
        return _none(plan, "; ".join(access.reasons), access.rule)
    excluded: list[Exclusion] = []
    try:
        route, prepare = decide_route(context), Preparations(context)
        picked = candidates_of(context, route, prepare, excluded)
        most = len(plan.catalogue) + len(picked[0])
        kept = try_candidates(context, access, route, picked, prepare, excluded, wanted=most)
    except Refusal as refusal:
        return _none(plan, refusal.reason, refusal.rule)
    serving = tuple(candidate.name for candidate in kept)
    told = {item.model: item for item in excluded if item.model not in serving}
    rest = _untried(context, access, route, {*serving, *told}, picked[0])
    return Models(serving, (*told.values(), *rest))


def _none(plan: Plan, reason: str, by: str) -> Models:
    return Models((), tuple(Exclusion(name, reason, by) for name in plan.catalogue.models))


def _untried(
    context: Context, access: Access, route: RouteStep, tried: set[str], picked: Sequence[str]
) -> Iterator[Exclusion]:
    """Yield why models were no candidates at all."""
    terms = Terms(context, route, picked)
    for name, offer in context.models.items():
        if name in tried:
            continue
        if offer.refusal:
            yield Exclusion(name, offer.refusal)
        elif refused := refused_model(context, access, offer):
            yield refused
        else:
            reason = terms.outside(offer, added=True) or f"neither route `{route.id}` nor a threshold names it"
            yield Exclusion(name, reason, route.id)
