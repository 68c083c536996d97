"""The decision: seven steps, in this order, each a function of its own. No clock, file or socket is inside."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from costlens_policy.compiler.plan import Plan
from costlens_policy.engine.access import Access, decide_access
from costlens_policy.engine.candidates import Candidate, try_candidates
from costlens_policy.engine.context import Balances, Context, Refusal
from costlens_policy.engine.decision import Call, Decision, Exclusion
from costlens_policy.engine.preparation import Preparations
from costlens_policy.engine.request import admit_request
from costlens_policy.engine.routes import Routed, decide_route
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
        return _denied(context, access.rule, access.reasons)
    try:
        routed = decide_route(context)
    except Refusal as refusal:
        return _denied(context, refusal.rule, (*access.reasons, refusal.reason))
    excluded: list[Exclusion] = []
    reasons = (*access.reasons, _route_reason(routed))
    try:
        prepare = Preparations(context)
        names = candidates_of(context, routed, prepare, excluded)
        kept = try_candidates(context, names, prepare, excluded)
    except Refusal as refusal:
        return _denied(context, refusal.rule or routed.rule, (*reasons, *_fallen(excluded), refusal.reason), excluded)
    if not kept:
        return _denied(context, routed.rule, (*reasons, *_fallen(excluded), "candidates: none is left"), excluded)
    return _allowed(context, access, routed, kept, excluded)


def _allowed(
    context: Context, access: Access, routed: Routed, kept: list[Candidate], excluded: list[Exclusion]
) -> Decision:
    winner = kept[0]
    content = winner.prepared.content
    # A choice may have ruled out what its own fallbacks or a rung then let in at the end.
    names = {candidate.name for candidate in kept}
    excluded = [item for item in excluded if item.model not in names]
    return Decision(
        effect="allow",
        model=winner.name,
        fallbacks=tuple(candidate.name for candidate in kept[1:]),
        prompt=content.prompt,
        system=content.system,
        messages=content.messages,
        params=content.params,
        rule=routed.rule,
        reasons=(
            *access.reasons,
            _route_reason(routed),
            *_fallen(excluded),
            *(f"rewrites: applied `{rule}`" for rule in winner.prepared.rules),
            *(f"budgets: `{alert.budget}` alerts: {alert.text}" for alert in winner.climb.alerts),
        ),
        rewrites=winner.prepared.rules,
        changes=winner.prepared.changes,
        estimate=winner.estimate,
        excluded=tuple(excluded),
        alerts=tuple(winner.climb.alerts),
        balances=tuple(winner.climb.seen),
        fallback_calls=tuple(map(_call, kept[1:])),
        errors=tuple(context.failures),
        now=context.now,
        request=context.request,
        balances_read=context.read,
        plan=context.plan,
    )


def _call(candidate: Candidate) -> Call:
    prepared = candidate.prepared
    content = prepared.content
    return Call(
        model=candidate.name,
        prompt=content.prompt,
        system=content.system,
        messages=content.messages,
        params=content.params,
        rewrites=prepared.rules,
        estimate=candidate.estimate,
        balances=tuple(candidate.climb.seen),
    )


def _denied(context: Context, rule: str, reasons: tuple[str, ...], excluded: list[Exclusion] | None = None) -> Decision:
    return Decision(
        effect="deny",
        model=None,
        fallbacks=(),
        prompt=None,
        system=None,
        messages=None,
        params={},
        rule=rule,
        reasons=reasons,
        rewrites=(),
        changes=(),
        estimate=None,
        excluded=tuple(excluded or ()),
        alerts=(),
        balances=(),
        fallback_calls=(),
        errors=tuple(context.failures),
        now=context.now,
        request=context.request,
        balances_read=context.read,
        plan=context.plan,
    )


def _route_reason(routed: Routed) -> str:
    if routed.rule == "default":
        return "routes: no route matches, the default serves"
    return f"routes: `{routed.rule}` matches" + (f": {routed.reason}" if routed.reason else "")


def _fallen(excluded: list[Exclusion]) -> tuple[str, ...]:
    return tuple(f"candidates: `{item.model}` falls out: {item.reason}" for item in excluded)
