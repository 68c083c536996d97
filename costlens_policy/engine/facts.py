"""What a decision says and stands on: balances, estimates, calls, exclusions, alerts, failures."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal, NamedTuple

from costlens_policy.carry_over import CarryOver
from costlens_policy.diagnostics.model import Span
from costlens_policy.frozen import frozen
from costlens_policy.money import ZERO, add, total, usd
from costlens_policy.units import Unit

__all__ = [
    "Alert",
    "Approval",
    "ApprovalNeeded",
    "Balance",
    "BalanceSeen",
    "Call",
    "Estimate",
    "Exclusion",
    "Failure",
    "Overflowed",
    "WayOut",
]


@frozen
class Approval:
    """What somebody approved: calls past a threshold, as long as used + held + the call is at most ``up_to``.

    ``expires_at`` is when it ends, None where it holds as long as the period does. ``up_to`` is None where it was
    denied.
    """

    threshold: str
    up_to: Decimal | None
    expires_at: datetime | None = None

    def covers(self, threshold: str, reached: Decimal, now: datetime) -> bool:
        """Whether a call may go past a threshold."""
        in_force = self.expires_at is None or now < self.expires_at
        return in_force and self.threshold == threshold and self.up_to is not None and reached <= self.up_to


@frozen
class Balance:
    """State of one budget and scope key, in the budget's unit: what is spent, and what is held for calls under way.

    People may change a limit for a while: ``override`` replaces it, ``topup`` is added. ``recent`` is what was charged
    lately in the current period, by the lengths of time that thresholds at burn rates name, such as ``1h``.
    ``approvals`` are those that people gave.
    ``started_at`` is when a window from first use began that is in force, None for every other window.
    ``earlier`` is what earlier periods have used, the latest first, as far as they count for what is carried over.
    ``set_aside`` is what of ``held`` waits for calls of budgets that are reserved from this one. ``reserved`` is what
    is set aside so for the budget and scope key itself; None where nothing is now.

    Raises ``ValueError`` for what is not an exact amount from zero on: with others, no budget could be kept.
    """

    used: Decimal = ZERO
    held: Decimal = ZERO
    override: Decimal | None = None
    topup: Decimal = ZERO
    started_at: datetime | None = None
    recent: tuple[tuple[str, Decimal], ...] = ()
    approvals: tuple[Approval, ...] = ()
    earlier: tuple[Decimal, ...] = ()
    set_aside: Decimal = ZERO
    reserved: Decimal | None = None

    @classmethod
    def of_ledger(
        cls,
        used: Decimal,
        held: Decimal,
        override: Decimal | None,
        topup: Decimal,
        started_at: datetime | None = None,
        recent: tuple[tuple[str, Decimal], ...] = (),
        approvals: tuple[Approval, ...] = (),
        earlier: tuple[Decimal, ...] = (),
        set_aside: Decimal = ZERO,
        reserved: Decimal | None = None,
    ) -> Balance:
        """Return a balance of amounts that a ledger has examined: they need not be examined for each call again."""
        balance = object.__new__(cls)
        put = object.__setattr__
        put(balance, "used", used)
        put(balance, "held", held)
        put(balance, "override", override)
        put(balance, "topup", topup)
        put(balance, "started_at", started_at)
        put(balance, "recent", recent)
        put(balance, "approvals", approvals)
        put(balance, "earlier", earlier)
        put(balance, "set_aside", set_aside)
        put(balance, "reserved", reserved)
        return balance

    def carried(self, limit: Decimal, carry_over: CarryOver | None) -> Decimal:
        """Return what earlier periods add to the policy's limit; nothing where people have replaced it."""
        if carry_over is None or not self.earlier or self.override is not None:
            return ZERO
        return carry_over.amount(limit, self.earlier)

    def limit_in_force(self, limit: Decimal, carry_over: CarryOver | None = None) -> Decimal:
        """Return the limit that holds at present where the policy's is ``limit``."""
        if carry_over is not None and (carried := self.carried(limit, carry_over)):
            limit = add(limit, carried)
        if self.override is None and self.topup is ZERO:
            return limit
        return total((limit if self.override is None else self.override, self.topup))

    def __post_init__(self) -> None:
        for name in ("used", "held", "topup", "set_aside", "override", "reserved"):
            amount = getattr(self, name)
            if amount is None and name in ("override", "reserved"):
                continue
            if not isinstance(amount, Decimal):
                raise ValueError(f"`{name}` of a balance is a Decimal, not {type(amount).__name__}")
            if amount is not ZERO:
                usd(amount)
        for amount in self.earlier:
            if not isinstance(amount, Decimal):
                raise ValueError(f"`earlier` of a balance is a tuple of Decimals, got {type(amount).__name__}")
            usd(amount)
        if self.started_at is not None and self.started_at.tzinfo is None:
            raise ValueError("`started_at` of a balance must have a time zone")
        for _, amount in self.recent:
            usd(amount)
        for approval in self.approvals:
            usd(ZERO if approval.up_to is None else approval.up_to)


class Estimate(NamedTuple):
    """What the call costs if the model writes all the output it is allowed.

    ``cost`` is in US dollars, None where the model has no price. ``worst_cost`` is what budgets hold: each token counts
    as the dearest kind that it may be charged as (cache writes, reasoning), in whole femto-dollars; None where that
    has no price. ``basis`` says where ``prompt_tokens`` come from:
    ``request`` (given by the caller), the name of a tokenizer, or ``estimate``. ``output_tokens`` is for all
    ``completions`` together. ``likely_cost`` is ``cost`` with what is likely in a prompt cache read from there, and
    the rest written to it; ``cost`` itself where nothing is known of caches, which no budget counts on.
    """

    cost: Decimal | None
    prompt_tokens: int
    output_tokens: int
    completions: int
    basis: str
    worst_cost: Decimal | None
    likely_cost: Decimal | None = None


@frozen
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
    tools: tuple[Any, ...] | None = None


@frozen
class Exclusion:
    """A candidate that was excluded.

    ``by`` is the budget, route or access rule that took it out, or empty where it cannot serve at all. ``key`` is the
    scope key where a limit or a threshold of a budget did, else None. ``threshold`` is the name of that threshold, such
    as ``0.8`` for one at a ratio, or ``projected_ratio:1.2``. ``needs`` is what used + held + the call come to, where
    that needs an approval, else None. ``share`` is the budget and scope key that had to be set aside, where there was
    room for the call and not for that, else None.
    """

    model: str
    reason: str
    by: str = ""
    key: str | None = None
    threshold: str | None = None
    needs: Decimal | None = None
    share: tuple[str, str] | None = None


@frozen
class ApprovalNeeded:
    """An approval without which a call is refused: of calls past a threshold of a budget, for a scope key.

    ``amount`` is what used + held + the call come to there, in the budget's unit.
    """

    budget: str
    key: str
    threshold: str
    amount: Decimal
    reason: str


@frozen
class WayOut:
    """A way out that was taken, since no candidate of a choice was left.

    ``rule`` is the route of the choice, ``place`` the same with the shares that led to it. ``way`` is ``cheapest``,
    ``best``, ``next``, or ``target`` for a target of its own.
    """

    rule: str
    place: str
    way: Literal["cheapest", "best", "next", "target"]


@frozen
class Alert:
    """An alert that is due: the budget, the scope key, and the amount from which the threshold is active.

    Of a threshold at a forecast, the amount is what had been used when it was met. ``threshold`` is its name.
    """

    budget: str
    key: str
    at: Decimal
    text: str
    threshold: str = ""


class BalanceSeen(NamedTuple):
    """A budget that a model counts against, as it stood before the call.

    ``limit`` is the one in force, of which ``carried`` was left unused by earlier periods, and ``call`` what the call
    may add at most. ``hold`` is what is held for it where that is a quantile of what such calls have cost; None where
    all of ``call`` is. Of ``held``, ``set_aside`` waits for calls of budgets reserved from this one, and ``own`` of
    that for calls such as this one. ``begins`` is what is set aside beside the call, for budgets whose first call it
    is.
    """

    budget: str
    key: str
    unit: Unit
    limit: Decimal
    used: Decimal
    held: Decimal
    call: Decimal
    shadow: bool = False
    hold: Decimal | None = None
    carried: Decimal = ZERO
    set_aside: Decimal = ZERO
    own: Decimal = ZERO
    begins: Decimal = ZERO

    @property
    def taken(self) -> Decimal:
        """What the call takes of the budget until it is settled."""
        return self.call if self.hold is None else self.hold


class Overflowed(NamedTuple):
    """A budget that had no room for the call, as it stood, and the budget and scope key that count the call instead."""

    seen: BalanceSeen
    counted_on: str
    counted_on_key: str


@frozen
class Failure:
    """A rule whose expression failed at run time, and the place of the expression."""

    rule: str
    stage: str
    code: str
    message: str
    span: Span | None

    def __str__(self) -> str:
        """Return the failure as reports for people show it."""
        place = "" if self.span is None else f" ({self.span.file}:{self.span.start.line}:{self.span.start.column})"
        return f"[{self.code}] `{self.rule}`: {self.message}{place}"
