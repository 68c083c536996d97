"""LiteLLM: a callback for its proxy, and a hook for the ``Router`` of its SDK.

litellm_settings:
  costlens_policy: {policies: policies/, ledger: "redis://localhost"}
  callbacks: costlens_policy.integrations.litellm.callback
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from costlens_policy.integrations.litellm.hooks import CostlensPolicy
    from costlens_policy.integrations.litellm.router import guard_router

    callback: CostlensPolicy

__all__ = ["callback", "guard_router"]


def __getattr__(name: str) -> Any:
    """Make what takes LiteLLM to make when it is asked for."""
    made: Any
    if name == "callback":
        from costlens_policy.integrations.litellm.hooks import CostlensPolicy

        made = CostlensPolicy()
    elif name == "guard_router":
        from costlens_policy.integrations.litellm.router import guard_router as made
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = made
    return made
