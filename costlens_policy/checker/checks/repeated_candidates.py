"""CL408: a model that a target lists twice."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from costlens_policy.checker.bundle import models_of_target, targets_of
from costlens_policy.checker.checks.subject import Finding, Place, Subject
from costlens_policy.diagnostics.model import Diagnostic, Related

__all__ = ["check_repeated_candidates"]

_FOUND: Final = Finding("CL408")


def _second_chance(before: Place, place: Place) -> bool:
    """Return whether a fallback names a model of a choice: the choice may rule it out, and the fallback lets it in."""
    return "choose" in before.path and "choose" not in place.path


def check_repeated_candidates(subject: Subject) -> Iterator[Diagnostic]:
    """Warn about candidates that a target lists twice, even under two names of the same model."""
    for document in subject.documents():
        for path, target in targets_of(document.document):
            first: dict[str, Place] = {}
            for named in models_of_target(target, path):
                place = Place(document, named.path)
                model = subject.bundle.catalogue.find(named.name)
                before = first.setdefault(model.name if model is not None else named.name, place)
                if before is not place and not _second_chance(before, place):
                    share = "targets" in named.path and "targets" in before.path
                    yield _FOUND.warning(
                        f"`{named.name}` is {'a share of the split' if share else 'a candidate'} already",
                        place.span,
                        "again",
                        "keep one and add up the weights"
                        if share
                        else "an excluded model is not retried; remove the duplicate",
                        [Related(before.span, "first here")],
                    )
