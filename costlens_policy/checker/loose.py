"""Documents that no policy set has reached: suites, and policies and catalogues that stand alone."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from costlens_policy.checker.bundle import LinkedDocument
from costlens_policy.checker.expressions import analyse_alone
from costlens_policy.checker.link import File, Library, Reading, owners_of
from costlens_policy.diagnostics.model import Diagnostic, Severity
from costlens_policy.documents import PolicyDocument
from costlens_policy.source.folders import yaml_files

__all__ = ["check_loose"]

_OURS = "costlens-policy"


def check_loose(
    library: Library, paths: Sequence[Path], reached: set[Reading], *, lists_are_whole: bool
) -> Iterator[Diagnostic]:
    """Yield what is wrong with documents that are not among ``reached``, each taken by itself.

    ``lists_are_whole`` says that everything that policy sets list could be read: only then is the rest unlisted.
    """
    for file, named in _files(library, paths):
        if named or _OURS in file.text or _is_shut(file):
            yield from file.diagnostics
        for reading in file.readings:
            if reading in reached or not (named or reading.is_ours):
                continue
            reached.add(reading)
            yield from reading.diagnostics
            if isinstance(reading.document, PolicyDocument):
                # A set further down, which one at the top hides, lists its policies all the same.
                unlisted = lists_are_whole and not any(owners_of(library, file, paths))
                yield from _policy(LinkedDocument(reading.located, reading.document), unlisted)


def _files(library: Library, paths: Sequence[Path]) -> Iterator[tuple[File, bool]]:
    """Yield each file, and whether it was named; whatever is not a folder counts as a file that was."""
    for path in paths:
        if os.path.isdir(path):
            yield from ((library.open(name), False) for name in yaml_files(path))
        else:
            yield library.open(path), True


def _is_shut(file: File) -> bool:
    """Say whether a file that is there cannot be read: nobody can tell what it would have held."""
    return file.source is None and os.path.isfile(file.name) and any(item.code == "CL001" for item in file.diagnostics)


def _policy(policy: LinkedDocument[PolicyDocument], is_unlisted: bool) -> Iterator[Diagnostic]:
    if is_unlisted:
        yield Diagnostic(
            "CL216",
            Severity.WARNING,
            f"no policy set lists the policy `{policy.name}`",
            policy.located.root.span_of(("metadata", "name")),
            "without effect, and checked only by itself",
            "list the file under `policies` of a policy set",
        )
    yield from analyse_alone(policy)
