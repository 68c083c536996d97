"""CL436: a downgrade that excludes what it adds."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from costlens_policy.assurance.subject import Subject
from costlens_policy.checker.checks.subject import Finding, Place, holds_for
from costlens_policy.diagnostics.model import Diagnostic

__all__ = ["find_impossible_downgrades"]

_FOUND: Final = Finding("CL436")


def find_impossible_downgrades(subject: Subject) -> Iterator[Diagnostic]:
    """Report downgrades whose ``exclude`` holds for all models that they add, or for every model there is."""
    catalogue, documents = subject.bundle.linked.catalogue, subject.documents
    for policy in subject.policies:
        for index, budget in enumerate(policy.document.budgets):
            for at, threshold in enumerate(budget.thresholds):
                place = Place(policy, ("budgets", index, "thresholds", at, "downgrade", "exclude"))
                exclude = documents.typed(place)
                if threshold.downgrade is None or exclude is None:
                    continue
                added = [model for name in threshold.downgrade.models if (model := catalogue.find(name)) is not None]
                if not all(holds_for(documents, exclude, model) is True for model in added):
                    continue
                if all(holds_for(documents, exclude, model) is True for model in catalogue):
                    yield _FOUND.mistake(
                        f"the downgrade of `{budget.id}` excludes every model: calls are refused from there on",
                        place.span,
                        "holds for every model of the catalogue",
                        "prices are in US dollars per million tokens; let at least one model remain",
                        proved=True,
                    )
                elif added:
                    names = " and ".join(f"`{model.name}`" for model in added)
                    yield _FOUND.mistake(
                        f"the downgrade of `{budget.id}` excludes what it adds: {names}",
                        place.span,
                        "also holds for the models of this downgrade",
                        "narrow `exclude`, or add a model for which it does not hold",
                        proved=True,
                    )
