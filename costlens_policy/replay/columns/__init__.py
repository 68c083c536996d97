"""Columnar replay: batches of recorded requests in, a state out. Needs Polars, the extra ``replay``."""

from __future__ import annotations

from costlens_policy.replay.columns.step import Job, State, step

__all__ = ["Job", "State", "step"]
