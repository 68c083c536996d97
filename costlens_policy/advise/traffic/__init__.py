"""Workloads from recorded traffic: what each task's calls tell, and which tasks are worth more than a prompt."""

from __future__ import annotations

from costlens_policy.advise.traffic.call import Call
from costlens_policy.advise.traffic.rank import Ranked, Ranking, rank
from costlens_policy.advise.traffic.seen import Seen
from costlens_policy.advise.traffic.workload import Asked

__all__ = ["Asked", "Call", "Ranked", "Ranking", "Seen", "rank"]
