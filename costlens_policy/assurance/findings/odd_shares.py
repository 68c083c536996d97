"""CL444: weights of a split that look like percentages and do not add up."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from costlens_policy.assurance.subject import Subject
from costlens_policy.checker.bundle import all_targets_of
from costlens_policy.checker.checks.subject import Finding, Place
from costlens_policy.diagnostics.model import Diagnostic

__all__ = ["find_odd_shares"]

_FOUND: Final = Finding("CL444")


def find_odd_shares(subject: Subject) -> Iterator[Diagnostic]:
    """Warn of weights whose sum is near 100 and not 100."""
    for document in subject.documents.documents():
        for path, target in all_targets_of(document.document):
            if target.split is None:
                continue
            place = Place(document, (*path, "split", "targets"))
            weights = [share.weight for share in target.split.targets]
            if 90 <= sum(weights) <= 110 and sum(weights) != 100:
                yield _FOUND.warning(
                    f"the weights of the split add up to {sum(weights)}",
                    place.span,
                    "looks like percentages",
                    "make them add up to 100, or use other numbers if they are proportions",
                )
