"""Policies that are replaced while they serve: by those of a source, as a whole, or not at all.

engine = LivePolicies("policies/")  # looks every two seconds whether they have changed
guard = Guard(engine, ledger="sqlite:///spend.db")
engine.status.problem  # why the source's policies are not the ones that serve; empty if they are
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from costlens_policy.live.policies import LivePolicies, PolicyStatus
from costlens_policy.live.source import Fetched, Source
from costlens_policy.on_demand import on_demand

if TYPE_CHECKING:
    from costlens_policy.live.sources.folder import FolderSource
    from costlens_policy.live.sources.git import GitSource
    from costlens_policy.live.sources.http import HttpSource
    from costlens_policy.live.sources.objects import ObjectSource
    from costlens_policy.live.sources.packed import BundleSource, FileTransport, Packed, Transport
    from costlens_policy.live.trial import Trial, TrialStatus

__all__ = [
    "BundleSource", "Fetched", "FileTransport", "FolderSource", "GitSource", "HttpSource", "LivePolicies",
    "ObjectSource", "Packed", "PolicyStatus", "Source", "Transport", "Trial", "TrialStatus",
]  # fmt: skip

__getattr__ = on_demand(  # each takes what the others do not need
    __name__,
    {
        "BundleSource": "costlens_policy.live.sources.packed",
        "FileTransport": "costlens_policy.live.sources.packed",
        "FolderSource": "costlens_policy.live.sources.folder",
        "GitSource": "costlens_policy.live.sources.git",
        "HttpSource": "costlens_policy.live.sources.http",
        "ObjectSource": "costlens_policy.live.sources.objects",
        "Packed": "costlens_policy.live.sources.packed",
        "Transport": "costlens_policy.live.sources.packed",
        "Trial": "costlens_policy.live.trial",
        "TrialStatus": "costlens_policy.live.trial",
    },
)
