"""What a call is expected to cost, if it writes all the output it may ask for, and what it costs at most."""

from __future__ import annotations

from decimal import Decimal

from costlens_policy.compiler.snapshot import ModelOnDay
from costlens_policy.engine.facts import Estimate
from costlens_policy.engine.worst_case import TokenKinds
from costlens_policy.rewrites import Content
from costlens_policy.tokens import TokenCount

__all__ = ["estimate_call"]


def estimate_call(
    offer: ModelOnDay, kinds: TokenKinds, content: Content, prompt: TokenCount, output_tokens: int, completions: int
) -> Estimate:
    """Return the estimate for one model.

    ``output_tokens`` is the limit of one completion. The prompt is charged once, the output for each completion.
    """
    output = output_tokens * completions
    if offer.period is None:
        return Estimate(None, prompt.tokens, output, completions, prompt.basis, None)
    period = offer.period
    rates = period.rates_for(prompt.tokens) if period.long_context else period.rates
    cost = rates.cost_as("input", prompt.tokens, "output", output)
    worst: Decimal | None = cost
    if not kinds.cost_plainly(rates, content.params):
        worst = kinds.worst_cost(offer.model, rates, content.params, prompt.tokens, output)
    return Estimate(cost, prompt.tokens, output, completions, prompt.basis, worst)
