"""Step 4, candidates: tried in order, each once, until one can serve and every budget has room for it."""

from __future__ import annotations

from collections.abc import Sequence

from costlens_policy.engine.context import Context
from costlens_policy.engine.facts import Exclusion
from costlens_policy.engine.ladder import Ladder
from costlens_policy.engine.preparation import Candidate, Preparations
from costlens_policy.engine.serving import obstacle

__all__ = ["try_candidates"]


def try_candidates(
    context: Context, names: Sequence[str], prepare: Preparations, excluded: list[Exclusion]
) -> list[Candidate]:
    """Return the winner and its fallbacks, at most ``max_fallbacks`` of them. Who falls out is added to ``excluded``.

    An active downgrade rung puts its models at the end of the queue. Each name is tried once, so there is no loop.
    """
    models, request, needs = context.models, context.request, prepare.needs
    ladder = Ladder(context) if context.plan.stages.budgets else None
    wanted = 1 + context.plan.defaults.max_fallbacks
    kept: list[Candidate] = []
    queue = list(names)
    for name in queue:  # rungs may add to it while it is walked
        offer = models.get(name) or context.offer(name)
        if offer.refusal:
            excluded.append(Exclusion(name, offer.refusal))
            continue
        candidate = prepare.of(offer)
        exclusion = None
        if reason := obstacle(request, needs, candidate):
            exclusion = Exclusion(name, reason)
        elif ladder is not None:
            candidate, exclusion = _up(ladder, candidate, prepare, queue)
        if exclusion is not None:
            excluded.append(exclusion)
            continue
        kept.append(candidate)
        if len(kept) == wanted:
            break
    return kept


def _up(
    ladder: Ladder, candidate: Candidate, prepare: Preparations, queue: list[str]
) -> tuple[Candidate, Exclusion | None]:
    """Let a candidate climb, and say why it falls out, if it does. What rungs add is put into the queue."""
    climb = ladder.climb(candidate.offer, candidate)
    reason = ""
    if climb.rungs:
        added = [model for active in climb.rungs for model in active.rung.models]
        queue.extend(model for model in dict.fromkeys(added) if model not in queue)
        if climb.barred is None and climb.rewrites:  # what is held is the call as the rungs leave it
            candidate = prepare.under(candidate, climb.rungs)
            reason = obstacle(prepare.request, prepare.needs, candidate)
            climb = climb.after(ladder.climb(candidate.offer, candidate))
    candidate.climb = climb
    return candidate, climb.exclusion or (Exclusion(candidate.name, reason) if reason else None)
