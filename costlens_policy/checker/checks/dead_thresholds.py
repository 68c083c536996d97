"""CL458: a threshold that can never be active."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Final

from costlens_policy.checker.checks.subject import Finding, Place, Subject
from costlens_policy.clock import duration_of
from costlens_policy.diagnostics.model import Diagnostic
from costlens_policy.documents.budget import (
    Budget,
    BurnRate,
    CalendarWindow,
    CallWindow,
    FirstUseWindow,
    FixedWindow,
    LifetimeWindow,
    RollingWindow,
    Threshold,
)
from costlens_policy.units import base_of

__all__ = ["check_dead_thresholds"]

_FOUND: Final = Finding("CL458")
_SECOND: Final = timedelta(seconds=1)


def check_dead_thresholds(subject: Subject) -> Iterator[Diagnostic]:
    """Report thresholds above the limit, and expectations of windows that have no end, or are too short."""
    for policy in subject.bundle.policies:
        for index, budget in enumerate(policy.document.budgets):
            for at, threshold in enumerate(budget.thresholds):
                found = _reason(budget, threshold)
                if found is not None:
                    key, reason, help = found
                    yield _FOUND.error(
                        f"the threshold at `{threshold.name}` of `{budget.id}` is never active",
                        Place(policy, ("budgets", index, "thresholds", at, key)).span,
                        reason,
                        help,
                    )


def _reason(budget: Budget, threshold: Threshold) -> tuple[str, str, str] | None:
    """Return which key keeps a threshold from being active, why, and what to do; None where it can be."""
    hard = getattr(budget, f"hard_limit_{base_of(budget.unit)}")
    if threshold.needs_approval is not None and isinstance(budget.window, CallWindow):
        return (
            "needs_approval",
            "a limit on each call is not kept in a ledger, so nobody can approve anything there",
            "use a window, or an access rule that denies such calls",
        )
    if threshold.amount is not None:
        if isinstance(hard, str) or threshold.amount < hard or budget.carry_over is not None:
            return None
        return threshold.condition, "calls are denied before", f"choose an amount below `{hard}`"
    if threshold.at_burn_rate is not None:
        return _burn_reason(budget, threshold.at_burn_rate)
    if not threshold.is_forecast:
        return None
    if isinstance(budget.window, RollingWindow | LifetimeWindow | CallWindow):
        kind = next(key for key in ("rolling", "lifetime", "per_call") if hasattr(budget.window, key))
        return (
            threshold.condition,
            f"a `{kind}` window has no end, so nothing can be forecast for it",
            "use a calendar window, or a threshold at a ratio or an amount",
        )
    if threshold.min_elapsed == 1:
        return "min_elapsed", "the window is over then", "choose a share below 1"
    return None


def _burn_reason(budget: Budget, burn: BurnRate) -> tuple[str, str, str] | None:
    window, (_, long) = budget.window, burn.windows[0]
    if isinstance(window, LifetimeWindow | CallWindow):
        kind = "lifetime" if isinstance(window, LifetimeWindow) else "per_call"
        return (
            "at_burn_rate",
            f"a `{kind}` window has no length, so it has no rate",
            "use a calendar or rolling window, or a threshold at a ratio or an amount",
        )
    length = _longest(window)
    if burn.rate * (long // _SECOND) > length // _SECOND:
        return (
            "at_burn_rate",
            f"at that rate the whole limit is used up before {burn.long} have passed",
            "choose a lower rate, or a shorter `long`",
        )
    return None


def _longest(window: CalendarWindow | RollingWindow | FirstUseWindow | FixedWindow) -> timedelta:
    """Return how long a window can be."""
    if isinstance(window, CalendarWindow):
        days = {"day": 1, "week": 7, "month": 31, "quarter": 92, "year": 366}[window.calendar]
        return timedelta(days=days, hours=0 if window.zone == "UTC" else 2)  # no zone sets clocks back further
    if isinstance(window, FixedWindow):
        return window.ends_at - window.starts_at
    return duration_of(window.rolling if isinstance(window, RollingWindow) else window.from_first_use)
