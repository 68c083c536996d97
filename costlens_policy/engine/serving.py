"""Step 4, the candidate itself: what keeps a model from serving this request, budgets aside."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from costlens_policy.compiler.snapshot import ModelOnDay
from costlens_policy.engine.preparation import Candidate
from costlens_policy.expressions import Value
from costlens_policy.money import format_usd

__all__ = ["obstacle"]


def obstacle(request: Mapping[str, Value], needs: frozenset[str], candidate: Candidate) -> str:
    """Return why the model, which may serve on this day, cannot serve this request, or an empty text.

    One function that compares, and others that explain: nearly always there is nothing to explain.
    """
    offer, model, output = candidate.offer, candidate.offer.model, candidate.prepared.output_tokens
    reason = _lacks(offer, needs) if needs else ""
    if reason:
        return reason
    if model.max_output_tokens is not None and output > model.max_output_tokens:
        return f"{output} output tokens are asked for, the model writes at most {model.max_output_tokens}"
    prompt = candidate.prepared.prompt_tokens
    if model.context_window is not None and prompt + output > model.context_window:
        asked = f"{prompt} prompt and {output} output tokens"
        return f"{asked} do not fit the context window of {model.context_window}"
    budget, latency_budget = request.get("cost_budget"), request.get("latency_budget_ms")
    if budget is not None and not _surely_below(candidate.cost, budget):
        reason = _too_dear(budget, candidate.cost)
    if not reason and latency_budget is not None:
        reason = _too_slow(latency_budget, offer)
    return reason


def _surely_below(cost: Decimal | None, budget: float) -> bool:
    """Compare as doubles: exact enough but for amounts that are nearly equal, and three times as quick."""
    return cost is not None and float(cost) < budget * 0.999999


def _lacks(offer: ModelOnDay, needs: frozenset[str]) -> str:
    known = offer.model.capabilities
    for need in sorted(needs):
        if known is None:
            return f"the request needs `{need}`, and the catalogue does not say what the model can do"
        if need not in known:
            return f"the request needs `{need}`, which the model does not have"
    return ""


def _too_dear(budget: float, cost: Decimal | None) -> str:
    if cost is None:
        return "it has no price, so the request's cost budget cannot be kept"
    limit = Decimal(repr(budget))
    return f"it may cost {format_usd(cost)}, the request's cost budget is {format_usd(limit)}" if cost > limit else ""


def _too_slow(budget: float, offer: ModelOnDay) -> str:
    latency = offer.model.latency_p50_ms
    if latency is None:
        return "its latency is not known, so the request's latency budget cannot be kept"
    if latency > budget:
        return f"its median latency is {latency:g} ms, the request's latency budget is {budget:g} ms"
    return ""
