"""Step 4, candidates: tried in order, each once, until one can serve and every budget has room for it."""

from __future__ import annotations

from dataclasses import dataclass

from costlens_policy.engine.context import Context
from costlens_policy.engine.facts import Call, Estimate, Exclusion
from costlens_policy.engine.ladder import FREE, Climb, Ladder
from costlens_policy.engine.preparation import Preparations, Prepared
from costlens_policy.engine.serving import Requirements, obstacle

__all__ = ["Candidate", "try_candidates"]


@dataclass(slots=True)
class Candidate:
    """A model that can serve: the request prepared for it, what it may cost, and what its budgets say.

    Not frozen, which would take 0.5 µs for each, and never changed.
    """

    name: str
    prepared: Prepared
    estimate: Estimate
    climb: Climb

    @property
    def call(self) -> Call:
        """The request as it is to be sent to this model."""
        content = self.prepared.content
        return Call(
            model=self.name,
            prompt=content.prompt,
            system=content.system,
            messages=content.messages,
            params=content.params,
            rewrites=self.prepared.rules,
            estimate=self.estimate,
            balances=self.climb.seen,
        )


def try_candidates(
    context: Context, names: list[str], prepare: Preparations, excluded: list[Exclusion]
) -> list[Candidate]:
    """Return the winner and its fallbacks, at most ``max_fallbacks`` of them. Who falls out is added to ``excluded``.

    An active downgrade rung puts its models at the end of the queue. Each name is tried once, so there is no loop.
    """
    asked = Requirements(context.request, prepare.needs)
    ladder = Ladder(context)
    wanted = 1 + context.plan.defaults.max_fallbacks
    kept: list[Candidate] = []
    queue = list(names)
    for name in queue:  # grows while it is walked
        candidate, added = _try(context, name, prepare, asked, ladder, excluded)
        if added:
            queue.extend(model for model in added if model not in queue)
        if candidate is not None:
            kept.append(candidate)
            if len(kept) == wanted:
                break
    return kept


def _try(
    context: Context,
    name: str,
    prepare: Preparations,
    asked: Requirements,
    ladder: Ladder,
    excluded: list[Exclusion],
) -> tuple[Candidate | None, tuple[str, ...]]:
    offer = context.offer(name)
    if offer.refusal:
        excluded.append(Exclusion(name, offer.refusal))
        return None, ()
    prepared, estimate = prepare.of(offer)
    reason = obstacle(offer, prepared, estimate, asked)
    if reason:
        excluded.append(Exclusion(name, reason))
        return None, ()
    if not context.plan.stages.budgets:
        return Candidate(name, prepared, estimate, FREE), ()
    result = ladder.climb(offer, estimate)
    added = tuple(model for active in result.rungs for model in active.rung.models) if result.rungs else ()
    if result.barred is None and result.rewrites:  # what is held is the call as the rungs leave it
        prepared, estimate = prepare.under(offer, prepared, result.rungs)
        reason = obstacle(offer, prepared, estimate, asked)
        again = ladder.climb(offer, estimate)
        result = Climb(again.lines, result.rungs, result.alerts, again.barred, again.full)
    if reason or result.exclusion is not None:
        excluded.append(result.exclusion or Exclusion(name, reason))
        return None, added
    return Candidate(name, prepared, estimate, result), added
