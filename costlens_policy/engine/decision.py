"""What was decided, and what it was decided on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal

from costlens_policy.diagnostics.model import Span
from costlens_policy.errors import CostlensPolicyError
from costlens_policy.money import ZERO, total, usd
from costlens_policy.rewrites import Change

if TYPE_CHECKING:  # the record needs the plan, and the plan knows nothing of decisions
    from costlens_policy.compiler.plan import Plan
    from costlens_policy.engine.record import Record

__all__ = ["Alert", "Balance", "BalanceSeen", "Call", "Decision", "DeniedError", "Estimate", "Exclusion", "Failure"]


@dataclass(frozen=True, slots=True)
class Balance:
    """State of one budget and scope key, in the budget's unit: what is spent, and what is held for calls under way.

    People may change a limit for a while: ``override`` replaces it, ``topup`` is added.

    Raises ``ValueError`` for what is not an exact amount from zero on: with others, no budget could be kept.
    """

    used: Decimal = ZERO
    held: Decimal = ZERO
    override: Decimal | None = None
    topup: Decimal = ZERO

    def limit_in_force(self, limit: Decimal) -> Decimal:
        """Return the limit that holds at present where the policy's is ``limit``."""
        if self.override is None and self.topup is ZERO:
            return limit
        return total((limit if self.override is None else self.override, self.topup))

    def __post_init__(self) -> None:
        for name in ("used", "held", "topup") if self.override is None else ("used", "held", "topup", "override"):
            amount = getattr(self, name)
            if not isinstance(amount, Decimal):
                raise ValueError(f"`{name}` of a balance is a Decimal, not {type(amount).__name__}")
            if amount is not ZERO:
                usd(amount)


@dataclass(frozen=True, slots=True)
class Estimate:
    """What the call costs if the model writes all the output it is allowed.

    ``cost`` is in US dollars, None where the model has no price. ``worst_cost`` is what budgets hold: each token counts
    as the dearest kind that it may be charged as (cache writes, reasoning), in whole femto-dollars; None where that
    has no price. ``basis`` says where ``prompt_tokens`` come from:
    ``request`` (given by the caller), the name of a tokenizer, or ``estimate``. ``output_tokens`` is for all
    ``completions`` together.
    """

    cost: Decimal | None
    prompt_tokens: int
    output_tokens: int
    completions: int
    basis: str
    worst_cost: Decimal | None


@dataclass(frozen=True, slots=True)
class Call:
    """The request as it is to be sent to one model: rewrites may differ from model to model.

    ``balances`` are the budgets that it counts against there.
    """

    model: str
    prompt: str | None
    system: str | None
    messages: tuple[dict[str, Any], ...] | None
    params: Mapping[str, Any]
    rewrites: tuple[str, ...]
    estimate: Estimate
    balances: tuple[BalanceSeen, ...]


@dataclass(frozen=True, slots=True)
class Exclusion:
    """A candidate that fell out.

    ``by`` is the budget or route that took it out, or empty where it cannot serve at all.
    """

    model: str
    reason: str
    by: str = ""


@dataclass(frozen=True, slots=True)
class Alert:
    """An alert that is due: the budget, the scope key, and the amount from which the rung is active."""

    budget: str
    key: str
    at: Decimal
    text: str


@dataclass(frozen=True, slots=True)
class BalanceSeen:
    """A budget that a model counts against, as it stood before the call.

    ``limit`` is the one in force, and ``call`` what the call may add at most.
    """

    budget: str
    key: str
    unit: Literal["usd", "tokens", "requests"]
    limit: Decimal
    used: Decimal
    held: Decimal
    call: Decimal
    shadow: bool = False


@dataclass(frozen=True, slots=True)
class Failure:
    """A rule whose expression failed at run time, and the place of the expression."""

    rule: str
    stage: str
    code: str
    message: str
    span: Span | None


@dataclass(frozen=True, slots=True, eq=False)
class Decision:
    """The answer to one request. Two decisions are the same when ``to_dict()`` is.

    ``prompt``, ``system``, ``messages`` and ``params`` are what to send to ``model``, with ``max_output_tokens`` always
    set. A fallback gets its own, from ``fallback_calls``: what is redacted for one model may not be for another.

    ``rule`` is the route that decided (``policy/rule``), ``default``, or the rule that refused. ``rewrites`` are the
    rules that were applied, ``changes`` what they changed. ``balances`` are those that the winner counts against,
    ``balances_read`` (by budget and scope key) all that any rule looked at: with ``request``, ``now`` and the two
    digests they are enough to decide the same again. The decision refers to the request's own messages where no
    rewrite touched them: do not change them afterwards.
    """

    effect: Literal["allow", "deny"]
    model: str | None
    fallbacks: tuple[str, ...]
    prompt: str | None
    system: str | None
    messages: tuple[dict[str, Any], ...] | None
    params: Mapping[str, Any]
    rule: str
    reasons: tuple[str, ...]
    rewrites: tuple[str, ...]
    changes: tuple[Change, ...]
    estimate: Estimate | None
    excluded: tuple[Exclusion, ...]
    alerts: tuple[Alert, ...]
    balances: tuple[BalanceSeen, ...]
    fallback_calls: tuple[Call, ...]
    errors: tuple[Failure, ...]
    now: datetime
    request: Mapping[str, Any]
    balances_read: Mapping[tuple[str, str], Balance]
    plan: Plan

    @property
    def allowed(self) -> bool:
        return self.effect == "allow"

    @property
    def policy_digest(self) -> str:
        return self.plan.policy_digest

    @property
    def catalogue_digest(self) -> str:
        return self.plan.catalogue_digest

    @property
    def holds(self) -> tuple[BalanceSeen, ...]:
        """What is to be held for the call: on each budget the most that the model or a listed fallback may add.

        There is room for all of it, since a candidate without room is not listed. Limits on single calls hold nothing.
        """
        dearest: dict[tuple[str, str], BalanceSeen] = {}
        for lines in (self.balances, *(call.balances for call in self.fallback_calls)):
            for line in lines:
                known = dearest.get((line.budget, line.key))
                if known is None or line.call > known.call:
                    dearest[line.budget, line.key] = line
        budgets = self.plan.budgets
        return tuple(line for line in dearest.values() if not budgets[line.budget][1].per_call)

    def record(self) -> Record:
        """Return every rule in order with its outcome and the values of its parts.

        Deciding is pure, so the record is made when asked for, by walking the same rules again.
        """
        from costlens_policy.engine.record import record_of  # a cycle otherwise: a record describes a decision

        return record_of(self)

    def to_dict(self) -> dict[str, Any]:
        """Return the decision as JSON-like data, described by ``schemas/decision.v1.json``.

        Money is a decimal string.
        """
        from costlens_policy.engine.export import export_decision  # a cycle otherwise: an export describes a decision

        return export_decision(self)


class DeniedError(CostlensPolicyError):
    """A call was refused. ``decision`` says why; ``budget`` names the budget that refused it, where one did."""

    def __init__(self, decision: Decision) -> None:
        super().__init__("; ".join(decision.reasons) or "denied")
        self.decision = decision
        self.budget = next((item.by for item in decision.excluded if item.by), None)
