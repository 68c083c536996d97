"""CL408: a model that a target lists twice."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from costlens_policy.checker.bundle import LinkedDocument, NamedModel, all_targets_of, own_models
from costlens_policy.checker.checks.subject import Finding, Place, Subject
from costlens_policy.diagnostics.model import Diagnostic, Related
from costlens_policy.documents import Document
from costlens_policy.documents.policy import Target
from costlens_policy.source.located import Path

__all__ = ["check_repeated_candidates"]

_FOUND: Final = Finding("CL408")


def check_repeated_candidates(subject: Subject) -> Iterator[Diagnostic]:
    """Warn about candidates that a target lists twice, and of equal shares of a split, under whatever name.

    A fallback of a split may be the model of a share: the other shares fall back to it. And a fallback may be a model
    of the choice, which may rule it out, and the fallback lets it in.
    """
    for document in subject.documents():
        for path, target in all_targets_of(document.document):
            for before, named in _repeated(subject, own_models(target, path)):
                if named.chosen or not before.chosen:
                    advice = "an excluded model is not retried; remove the duplicate"
                    yield _report(document, before, named, "a candidate", advice)
            for before, named in _repeated(subject, _plain_shares(target, path)):
                yield _report(document, before, named, "a share of the split", "keep one and add up the weights")


def _repeated(subject: Subject, names: Iterator[NamedModel]) -> Iterator[tuple[NamedModel, NamedModel]]:
    """Yield models that are named again, each after the first name of the same model."""
    first: dict[str, NamedModel] = {}
    for named in names:
        model = subject.bundle.catalogue.find(named.name)
        before = first.setdefault(model.name if model is not None else named.name, named)
        if before is not named:
            yield before, named


def _plain_shares(target: Target, path: Path) -> Iterator[NamedModel]:
    """Yield the models of shares that are a model and a weight, and nothing else."""
    for index, share in enumerate(target.split.targets if target.split is not None else ()):
        if share.model is not None and share.model_fields_set <= {"model", "weight"}:
            yield NamedModel(share.model, (*path, "split", "targets", index, "model"))


def _report(
    document: LinkedDocument[Document], before: NamedModel, named: NamedModel, what: str, advice: str
) -> Diagnostic:
    message, related = f"`{named.name}` is {what} already", [Related(Place(document, before.path).span, "first here")]
    return _FOUND.warning(message, Place(document, named.path).span, "again", advice, related)
