"""Policy as code for LLM cost and routing.

from costlens_policy import load

engine = load("policies/")
decision = engine.decide({"task": "summarization", "prompt": "...", "cost_budget": 0.01})
decision.model, decision.prompt, decision.estimate.cost
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from costlens_policy.diagnostics.model import PolicyError
from costlens_policy.errors import CostlensPolicyError, InputError, RequestError

if TYPE_CHECKING:
    from costlens_policy.api import Engine, OptimalModel, Router, load
    from costlens_policy.engine.decision import Balance, Decision, DeniedError
    from costlens_policy.guard import AsyncGuard, Guard

__all__ = [
    "AsyncGuard", "Balance", "CostlensPolicyError", "Decision", "DeniedError", "Engine", "Guard", "InputError",
    "OptimalModel", "PolicyError", "RequestError", "Router", "load",
]  # fmt: skip

__version__ = "0.1.0"

_LAZY: Final = {
    "AsyncGuard": "costlens_policy.guard",
    "Balance": "costlens_policy.engine.decision",
    "Decision": "costlens_policy.engine.decision",
    "DeniedError": "costlens_policy.engine.decision",
    "Engine": "costlens_policy.api",
    "Guard": "costlens_policy.guard",
    "OptimalModel": "costlens_policy.api",
    "Router": "costlens_policy.api",
    "load": "costlens_policy.api",
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used, so that ``import costlens_policy`` stays quick."""
    if name not in _LAZY:
        raise AttributeError(f"module `costlens_policy` has no attribute `{name}`")
    from importlib import import_module

    value = getattr(import_module(_LAZY[name]), name)
    globals()[name] = value
    return value
