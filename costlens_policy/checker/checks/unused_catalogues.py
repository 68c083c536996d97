"""CL416: a catalogue that the policy set does not use."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from costlens_policy.catalogue.versions import matches
from costlens_policy.checker.bundle import LinkedDocument, all_targets_of
from costlens_policy.checker.checks.subject import Finding, Place, Subject, catalogue_models
from costlens_policy.diagnostics.model import Diagnostic
from costlens_policy.documents import CatalogueDocument

__all__ = ["check_unused_catalogues"]

_FOUND: Final = Finding("CL416")


def check_unused_catalogues(subject: Subject) -> Iterator[Diagnostic]:
    """Warn about catalogues without a model that a target names. A choice among all models uses every catalogue."""
    if _is_open(subject):
        return
    used = {name for model, _ in catalogue_models(subject) for name in (model.name, *model.aliases, model.base)}
    for index, catalogue in enumerate(subject.bundle.catalogues):
        if not any(name is not None and _gives(catalogue, name) for name in used):
            place = Place(subject.bundle.policy_set, ("catalogues", index))
            message = f"no policy uses a model of the catalogue `{catalogue.name}`"
            yield _FOUND.warning(message, place.span, "without effect", "remove it, or route to one of its models")


def _is_open(subject: Subject) -> bool:
    """Return whether a target can reach models that it does not name."""
    return any(
        target.model_from is not None or (target.choose is not None and not target.choose.models)
        for document in subject.documents()
        for _, target in all_targets_of(document.document)
    )


def _gives(catalogue: LinkedDocument[CatalogueDocument], name: str) -> bool:
    imported = (pattern for section in catalogue.document.imports for pattern in section.models)
    return name in catalogue.document.models or any(matches(pattern, name) for pattern in imported)
