"""CL406: a condition that reads a budget whose balance depends on the model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from costlens_policy.checker.bundle import LinkedDocument
from costlens_policy.checker.checks.subject import Finding, Place, Subject
from costlens_policy.checker.reads import budget_reads
from costlens_policy.diagnostics.model import Diagnostic, Related
from costlens_policy.documents import PolicyDocument

__all__ = ["check_budget_scopes"]

_FOUND: Final = Finding("CL406")


def check_budget_scopes(subject: Subject) -> Iterator[Diagnostic]:
    """Report conditions that read a budget whose scope reads ``model``."""
    scopes = dict(_scopes_by_model(subject))
    if not scopes:
        return
    for policy in subject.bundle.policies:
        for path, typed in subject.expressions[policy].items():
            for name, extent in budget_reads(typed):
                if (scope := scopes.get(name)) is not None:
                    yield _FOUND.error(
                        f"the budget `{name}` has a balance for each model, so `budgets` cannot read it",
                        Place(policy, path).part(extent),
                        "which model's?",
                        "read a budget whose scope does not depend on `model`",
                        [Related(scope.span, "its scope reads `model`")],
                    )


def _scopes_by_model(subject: Subject) -> Iterator[tuple[str, Place]]:
    owners = _budgets(subject)
    for (policy, index), names in owners.items():
        place = Place(policy, ("budgets", index, "scope"))
        typed = subject.typed(place)
        if typed is not None and any(reference[0] == "model" for reference in typed.references):
            for name in names:
                yield name, place


def _budgets(subject: Subject) -> Mapping[tuple[LinkedDocument[PolicyDocument], int], tuple[str, str]]:
    return {
        (policy, index): (budget.id, f"{policy.name}/{budget.id}")
        for policy in subject.bundle.policies
        for index, budget in enumerate(policy.document.budgets)
    }
