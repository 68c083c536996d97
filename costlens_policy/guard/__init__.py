"""The guard: decisions that are held to.

guard = Guard(load("policies/"), ledger="sqlite:///spend.db")
with guard.call(request) as call:
    response = client.chat.completions.create(model=call.model, messages=call.messages, **call.params)
    call.settle(response.usage)
"""

from __future__ import annotations

from costlens_policy.guard.async_calls import AsyncCall
from costlens_policy.guard.async_guard import AsyncGuard
from costlens_policy.guard.calls import Call
from costlens_policy.guard.errors import GuardError
from costlens_policy.guard.events import Event, Sink
from costlens_policy.guard.guard import Guard
from costlens_policy.guard.outcome import Charged, ChargedBudget
from costlens_policy.guard.sinks import JsonLinesSink, LoggingSink, WebhookSink
from costlens_policy.guard.spending import Spend

__all__ = [
    "AsyncCall", "AsyncGuard", "Call", "Charged", "ChargedBudget", "Event", "Guard", "GuardError", "JsonLinesSink",
    "LoggingSink", "Sink", "Spend", "WebhookSink",
]  # fmt: skip
