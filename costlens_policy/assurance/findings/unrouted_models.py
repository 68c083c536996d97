"""CL440: a rule for models that no request can reach."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from costlens_policy.assurance.domain import Found, Nothing
from costlens_policy.assurance.subject import Subject
from costlens_policy.checker.bundle import all_targets_of, named_models
from costlens_policy.checker.checks.subject import Finding
from costlens_policy.diagnostics.model import Diagnostic

__all__ = ["find_unrouted_models"]

_FOUND: Final = Finding("CL440")


def find_unrouted_models(subject: Subject) -> Iterator[Diagnostic]:
    """Warn of budgets and rewrites whose condition holds for no model that any route, fallback or downgrade names."""
    reachable = _reachable(subject)
    if reachable is None:
        return
    for section in ("budgets", "rewrites"):
        for rule in subject.rules[section]:
            if rule.when is None or not rule.when.reads("model"):
                continue
            found = {name: subject.domain.find(rule.goal, {("model",): name}) for name in subject.domain.models}
            holds_for = [name for name, result in found.items() if isinstance(result, Found)]
            if holds_for and all(isinstance(found[name], Nothing) for name in reachable if name in found):
                names = " and ".join(f"`{name}`" for name in holds_for[:3])
                yield _FOUND.warning(
                    f"`{rule.id}` holds only for {names}, to which no request goes",
                    rule.span,
                    "no route, fallback or downgrade names it",
                    "correct the name, or remove the rule",
                    proved=True,
                )


def _reachable(subject: Subject) -> frozenset[str] | None:
    """Return the models that can serve; None where any may."""
    names: set[str] = set()
    catalogue = subject.bundle.linked.catalogue
    for document in subject.documents.documents():
        for _, target in all_targets_of(document.document):
            if target.model_from is not None or (target.choose is not None and not target.choose.models):
                return None
        found = (catalogue.find(named.name) for named in named_models(document.document))
        names.update(model.name for model in found if model is not None)
    return frozenset(names)
