"""The decision: seven steps, in this order, each a function of its own. No clock, file or socket is inside."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from costlens_policy.compiler.plan import Plan, RouteStep
from costlens_policy.engine.access import Access, decide_access
from costlens_policy.engine.candidates import Candidate, try_candidates
from costlens_policy.engine.context import Balances, Context, Refusal
from costlens_policy.engine.decision import Decision, Findings
from costlens_policy.engine.facts import Exclusion
from costlens_policy.engine.preparation import Preparations
from costlens_policy.engine.request import admit_request
from costlens_policy.engine.routes import decide_route
from costlens_policy.engine.targets import candidates_of

__all__ = ["decide"]

_NO_BALANCES: Final[Balances] = {}


def decide(plan: Plan, request: Mapping[str, Any], balances: Balances | None, now: datetime) -> Decision:
    """Decide one request. Equal arguments give equal decisions.

    ``balances`` holds the state of the budgets; what it does not list is zero. ``now`` is aware. Raises
    ``RequestError`` when the request is not acceptable, ``ValueError`` when ``now`` has no time zone.
    """
    if now.tzinfo is None:
        raise ValueError("`now` needs a time zone")
    admitted = admit_request(plan, request)
    context = Context(plan, admitted, _NO_BALANCES if balances is None else balances, now.astimezone(UTC))
    access = decide_access(context)
    if not access.allowed:
        return _denied(context, access, None, access.rule, "")
    try:
        route = decide_route(context)
    except Refusal as refusal:
        return _denied(context, access, None, refusal.rule, refusal.reason)
    excluded: list[Exclusion] = []
    try:
        prepare = Preparations(context)
        names = candidates_of(context, route, prepare, excluded)
        kept = try_candidates(context, names, prepare, excluded)
    except Refusal as refusal:
        return _denied(context, access, route, refusal.rule or route.id, refusal.reason, excluded)
    if not kept:
        return _denied(context, access, route, route.id, "candidates: none is left", excluded)
    return _allowed(context, access, route, kept, excluded)


def _allowed(
    context: Context, access: Access, route: RouteStep, kept: list[Candidate], excluded: list[Exclusion]
) -> Decision:
    if excluded:  # a choice may have ruled out what its own fallbacks or a rung then let in at the end
        names = {candidate.name for candidate in kept}
        excluded = [item for item in excluded if item.model not in names]
    found = Findings(
        context.plan,
        context.request,
        context.now,
        access,
        route,
        tuple(kept),
        tuple(excluded),
        tuple(context.failures),
        context.read,
        route.id,
    )
    return Decision(found)


def _denied(
    context: Context,
    access: Access,
    route: RouteStep | None,
    rule: str,
    reason: str,
    excluded: Iterable[Exclusion] = (),
) -> Decision:
    found = Findings(
        plan=context.plan,
        request=context.request,
        now=context.now,
        access=access,
        route=route,
        kept=(),
        excluded=tuple(excluded),
        errors=tuple(context.failures),
        balances_read=context.read,
        rule=rule,
        refusal=reason,
    )
    return Decision(found)
