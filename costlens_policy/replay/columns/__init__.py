"""Replay in columns: batches of recorded requests in, a state out. Needs Polars, the extra ``replay``."""

from __future__ import annotations

from costlens_policy.replay.columns.job import Job
from costlens_policy.replay.columns.state import State
from costlens_policy.replay.columns.step import step

__all__ = ["Job", "State", "step"]
