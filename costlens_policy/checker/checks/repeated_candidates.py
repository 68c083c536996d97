"""CL408: a model that a target lists twice."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from costlens_policy.checker.bundle import NamedModel, models_of_target, targets_of
from costlens_policy.checker.checks.subject import Finding, Place, Subject
from costlens_policy.diagnostics.model import Diagnostic, Related
from costlens_policy.source.located import Path

__all__ = ["check_repeated_candidates"]

_FOUND: Final = Finding("CL408")


def check_repeated_candidates(subject: Subject) -> Iterator[Diagnostic]:
    """Warn about candidates that a target lists twice, even under two names of the same model.

    Each share of a split is a list of its own: only one is drawn, and another one may be its fallback.
    """
    for document in subject.documents():
        for path, target in targets_of(document.document):
            first: dict[tuple[Path, str], Place] = {}
            models = tuple(models_of_target(target, path))
            for named in models:
                place = Place(document, named.path)
                model = subject.bundle.catalogue.find(named.name)
                name = model.name if model is not None else named.name
                share = _is_plain_share(named, models)
                around = _share_of(named.path)[:-1] if share else _share_of(named.path)
                before = first.setdefault((around, name), place)
                if before is not place and not _second_chance(before, place):
                    yield _FOUND.warning(
                        f"`{named.name}` is {'a share of the split' if share else 'a candidate'} already",
                        place.span,
                        "again",
                        "keep one and add up the weights"
                        if share
                        else "an excluded model is not retried; remove the duplicate",
                        [Related(before.span, "first here")],
                    )


def _second_chance(before: Place, place: Place) -> bool:
    """Return whether a fallback names a model of a choice: the choice may rule it out, and the fallback lets it in."""
    return "choose" in before.path and "choose" not in place.path


def _share_of(path: Path) -> Path:
    """Return the innermost share of a split in which a model is named; an empty path outside of splits."""
    for position in range(len(path) - 1, 0, -1):
        if path[position - 1] == "targets":
            return path[: position + 1]
    return ()


def _is_plain_share(named: NamedModel, models: Sequence[NamedModel]) -> bool:
    """Return whether a model is all that there is to a share."""
    share = _share_of(named.path)
    return share != () and [other.path for other in models if _share_of(other.path) == share] == [(*share, "model")]
