"""CL462: a downgrade that excludes no model and adds none."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from costlens_policy.assurance.subject import Subject
from costlens_policy.checker.checks.subject import Finding, Place, holds_for
from costlens_policy.diagnostics.model import Diagnostic

__all__ = ["find_idle_downgrades"]

_FOUND: Final = Finding("CL462")


def find_idle_downgrades(subject: Subject) -> Iterator[Diagnostic]:
    """Warn of downgrades whose ``exclude`` holds for no model of the catalogue, so that spending goes on as before."""
    documents = subject.documents
    for policy in subject.policies:
        for index, budget in enumerate(policy.document.budgets):
            for at, threshold in enumerate(budget.thresholds):
                place = Place(policy, ("budgets", index, "thresholds", at, "downgrade", "exclude"))
                exclude = documents.typed(place)
                if threshold.downgrade is None or exclude is None:
                    continue
                if all(holds_for(documents, exclude, model) is False for model in subject.bundle.linked.catalogue):
                    yield _FOUND.warning(
                        f"the downgrade of `{budget.id}` excludes no model of the catalogue",
                        place.span,
                        "holds for no model",
                        "prices are in US dollars per million tokens; compare with a price that some model exceeds",
                        proved=True,
                    )
