"""Columnar replay: batches of recorded requests in, a state out. Needs Polars, the extra ``replay``."""

from __future__ import annotations

from costlens_policy.replay.columns.checking import BatchError
from costlens_policy.replay.columns.step import Job, MergeError, State, step

__all__ = ["BatchError", "Job", "MergeError", "State", "step"]
