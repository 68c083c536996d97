"""Policy as code for LLM cost and routing.

from costlens_policy import load

engine = load("policies/")
decision = engine.decide({"task": "summarization", "prompt": "...", "cost_budget": 0.01})
decision.model, decision.prompt, decision.estimate.cost
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from costlens_policy.on_demand import on_demand
from costlens_policy.version import __version__ as __version__

if TYPE_CHECKING:
    from costlens_policy.api import Engine, OptimalModel, Router, load, load_plan
    from costlens_policy.bundles import BundleError
    from costlens_policy.client import ServiceDeniedError, ServiceError, ServiceUnavailableError
    from costlens_policy.diagnostics.model import PolicyError
    from costlens_policy.engine.decision import Balance, Decision, DeniedError
    from costlens_policy.engine.denial import (
        ApprovalNeededError,
        RunDeniedError,
        RunEndedError,
        RunLimitError,
        ShareRefusedError,
    )
    from costlens_policy.errors import CostlensPolicyError, InputError, RequestError, SettingsError
    from costlens_policy.fit.outcomes import OutcomesError
    from costlens_policy.guard import AsyncGuard, Guard, GuardError, run
    from costlens_policy.integrations import UnguardedCallError, asking, wrap
    from costlens_policy.invoice import InvoiceError
    from costlens_policy.ledger import (
        AdjustmentError,
        AmountError,
        CallConflictError,
        LedgerBusyError,
        LedgerError,
        LedgerUnavailableError,
        UnknownCallError,
    )
    from costlens_policy.live import LivePolicies
    from costlens_policy.replay import BatchError, MergeError, TrafficError
    from costlens_policy.report import ReportError
    from costlens_policy.usage import UsageError

__all__ = [
    "AdjustmentError", "AmountError", "ApprovalNeededError", "AsyncGuard", "Balance", "BatchError", "BundleError",
    "CallConflictError", "CostlensPolicyError", "Decision", "DeniedError", "Engine", "Guard", "GuardError",
    "InputError", "InvoiceError", "LedgerBusyError", "LedgerError", "LedgerUnavailableError", "LivePolicies",
    "MergeError", "OptimalModel", "OutcomesError", "PolicyError", "ReportError", "RequestError", "Router",
    "RunDeniedError", "RunEndedError", "RunLimitError", "ServiceDeniedError", "ServiceError",
    "ServiceUnavailableError", "SettingsError", "ShareRefusedError", "TrafficError", "UnguardedCallError",
    "UnknownCallError", "UsageError", "asking", "load", "load_plan", "run", "wrap",
]  # fmt: skip

__getattr__ = on_demand(
    __name__,
    {
        "AdjustmentError": "costlens_policy.ledger",
        "AmountError": "costlens_policy.ledger",
        "ApprovalNeededError": "costlens_policy.engine.denial",
        "AsyncGuard": "costlens_policy.guard",
        "Balance": "costlens_policy.engine.decision",
        "BatchError": "costlens_policy.replay",
        "BundleError": "costlens_policy.bundles",
        "CallConflictError": "costlens_policy.ledger",
        "CostlensPolicyError": "costlens_policy.errors",
        "Decision": "costlens_policy.engine.decision",
        "DeniedError": "costlens_policy.engine.decision",
        "Engine": "costlens_policy.api",
        "Guard": "costlens_policy.guard",
        "GuardError": "costlens_policy.guard",
        "InputError": "costlens_policy.errors",
        "InvoiceError": "costlens_policy.invoice",
        "LedgerBusyError": "costlens_policy.ledger",
        "LedgerError": "costlens_policy.ledger",
        "LedgerUnavailableError": "costlens_policy.ledger",
        "LivePolicies": "costlens_policy.live",
        "MergeError": "costlens_policy.replay",
        "OptimalModel": "costlens_policy.api",
        "OutcomesError": "costlens_policy.fit.outcomes",
        "PolicyError": "costlens_policy.diagnostics.model",
        "ReportError": "costlens_policy.report",
        "RequestError": "costlens_policy.errors",
        "Router": "costlens_policy.api",
        "RunDeniedError": "costlens_policy.engine.denial",
        "RunEndedError": "costlens_policy.engine.denial",
        "RunLimitError": "costlens_policy.engine.denial",
        "ServiceDeniedError": "costlens_policy.client",
        "ServiceError": "costlens_policy.client",
        "ServiceUnavailableError": "costlens_policy.client",
        "SettingsError": "costlens_policy.errors",
        "ShareRefusedError": "costlens_policy.engine.denial",
        "TrafficError": "costlens_policy.replay",
        "UnguardedCallError": "costlens_policy.integrations",
        "UnknownCallError": "costlens_policy.ledger",
        "UsageError": "costlens_policy.usage",
        "asking": "costlens_policy.integrations",
        "load": "costlens_policy.api",
        "load_plan": "costlens_policy.api",
        "run": "costlens_policy.guard",
        "wrap": "costlens_policy.integrations",
    },
)
