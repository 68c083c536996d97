"""CL408: a model that a target lists twice."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from costlens_policy.checker.bundle import NamedModel, all_targets_of, own_models
from costlens_policy.checker.checks.subject import Finding, Place, Subject
from costlens_policy.diagnostics.model import Diagnostic, Related
from costlens_policy.documents.policy import Target
from costlens_policy.source.located import Path

__all__ = ["check_repeated_candidates"]

_FOUND: Final = Finding("CL408")


def check_repeated_candidates(subject: Subject) -> Iterator[Diagnostic]:
    """Warn about candidates that a target lists twice, and of equal shares of a split, under whatever name.

    A fallback of a split may be the model of a share: the other shares fall back to it.
    """
    for document in subject.documents():
        for path, target in all_targets_of(document.document):
            candidates = [(named, Place(document, named.path)) for named in own_models(target, path)]
            for name, before, place in _repeated(subject, candidates):
                if not _second_chance(before, place):
                    advice = "an excluded model is not retried; remove the duplicate"
                    yield _report(f"`{name}` is a candidate already", before, place, advice)
            shares = [(named, Place(document, named.path)) for named in _plain_shares(target, path)]
            for name, before, place in _repeated(subject, shares):
                message = f"`{name}` is a share of the split already"
                yield _report(message, before, place, "keep one and add up the weights")


def _repeated(subject: Subject, candidates: Iterable[tuple[NamedModel, Place]]) -> Iterator[tuple[str, Place, Place]]:
    """Yield the names of models that are named again, each with its first place and this one."""
    first: dict[str, Place] = {}
    for named, place in candidates:
        model = subject.bundle.catalogue.find(named.name)
        before = first.setdefault(model.name if model is not None else named.name, place)
        if before is not place:
            yield named.name, before, place


def _second_chance(before: Place, place: Place) -> bool:
    """Return whether a fallback names a model of a choice: the choice may rule it out, and the fallback lets it in."""
    return "choose" in before.path and "choose" not in place.path


def _plain_shares(target: Target, path: Path) -> Iterator[NamedModel]:
    """Yield the models of shares that are a model and a weight, and nothing else."""
    for index, share in enumerate(target.split.targets if target.split is not None else ()):
        if share.model is not None and share.model_fields_set <= {"model", "weight"}:
            yield NamedModel(share.model, (*path, "split", "targets", index, "model"))


def _report(message: str, before: Place, place: Place, advice: str) -> Diagnostic:
    return _FOUND.warning(message, place.span, "again", advice, [Related(before.span, "first here")])
