"""Documents: the typed content of policy files. Each kind is one class; each section of it another.

The names are imported when they are used: building the types of one kind takes a tenth of a second.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from costlens_policy.on_demand import on_demand

if TYPE_CHECKING:
    from costlens_policy.documents.catalogue import CatalogueDocument
    from costlens_policy.documents.document import API_VERSIONS, Document, Metadata
    from costlens_policy.documents.kinds import KINDS
    from costlens_policy.documents.policy import PolicyDocument
    from costlens_policy.documents.policy_set import PolicySetDocument
    from costlens_policy.documents.suite import SuiteDocument
    from costlens_policy.documents.workload import WorkloadDocument

__all__ = [
    "API_VERSIONS", "KINDS", "CatalogueDocument", "Document", "Metadata", "PolicyDocument", "PolicySetDocument",
    "SuiteDocument", "WorkloadDocument",
]  # fmt: skip

__getattr__ = on_demand(
    __name__,
    {
        "API_VERSIONS": "costlens_policy.documents.document",
        "KINDS": "costlens_policy.documents.kinds",
        "CatalogueDocument": "costlens_policy.documents.catalogue",
        "Document": "costlens_policy.documents.document",
        "Metadata": "costlens_policy.documents.document",
        "PolicyDocument": "costlens_policy.documents.policy",
        "PolicySetDocument": "costlens_policy.documents.policy_set",
        "SuiteDocument": "costlens_policy.documents.suite",
        "WorkloadDocument": "costlens_policy.documents.workload",
    },
)
