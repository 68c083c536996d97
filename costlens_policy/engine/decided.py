"""What the stages of one request came to: the parts of a decision, each made when it is asked for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, Final, Literal, TypeAlias

from costlens_policy.compiler.plan import Plan
from costlens_policy.compiler.rules import RouteStep, Way
from costlens_policy.engine.access import Access
from costlens_policy.engine.budgets import FREE, held_for, no_room, worst_by_unit
from costlens_policy.engine.candidate import Candidate
from costlens_policy.engine.context import Context, task_of
from costlens_policy.engine.facts import (
    Alert,
    ApprovalNeeded,
    Balance,
    BalanceSeen,
    Call,
    Estimate,
    Exclusion,
    Failure,
    Overflowed,
    WayOut,
)
from costlens_policy.money import ZERO
from costlens_policy.quantiles import CallKind, Measures
from costlens_policy.rewrites import Change
from costlens_policy.units import Unit

__all__ = ["Decided", "Passed"]

Passed: TypeAlias = tuple[RouteStep, Way]
"""A route whose choice left nothing, and the way out that it has."""
_WAYS: Final[Mapping[Way, str]] = {
    "cheapest": "puts the limits on cost, latency and quality aside, for the cheapest",
    "best": "puts the limits on cost, latency and quality aside, for the best",
    "next": "goes on to the next route",
    "target": "leads to another target",
}


class Decided:
    """What the stages came to, and what follows from it.

    Most callers read two or three things of a decision, so that each is made when it is asked for.
    """

    __slots__ = (
        "_access", "_context", "_despite", "_excluded", "_kept", "_notes", "_passed", "_refusal", "_route", "_rule",
    )  # fmt: skip

    def __init__(
        self,
        context: Context,
        access: Access,
        route: RouteStep | None,
        kept: tuple[Candidate, ...],
        excluded: tuple[Exclusion, ...],
        rule: str,
        refusal: str = "",
        notes: tuple[str, ...] = (),
        passed: tuple[Passed, ...] = (),
        despite: tuple[Exclusion, ...] = (),
    ) -> None:
        """Hold what the stages came to.

        ``route`` is None where the decision did not come to one. ``kept`` are the winner and its fallbacks, none where
        the request is denied. ``refusal`` is the last reason of a denial after the access stage. ``passed`` are the
        routes whose choice left nothing, and ``despite`` why models that serve had been excluded there.
        """
        self._context = context
        self._access = access
        self._route = route
        self._kept = kept
        self._excluded = excluded
        self._rule = rule
        self._refusal = refusal
        self._notes = notes
        self._passed = passed
        self._despite = despite

    @property
    def allowed(self) -> bool:
        return bool(self._kept)

    @property
    def effect(self) -> Literal["allow", "deny"]:
        return "allow" if self._kept else "deny"

    @property
    def model(self) -> str | None:
        """The model to call; None where the request is denied."""
        return self._kept[0].priced.model.name if self._kept else None

    @property
    def fallbacks(self) -> tuple[str, ...]:
        """Models for the case that the call fails, in order."""
        kept = self._kept
        return tuple([candidate.name for candidate in kept[1:]]) if len(kept) > 1 else ()

    @property
    def fallback_calls(self) -> tuple[Call, ...]:
        """What to send to each fallback: what is redacted for one model may not be for another."""
        kept = self._kept
        return tuple([candidate.call for candidate in kept[1:]]) if len(kept) > 1 else ()

    @property
    def prompt(self) -> str | None:
        """The prompt to send to ``model``."""
        return self._kept[0].prepared.content.prompt if self._kept else None

    @property
    def system(self) -> str | None:
        """The system text to send with a prompt. Conversations have theirs in ``messages`` or ``params``."""
        return self._kept[0].prepared.content.system if self._kept else None

    @property
    def messages(self) -> tuple[dict[str, Any], ...] | None:
        """The messages to send to ``model``."""
        return self._kept[0].prepared.content.messages if self._kept else None

    @property
    def params(self) -> Mapping[str, Any]:
        """The parameters to send to ``model``, with ``max_output_tokens`` always set."""
        return self._kept[0].prepared.content.params if self._kept else {}

    @property
    def tools(self) -> tuple[Any, ...] | None:
        """The tools to send to ``model``, in the shape in which they came; None where there are none."""
        return self._kept[0].prepared.content.tools if self._kept else None

    @property
    def rewrites(self) -> tuple[str, ...]:
        """The rules that were applied, in order."""
        return self._kept[0].prepared.rules if self._kept else ()

    @property
    def changes(self) -> tuple[Change, ...]:
        """What the rewrites changed."""
        return self._kept[0].prepared.changes if self._kept else ()

    @property
    def estimate(self) -> Estimate | None:
        return self._kept[0].estimate if self._kept else None

    @property
    def alerts(self) -> tuple[Alert, ...]:
        """Alerts that are due with this call."""
        return tuple(self._kept[0].verdict.alerts) if self._kept else ()

    @property
    def approvals(self) -> tuple[ApprovalNeeded, ...]:
        """The approvals for want of which the request is denied; with them, one of its candidates may serve."""
        if self._kept:
            return ()
        needed = (item for item in self._excluded if item.needs is not None)
        found = {(item.by, item.key, item.threshold): item for item in needed}  # of several models, the last
        return tuple(
            [
                ApprovalNeeded(item.by, item.key or "", item.threshold or "", item.needs or ZERO, item.reason)
                for item in found.values()
            ]
        )

    @property
    def rests_on_approval(self) -> bool:
        """Whether a model may serve only since somebody has approved that."""
        return any(candidate.verdict.approved for candidate in self._kept)

    @property
    def balances(self) -> tuple[BalanceSeen, ...]:
        """The budgets that the winner counts against."""
        return self._kept[0].balances if self._kept else ()

    @property
    def overflowed(self) -> tuple[Overflowed, ...]:
        """The budgets that had no room for the winner, so that their overflows count it; as they stood before it."""
        return self._kept[0].verdict.overflowed if self._kept else ()

    @property
    def shadowed(self) -> tuple[Exclusion, ...]:
        """Why budgets in shadow would have excluded the winner."""
        return tuple(self._kept[0].verdict.shadowed) if self._kept else ()

    @property
    def holds(self) -> tuple[BalanceSeen, ...]:
        """What is to be held for the call: on each budget the most that is held for the model or a listed fallback.

        ``call`` is the most that one of them may add, and ``hold`` less where the budget holds a quantile. There is
        room for all of it, since a candidate without room is not listed. Limits on single calls hold nothing.
        """
        return held_for(self._kept)

    @property
    def worst_cases(self) -> Iterator[tuple[str, int, Mapping[Unit, Decimal]]]:
        """The model and each listed fallback, with its output limit, and the most that it may add to budgets by unit.

        Budgets that count calls, and limits on single calls, are left out.
        """
        for candidate in self._kept:
            yield candidate.name, candidate.output_tokens, worst_by_unit(candidate)

    @property
    def reasons(self) -> tuple[str, ...]:
        """What each stage came to, in order, as sentences for people."""
        reasons = [*self._access.reasons]
        route = self._route
        if self._passed or (route is not None and route.shares):
            reasons += self._route_reasons
        elif route is not None:
            reasons.append(_begins(route))
        if self._excluded:
            reasons += [f"candidates: `{item.model}` is excluded: {item.reason}" for item in self._excluded]
        if self._kept:
            self._add_reasons_of_kept(reasons)
        if self._refusal:
            reasons.append(self._refusal)
        return (*reasons, *self._notes)

    def _add_reasons_of_kept(self, reasons: list[str]) -> None:
        """Add what there is to say of those that serve: of most, nothing."""
        for rule in self._kept[0].prepared.rules:
            reasons.append(f"rewrites: {self._applied(rule)}")
        for candidate in self._kept:
            if candidate.added_by:
                reasons.append(f"candidates: {_origin(candidate)}")
        for item in self._despite:
            reasons.append(f"candidates: `{item.model}` serves all the same: {item.reason}")
        if self._kept[0].verdict is not FREE:
            reasons += self._budget_reasons

    @property
    def _budget_reasons(self) -> Iterator[str]:
        for alert in self.alerts:
            yield f"budgets: `{alert.budget}` alerts: {alert.text}"
        for passed in self.overflowed:
            yield f"budgets: {_overflow(passed)}"
        for item in self.shadowed:
            yield f"budgets: {_shadow(item)}"

    def _applied(self, rule: str) -> str:
        if self._route is None or rule != self._route.id:
            return f"applied `{rule}`"
        return "applied by the default route" if rule == "default" else f"applied by route `{rule}`"

    @property
    def route(self) -> RouteStep | None:
        """The route as the plan has it; None where the request did not come to one."""
        return self._route

    @property
    def _route_reasons(self) -> Iterator[str]:
        before: RouteStep | None = None
        for route, way in self._passed:
            yield from self._routed(route, before)
            yield f"routes: no candidate of `{route.place}` is left, and `on_none` {_WAYS[way]}"
            before = route
        if self._route is not None:
            yield from self._routed(self._route, before)

    def _routed(self, route: RouteStep, before: RouteStep | None) -> Iterator[str]:
        """Yield why a route decides, and what it draws, as far as that is new after the one ``before``."""
        onward = before is None or before.id != route.id
        if onward:
            yield _begins(route, further=before is not None)
        if route.shares and (onward or (before is not None and before.shares != route.shares)):
            by_time = " by the time, since the request has no id" if route.by_call and "id" not in self.request else ""
            yield f"routes: `{route.id}` draws the share `{'/'.join(route.shares)}`{by_time}"

    @property
    def shares(self) -> tuple[str, ...]:
        """The shares that splits of the route drew, outermost first, by their ids, models, or numbers."""
        return () if self._route is None else self._route.shares

    @property
    def ways_out(self) -> tuple[WayOut, ...]:
        """The ways out that were taken since no candidate of a choice was left, in order."""
        return tuple([WayOut(route.id, route.place, way) for route, way in self._passed]) if self._passed else ()

    @property
    def despite(self) -> tuple[Exclusion, ...]:
        """Why models that serve had been excluded, before a way out let them in."""
        return self._despite

    @property
    def may_take_a_way_out(self) -> bool:
        """Whether there is one, should the models that serve have no room in a budget."""
        return self._route is not None and self._route.on_none is not None

    @property
    def task(self) -> str:
        """The task whose quality counts: of the request, else as the policy set finds it; empty where none is known."""
        context = self._context
        if context.task is None and context.plan.defaults.task is not None:  # no choice asked while it was open
            context.task = task_of(Context(context.plan, dict(self.request), self.balances_read, self.now))
        return task_of(context)

    @property
    def rule(self) -> str:
        """The route that decided (``policy/rule``), ``default``, or the rule that refused."""
        return self._rule

    @property
    def excluded(self) -> tuple[Exclusion, ...]:
        """The candidates that were excluded, in the order in which they were tried."""
        return self._excluded

    @property
    def errors(self) -> tuple[Failure, ...]:
        """The rules whose expressions failed."""
        return tuple(self._context.failures)

    @property
    def notes(self) -> tuple[str, ...]:
        """Reasons from beyond the policies, such as those of a ledger that cannot be reached."""
        return self._notes

    @property
    def now(self) -> datetime:
        """The time of the decision, in UTC."""
        return self._context.now

    @property
    def request(self) -> Mapping[str, Any]:
        """The request as the rules saw it, defaults filled in."""
        return self._context.request

    @property
    def balances_read(self) -> Mapping[tuple[str, str], Balance]:
        """By budget and scope key, the balances that any rule looked at.

        With ``request``, ``measured``, ``now`` and the two digests they are enough to decide the same again.
        """
        return self._context.read

    @property
    def measured(self) -> Measures:
        """What was known of such calls, as far as any budget that holds a quantile of what they cost looked at it."""
        known = self._context.measured
        return {CallKind(*kind): found for kind, found in known.items()} if known else known  # type: ignore[return-value]

    @property
    def plan(self) -> Plan:
        return self._context.plan

    @property
    def policy_digest(self) -> str:
        return self.plan.policy_digest

    @property
    def catalogue_digest(self) -> str:
        return self.plan.catalogue_digest


def _begins(route: RouteStep, *, further: bool = False) -> str:
    if route.id == "default":
        return f"routes: no {'further route' if further else 'route'} matches, the default serves"
    return f"routes: `{route.id}` matches: {route.reason}" if route.reason else f"routes: `{route.id}` matches"


def _origin(candidate: Candidate) -> str:
    return f"`{candidate.name}` comes from a threshold of budget `{candidate.added_by}`"


def _overflow(item: Overflowed) -> str:
    whose = f" of `{item.counted_on_key}`" if item.counted_on_key else ""
    return f"{no_room(item.seen)}; the call counts on its overflow `{item.counted_on}`{whose}"


def _shadow(item: Exclusion) -> str:
    return f"`{item.by}` is in shadow and would have excluded `{item.model}`: {item.reason}"
