"""One recorded call, as advice needs it."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

__all__ = ["Call"]


@dataclass(frozen=True, slots=True)
class Call:
    """``task`` is the label that calls are grouped by; ``time`` is None where it means nothing.

    ``prompt_tokens`` includes the cached part. ``cached_tokens`` were read from a prompt cache and ``written_tokens``
    written into it; both are None where the record does not tell. ``prompt`` is the text, or the ids of its blocks of
    ``block_tokens`` tokens; empty where neither was recorded. ``outcomes`` says by model how good its answer was.
    """

    task: str | None
    time: datetime | None
    model: str | None
    prompt_tokens: int
    output_tokens: int
    cached_tokens: int | None = None
    written_tokens: int | None = None
    prompt: str | Sequence[Hashable] = ""
    outcomes: Mapping[str, float] = field(default_factory=dict)
