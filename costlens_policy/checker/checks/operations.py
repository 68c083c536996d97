"""Every operation on requests, of rewrites and of thresholds."""

from __future__ import annotations

from collections.abc import Iterator

from costlens_policy.checker.checks.subject import Place, Subject
from costlens_policy.documents.rewrites import Operation

__all__ = ["operations_of"]


def operations_of(subject: Subject) -> Iterator[tuple[Operation, Place]]:
    """Yield the operations of all policies in order, with their places."""
    for policy in subject.bundle.policies:
        for index, rewrite in enumerate(policy.document.rewrites):
            for step, operation in enumerate(rewrite.apply):
                yield operation, Place(policy, ("rewrites", index, "apply", step))
        for index, budget in enumerate(policy.document.budgets):
            for at, threshold in enumerate(budget.thresholds):
                for step, operation in enumerate(threshold.rewrite):
                    yield operation, Place(policy, ("budgets", index, "thresholds", at, "rewrite", step))
