"""How a fit is worded: figures with their intervals, and its finding in one sentence."""

from __future__ import annotations

import math

from costlens_policy.fit.fitting import Fitted
from costlens_policy.intervals import Estimate

__all__ = ["dollars", "headline", "percent", "points"]


def points(estimate: Estimate) -> str:
    """Return a difference of scores in points, with its interval."""
    return f"{100 * estimate.value:+.1f} points ({100 * estimate.low:+.1f} to {100 * estimate.high:+.1f})"


def percent(estimate: Estimate) -> str:
    """Return a share in per cent, with its interval; a share of nothing is none."""
    if math.isnan(estimate.value):
        return "no share of nothing"
    return f"{100 * estimate.value:.1f}% ({100 * estimate.low:.1f} to {100 * estimate.high:.1f})"


def dollars(estimate: Estimate) -> str:
    """Return what a thousand calls cost, with the interval."""
    value, low, high = (1000 * each for each in (estimate.value, estimate.low, estimate.high))
    digits = 2 if value >= 1 else 4
    return f"${value:.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"


def headline(fitted: Fitted) -> str:
    """Return what the cases that were kept aside say, in one sentence."""
    best = fitted.inside.models[fitted.means.best]
    if not fitted.supported:
        what = "this data" if fitted.told is None or not fitted.told.edges else "a signal of difficulty from this data"
        return f"{what} does not support a saving over always `{best}`: {fitted.reasons[0]}"
    policy = fitted.ways[0]
    return (
        f"saves {percent(policy.saving)} of always `{best}` at {points(policy.gain)}, on {len(fitted.aside):,} cases "
        f"that were kept aside"
    )
