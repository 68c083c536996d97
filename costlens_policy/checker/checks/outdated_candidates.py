"""CL410: a model that its provider no longer recommends, or no longer runs."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Final

from costlens_policy.checker.checks.subject import Finding, Subject, catalogue_models
from costlens_policy.diagnostics.model import Diagnostic

__all__ = ["check_outdated_candidates"]

_FOUND: Final = Finding("CL410")
_SOON: Final = timedelta(days=60)


def check_outdated_candidates(subject: Subject) -> Iterator[Diagnostic]:
    """Warn about models that are deprecated or retired on the day, or soon retire.

    An error would break policies overnight.
    """
    admits = subject.bundle.policy_set.document.admit.deprecated_models
    for model, place in catalogue_models(subject):
        if model.retired_on(subject.day):
            message = f"`{model.name}` has been retired since {model.retired}"
            yield _FOUND.warning(message, place.span, "no longer serves", "name its successor")
        elif model.retired is not None and model.retired - subject.day <= _SOON:
            message = f"`{model.name}` retires on {model.retired}"
            yield _FOUND.warning(message, place.span, "soon serves no longer", "name its successor")
        elif model.deprecated_on(subject.day) and not admits:
            message = f"`{model.name}` has been deprecated since {model.deprecated}"
            advice = "name its successor, or write `admit: {deprecated_models: true}` in the policy set"
            yield _FOUND.warning(message, place.span, "no longer serves", advice)
