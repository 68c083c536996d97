"""What prompt caches hold of a session, between the guard's calls: told to rules, learned from settled calls.

A guard knows what its own process has settled. A session whose calls are spread over processes is warmer than each of
them knows, never colder: what is not known counts as cold.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from costlens_policy.checker.attributes import WARM_TOKENS
from costlens_policy.compiler.plan import Plan
from costlens_policy.engine.decision import Decision
from costlens_policy.guard.charging import Bill
from costlens_policy.guard.hold_facts import Recalled
from costlens_policy.usage.warm import WarmPrompts

__all__ = ["learn_warmth", "with_warmth"]


def with_warmth(plan: Plan, request: Mapping[str, Any], warm: WarmPrompts, now: datetime) -> Mapping[str, Any]:
    """Return the request with what is warm of its session, where rules read that and it does not say so itself."""
    if not plan.reads_warmth or not isinstance(request, Mapping) or request.get(WARM_TOKENS) is not None:
        return request
    session = request.get("session")
    known = warm.of(session, now) if isinstance(session, str) else {}
    return {**request, WARM_TOKENS: known} if known else request


def learn_warmth(plan: Plan, decision: Decision, bill: Bill, warm: WarmPrompts) -> None:
    """Learn from the usage that a provider reported of a call, if rules read what is warm."""
    if not plan.reads_warmth or bill.basis != "reported" or bill.usage is None:
        return
    session = decision.session if isinstance(decision, Recalled) else decision.request.get("session")
    model = plan.catalogue.find(bill.model)
    if isinstance(session, str) and model is not None:
        warm.learn(session, model, bill.usage, decision.now)
