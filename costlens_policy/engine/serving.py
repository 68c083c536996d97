"""Step 4, the candidate itself: what keeps a model from serving this request, budgets aside."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from costlens_policy.compiler.snapshot import ModelOnDay
from costlens_policy.engine.facts import Estimate
from costlens_policy.engine.preparation import Prepared
from costlens_policy.expressions import Value
from costlens_policy.money import format_usd

__all__ = ["Requirements", "obstacle"]


class Requirements:
    """What a request asks of whatever model serves it, whether in so many words or by what it holds."""

    __slots__ = ("cost_budget", "latency_budget_ms", "needs")

    def __init__(self, request: Mapping[str, Value], needs: frozenset[str]) -> None:
        budget = request.get("cost_budget")
        self.needs = needs
        self.cost_budget: Decimal | None = None if budget is None else Decimal(repr(budget))
        self.latency_budget_ms: float | None = request.get("latency_budget_ms")


def obstacle(offer: ModelOnDay, prepared: Prepared, estimate: Estimate, requirements: Requirements) -> str:
    """Return why the model, which may serve on this day, cannot serve this request, or an empty text."""
    asked = requirements
    return (
        (asked.needs and _lacks(offer, asked.needs))
        or _too_long(offer, prepared, estimate)
        or (asked.cost_budget is not None and _too_dear(asked.cost_budget, estimate))
        or (asked.latency_budget_ms is not None and _too_slow(asked.latency_budget_ms, offer))
        or ""
    )


def _lacks(offer: ModelOnDay, needs: frozenset[str]) -> str:
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


def _too_dear(budget: Decimal, estimate: Estimate) -> str:
    if estimate.cost is None:
        return "it has no price, so the request's cost budget cannot be kept"
    if estimate.cost > budget:
        return f"it may cost {format_usd(estimate.cost)}, the request's cost budget is {format_usd(budget)}"
    return ""


def _too_slow(budget: float, offer: ModelOnDay) -> str:
    latency = offer.model.latency_p50_ms
    if latency is None:
        return "its latency is not known, so the request's latency budget cannot be kept"
    if latency > budget:
        return f"its median latency is {latency:g} ms, the request's latency budget is {budget:g} ms"
    return ""
