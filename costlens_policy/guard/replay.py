"""What is kept with a hold: facts for reports and, for calls that may be asked for again, what they were decided on."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from costlens_policy.checker.attributes import STANDARD_ATTRIBUTES
from costlens_policy.compiler.plan import Plan
from costlens_policy.engine.decide import decide
from costlens_policy.engine.decision import Balance, Decision
from costlens_policy.guard.recalled import charging_facts
from costlens_policy.ledger.calls import Facts
from costlens_policy.money import plain

__all__ = ["decide_again", "facts_of"]

_LONGEST: Final = 200
_DIGEST: Final = 16


def facts_of(decision: Decision, *, replayable: bool) -> Facts:
    """Return the facts of a hold: model, rule, policy, and the recorded attributes of the request.

    Attributes that a policy set declares stand under ``attributes``: numbers, booleans and short texts.

    A ``replayable`` one carries the time and the balances, with which the same request is decided the same again, and
    what its charge needs.
    """
    request, estimate = decision.request, decision.estimate
    facts: dict[str, Any] = {
        "model": decision.model,
        "rule": decision.rule,
        "policy": decision.policy_digest[:_DIGEST],
    }
    if estimate is not None:
        facts["tokens"] = [estimate.prompt_tokens, estimate.output_tokens]
    own: dict[str, str | int | float | bool] = {}
    for name in decision.plan.recorded:
        value = request.get(name)
        if value is None:
            continue
        if name in STANDARD_ATTRIBUTES:
            if isinstance(value, str) and value:
                facts[name] = _storable(value[:_LONGEST])
        elif isinstance(value, str):
            if 0 < len(value) <= _LONGEST:  # what is longer may be a prompt, of which no part is kept
                own[name] = _storable(value)
        elif isinstance(value, int | float):
            own[name] = value
    if own:  # apart from the facts, whose names they may have
        facts["attributes"] = own
    if replayable:
        facts["decided"] = {
            "now": decision.now.isoformat(),
            "balances": [[budget, key, *_texts(balance)] for (budget, key), balance in decision.balances_read.items()],
        }
        facts |= charging_facts(decision)
    return facts


def _storable(text: str) -> str:
    return text if text.isascii() else text.encode(errors="replace").decode()


def decide_again(plan: Plan, request: Mapping[str, Any], facts: Facts) -> Decision | None:
    """Decide a request as it was decided when it was held; None where the facts, or another policy, do not tell."""
    decided = facts.get("decided")
    if not isinstance(decided, Mapping) or facts.get("policy") != plan.policy_digest[:_DIGEST]:
        return None
    balances = {
        (budget, key): Balance(
            Decimal(used), Decimal(held), None if override is None else Decimal(override), Decimal(topup)
        )
        for budget, key, used, held, override, topup in decided["balances"]
    }
    return decide(plan, request, balances, datetime.fromisoformat(decided["now"]))


def _texts(balance: Balance) -> list[str | None]:
    override = None if balance.override is None else plain(balance.override)
    return [plain(balance.used), plain(balance.held), override, plain(balance.topup)]
