"""A client of the decision service: the guard of another process, with the same calls.

client = Client("http://127.0.0.1:8181", key)
with client.call({"task": "summarization", "prompt": "…"}, dialect="openai-chat") as call:
    response = openai.chat.completions.create(**call.arguments)
    call.settle(response.usage.model_dump())
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from costlens_policy.on_demand import on_demand

if TYPE_CHECKING:
    from costlens_policy.client.asynchronous import AsyncClient, AsyncServiceCall
    from costlens_policy.client.exchange import ServiceDeniedError, ServiceError, ServiceUnavailableError
    from costlens_policy.client.synchronous import Client, ServiceCall

__all__ = [
    "AsyncClient", "AsyncServiceCall", "Client", "ServiceCall", "ServiceDeniedError", "ServiceError",
    "ServiceUnavailableError",
]  # fmt: skip

__getattr__ = on_demand(
    __name__,
    {
        "AsyncClient": "costlens_policy.client.asynchronous",
        "AsyncServiceCall": "costlens_policy.client.asynchronous",
        "Client": "costlens_policy.client.synchronous",
        "ServiceCall": "costlens_policy.client.synchronous",
        "ServiceDeniedError": "costlens_policy.client.exchange",
        "ServiceError": "costlens_policy.client.exchange",
        "ServiceUnavailableError": "costlens_policy.client.exchange",
    },
)
