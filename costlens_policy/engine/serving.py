"""Step 4, the candidate itself: what keeps a model from serving this request, budgets aside."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from costlens_policy.compiler.snapshot import ModelOnDay
from costlens_policy.engine.context import Context
from costlens_policy.engine.facts import Estimate
from costlens_policy.engine.preparation import Prepared
from costlens_policy.money import format_usd, usd

__all__ = ["obstacle"]


def obstacle(context: Context, offer: ModelOnDay, prepared: Prepared, estimate: Estimate, needs: Iterable[str]) -> str:
    """Return why the model, which may serve on this day, cannot serve this request, or an empty text."""
    return (
        _lacks(offer, needs)
        or _too_long(offer, prepared, estimate)
        or _too_dear(context.request.get("cost_budget"), estimate)
        or _too_slow(context.request.get("latency_budget_ms"), offer)
    )


def _lacks(offer: ModelOnDay, needs: Iterable[str]) -> str:
    known = offer.model.capabilities
    for need in sorted(needs):
        if known is None:
            return f"the request needs `{need}`, and the catalogue does not say what the model can do"
        if need not in known:
            return f"the request needs `{need}`, which the model does not have"
    return ""


def _too_long(offer: ModelOnDay, prepared: Prepared, estimate: Estimate) -> str:
    limit, window = offer.model.max_output_tokens, offer.model.context_window
    if limit is not None and prepared.output_tokens > limit:
        return f"{prepared.output_tokens} output tokens are asked for, the model writes at most {limit}"
    if window is not None and estimate.prompt_tokens + prepared.output_tokens > window:
        asked = f"{estimate.prompt_tokens} prompt and {prepared.output_tokens} output tokens"
        return f"{asked} do not fit the context window of {window}"
    return ""


def _too_dear(budget: Any, estimate: Estimate) -> str:
    if budget is None:
        return ""
    if estimate.cost is None:
        return "it has no price, so the request's cost budget cannot be kept"
    if estimate.cost > usd(budget):
        return f"it may cost {format_usd(estimate.cost)}, the request's cost budget is {format_usd(usd(budget))}"
    return ""


def _too_slow(budget: Any, offer: ModelOnDay) -> str:
    if budget is None:
        return ""
    latency = offer.model.latency_p50_ms
    if latency is None:
        return "its latency is not known, so the request's latency budget cannot be kept"
    if latency > budget:
        return f"its median latency is {latency:g} ms, the request's latency budget is {budget:g} ms"
    return ""
