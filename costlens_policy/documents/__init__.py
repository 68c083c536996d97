"""Documents: the typed content of policy files. Each kind is one class; each section of it another."""

from __future__ import annotations

from typing import Final

from costlens_policy.documents.catalogue import CatalogueDocument
from costlens_policy.documents.document import API_VERSIONS, Document, Metadata
from costlens_policy.documents.policy import PolicyDocument
from costlens_policy.documents.policy_set import PolicySetDocument
from costlens_policy.documents.suite import SuiteDocument
from costlens_policy.documents.workload import WorkloadDocument

__all__ = [
    "API_VERSIONS", "KINDS", "CatalogueDocument", "Document", "Metadata", "PolicyDocument", "PolicySetDocument",
    "SuiteDocument", "WorkloadDocument",
]  # fmt: skip

KINDS: Final[dict[str, type[Document]]] = {
    "Policy": PolicyDocument,
    "PolicySet": PolicySetDocument,
    "Catalogue": CatalogueDocument,
    "Suite": SuiteDocument,
    "Workload": WorkloadDocument,
}
"""Every kind of document by the word in its ``kind`` key."""
