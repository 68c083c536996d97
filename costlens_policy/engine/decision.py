"""What was decided, and what it was decided on."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal

from costlens_policy.engine.facts import Alert, Balance, BalanceSeen, Call, Estimate, Exclusion, Failure
from costlens_policy.errors import CostlensPolicyError
from costlens_policy.rewrites import Change

if TYPE_CHECKING:  # a decision is told of its parts, which are made further up
    from costlens_policy.compiler.plan import Plan
    from costlens_policy.compiler.rules import RouteStep
    from costlens_policy.engine.access import Access
    from costlens_policy.engine.budgets import AppliedBudget
    from costlens_policy.engine.context import Context
    from costlens_policy.engine.preparation import Candidate
    from costlens_policy.engine.record import Record

__all__ = ["Alert", "Balance", "BalanceSeen", "Call", "Decision", "DeniedError", "Estimate", "Exclusion", "Failure"]


class Decision:
    """The answer to one request, a value: two decisions are equal when ``to_dict()`` is.

    It can be hashed, copied and pickled, and sent to another process; its plan goes along without code in it. It cannot
    be changed, and refers to the request's own messages where no rewrite touched them: do not change these afterwards.
    Most callers read two or three things of it, so that each is made when it is asked for.
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

    def noted(self, *notes: str) -> Decision:
        """Return the decision with further reasons."""
        return self._with(self._kept, self._excluded, notes)

    def refused(self, *notes: str, excluded: tuple[Exclusion, ...] = ()) -> Decision:
        """Return the decision as a denial, for reasons from beyond the policies."""
        return self._with((), (*self._excluded, *excluded), notes)

    def _with(self, kept: tuple[Candidate, ...], excluded: tuple[Exclusion, ...], notes: tuple[str, ...]) -> Decision:
        notes = (*self._notes, *notes)
        return Decision(self._context, self._access, self._route, kept, excluded, self._rule, self._refusal, notes)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Decision):
            return NotImplemented
        return self is other or (self._brief == other._brief and self.to_dict() == other.to_dict())

    def __hash__(self) -> int:
        return hash(self._brief)

    @property
    def _brief(self) -> tuple[object, ...]:
        """What is quick to compare, and tells most decisions apart."""
        return self.policy_digest, self.catalogue_digest, self.now, self.model, self._rule, self._notes

    def __repr__(self) -> str:
        return f"Decision(effect={self.effect!r}, model={self.model!r}, rule={self.rule!r})"

    @property
    def allowed(self) -> bool:
        return bool(self._kept)

    @property
    def effect(self) -> Literal["allow", "deny"]:
        return "allow" if self._kept else "deny"

    @property
    def model(self) -> str | None:
        """The model to call; None where the request is denied."""
        return self._kept[0].name if self._kept else None

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
        return self._kept[0].verdict.seen if self._kept else ()

    @property
    def shadowed(self) -> tuple[Exclusion, ...]:
        """Why budgets in shadow would have excluded the winner."""
        return tuple(self._kept[0].verdict.shadowed) if self._kept else ()

    @property
    def holds(self) -> tuple[BalanceSeen, ...]:
        """What is to be held for the call: on each budget the most that the model or a listed fallback may add.

        There is room for all of it, since a candidate without room is not listed. Limits on single calls hold nothing.
        """
        dearest: dict[tuple[str, str], tuple[AppliedBudget, Decimal]] = {}
        for candidate in self._kept:
            verdict = candidate.verdict
            for applied in verdict.budgets:
                call, place = verdict.call(applied.step), (applied.step.id, applied.key)
                known = dearest.get(place)
                if call is not None and not applied.step.per_call and (known is None or call > known[1]):
                    dearest[place] = (applied, call)
        return tuple([applied.seen(call) for applied, call in dearest.values()])

    @property
    def reasons(self) -> tuple[str, ...]:
        """What each stage came to, in order, as sentences for people."""
        return (
            *self._access.reasons,
            *(() if self._route is None else (_route_reason(self._route),)),
            *(f"candidates: `{item.model}` is excluded: {item.reason}" for item in self.excluded),
            *(f"rewrites: applied `{rule}`" for rule in self.rewrites),
            *(f"candidates: {_origin(candidate)}" for candidate in self._kept if candidate.added_by),
            *(f"budgets: `{alert.budget}` alerts: {alert.text}" for alert in self.alerts),
            *(f"budgets: {_shadow(item)}" for item in self.shadowed),
            *((self._refusal,) if self._refusal else ()),
            *self.notes,
        )

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

    def record(self) -> Record:
        """Return every rule in order with its outcome and the values of its parts.

        Deciding is pure, so the record is made when asked for, by walking the same rules again.
        """
        from costlens_policy.engine.record import record_of  # a cycle otherwise: a record describes a decision

        return record_of(self)

    def to_dict(self, *, texts: bool = True) -> dict[str, Any]:
        """Return the decision as JSON-like data, described by ``schemas/decision.v1.json``.

        Money is a decimal string. It holds the request as it came, before any redaction, so a log of it holds what the
        policies took out: without ``texts``, sizes stand in the place of prompts, messages and all other texts.
        """
        from costlens_policy.engine.export import export_decision  # a cycle otherwise: an export describes a decision

        return export_decision(self, texts=texts)


def _origin(candidate: Candidate) -> str:
    return f"`{candidate.name}` comes from a threshold of budget `{candidate.added_by}`"


def _shadow(item: Exclusion) -> str:
    return f"`{item.by}` is in shadow and would have excluded `{item.model}`: {item.reason}"


def _route_reason(route: RouteStep) -> str:
    if route.id == "default":
        return "routes: no route matches, the default serves"
    return f"routes: `{route.id}` matches" + (f": {route.reason}" if route.reason else "")


class DeniedError(CostlensPolicyError):
    """A call was refused.

    ``decision`` says why; ``budget`` names the budget that refused it, and ``key`` whose share of it, where one did.
    """

    def __init__(self, decision: Decision) -> None:
        super().__init__("; ".join(decision.reasons) or "denied")
        self.decision = decision
        budgets = decision.plan.budgets
        refusal = next((item for item in decision.excluded if item.by in budgets), None)
        self.budget = None if refusal is None else refusal.by
        self.key = None if refusal is None else refusal.key

    def __reduce__(self) -> tuple[type[DeniedError], tuple[Decision]]:
        return DeniedError, (self.decision,)
