"""What the stages of one request came to: the parts of a decision, each made when it is asked for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, Literal

from costlens_policy.compiler.plan import Plan
from costlens_policy.compiler.rules import RouteStep
from costlens_policy.engine.access import Access
from costlens_policy.engine.budgets import held_for
from costlens_policy.engine.candidate import Candidate
from costlens_policy.engine.context import Context
from costlens_policy.engine.facts import Alert, Balance, BalanceSeen, Call, Estimate, Exclusion, Failure
from costlens_policy.rewrites import Change

__all__ = ["Decided"]


class Decided:
    """What the stages came to, and what follows from it.

    Most callers read two or three things of a decision, so that each is made when it is asked for.
    """

    __slots__ = ("_access", "_context", "_excluded", "_kept", "_notes", "_refusal", "_route", "_rule")

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
    ) -> None:
        """Hold what the stages came to.

        ``route`` is None where the decision did not come to one. ``kept`` are the winner and its fallbacks, none where
        the request is denied. ``refusal`` is the last reason of a denial after the access stage.
        """
        self._context = context
        self._access = access
        self._route = route
        self._kept = kept
        self._excluded = excluded
        self._rule = rule
        self._refusal = refusal
        self._notes = notes

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
        return tuple(candidate.name for candidate in self._kept[1:])

    @property
    def fallback_calls(self) -> tuple[Call, ...]:
        """What to send to each fallback: what is redacted for one model may not be for another."""
        return tuple(candidate.call for candidate in self._kept[1:])

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
    def balances(self) -> tuple[BalanceSeen, ...]:
        """The budgets that the winner counts against."""
        return self._kept[0].balances if self._kept else ()

    @property
    def shadowed(self) -> tuple[Exclusion, ...]:
        """Why budgets in shadow would have excluded the winner."""
        return tuple(self._kept[0].verdict.shadowed) if self._kept else ()

    @property
    def holds(self) -> tuple[BalanceSeen, ...]:
        """What is to be held for the call: on each budget the most that the model or a listed fallback may add.

        There is room for all of it, since a candidate without room is not listed. Limits on single calls hold nothing.
        """
        return held_for(self._kept)

    @property
    def reasons(self) -> tuple[str, ...]:
        """What each stage came to, in order, as sentences for people."""
        reasons = [*self._access.reasons]
        if self._route is not None:
            reasons.append(_route_reason(self._route))
        if self._excluded:
            reasons += [f"candidates: `{item.model}` is excluded: {item.reason}" for item in self._excluded]
        if self._kept:
            reasons += self._reasons_of_kept()
        if self._refusal:
            reasons.append(self._refusal)
        return (*reasons, *self._notes)

    def _reasons_of_kept(self) -> Iterator[str]:
        for rule in self._kept[0].prepared.rules:
            yield f"rewrites: {self._applied(rule)}"
        for candidate in self._kept:
            if candidate.added_by:
                yield f"candidates: {_origin(candidate)}"
        for alert in self.alerts:
            yield f"budgets: `{alert.budget}` alerts: {alert.text}"
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

        With ``request``, ``now`` and the two digests they are enough to decide the same again.
        """
        return self._context.read

    @property
    def plan(self) -> Plan:
        return self._context.plan

    @property
    def policy_digest(self) -> str:
        return self.plan.policy_digest

    @property
    def catalogue_digest(self) -> str:
        return self.plan.catalogue_digest


def _origin(candidate: Candidate) -> str:
    return f"`{candidate.name}` comes from a threshold of budget `{candidate.added_by}`"


def _shadow(item: Exclusion) -> str:
    return f"`{item.by}` is in shadow and would have excluded `{item.model}`: {item.reason}"


def _route_reason(route: RouteStep) -> str:
    if route.id == "default":
        return "routes: no route matches, the default serves"
    return f"routes: `{route.id}` matches" + (f": {route.reason}" if route.reason else "")
