"""CL463: a share of a split that nobody gets."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from costlens_policy.assurance.subject import Subject
from costlens_policy.checker.bundle import all_targets_of
from costlens_policy.checker.checks.subject import Finding, Place
from costlens_policy.diagnostics.model import Diagnostic
from costlens_policy.expressions import BOOL, TypedExpr

__all__ = ["find_dead_shares"]

_FOUND: Final = Finding("CL463")
_FEW: Final = 20
_LEAST: Final = 1000


def find_dead_shares(subject: Subject) -> Iterator[Diagnostic]:
    """Warn of shares of weight zero, and of keys with so few values that shares cannot be what the weights promise."""
    for document in subject.documents.documents():
        for path, target in all_targets_of(document.document):
            if target.split is None:
                continue
            place = Place(document, (*path, "split"))
            weights = [share.weight for share in target.split.targets]
            for at, weight in enumerate(weights):
                if 0 < weight * _LEAST < sum(weights):
                    yield _FOUND.warning(
                        f"hardly anybody gets a share of {weight} in {sum(weights)}",
                        place.at("targets", at, "weight").span,
                        "less than one in a thousand",
                        "give it more weight, or remove it",
                    )
                if weight == 0 and any(weights):
                    yield _FOUND.warning(
                        "nobody gets a share of weight 0",
                        place.at("targets", at, "weight").span,
                        "never chosen",
                        "remove the share until it is to be served, or give it a weight",
                    )
            typed = subject.documents.typed(place.at("key"))
            count = _values(subject, typed) if typed is not None else None
            if count is not None and count <= _FEW:
                yield _FOUND.warning(
                    f"the key of the split has only {count} values, so that shares are not what the weights promise",
                    place.at("key").span,
                    "all requests with the same value get the same share",
                    "use what differs from one caller to the next, such as `request.user`",
                )


def _values(subject: Subject, typed: TypedExpr) -> int | None:
    """Return how many values a key takes that reads declared values only; None where it may take others."""
    count = 1
    for reference in typed.references:
        attribute = subject.plan.attributes.get(reference[1]) if reference[0] == "request" else None
        values = 0 if attribute is None else 2 if attribute.type == BOOL else len(attribute.values)
        if not values:
            return None
        count *= values
    return count if typed.references else None
