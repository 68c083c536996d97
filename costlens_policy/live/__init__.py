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

__all__ = ["Fetched", "FolderSource", "LivePolicies", "PolicyStatus", "Source"]

__getattr__ = on_demand(__name__, {"FolderSource": "costlens_policy.live.sources.folder"})
