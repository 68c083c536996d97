"""CL462: a downgrade that excludes no model and adds none."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from costlens_policy.assurance.subject import Subject
from costlens_policy.checker.bundle import LinkedDocument
from costlens_policy.checker.checks.subject import Finding, Place, holds_for
from costlens_policy.diagnostics.model import Diagnostic, Related
from costlens_policy.documents import PolicyDocument

__all__ = ["find_idle_downgrades"]

_FOUND: Final = Finding("CL462")


def find_idle_downgrades(subject: Subject) -> Iterator[Diagnostic]:
    """Warn of downgrades whose ``exclude`` holds for no model of the catalogue, so that spending goes on as before."""
    documents = subject.documents
    for policy in subject.policies:
        for index, budget in enumerate(policy.document.budgets):
            for at, threshold in enumerate(budget.thresholds):
                place = _exclude(policy, index, at)
                exclude = documents.typed(place)
                if threshold.downgrade is None or exclude is None:
                    continue
                before = next((item for item in range(at) if _covers(subject, policy, index, item, at)), None)
                if before is not None:
                    yield _FOUND.warning(
                        f"the downgrade of `{budget.id}` excludes no more than an earlier threshold, nor adds anything",
                        place.span,
                        "nothing is left to exclude",
                        "exclude more from the higher threshold on, or exchange the two",
                        [Related(_exclude(policy, index, before).span, "does already")],
                        proved=True,
                    )
                elif all(holds_for(documents, exclude, model) is False for model in subject.bundle.linked.catalogue):
                    yield _FOUND.warning(
                        f"the downgrade of `{budget.id}` excludes no model of the catalogue",
                        place.span,
                        "holds for no model",
                        "prices are in US dollars per million tokens; compare with a price that some model exceeds",
                        proved=True,
                    )


def _exclude(policy: LinkedDocument[PolicyDocument], budget: int, threshold: int) -> Place:
    return Place(policy, ("budgets", budget, "thresholds", threshold, "downgrade", "exclude"))


def _covers(subject: Subject, policy: LinkedDocument[PolicyDocument], budget: int, earlier: int, later: int) -> bool:
    """Say whether an earlier downgrade excludes and adds all that a later one does, by facts of models alone."""
    thresholds = policy.document.budgets[budget].thresholds
    one, two = thresholds[earlier].downgrade, thresholds[later].downgrade
    first, second = (subject.documents.typed(_exclude(policy, budget, at)) for at in (earlier, later))
    if one is None or two is None or first is None or second is None or not set(two.models) <= set(one.models):
        return False
    excluded = [
        (holds_for(subject.documents, first, model), holds_for(subject.documents, second, model))
        for model in subject.bundle.linked.catalogue
    ]
    return None not in {item for pair in excluded for item in pair} and all(
        before or not now for before, now in excluded
    )
