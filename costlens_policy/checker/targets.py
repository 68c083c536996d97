"""Every place where a document names models, and every target of routes."""

from __future__ import annotations

from collections.abc import Iterator

from costlens_policy.documents import Document, PolicyDocument, PolicySetDocument
from costlens_policy.documents.policy import Target
from costlens_policy.frozen import frozen
from costlens_policy.source.located import Path

__all__ = ["NamedModel", "admitted_models", "models_of_target", "named_models", "targets_of"]


@frozen
class NamedModel:
    """A model's name as a document gives it, and its path there."""

    name: str
    path: Path


def targets_of(document: Document) -> Iterator[tuple[Path, Target]]:
    """Yield the routes of a policy, or the default route of a policy set, with their paths."""
    if isinstance(document, PolicyDocument):
        for index, route in enumerate(document.routes):
            yield ("routes", index), route
    elif isinstance(document, PolicySetDocument):
        yield ("defaults", "route"), document.defaults.route


def models_of_target(target: Target, path: Path) -> Iterator[NamedModel]:
    """Yield the models that a target names, in the order in which they are tried."""
    if target.model is not None:
        yield NamedModel(target.model, (*path, "model"))
    yield from _listed(target.models, (*path, "models"))
    if target.split is not None:
        for index, share in enumerate(target.split.targets):
            yield NamedModel(share.model, (*path, "split", "targets", index, "model"))
    if target.choose is not None:
        yield from _listed(target.choose.models, (*path, "choose", "models"))
    yield from _listed(target.fallbacks, (*path, "fallbacks"))


def named_models(document: Document) -> Iterator[NamedModel]:
    """Yield every model that a policy or policy set names as a candidate, outside its expressions."""
    for path, target in targets_of(document):
        yield from models_of_target(target, path)
    if isinstance(document, PolicyDocument):
        for index, budget in enumerate(document.budgets):
            for step, threshold in enumerate(budget.thresholds):
                if threshold.downgrade is not None:
                    yield from _listed(
                        threshold.downgrade.models, ("budgets", index, "thresholds", step, "downgrade", "models")
                    )


def admitted_models(document: Document) -> Iterator[NamedModel]:
    """Yield the models that access rules of a policy admit by their names."""
    if isinstance(document, PolicyDocument):
        for index, rule in enumerate(document.access):
            yield from _listed(rule.only_models, ("access", index, "only_models"))


def _listed(names: tuple[str, ...], path: Path) -> Iterator[NamedModel]:
    for index, name in enumerate(names):
        yield NamedModel(name, (*path, index))
