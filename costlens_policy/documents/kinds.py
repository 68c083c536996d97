"""The kinds of documents there are."""

from __future__ import annotations

from typing import Final

from costlens_policy.documents.catalogue import CatalogueDocument
from costlens_policy.documents.document import Document
from costlens_policy.documents.policy import PolicyDocument
from costlens_policy.documents.policy_set import PolicySetDocument
from costlens_policy.documents.suite import SuiteDocument
from costlens_policy.documents.workload import WorkloadDocument

__all__ = ["KINDS"]

KINDS: Final[dict[str, type[Document]]] = {
    "Policy": PolicyDocument,
    "PolicySet": PolicySetDocument,
    "Catalogue": CatalogueDocument,
    "Suite": SuiteDocument,
    "Workload": WorkloadDocument,
}
"""Every kind of document by the word in its ``kind`` key."""
