"""Streamed responses: what each chunk says, whoever's SDK made it, and what a whole stream adds up to."""

from __future__ import annotations

from costlens_policy.guard.streams.answer import TEXT, THOUGHT, TOOL, Answer
from costlens_policy.guard.streams.meter import StreamMeter

__all__ = ["TEXT", "THOUGHT", "TOOL", "Answer", "StreamMeter"]
