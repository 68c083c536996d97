"""What checking works on and returns: linked documents, checked bundles, and the record of what was read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Generic, TypeVar

from costlens_policy.catalogue import Catalogue, Model, Period
from costlens_policy.checker.attributes import MODEL_FACTS, DeclaredAttribute
from costlens_policy.diagnostics.model import Diagnostic
from costlens_policy.documents import CatalogueDocument, Document, PolicyDocument, PolicySetDocument
from costlens_policy.expressions import TypedExpr, Value
from costlens_policy.source.located import LocatedDocument, Path, SourceText

if TYPE_CHECKING:
    from costlens_policy.documents.policy_set import Admission

__all__ = ["CheckedBundle", "LinkedBundle", "LinkedDocument", "model_values", "unknown_facts"]


D = TypeVar("D", bound=Document, covariant=True)


@dataclass(frozen=True, slots=True, eq=False)
class LinkedDocument(Generic[D]):
    """A typed document and the text that it was read from. Compared by identity."""

    located: LocatedDocument
    document: D

    @property
    def name(self) -> str:
        return self.document.metadata.name


@dataclass(frozen=True, slots=True)
class LinkedBundle:
    """A policy set with everything it names: policies in their order, the resolved catalogue, request attributes.

    ``sources`` holds every text that was read, by the file name that spans carry.
    """

    policy_set: LinkedDocument[PolicySetDocument]
    policies: tuple[LinkedDocument[PolicyDocument], ...]
    catalogues: tuple[LinkedDocument[CatalogueDocument], ...]
    catalogue: Catalogue
    attributes: Mapping[str, DeclaredAttribute]
    sources: Mapping[str, SourceText]


@dataclass(frozen=True, slots=True)
class CheckedBundle:
    """A linked bundle that can be compiled, and its typed expressions.

    ``warnings`` are what is worth a second look, errors that do not stop among them.
    """

    linked: LinkedBundle
    expressions: Mapping[LinkedDocument[Document], Mapping[Path, TypedExpr]]
    warnings: tuple[Diagnostic, ...]

    def typed_of(self, document: LinkedDocument[Document]) -> Mapping[Path, TypedExpr]:
        """Return the expressions of a document of the bundle by their path, such as ``("routes", 0, "when")``."""
        return self.expressions[document]


def model_values(model: Model, period: Period | None, day: date) -> dict[str, Value]:
    """Return the record ``model`` of expressions on a day, with the prices of ``period``. What is unknown is absent."""
    known: dict[str, Value | None] = {
        "name": model.name,
        "provider": model.provider,
        "family": model.family,
        "base": model.base,
        "trained_for": list(model.trained_for),
        "context_window": model.context_window,
        "max_output_tokens": model.max_output_tokens,
        "capabilities": None if model.capabilities is None else sorted(model.capabilities),
        "latency_p50_ms": model.latency_p50_ms,
        "latency_p95_ms": model.latency_p95_ms,
        "quality": dict(model.quality),
        "regions": None if model.regions is None else list(model.regions),
        "external": model.external,
        "fine_tuned": model.base is not None,
        "deprecated": model.deprecated_on(day),
        "labels": dict(model.labels),
    }
    if period is not None:
        prices = period.rates.usd_per_million_tokens
        known["input_usd_per_million_tokens"] = float(prices["input"])
        known["output_usd_per_million_tokens"] = float(prices["output"])
    return {name: value for name, value in known.items() if value is not None}


def unknown_facts(catalogue: Catalogue, admit: Admission) -> frozenset[str]:
    """Return the attributes of ``model`` that some candidate may lack, on whatever day."""
    if admit.unknown_models:
        return MODEL_FACTS
    always = [set(model_values(model, _first_period(model), date.min)) for model in catalogue]
    return frozenset(name for name in MODEL_FACTS if not all(name in known for known in always))


def _first_period(model: Model) -> Period | None:
    """Return the prices that hold from the beginning; where there are none, the model has days without a price."""
    return model.periods[0] if model.periods and model.periods[0].effective is None else None
