"""What linking and checking hand on: a policy set with its documents, and every place where these name models."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Generic, TypeVar

from costlens_policy.catalogue import Catalogue
from costlens_policy.checker.attributes import DeclaredAttribute
from costlens_policy.diagnostics.model import Diagnostic, Severity
from costlens_policy.documents import (
    CatalogueDocument,
    DataDocument,
    Document,
    PolicyDocument,
    PolicySetDocument,
    SignalsDocument,
)
from costlens_policy.documents.policy import Target
from costlens_policy.expressions import Record, TypedExpr, Value
from costlens_policy.frozen import frozen
from costlens_policy.signals import Signal
from costlens_policy.source.located import LocatedDocument, Path, SourceText

__all__ = [
    "CheckedBundle",
    "LinkedBundle",
    "LinkedDocument",
    "NamedModel",
    "SharedData",
    "SharedSignals",
    "admitted_models",
    "all_targets_of",
    "as_configured",
    "inner_and_own",
    "inner_targets",
    "models_of_target",
    "named_models",
    "own_models",
    "passes_on",
    "targets_of",
]  # fmt: skip

D = TypeVar("D", bound=Document, covariant=True)


@frozen(eq=False)
class LinkedDocument(Generic[D]):
    """A typed document and the text that it was read from. Compared by identity."""

    located: LocatedDocument
    document: D

    @property
    def name(self) -> str:
        return self.document.metadata.name


@frozen
class SharedData:
    """The values of all data documents by their names, and the records that their types are made of.

    The record ``data`` has a field for each document.
    """

    values: Mapping[str, Value]
    records: Mapping[str, Record]


@frozen
class SharedSignals:
    """The signals of all documents by their names, and the names of the files beside them that hold learned models.

    ``complete`` says whether every declaration could be read; else nobody knows what else there is.
    """

    by_name: Mapping[str, Signal]
    files: tuple[str, ...] = ()
    complete: bool = True


@frozen
class LinkedBundle:
    """A policy set with everything it names: policies in their order, the resolved catalogue, request attributes.

    ``tables`` are its data documents, and ``data`` what expressions read of them, None where that is not known.
    ``signal_documents`` declare ``signals``.

    ``sources`` holds every text that was read, by the file name that spans carry.
    """

    policy_set: LinkedDocument[PolicySetDocument]
    policies: tuple[LinkedDocument[PolicyDocument], ...]
    catalogues: tuple[LinkedDocument[CatalogueDocument], ...]
    catalogue: Catalogue
    tables: tuple[LinkedDocument[DataDocument], ...]
    data: SharedData | None
    signal_documents: tuple[LinkedDocument[SignalsDocument], ...]
    signals: SharedSignals
    attributes: Mapping[str, DeclaredAttribute]
    sources: Mapping[str, SourceText]


@frozen
class CheckedBundle:
    """A linked bundle that can be compiled, and its typed expressions.

    ``warnings`` include errors that do not prevent loading.
    """

    linked: LinkedBundle
    expressions: Mapping[LinkedDocument[Document], Mapping[Path, TypedExpr]]
    warnings: tuple[Diagnostic, ...]

    def typed_of(self, document: LinkedDocument[Document]) -> Mapping[Path, TypedExpr]:
        """Return the expressions of a document of the bundle by their path, such as ``("routes", 0, "when")``."""
        return self.expressions[document]


def as_configured(item: Diagnostic, policy_set: PolicySetDocument) -> Diagnostic:
    """Return a diagnostic with the severity that the policy set gives its code; what prevents loading is an error."""
    severity = policy_set.severities.get(item.code)
    if severity is None or (item.is_error and item.stops):
        return item
    return replace(item, severity=Severity(severity), stops=False)


@frozen
class NamedModel:
    """A model's name as a document gives it, and its path there."""

    name: str
    path: Path

    @property
    def chosen(self) -> bool:
        """Whether it is one of several that a choice considers."""
        return self.path[-3:-1] == ("choose", "models")


def targets_of(document: Document) -> Iterator[tuple[Path, Target]]:
    """Yield the routes of a policy, or the default route of a policy set, with their paths."""
    if isinstance(document, PolicyDocument):
        for index, route in enumerate(document.routes):
            yield ("routes", index), route
    elif isinstance(document, PolicySetDocument):
        yield ("defaults", "route"), document.defaults.route


def all_targets_of(document: Document) -> Iterator[tuple[Path, Target]]:
    """Yield the routes of a policy, or the default route, and all targets inside them, with their paths."""
    for path, target in targets_of(document):
        yield from inner_and_own(target, path)


def inner_and_own(target: Target, path: Path) -> Iterator[tuple[Path, Target]]:
    """Yield a target and all targets inside it, with their paths."""
    yield path, target
    for at, inner in inner_targets(target, path):
        yield from inner_and_own(inner, at)


def inner_targets(target: Target, path: Path) -> Iterator[tuple[Path, Target]]:
    """Yield the targets right inside one: the shares of its split, or the way out of its choice."""
    if target.split is not None:
        for index, share in enumerate(target.split.targets):
            yield (*path, "split", "targets", index), share
    if target.choose is not None and isinstance(target.choose.on_none, Target):
        yield (*path, "choose", "on_none"), target.choose.on_none


def passes_on(target: Target) -> bool:
    """Return whether a route with a target may leave the request to the next route that matches."""
    choices = (inner.choose for _, inner in inner_and_own(target, ()))
    return any(choice is not None and choice.on_none == "next" for choice in choices)


def own_models(target: Target, path: Path) -> Iterator[NamedModel]:
    """Yield the models that a target itself names, in the order in which they are tried."""
    if target.model is not None:
        yield NamedModel(target.model, (*path, "model"))
    yield from _listed(target.models, (*path, "models"))
    if target.choose is not None:
        yield from _listed(target.choose.models, (*path, "choose", "models"))
    yield from _listed(target.fallbacks, (*path, "fallbacks"))


def models_of_target(target: Target, path: Path) -> Iterator[NamedModel]:
    """Yield the models that a target and all targets inside it name."""
    for at, inner in inner_and_own(target, path):
        yield from own_models(inner, at)


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
