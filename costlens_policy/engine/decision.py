"""A decision as a value: what was decided and on what, its record, and all of it as JSON-like data."""

from __future__ import annotations

import json
from binascii import b2a_base64
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from costlens_policy.checker.attributes import STANDARD_ATTRIBUTES
from costlens_policy.compiler.rules import BudgetStep
from costlens_policy.engine.candidate import Candidate
from costlens_policy.engine.context import Context
from costlens_policy.engine.decided import Decided
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
from costlens_policy.engine.states import state_of
from costlens_policy.errors import CostlensPolicyError
from costlens_policy.expressions import Value
from costlens_policy.expressions.runtime import to_python
from costlens_policy.money import plain
from costlens_policy.rewrites import Change
from costlens_policy.units import Unit

if TYPE_CHECKING:
    from costlens_policy.engine.mask import Mask
    from costlens_policy.engine.record import Record

__all__ = [
    "Alert",
    "ApprovalNeeded",
    "Balance",
    "BalanceSeen",
    "Call",
    "Decision",
    "DeniedError",
    "Estimate",
    "Exclusion",
    "Failure",
    "Overflowed",
    "WayOut",
    "json_value",
]

_LABELS: Final = frozenset(item.name for item in STANDARD_ATTRIBUTES.values() if item.label)
"""Attributes that say whose a request is, and for what: no words of the request itself."""
_MICROSECOND: Final = timedelta(microseconds=1)
_NOTHING: Final = Balance()


class Decision(Decided):
    """The answer to one request, a value: two decisions are equal when ``to_dict()`` is.

    It can be hashed, copied and pickled, and sent to another process; its plan goes along without code in it. It cannot
    be changed, and refers to the request's own messages where no rewrite touched them: do not change these afterwards.
    Most callers read two or three things of it, so that each is made when it is asked for.
    """

    __slots__ = ()

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

    def noted(self, *notes: str) -> Decision:
        """Return the decision with further reasons."""
        return self._with(self._kept, self._excluded, notes)

    def refused(self, *notes: str, excluded: tuple[Exclusion, ...] = ()) -> Decision:
        """Return the decision as a denial, for reasons from beyond the policies."""
        return self._with((), (*self._excluded, *excluded), notes)

    def _with(self, kept: tuple[Candidate, ...], excluded: tuple[Exclusion, ...], notes: tuple[str, ...]) -> Decision:
        notes = (*self._notes, *notes)
        return Decision(
            self._context, self._access, self._route, kept, excluded, self._rule, self._refusal, notes, self._passed,
            self._despite if kept else (),
        )  # fmt: skip

    def record(self) -> Record:
        """Return every rule in order with its outcome and the values of its parts.

        Deciding is pure, so the record is made when asked for, by walking the same rules again.
        """
        from costlens_policy.engine.record import record_of  # few ask for it

        return record_of(self)

    def to_dict(self, *, texts: bool = True, mask: Mask | None = None, record: bool = True) -> dict[str, Any]:
        """Return the decision as JSON-like data, described by ``schemas/decision.v1.json``.

        Money and other exact numbers are decimal strings, times are RFC 3339 in UTC. It holds the request as it came,
        before any redaction, so a log of it holds what the policies took out: without ``texts``, sizes stand in the
        place of prompts, messages and all other texts. ``mask`` says in more detail what is shown. Without ``record``,
        the rules that were passed over are left out: they can be walked again.
        """
        exported = _exported(self)
        if record:
            exported["record"] = _record(self.record())
        if mask is not None:
            return mask.masked(exported, self.plan)
        return exported if texts else _without_texts(exported, self)


class DeniedError(CostlensPolicyError):
    """A call was refused.

    ``decision`` says why, ``rule`` which rule decided; ``budget`` names the budget that refused it, and ``key`` whose
    share of it, where one did. ``hold_ends_at`` is when the next of the holds on that share ends by itself, in UTC, if
    its call is not settled before; None where nothing is held, or no ledger was asked.
    """

    def __init__(self, decision: Decision, hold_ends_at: datetime | None = None) -> None:
        self.decision = decision
        budgets = decision.plan.budgets
        refusal = next((item for item in decision.excluded if item.by in budgets), None)
        self.budget = None if refusal is None else refusal.by
        self.key = None if refusal is None else refusal.key
        self.hold_ends_at = hold_ends_at
        said = "; ".join(decision.reasons) or "denied"
        if hold_ends_at is not None:
            whose = f" of `{self.key}`" if self.key else ""
            said += f"; the next hold on budget `{self.budget}`{whose} ends at {hold_ends_at.isoformat()}"
        super().__init__(said)

    @property
    def rule(self) -> str:
        return self.decision.rule

    @property
    def unit(self) -> Unit | None:
        """The unit of ``used``, ``held`` and ``limit``; None where no budget refused the call."""
        return None if self.budget is None else self.decision.plan.budgets[self.budget][1].unit

    @property
    def used(self) -> Decimal | None:
        """What that share of the budget has spent; None where none refused the call, or it cannot be read."""
        return None if self._balance is None else self._balance.used

    @property
    def held(self) -> Decimal | None:
        """What is merely held there, for calls under way: it is free again once they are settled. None as ``used``."""
        return None if self._balance is None else self._balance.held

    @property
    def limit(self) -> Decimal | None:
        """The limit in force there. None as ``used``."""
        if self.budget is None or self._balance is None:
            return None
        layer, step = self.decision.plan.budgets[self.budget]
        decision = self.decision
        context = Context(decision.plan, dict(decision.request), decision.balances_read, decision.now)
        return self._balance.limit_in_force(context.limit(step, layer), step.carry_over)

    @property
    def _balance(self) -> Balance | None:
        if self.budget is None or self.key is None:
            return None
        return self.decision.balances_read.get((self.budget, self.key), _NOTHING)

    @property
    def resets_at(self) -> datetime | None:
        """When the period of the budget that refused the call ends, in UTC.

        None where no budget did, and for rolling windows, lifetimes and limits on each call. Where overflows were full,
        too, it is the earliest of their ends, and None if one has none.
        """
        if self.budget is None:
            return None
        plan = self.decision.plan
        ends = [self._end_of(step) for step in (plan.budgets[self.budget][1], *plan.overflows_of(self.budget))]
        return None if None in ends else min(end for end in ends if end is not None)

    def _end_of(self, step: BudgetStep) -> datetime | None:
        decision = self.decision
        period = step.schedule.at(decision.now)
        if period is not None and period.first_use is not None:
            read = {key: balance for (id, key), balance in decision.balances_read.items() if id == step.id}
            known = read.get(self.key or "") if step.id == self.budget else next(iter(read.values()), None)
            period = period.seen(None if known is None else known.started_at, decision.now)
        return None if period is None else period.resets_at

    def __reduce__(self) -> tuple[type[DeniedError], tuple[Decision, datetime | None]]:
        return DeniedError, (self.decision, self.hold_ends_at)


def _exported(decision: Decision) -> dict[str, Any]:
    return {
        "effect": decision.effect,
        "model": decision.model,
        "fallbacks": list(decision.fallbacks),
        "rule": decision.rule,
        "shares": list(decision.shares),
        "ways_out": [{"rule": item.rule, "place": item.place, "way": item.way} for item in decision.ways_out],
        "reasons": list(decision.reasons),
        **_sent(decision),
        "rewrites": list(decision.rewrites),
        "changes": [_change(item) for item in decision.changes],
        "estimate": None if decision.estimate is None else _estimate(decision.estimate),
        "fallback_calls": [_call(item) for item in decision.fallback_calls],
        "excluded": [_exclusion(item) for item in decision.excluded],
        "alerts": [_alert(item) for item in decision.alerts],
        "approvals": [_needed(item) for item in decision.approvals],
        "balances": [_balance(item) for item in decision.balances],
        "overflowed": [_overflowed(item) for item in decision.overflowed],
        "shadowed": [_exclusion(item) for item in decision.shadowed],
        "errors": [_failure(item) for item in decision.errors],
        "now": _plain(decision.now),
        "request": json_value(dict(decision.request)),
        "balances_read": [
            {"budget": budget, "key": key, **state_of(balance)}
            for (budget, key), balance in sorted(decision.balances_read.items())
        ],
        **_measured(decision),
        "policy_set": {"name": decision.plan.name, "version": decision.plan.version},
        "policy_digest": decision.policy_digest,
        "catalogue_digest": decision.catalogue_digest,
    }


def _sent(item: Decision | Call) -> dict[str, Any]:
    return {
        "prompt": item.prompt,
        "system": item.system,
        "messages": None if item.messages is None else [json_value(message) for message in item.messages],
        "params": json_value(dict(item.params)),
        "tools": None if item.tools is None else [json_value(tool) for tool in item.tools],
    }


def _call(item: Call) -> dict[str, Any]:
    return {
        "model": item.model,
        **_sent(item),
        "rewrites": list(item.rewrites),
        "estimate": _estimate(item.estimate),
        "balances": [_balance(seen) for seen in item.balances],
    }


def _change(item: Change) -> dict[str, Any]:
    return {
        "operation": item.operation,
        "target": item.target,
        "detail": item.detail,
        "counts": dict(item.counts),
    }


def _estimate(estimate: Estimate) -> dict[str, Any]:
    """Return an estimate; what it likely costs only where prompt caches make a difference."""
    likely = {} if estimate.likely_cost in (None, estimate.cost) else {"likely_cost_usd": estimate.likely_cost}
    return {
        **{name: _number(cost) for name, cost in likely.items() if cost is not None},
        "cost_usd": None if estimate.cost is None else _number(estimate.cost),
        "worst_cost_usd": None if estimate.worst_cost is None else _number(estimate.worst_cost),
        "prompt_tokens": estimate.prompt_tokens,
        "output_tokens": estimate.output_tokens,
        "completions": estimate.completions,
        "basis": estimate.basis,
    }


def _exclusion(item: Exclusion) -> dict[str, Any]:
    return {"model": item.model, "reason": item.reason, "by": item.by or None, "threshold": item.threshold}


def _alert(item: Alert) -> dict[str, Any]:
    amounts = {"at": _number(item.at), "text": item.text, "threshold": item.threshold}
    return {"budget": item.budget, "key": item.key, **amounts}


def _needed(item: ApprovalNeeded) -> dict[str, Any]:
    amount = {"amount": _number(item.amount), "reason": item.reason}
    return {"budget": item.budget, "key": item.key, "threshold": item.threshold, **amount}


_SHARES: Final = ("set_aside", "own", "begins")


def _balance(item: BalanceSeen) -> dict[str, Any]:
    amounts = {name: _number(getattr(item, name)) for name in ("limit", "used", "held", "call")}
    seen = {"budget": item.budget, "key": item.key, "unit": item.unit, **amounts, "shadow": item.shadow}
    if item.hold is not None:
        seen["hold"] = _number(item.hold)
    if item.carried:
        seen["carried"] = _number(item.carried)
    seen |= {name: _number(amount) for name in _SHARES if (amount := getattr(item, name))}
    return seen


def _measured(decision: Decision) -> dict[str, Any]:
    """Return what was known of such calls; nothing where no budget looked at it."""
    if not decision.measured:
        return {}
    known = sorted(decision.measured.items())
    return {"measured": [{**kind._asdict(), "cases": item.cases, "ratio": _number(item.ratio)} for kind, item in known]}


def _overflowed(item: Overflowed) -> dict[str, Any]:
    return {**_balance(item.seen), "counted_on": item.counted_on, "counted_on_key": item.counted_on_key}


def _failure(item: Failure) -> dict[str, Any]:
    place = None
    if item.span is not None:
        place = {"file": item.span.file, "line": item.span.start.line, "column": item.span.start.column}
    return {"rule": item.rule, "stage": item.stage, "code": item.code, "message": item.message, "place": place}


def _record(record: Record) -> list[dict[str, Any]]:
    return [
        {
            "stage": stage.stage,
            "rules": [
                {
                    "id": rule.id,
                    "outcome": str(rule.outcome),
                    "reason": rule.reason,
                    "condition": rule.condition,
                    "parts": [{"text": text, "value": value} for text, value in rule.parts],
                }
                for rule in stage.rules
            ],
            "notes": list(stage.notes),
        }
        for stage in record.stages
    ]


def _number(amount: Decimal) -> str:
    return plain(amount)


def json_value(value: Value) -> Any:
    """Return a value of an expression as JSON has it: times are RFC 3339, durations seconds, bytes base64."""
    return _plain(to_python(value))


def _plain(value: Any) -> Any:
    """Return a value with only JSON's types in it."""
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    if isinstance(value, Decimal):
        return _number(value)
    if isinstance(value, timedelta):
        return f"{plain(Decimal(value // _MICROSECOND).scaleb(-6))}s"
    if isinstance(value, bytes):
        return b2a_base64(value, newline=False).decode()
    return value.isoformat() if isinstance(value, date) else value


def _without_texts(exported: dict[str, Any], decision: Decision) -> dict[str, Any]:
    """Put sizes in the place of texts: of the request, of what is sent, and of the values that conditions read."""
    attributes = decision.plan.attributes
    request = {
        name: value if name in _LABELS or (name in attributes and attributes[name].values) else _masked(value)
        for name, value in exported["request"].items()
    }
    record = [
        {
            "stage": stage["stage"],
            "rules": [{**rule, "parts": [_unread(part) for part in rule["parts"]]} for rule in stage["rules"]],
            "notes": [f"`{name}`" for name in request] if stage["stage"] == "request" else stage["notes"],
        }
        for stage in exported.get("record", ())
    ]
    calls = [{**call, **_masked_sent(call)} for call in exported["fallback_calls"]]
    shown = {**exported, **_masked_sent(exported), "fallback_calls": calls, "request": request}
    return shown | {"record": record} if "record" in exported else shown


def _masked_sent(item: dict[str, Any]) -> dict[str, Any]:
    params = {name: _masked(value) for name, value in item["params"].items()}
    return {name: _masked(item[name]) for name in ("prompt", "system", "messages", "tools")} | {"params": params}


def _masked(value: Any) -> Any:
    """Return the size of a text, a list of sizes, the size of all that is in an object; other values as they are."""
    if isinstance(value, str):
        return f"[{len(value)} characters]"
    if isinstance(value, list):
        return [_masked(item) for item in value]
    if isinstance(value, dict):
        return f"[{len(json.dumps(value, ensure_ascii=False, default=str))} characters of JSON]"
    return value


def _unread(part: dict[str, str]) -> dict[str, str]:
    value = part["value"]
    if part["text"].startswith("model.") or part["text"].removeprefix("request.") in _LABELS:
        return part
    return part if value[:1] not in ('"', "[", "{") else {**part, "value": f"[{len(value)} characters]"}
