"""Replay: recorded traffic decided again, and what it would have cost."""

from __future__ import annotations

from typing import TYPE_CHECKING

from costlens_policy.on_demand import on_demand

if TYPE_CHECKING:
    from costlens_policy.replay.columns import Job, State, step
    from costlens_policy.replay.files import diff_files, open_traffic, replay_files
    from costlens_policy.replay.parts.arrow import replay_arrow
    from costlens_policy.replay.parts.ray import replay_ray
    from costlens_policy.replay.parts.spark import replay_spark
    from costlens_policy.replay.result import Result
    from costlens_policy.replay.settings import Settings
    from costlens_policy.replay.simulation import replay
    from costlens_policy.replay.traffic.mapping import ColumnMapping
    from costlens_policy.replay.traffic.places import find_files
    from costlens_policy.replay.traffic.reading import read_traffic
    from costlens_policy.replay.traffic.ready import READY
    from costlens_policy.replay.traffic.row import BatchError, MergeError, Row, Traffic, TrafficError

__all__ = [
    "READY", "BatchError", "ColumnMapping", "Job", "MergeError", "Result", "Row", "Settings", "State", "Traffic",
    "TrafficError", "diff_files", "find_files", "open_traffic", "read_traffic", "replay", "replay_arrow",
    "replay_files", "replay_ray", "replay_spark", "step",
]  # fmt: skip

_MODULES = {
    "columns": ("Job", "State", "step"),
    "files": ("diff_files", "open_traffic", "replay_files"),
    "parts.arrow": ("replay_arrow",),
    "parts.ray": ("replay_ray",),
    "parts.spark": ("replay_spark",),
    "result": ("Result",),
    "settings": ("Settings",),
    "simulation": ("replay",),
    "traffic.mapping": ("ColumnMapping",),
    "traffic.places": ("find_files",),
    "traffic.reading": ("read_traffic",),
    "traffic.ready": ("READY",),
    "traffic.row": ("BatchError", "MergeError", "Row", "Traffic", "TrafficError"),
}
__getattr__ = on_demand(
    __name__, {name: f"{__name__}.{module}" for module, names in _MODULES.items() for name in names}
)
