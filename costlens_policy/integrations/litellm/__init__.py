"""LiteLLM: a callback for its proxy, and a hook for the ``Router`` of its SDK.

litellm_settings:
  callbacks: costlens_policy.integrations.litellm.callback
  costlens_policy: {policies: policies/, ledger: "redis://localhost"}
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from costlens_policy.integrations.litellm.hooks import CostlensPolicy

    callback: CostlensPolicy

__all__ = ["callback"]


def __getattr__(name: str) -> Any:
    """Make the callback when LiteLLM asks for it: it takes LiteLLM to make one."""
    if name != "callback":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from costlens_policy.integrations.litellm.hooks import CostlensPolicy

    made = globals()[name] = CostlensPolicy()
    return made
