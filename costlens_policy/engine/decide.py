"""The decision: seven steps, in this order, each a function of its own. No clock, file or socket is inside."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from costlens_policy.compiler.plan import Plan
from costlens_policy.engine.access import decide_access
from costlens_policy.engine.candidates import try_candidates
from costlens_policy.engine.context import Balances, Context, Refusal
from costlens_policy.engine.decision import Decision
from costlens_policy.engine.facts import Exclusion
from costlens_policy.engine.measure import verified
from costlens_policy.engine.preparation import Preparations
from costlens_policy.engine.request import admit_request
from costlens_policy.engine.routes import decide_route
from costlens_policy.engine.targets import candidates_of

__all__ = ["decide", "open_context"]

_NO_BALANCES: Final[Balances] = {}


def decide(plan: Plan, request: Mapping[str, Any], balances: Balances | None, now: datetime) -> Decision:
    """Decide one request. Equal arguments give equal decisions.

    ``balances`` holds the state of the budgets; what it does not list is zero. ``now`` is aware. Raises
    ``RequestError`` when the request is not acceptable, ``ValueError`` when ``now`` has no time zone.
    """
    context = open_context(plan, request, balances, now)
    decision = _decide(plan, context)
    if plan.stages.has_variables or plan.reads_budgets:
        context.close()
    return decision


def open_context(plan: Plan, request: Mapping[str, Any], balances: Balances | None, now: datetime) -> Context:
    """Return what every step reads. Takes and raises what ``decide`` does."""
    if now.tzinfo is not UTC:
        if now.tzinfo is None:
            raise ValueError("`now` needs a time zone")
        now = now.astimezone(UTC)
    admitted = admit_request(plan, request)
    counted = verified(plan, admitted) if plan.verifies_prompt_tokens else None
    return Context(plan, admitted, _NO_BALANCES if balances is None else balances, now, counted)


def _decide(plan: Plan, context: Context) -> Decision:
    access = decide_access(context)
    if not access.allowed:
        return Decision(context, access, None, (), (), access.rule)
    try:
        route = decide_route(context)
    except Refusal as refusal:
        return Decision(context, access, None, (), (), refusal.rule, refusal.reason)
    excluded: list[Exclusion] = []
    try:
        prepare = Preparations(context)
        picked = candidates_of(context, route, prepare, excluded)
        wanted = 1 + plan.defaults.max_fallbacks
        kept = try_candidates(context, access, route, picked, prepare, excluded, wanted)
    except Refusal as refusal:
        return Decision(context, access, route, (), tuple(excluded), refusal.rule or route.id, refusal.reason)
    if not kept:
        return Decision(context, access, route, (), tuple(excluded), route.id, "candidates: none is left")
    if excluded:  # a choice may have ruled out what waived terms then let in at the end
        names = [candidate.name for candidate in kept]
        excluded = [item for item in excluded if item.model not in names]
    return Decision(context, access, route, tuple(kept), tuple(excluded), route.id)
