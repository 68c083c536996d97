"""The guard: decisions that are held to.

guard = Guard(load("policies/"), ledger="sqlite:///spend.db")
with guard.call(request) as call:
    response = client.chat.completions.create(model=call.model, messages=call.messages, **call.params)
    call.settle(response.usage)
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from costlens_policy.guard.batches import Batch, BatchSettled
from costlens_policy.guard.errors import GuardError
from costlens_policy.guard.events import Event, JsonLinesSink, LoggingSink, Sink
from costlens_policy.guard.guard import Call, Guard
from costlens_policy.guard.recording import Charged, ChargedBudget
from costlens_policy.guard.runs import Run, run, run_now
from costlens_policy.guard.signals import AsyncSignalSource, SignalSource
from costlens_policy.guard.spending import Spend
from costlens_policy.on_demand import on_demand

if TYPE_CHECKING:
    from costlens_policy.guard.async_guard import AsyncCall, AsyncGuard
    from costlens_policy.guard.webhook import WebhookSink

__all__ = [
    "AsyncCall", "AsyncGuard", "AsyncSignalSource", "Batch", "BatchSettled", "Call", "Charged", "ChargedBudget",
    "Event", "Guard", "GuardError", "JsonLinesSink", "LoggingSink", "Run", "SignalSource", "Sink", "Spend",
    "WebhookSink", "run", "run_now",
]  # fmt: skip

__getattr__ = on_demand(  # asyncio and HTTP take their time, and are for who uses them
    __name__,
    {
        "AsyncCall": "costlens_policy.guard.async_guard",
        "AsyncGuard": "costlens_policy.guard.async_guard",
        "WebhookSink": "costlens_policy.guard.webhook",
    },
)
