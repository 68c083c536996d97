"""CL451: a target that does not fit its place: nested too deeply, without a route after it, or with a name twice."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from costlens_policy.checker.bundle import inner_and_own, inner_targets, targets_of
from costlens_policy.checker.checks.subject import Finding, Place, Subject
from costlens_policy.diagnostics.model import Diagnostic, Related
from costlens_policy.documents import PolicySetDocument
from costlens_policy.documents.policy import Target
from costlens_policy.source.located import Path

__all__ = ["check_misplaced_targets"]

_FOUND: Final = Finding("CL451")
_DEEPEST: Final = 4
"""A route, and three targets inside each other: more has not been seen, and nobody can review it."""


def check_misplaced_targets(subject: Subject) -> Iterator[Diagnostic]:
    """Report targets that are nested too deeply, shares of one name, and a default route that goes on to the next."""
    for document in subject.documents():
        last = isinstance(document.document, PolicySetDocument)
        for path, target in targets_of(document.document):
            if at := _too_deep(target, path):
                yield _FOUND.error(
                    f"targets must be nested at most {_DEEPEST} deep",
                    Place(document, at).key_span,
                    "too deep",
                    "give the inner shares to the split around them, or make a route of them",
                )
            for at, inner in inner_and_own(target, path):
                place = Place(document, at)
                yield from _same_names(inner, place)
                if last and inner.choose is not None and inner.choose.on_none == "next":
                    yield _FOUND.error(
                        "`next` needs a route after this one, and the default route is the last",
                        place.at("choose", "on_none").span,
                        "no route follows",
                        "write `refuse`, `cheapest`, `best`, or a target",
                    )


def _too_deep(target: Target, path: Path, depth: int = 1) -> Path | None:
    """Return the first target that is too deep."""
    if depth > _DEEPEST:
        return path
    inner = (_too_deep(target, at, depth + 1) for at, target in inner_targets(target, path))
    return next((found for found in inner if found is not None), None)


def _same_names(target: Target, place: Place) -> Iterator[Diagnostic]:
    """Report shares of one name, wherever they have it from: an id, a model, or their number."""
    first: dict[str, Place] = {}
    for index, share in enumerate(target.split.targets if target.split is not None else ()):
        here = place.at("split", "targets", index)
        if key := "id" if share.id else "model" if share.model else "":
            here = here.at(key)
        name = share.name_at(index)
        before = first.setdefault(name, here)
        if before is not here:
            related = [Related(before.span, "first here")]
            message = f"two shares of the split have the name `{name}`"
            yield _FOUND.error(message, here.span, "again", "give each share its own id", related)
