"""Step 4, the candidate itself: what keeps a model from serving this request, budgets aside."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from functools import lru_cache

from costlens_policy.compiler.snapshot import ModelOnDay
from costlens_policy.engine.preparation import Candidate, Prepared
from costlens_policy.expressions import Value
from costlens_policy.money import format_usd

__all__ = ["obstacle"]


def obstacle(request: Mapping[str, Value], needs: frozenset[str], candidate: Candidate) -> str:
    """Return why the model, which may serve on this day, cannot serve this request, or an empty text."""
    offer, output = candidate.offer, candidate.prepared.output_tokens
    budget = request.get("cost_budget")
    if (
        output <= offer.most_output
        and candidate.prepared.prompt_tokens + output <= offer.window
        and (budget is None or (candidate.cost is not None and candidate.cost <= _exact(budget)))
        and not needs
        and "latency_budget_ms" not in request
    ):
        return ""  # as nearly always; the rest is to say what is wrong
    return (
        _lacks(offer, needs)
        or _too_long(offer, candidate.prepared)
        or _too_dear(budget, candidate.cost)
        or _too_slow(request.get("latency_budget_ms"), offer)
    )


@lru_cache(1024)
def _exact(budget: float) -> Decimal:
    """Return a cost budget as the amount that was written. Callers ask with the same few again and again."""
    return Decimal(repr(budget))


def _lacks(offer: ModelOnDay, needs: frozenset[str]) -> str:
    known = offer.model.capabilities
    for need in sorted(needs):
        if known is None:
            return f"the request needs `{need}`, and the catalogue does not say what the model can do"
        if need not in known:
            return f"the request needs `{need}`, which the model does not have"
    return ""


def _too_long(offer: ModelOnDay, prepared: Prepared) -> str:
    prompt, output = prepared.prompt_tokens, prepared.output_tokens
    if output > offer.most_output:
        return f"{output} output tokens are asked for, the model writes at most {offer.most_output}"
    if prompt + output > offer.window:
        asked = f"{prompt} prompt and {output} output tokens"
        return f"{asked} do not fit the context window of {offer.window}"
    return ""


def _too_dear(budget: float | None, cost: Decimal | None) -> str:
    if budget is None:
        return ""
    if cost is None:
        return "it has no price, so the request's cost budget cannot be kept"
    limit = _exact(budget)
    return f"it may cost {format_usd(cost)}, the request's cost budget is {format_usd(limit)}" if cost > limit else ""


def _too_slow(budget: float | None, offer: ModelOnDay) -> str:
    if budget is None:
        return ""
    latency = offer.model.latency_p50_ms
    if latency is None:
        return "its latency is not known, so the request's latency budget cannot be kept"
    if latency > budget:
        return f"its median latency is {latency:g} ms, the request's latency budget is {budget:g} ms"
    return ""
