"""The documents of a fit: a policy, the measured quality, a policy set over both, and a suite that holds them.

They are read like everything else in the repository.
"""

from __future__ import annotations

from costlens_policy.fit.documents.catalogues import qualities_of, quality_of
from costlens_policy.fit.documents.origin import MADE_BY, Origin, is_as_written, sealed
from costlens_policy.fit.documents.policy_set import documents_of
from costlens_policy.fit.documents.routing import MAX_LOSS_LABEL
from costlens_policy.fit.documents.signals import signal_documents

__all__ = [
    "MADE_BY", "MAX_LOSS_LABEL", "Origin", "documents_of", "is_as_written", "qualities_of", "quality_of", "sealed",
    "signal_documents",
]  # fmt: skip
