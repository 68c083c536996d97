"""CL436: a downgrade that excludes what it adds."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from costlens_policy.assurance.subject import Subject
from costlens_policy.catalogue import Model
from costlens_policy.checker.checks.subject import Finding, Place, holds_for
from costlens_policy.diagnostics.model import Diagnostic

__all__ = ["find_impossible_downgrades", "is_impossible"]

_FOUND: Final = Finding("CL436")


def find_impossible_downgrades(subject: Subject) -> Iterator[Diagnostic]:
    """Report downgrades whose ``exclude`` holds for all models that they add, or for every model there is."""
    for policy in subject.policies:
        for index, budget in enumerate(policy.document.budgets):
            for at, threshold in enumerate(budget.thresholds):
                place = Place(policy, ("budgets", index, "thresholds", at, "downgrade"))
                names = () if threshold.downgrade is None else threshold.downgrade.models
                if not is_impossible(subject, place, names):
                    continue
                if _excludes(subject, place, subject.bundle.linked.catalogue):
                    yield _FOUND.mistake(
                        f"the downgrade of `{budget.id}` excludes every model: calls are refused from there on",
                        place.at("exclude").span,
                        "holds for every model of the catalogue",
                        "prices are in US dollars per million tokens; let at least one model remain",
                        proved=True,
                    )
                else:
                    added = " and ".join(f"`{model.name}`" for model in _models(subject, names))
                    yield _FOUND.mistake(
                        f"the downgrade of `{budget.id}` excludes what it adds: {added}",
                        place.at("exclude").span,
                        "also holds for the models of this downgrade",
                        "narrow `exclude`, or add a model for which it does not hold",
                        proved=True,
                    )


def is_impossible(subject: Subject, downgrade: Place, added: Sequence[str]) -> bool:
    """Say whether ``exclude`` of a downgrade holds for all that it adds; where it adds nothing, for every model."""
    return _excludes(subject, downgrade, _models(subject, added) or subject.bundle.linked.catalogue)


def _excludes(subject: Subject, downgrade: Place, models: Iterable[Model]) -> bool:
    exclude = subject.documents.typed(downgrade.at("exclude"))
    return exclude is not None and all(holds_for(subject.documents, exclude, model) is True for model in models)


def _models(subject: Subject, names: Sequence[str]) -> list[Model]:
    found = (subject.bundle.linked.catalogue.find(name) for name in names)
    return [model for model in found if model is not None]
