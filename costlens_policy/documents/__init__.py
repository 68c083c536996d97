"""Documents: the typed content of policy files. Each kind is one class; each section of it another.

The names are imported when they are used: building the types of one kind takes up to a tenth of a second, and few
processes read all kinds.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Final

from costlens_policy.on_demand import on_demand

if TYPE_CHECKING:
    from costlens_policy.documents.catalogue import CatalogueDocument
    from costlens_policy.documents.data import DataDocument
    from costlens_policy.documents.document import API_VERSIONS, Document, Metadata
    from costlens_policy.documents.invariants import InvariantsDocument
    from costlens_policy.documents.policy import PolicyDocument
    from costlens_policy.documents.policy_set import PolicySetDocument
    from costlens_policy.documents.signals import SignalsDocument
    from costlens_policy.documents.suite import SuiteDocument
    from costlens_policy.documents.workload import WorkloadDocument

__all__ = [
    "API_VERSIONS", "KINDS", "CatalogueDocument", "DataDocument", "Document", "InvariantsDocument", "Metadata",
    "PolicyDocument", "PolicySetDocument", "SignalsDocument", "SuiteDocument", "WorkloadDocument",
]  # fmt: skip

_MODULES: Final = {
    "Policy": "policy",
    "PolicySet": "policy_set",
    "Catalogue": "catalogue",
    "Data": "data",
    "Signals": "signals",
    "Suite": "suite",
    "Invariants": "invariants",
    "Workload": "workload",
}


class _Kinds(Mapping[str, type["Document"]]):
    """Imports the type of a kind when it is asked for."""

    def __getitem__(self, kind: str) -> type[Document]:
        found: type[Document] = getattr(import_module(f"{__name__}.{_MODULES[kind]}"), f"{kind}Document")
        return found

    def __iter__(self) -> Iterator[str]:
        return iter(_MODULES)

    def __len__(self) -> int:
        return len(_MODULES)

    def __contains__(self, kind: object) -> bool:
        return kind in _MODULES


KINDS: Final[Mapping[str, type[Document]]] = _Kinds()
"""Every kind of document by the word in its ``kind`` key."""

__getattr__ = on_demand(
    __name__,
    {f"{kind}Document": f"{__name__}.{module}" for kind, module in _MODULES.items()}
    | dict.fromkeys(("API_VERSIONS", "Document", "Metadata"), f"{__name__}.document"),
)
