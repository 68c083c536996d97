"""CL411: a split whose weights are all zero."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from costlens_policy.checker.bundle import all_targets_of
from costlens_policy.checker.checks.subject import Finding, Place, Subject
from costlens_policy.diagnostics.model import Diagnostic

__all__ = ["check_splits"]

_FOUND: Final = Finding("CL411")


def check_splits(subject: Subject) -> Iterator[Diagnostic]:
    """Report splits whose weights are all zero."""
    for document in subject.documents():
        for path, target in all_targets_of(document.document):
            if target.split is not None and not any(share.weight for share in target.split.targets):
                yield _FOUND.error(
                    "all weights of the split are zero",
                    Place(document, (*path, "split", "targets")).span,
                    "no model has a share",
                    "give at least one target a weight above 0",
                )
