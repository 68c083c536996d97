"""Step 4, candidates: tried in order, each once, until one can serve and every budget has room for it."""

from __future__ import annotations

from costlens_policy.engine.context import Context
from costlens_policy.engine.facts import Exclusion
from costlens_policy.engine.ladder import Climb, Ladder
from costlens_policy.engine.preparation import Candidate, Preparations
from costlens_policy.engine.serving import obstacle

__all__ = ["try_candidates"]


def try_candidates(
    context: Context, names: list[str], prepare: Preparations, excluded: list[Exclusion]
) -> list[Candidate]:
    """Return the winner and its fallbacks, at most ``max_fallbacks`` of them. Who falls out is added to ``excluded``.

    An active downgrade rung puts its models at the end of the queue. Each name is tried once, so there is no loop.
    """
    tried = _Tries(context, prepare, excluded)
    wanted = 1 + context.plan.defaults.max_fallbacks
    kept: list[Candidate] = []
    queue = list(names)
    for name in queue:  # grows while it is walked
        candidate = tried.one(name, queue)
        if candidate is not None:
            kept.append(candidate)
            if len(kept) == wanted:
                break
    return kept


class _Tries:
    def __init__(self, context: Context, prepare: Preparations, excluded: list[Exclusion]) -> None:
        self._context = context
        self._prepare = prepare
        self._excluded = excluded
        self._ladder = Ladder(context) if context.plan.stages.budgets else None

    def one(self, name: str, queue: list[str]) -> Candidate | None:
        """Return the model as a candidate, or None where it falls out. What rungs add is put into the queue."""
        context = self._context
        offer = context.offer(name)
        if offer.refusal:
            self._excluded.append(Exclusion(name, offer.refusal))
            return None
        candidate = self._prepare.of(offer)
        if reason := obstacle(context.request, self._prepare.needs, candidate):
            self._excluded.append(Exclusion(name, reason))
            return None
        return candidate if self._ladder is None else self._up(self._ladder, candidate, queue)

    def _up(self, ladder: Ladder, candidate: Candidate, queue: list[str]) -> Candidate | None:
        """Let a candidate climb; where rungs rewrite its call, what is held is the call as they leave it."""
        climb = ladder.climb(candidate.offer, candidate)
        reason = ""
        if climb.rungs:
            added = [model for active in climb.rungs for model in active.rung.models]
            queue.extend(model for model in dict.fromkeys(added) if model not in queue)
            if climb.barred is None and climb.rewrites:
                candidate = self._prepare.under(candidate, climb.rungs)
                reason = obstacle(self._context.request, self._prepare.needs, candidate)
                again = ladder.climb(candidate.offer, candidate)
                climb = Climb(again.lines, climb.rungs, climb.alerts, again.barred, again.full)
        if reason or climb.exclusion is not None:
            self._excluded.append(climb.exclusion or Exclusion(candidate.name, reason))
            return None
        candidate.climb = climb
        return candidate
