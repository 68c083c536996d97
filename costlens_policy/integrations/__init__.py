"""Where the traffic is: wrapped SDK clients, ASGI, LangChain, pytest, gateways. The guard decides and counts.

Each module imports the library that it is for when it is used, so that none of them has to be installed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from costlens_policy.on_demand import on_demand

if TYPE_CHECKING:
    from costlens_policy.guard.errors import UnguardedCallError
    from costlens_policy.integrations.asgi import AskingMiddleware
    from costlens_policy.integrations.baggage import run_headers, run_of_headers
    from costlens_policy.integrations.identity import asking, asking_now
    from costlens_policy.integrations.json_logs import JsonFormatter
    from costlens_policy.integrations.otel import Telemetry, trace_context
    from costlens_policy.integrations.refusals import Refusal, refusal_of
    from costlens_policy.integrations.sdk.client import wrap

__all__ = [
    "AskingMiddleware", "JsonFormatter", "Refusal", "Telemetry", "UnguardedCallError", "asking", "asking_now",
    "refusal_of", "run_headers", "run_of_headers", "trace_context", "wrap",
]  # fmt: skip

__getattr__ = on_demand(
    __name__,
    {
        "AskingMiddleware": "costlens_policy.integrations.asgi",
        "JsonFormatter": "costlens_policy.integrations.json_logs",
        "Refusal": "costlens_policy.integrations.refusals",
        "Telemetry": "costlens_policy.integrations.otel",
        "UnguardedCallError": "costlens_policy.guard.errors",
        "asking": "costlens_policy.integrations.identity",
        "asking_now": "costlens_policy.integrations.identity",
        "refusal_of": "costlens_policy.integrations.refusals",
        "run_headers": "costlens_policy.integrations.baggage",
        "run_of_headers": "costlens_policy.integrations.baggage",
        "trace_context": "costlens_policy.integrations.otel",
        "wrap": "costlens_policy.integrations.sdk.client",
    },
)
