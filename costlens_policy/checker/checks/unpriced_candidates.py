"""CL409: a model without a price, where the policy set admits no such models."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from costlens_policy.checker.checks.subject import Finding, Subject, catalogue_models
from costlens_policy.diagnostics.model import Diagnostic

__all__ = ["check_unpriced_candidates"]

_FOUND: Final = Finding("CL409")


def check_unpriced_candidates(subject: Subject) -> Iterator[Diagnostic]:
    """Report models that have no price on the day; one that gets a price later is a warning."""
    if subject.bundle.policy_set.document.admit.unpriced_models:
        return
    for model, place in catalogue_models(subject):
        if model.period_on(subject.day) is not None:
            continue
        advice = "add its prices to a catalogue, or write `admit: {unpriced_models: true}` in the policy set"
        if model.periods:
            message = f"`{model.name}` has no price before {model.periods[0].effective}"
            yield _FOUND.warning(message, place.span, "cannot serve yet", advice)
        else:
            yield _FOUND.error(f"`{model.name}` has no price, so it can never serve", place.span, "unpriced", advice)
