"""What is handed from reading to deciding."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl

from costlens_policy.replay.traffic.row import Reject

__all__ = ["Chunk"]


@dataclass(frozen=True, slots=True)
class Chunk:
    """A batch, and where reading stood after it.

    ``place`` says where reading goes on, ``read`` how many rows of the files have been read, ``rejects`` which of them
    since the chunk before were left out, and ``reader`` what the reader remembers.
    """

    frame: pl.DataFrame
    place: tuple[int, int]
    read: int
    rejects: tuple[Reject, ...]
    reader: Mapping[str, Any]
