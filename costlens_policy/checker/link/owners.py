"""The policy sets that a single policy or catalogue belongs to."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from costlens_policy.checker.link.folders import Found, sets_directly_in
from costlens_policy.checker.link.library import File, Library
from costlens_policy.documents import PolicySetDocument
from costlens_policy.source.folders import repository_of

__all__ = ["owners_of"]


def owners_of(library: Library, file: File, paths: Sequence[Path]) -> Iterator[Found]:
    """Yield the sets that list a file, from its own folder up to the repository's; ``paths`` are those named."""
    repository = repository_of(file.resolved, paths)
    for folder in file.resolved.parents:
        if not folder.is_relative_to(repository):
            return
        for found in sets_directly_in(library, _as_named(folder)):
            if file.resolved in _listed(found):
                yield found


def _listed(found: Found) -> set[Path]:
    document = found.reading.document
    if not isinstance(document, PolicySetDocument):
        return set()
    folder = os.path.dirname(found.file.name)
    return {Path(os.path.realpath(os.path.join(folder, name))) for name in (*document.policies, *document.catalogues)}


def _as_named(folder: Path) -> Path:
    """Return a folder as a user in the working directory would name it."""
    here = Path.cwd()
    return folder.relative_to(here) if folder.is_relative_to(here) else folder
