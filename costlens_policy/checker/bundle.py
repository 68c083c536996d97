"""What linking and checking return."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Generic, TypeVar

from costlens_policy.catalogue import Catalogue
from costlens_policy.checker.attributes import DeclaredAttribute
from costlens_policy.diagnostics.model import Diagnostic
from costlens_policy.documents import CatalogueDocument, DataDocument, Document, PolicyDocument, PolicySetDocument
from costlens_policy.expressions import Record, TypedExpr, Value
from costlens_policy.frozen import frozen
from costlens_policy.source.located import LocatedDocument, Path, SourceText

if TYPE_CHECKING:
    pass

__all__ = ["CheckedBundle", "LinkedBundle", "LinkedDocument", "SharedData"]

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
class LinkedBundle:
    """A policy set with everything it names: policies in their order, the resolved catalogue, request attributes.

    ``tables`` are its data documents, and ``data`` what expressions read of them, None where that is not known.

    ``sources`` holds every text that was read, by the file name that spans carry.
    """

    policy_set: LinkedDocument[PolicySetDocument]
    policies: tuple[LinkedDocument[PolicyDocument], ...]
    catalogues: tuple[LinkedDocument[CatalogueDocument], ...]
    catalogue: Catalogue
    tables: tuple[LinkedDocument[DataDocument], ...]
    data: SharedData | None
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
