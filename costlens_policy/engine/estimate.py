"""What a call costs at most: the tokens of the rewritten request and all the output it may ask for."""

from __future__ import annotations

from costlens_policy.catalogue import Usage
from costlens_policy.compiler.snapshot import ModelOnDay
from costlens_policy.engine.decision import Estimate
from costlens_policy.tokens import TokenCount

__all__ = ["estimate_call"]


def estimate_call(offer: ModelOnDay, prompt: TokenCount, output_tokens: int, completions: int) -> Estimate:
    """Return the estimate for one model.

    ``output_tokens`` is the limit of one completion. The prompt is charged once, the output for each completion.
    """
    output = output_tokens * completions
    cost = None
    if offer.period is not None:
        cost = offer.period.rates_for(prompt.tokens).cost(Usage(input=prompt.tokens, output=output))
    return Estimate(cost, prompt.tokens, output, completions, prompt.basis)
