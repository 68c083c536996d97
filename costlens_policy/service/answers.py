"""From what engine and guard return to what travels: plain values, money as decimal strings."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Any, Final

import msgspec

import costlens_policy.client.wire as wire
from costlens_policy.compiler.plan import Plan
from costlens_policy.engine.decide import Models
from costlens_policy.engine.decision import Alert, Call, Decision, Estimate, Exclusion, json_value
from costlens_policy.guard import BatchSettled, Charged, Spend
from costlens_policy.guard.dialects import speak
from costlens_policy.guard.guard import CallFacts
from costlens_policy.integrations.refusals import refusal_of
from costlens_policy.integrations.sdk.bodies import Dialect
from costlens_policy.money import plain

__all__ = [
    "batch_settled", "charge_of", "decided", "encode", "explained", "held_lines", "models_of", "policies_of",
    "problem_of", "spends_of", "write_bodies",
]  # fmt: skip

_JSON: Final = frozenset({str, int, float, bool, type(None)})


def decided(decision: Decision, dialect: str | None) -> wire.Decided:
    """Return a decision with what to send to each model, in the words of an SDK as well where a dialect is named."""
    plan, model, excluded, alerts = decision.plan, decision.model, decision.excluded, decision.alerts
    estimate, fallbacks = decision.estimate, decision.fallbacks
    calls: list[wire.Call] = []
    if model is not None and estimate is not None:
        calls.append(_call(plan, model, decision, estimate, dialect))
    if fallbacks:
        calls += [_call(plan, item.model, item, item.estimate, dialect) for item in decision.fallback_calls]
    ways_out = decision.ways_out
    return wire.Decided(
        model is not None,
        model,
        fallbacks,
        decision.rule,
        decision.shares,
        [item.way for item in ways_out] if ways_out else (),
        decision.reasons,
        calls,
        [_excluded(item) for item in excluded] if excluded else (),
        [_alert(item) for item in alerts] if alerts else (),
        plan.policy_digest,
        plan.catalogue_digest,
    )


def _call(plan: Plan, model: str, sent: Decision | Call, estimate: Estimate, dialect: str | None) -> wire.Call:
    known = plan.catalogue.find(model)
    messages, params = sent.messages, dict(sent.params)
    if not _JSON.issuperset(map(type, params.values())):
        params = json_value(params)
    cost, prompt_tokens, output_tokens, completions, basis, worst_cost, likely_cost = estimate
    shown = _amount(cost)
    worst = shown if worst_cost is cost else _amount(worst_cost)
    likely = shown if likely_cost is cost else _amount(likely_cost)
    return wire.Call(
        model,
        None if known is None else known.provider,
        sent.prompt,
        sent.system,
        None if messages is None else list(messages),  # from JSON, as rewrites leave it: plain to the last level
        params,
        wire.Estimate(shown, worst, prompt_tokens, output_tokens, completions, basis, likely),
        None if dialect is None else _arguments(model, sent, dialect),
    )


def write_bodies(decided: wire.Decided, call: CallFacts, dialect: Dialect, body: dict[str, Any]) -> None:
    """Give each call the body to send in the place of one that was read. Raises ``GuardError`` where there is none."""
    for item in decided.calls:
        call.use(item.model)
        item.arguments = json_value(dialect.write(body, call))
    if decided.calls:
        call.use(decided.calls[0].model)


def _arguments(model: str, sent: Decision | Call, dialect: str) -> dict[str, Any]:
    spoken = speak(dialect, sent.prompt, sent.system, sent.messages, sent.params)
    params = json_value(spoken.params)
    return {**params, spoken.model_name: model, spoken.messages_name: spoken.messages}


def _amount(amount: Decimal | None) -> str | None:
    return None if amount is None else plain(amount)


def _alert(item: Alert) -> wire.Alert:
    return wire.Alert(item.budget, item.key, plain(item.at), item.text, item.threshold)


def _excluded(item: Exclusion) -> wire.Excluded:
    return wire.Excluded(item.model, item.reason, item.by or None)


def explained(decision: Decision) -> wire.Explained:
    return wire.Explained(decision.allowed, decision.to_dict())


def models_of(models: Models) -> wire.ModelsAnswer:
    return wire.ModelsAnswer(list(models.may_serve), list(map(_excluded, models.excluded)))


def charge_of(charged: Charged) -> wire.Charge:
    usage = charged.usage
    return wire.Charge(
        id=charged.call,
        model=charged.model,
        basis=charged.basis,
        cost_usd=_amount(charged.cost),
        usage=None if usage is None else usage._asdict(),
        budgets=[
            wire.BudgetCharge(line.budget, line.key, line.unit, plain(line.amount), plain(line.held))
            for line in charged.budgets
        ],
        late=charged.late,
        repeated=charged.repeated,
        recorded=charged.recorded,
        notes=list(charged.notes),
    )


def batch_settled(settled: BatchSettled) -> wire.BatchSettled:
    charged = {item: charge_of(charge) for item, charge in settled.charged.items()}
    return wire.BatchSettled(settled.id, plain(settled.cost), charged, dict(settled.released), settled.problems)


def problem_of(error: Exception) -> wire.ProblemFacts:
    """Return why an item was refused, as the refusal of a single call says it."""
    refusal = refusal_of(error)
    assert refusal is not None, "what refuses an item is an error of this package"
    return msgspec.convert(refusal.body["error"], wire.ProblemFacts)


def held_lines(decision: Decision) -> list[wire.HeldLine]:
    """Return what is held for a call on each budget."""
    return [
        wire.HeldLine(line.budget, line.key, line.unit, plain(line.taken))
        for line in decision.holds
        if decision.plan.budgets[line.budget][1].charged_by_calls
    ]


def spends_of(spends: Iterable[Spend]) -> wire.SpendAnswer:
    return wire.SpendAnswer([
        wire.SpendLine(
            budget=spend.budget,
            key=spend.key,
            unit=spend.unit,
            used=plain(spend.used),
            held=plain(spend.held),
            limit=_amount(spend.limit),
            left=_amount(spend.left),
            starts_at=spend.starts_at,
            resets_at=spend.resets_at,
            shadow=spend.shadow,
            changed_by_hand=spend.changed_by_hand,
            set_aside=plain(spend.set_aside),
            reserved=_amount(spend.reserved),
        )
        for spend in spends
    ])  # fmt: skip


def policies_of(plan: Plan) -> wire.PolicyList:
    layers = [
        wire.PolicyLayer(
            layer.name, layer.version, *map(_ids, (layer.access, layer.routes, layer.rewrites, layer.budgets))
        )
        for layer in plan.layers
    ]
    return wire.PolicyList(
        plan.name, plan.version, plan.policy_digest, plan.catalogue_digest, layers, list(plan.catalogue.models)
    )


def _ids(steps: Iterable[Any]) -> list[str]:
    return [step.id for step in steps]


encode: Final = msgspec.json.Encoder().encode
"""Write an answer as JSON."""
